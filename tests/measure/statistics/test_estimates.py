import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import bootstrap, estimate
from commonspace.measure.statistics.estimates import _weighted_median


def test_an_estimate_prints_with_interval_and_n_and_goes_into_json():
    e = estimate([0.0, 1.0, 1.0, 0.0], "hit@1")
    assert str(e) == f"0.500 [{e.low:.3f}, {e.high:.3f}] n=4"
    assert json.loads(json.dumps(e.to_dict()))["seed"] == 0
    assert e.per_query.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_interval_is_that_of_a_naive_loop_over_the_same_law(statistic):
    rng = np.random.default_rng(1)
    v = rng.exponential(size=60)
    naive = [getattr(np, statistic)(rng.choice(v, 60)) for _ in range(8000)]
    got = bootstrap(v, statistic, resamples=8000, interval="percentile")
    np.testing.assert_allclose(got, np.quantile(naive, [0.025, 0.975]), rtol=0.03)


def test_the_median_with_counts_is_the_median_of_the_repeated_values():
    rng = np.random.default_rng(2)
    v = np.sort(rng.normal(size=9))
    weights = rng.integers(0, 4, (50, 9)).astype(float)
    weights[:, 4] += 1
    want = [np.median(np.repeat(v, w.astype(int))) for w in weights]
    np.testing.assert_allclose(_weighted_median(v, weights), want)


def test_groups_of_any_size_are_drawn_whole():
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(25), rng.integers(1, 6, 25))
    v = rng.random(len(groups))
    rows = [np.flatnonzero(groups == g) for g in range(25)]
    naive = [v[np.concatenate([rows[g] for g in rng.integers(0, 25, 25)])].mean() for _ in range(8000)]
    got = bootstrap(v, groups=groups, resamples=8000, interval="percentile")
    np.testing.assert_allclose(got, np.quantile(naive, [0.025, 0.975]), rtol=0.02)


def test_it_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        low, high = bootstrap(rng.random(80) < 0.4, resamples=300, random_state=rng)
        inside += low <= 0.4 <= high
    assert 0.90 <= inside / 400 <= 0.98


def test_groups_widen_the_interval_of_queries_that_hang_together():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(30), 10)
    v = rng.normal(size=30)[groups]
    low, high = bootstrap(v)
    wide_low, wide_high = bootstrap(v, groups=groups)
    assert (wide_high - wide_low) > 2.5 * (high - low)  # sqrt(10) in the limit


def test_groups_of_one_are_the_same_as_no_groups():
    v = np.random.default_rng(5).random(20)
    assert bootstrap(v, groups=[f"{i:02d}" for i in range(20)]) == bootstrap(v)


def test_all_hits_do_not_prove_perfection():
    e = estimate(np.ones(20), bounds=(0, 1))
    assert (e.value, e.high) == (1, 1)
    assert e.low == pytest.approx(0.025 ** (1 / 20))
    assert estimate(np.zeros(20), bounds=(0, 1)).high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert estimate(np.ones(20), bounds=(0, 1), groups=np.arange(20) // 10).low == pytest.approx(0.025 ** (1 / 2))


def test_a_seed_gives_the_same_interval_and_another_seed_another_one():
    v = np.random.default_rng(6).random(50)
    assert bootstrap(v, random_state=1) == bootstrap(v, random_state=1) != bootstrap(v, random_state=2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bootstrap([]), "at least 1"),
        (lambda: bootstrap([1.0, np.nan]), "query 1"),
        (lambda: bootstrap([1.0], "mode"), "statistic"),
        (lambda: bootstrap([1.0], resamples=0), "resamples"),
        (lambda: bootstrap([1.0], interval="t"), "interval"),
        (lambda: bootstrap([1.0, 2.0], groups=[1]), "2 queries"),
        (lambda: bootstrap([1.0], confidence=95), "between 0 and 1"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(BadInput, match=says):
        call()


@pytest.mark.parametrize("label", [np.nan, None])
def test_a_missing_label_is_no_group_of_its_own(label):
    groups = np.array([1.0, 1.0, label, label, 2.0], dtype=object if label is None else float)
    with pytest.raises(BadInput, match="groups"):
        estimate(np.arange(5.0), groups=groups)
