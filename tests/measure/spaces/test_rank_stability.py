import json

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure import rank_stability


def table(models: int = 6, datasets: int = 16, gap: float = 1.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    quality = gap * np.arange(models)[::-1]
    return quality[:, None] + 5 * rng.normal(size=datasets) + rng.normal(size=(models, datasets))


def test_ranks_are_those_of_the_means_and_best_comes_first():
    scores = table()
    found = rank_stability(scores, [f"m{i}" for i in range(6)])
    ranks = stats.rankdata(-scores.mean(axis=1))
    assert {m: e.value for m, e in found.ranks.items()} == {f"m{i}": r for i, r in enumerate(ranks)}
    assert [e.value for e in found.ranks.values()] == sorted(ranks)
    assert all(e.low <= e.value <= e.high and e.n == 16 for e in found.ranks.values())


def test_agreement_with_all_and_with_others_equals_the_naive_loop():
    scores = table(gap=0.3)
    found = rank_stability(scores, sizes=[4], draws=4000)
    rng = np.random.default_rng(9)
    whole, apart, best = [], [], []
    for _ in range(1500):
        p = rng.permutation(16)
        means = [scores[:, part].mean(axis=1) for part in (p[:4], p[4:8])]
        whole.append(stats.kendalltau(means[0], scores.mean(axis=1)).statistic)
        apart.append(stats.kendalltau(*means).statistic)
        best.append(means[0].argmax() == scores.mean(axis=1).argmax())
    assert found.with_all[4].value == pytest.approx(np.mean(whole), abs=0.02)
    assert found.apart[4].value == pytest.approx(np.mean(apart), abs=0.03)
    assert found.same_best[4].value == pytest.approx(np.mean(best), abs=0.04)
    np.testing.assert_allclose(
        (found.with_all[4].low, found.with_all[4].high), np.quantile(whole, [0.025, 0.975]), atol=0.14
    )


def test_models_far_apart_need_one_data_set_and_equal_ones_all():
    far = rank_stability(table(gap=20))
    assert far.enough == 1
    assert all(e.low == e.high == e.value for e in far.ranks.values())
    near = rank_stability(table(gap=0.0))
    assert near.enough in (None, 15)
    assert sum(e.high - e.low for e in near.ranks.values()) > 12


def test_rank_intervals_cover_the_true_rank():
    inside = [
        e.low <= int(name) + 1 <= e.high
        for seed in range(60)
        for name, e in rank_stability(table(gap=0.4, seed=seed), sizes=[1], draws=1, resamples=300).ranks.items()
    ]
    assert np.mean(inside) >= 0.93


def test_ranks_in_place_of_scores_do_not_let_one_data_set_decide():
    scores = table(gap=2.0)
    scores[5, 0] = 1e6
    assert rank_stability(scores).ranks["5"].value == 1
    assert rank_stability(scores, by="rank").ranks["5"].value == 6


def test_data_sets_of_one_kind_are_drawn_together():
    scores = np.repeat(table(gap=0.3, datasets=5), 6, axis=1)
    alone = rank_stability(scores, sizes=[2])
    together = rank_stability(scores, sizes=[2], groups=np.repeat(np.arange(5), 6))
    assert sum(e.high - e.low for e in together.ranks.values()) > sum(e.high - e.low for e in alone.ranks.values())


def test_a_seed_repeats_and_the_report_reads_well():
    one, other = (rank_stability(table(), random_state=3) for _ in range(2))
    assert one.to_dict() == other.to_dict()
    assert json.loads(json.dumps(one.to_dict()))["level"] == 0.9
    assert "data sets" in str(one)
    assert sorted(one.apart) == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: rank_stability(t[:1]), "at least"),
        (lambda t: rank_stability(t[:, :3]), "at least"),
        (lambda t: rank_stability(np.where(t == t[2, 5], np.nan, t)), "model 2 has no score on data set 5"),
        (lambda t: rank_stability(t, ["a"] * 6), "different names"),
        (lambda t: rank_stability(t, sizes=[40]), "must not exceed"),
        (lambda t: rank_stability(t, groups=[1]), "one label for each"),
        (lambda t: rank_stability(t, by="luck"), "by"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(table())
