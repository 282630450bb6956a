import json
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure import compare_many, estimate, holm, qrels_power
from commonspace.measure.judgements.qrels_power import _correlations, _significant


def planted(shifts, topics=60, noise=0.05, seed=0):
    """Systems that differ by known amounts on every topic, but for noise."""
    rng = np.random.default_rng(seed)
    hard = rng.uniform(0.2, 0.6, topics)
    return {f"s{i}": hard + shift + noise * rng.normal(size=topics) for i, shift in enumerate(shifts)}


def test_planted_effects_are_kept_missed_invented_and_reversed():
    full = planted([0.0, 0.1, 0.2, 0.2])
    reduced = planted([0.1, 0.0, 0.1, 0.3], seed=1)
    found = qrels_power(full, reduced)
    assert set(found.kept) == {("s3", "s0"), ("s3", "s1"), ("s2", "s1")}
    assert set(found.missed) == {("s2", "s0")}
    assert set(found.invented) == {("s3", "s2")}
    assert set(found.reversed) == {("s0", "s1")}
    assert found.pairs == 6


def test_pairs_are_counted_by_kind_and_by_who_is_ahead():
    full, reduced = planted([0.0, 0.1, 0.2, 0.2]), planted([0.1, 0.0, 0.1, 0.3], seed=1)
    found = qrels_power(full, reduced)
    assert sum(found.counts.values()) == 6
    assert found.counts["active agreement"] == len(found.kept) == 3
    assert found.counts["active disagreement"] == len(found.reversed) == 1
    for kind, pairs in (("mixed", found.missed + found.invented), ("passive", ())):
        ahead = [(full[a].mean() > full[b].mean()) == (reduced[a].mean() > reduced[b].mean()) for a, b in pairs]
        assert found.counts[f"{kind} agreement"] == sum(ahead)
        assert found.counts[f"{kind} disagreement"] == len(ahead) - sum(ahead)
    level = {name: np.linspace(0, 1, 20) for name in "abc"}
    assert qrels_power(level, level).counts["passive agreement"] == 3


def test_figures_follow_from_the_counts():
    full = planted([0.0, 0.1, 0.2, 0.3])
    reduced = {**full, "s1": full["s2"] + 0.001 * np.arange(60) % 0.007 - 0.003}  # s1 and s2 are level
    found = qrels_power(full, reduced)
    assert (len(found.kept), len(found.missed), len(found.invented), len(found.reversed)) == (5, 1, 0, 0)
    assert found.precision.value == 1
    assert found.recall.value == pytest.approx(5 / 6)
    assert found.f1.value == pytest.approx(10 / 11)
    assert found.publication_bias.value == 0
    assert found.mcc.value == 0  # every pair differs under full judgements, so nothing can be told from nothing
    assert found.f1.n == 60


def test_mcc_equals_that_of_a_table_counted_by_hand():
    full = planted([0.0, 0.0, 0.2, 0.2, 0.4])
    reduced = planted([0.0, 0.1, 0.2, 0.2, 0.2], seed=2)
    found = qrels_power(full, reduced)
    kept, missed, invented, turned = (len(x) for x in (found.kept, found.missed, found.invented, found.reversed))
    tp, fn, fp = kept, missed + turned, invented + turned
    tn = found.pairs - kept - missed - invented - turned
    want = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert min(tp, fn, fp, tn) > 0
    assert found.mcc.value == pytest.approx(want)


def test_the_same_judgements_keep_everything():
    full = planted([0.0, 0.02, 0.05, 0.1])
    found = qrels_power(full, {k: full[k] for k in reversed(full)})
    assert (found.missed, found.invented, found.reversed) == ((), (), ())
    for name in ("precision", "recall", "f1", "mcc", "tau", "tau_ap"):
        one = getattr(found, name)
        assert (one.value, one.low, one.high) == (1, 1, 1)


def test_without_any_difference_there_is_nothing_to_keep():
    level = {name: np.linspace(0, 1, 20) for name in "abc"}
    found = qrels_power(level, level)
    assert (found.precision.value, found.recall.value, found.f1.value, found.mcc.value) == (1, 1, 1, 1)
    assert (found.tau.value, found.tau_ap.value) == (0, 0)


def test_judgements_that_know_nothing_claim_nothing():
    full = planted([0.0, 0.1, 0.2])
    found = qrels_power(full, {k: 0 * v for k, v in full.items()})
    assert len(found.missed) == 3
    assert (found.precision.value, found.recall.value, found.f1.value, found.tau.value) == (1, 0, 0, 0)


@pytest.mark.parametrize("correction", ["holm", "bh", "none"])
def test_decisions_equal_those_of_corrected_p_values(correction):
    rng = np.random.default_rng(3)
    for seed in range(20):
        scores = planted(rng.normal(0, 0.02, 7), topics=25, seed=seed)
        table = np.array(list(scores.values()))
        p = np.array([stats.ttest_rel(table[a], table[b]).pvalue for a, b in combinations(range(7), 2)])
        if correction == "holm":
            p = holm(p)
        elif correction == "bh":
            p = stats.false_discovery_control(p)
        found = _significant(table, np.ones((1, 25)), 0.05, correction)[0]
        np.testing.assert_array_equal(found != 0, p <= 0.05)
        way = [np.sign((table[a] - table[b]).mean()) for a, b in combinations(range(7), 2)]
        np.testing.assert_array_equal(found[found != 0], np.array(way)[found != 0])


def test_a_draw_of_topics_is_tested_as_if_it_were_the_sample():
    scores = np.array(list(planted([0.0, 0.02, 0.04], topics=15).values()))
    drawn = np.random.default_rng(0).integers(0, 15, 15)
    counts = np.bincount(drawn, minlength=15)[None].astype(float)
    again = _significant(scores[:, drawn], np.ones((1, 15)), 0.05, "holm")
    np.testing.assert_array_equal(_significant(scores, counts, 0.05, "holm"), again)


def test_the_t_test_and_the_randomisation_test_agree_on_clear_and_absent_effects():
    scores = planted([0.0, 0.0, 0.05, 0.05, 0.2])
    ours = qrels_power(scores, scores, resamples=1)
    theirs = {(c.a, c.b) if c.difference > 0 else (c.b, c.a) for c in compare_many(scores) if c.p_value <= 0.05}
    assert set(ours.kept) == theirs
    assert len(theirs) == 8


def tau_ap_by_loop(full, reduced):
    order = np.argsort(-reduced)
    total = 0.0
    for i in range(1, len(order)):
        above = [j for j in order[:i] if full[j] > full[order[i]]]
        total += len(above) / i
    return 2 / (len(order) - 1) * total - 1


def test_correlations_equal_their_definitions():
    rng = np.random.default_rng(5)
    for _ in range(20):
        a, b = rng.normal(size=(2, 9))
        found = _correlations(a[None], b[None])
        assert found["tau"][0] == pytest.approx(stats.kendalltau(a, b).statistic)
        assert found["tau_ap"][0] == pytest.approx(tau_ap_by_loop(a, b))
    a, b = rng.integers(0, 4, (2, 9)).astype(float)
    assert _correlations(a[None], b[None])["tau"][0] == pytest.approx(stats.kendalltau(a, b).statistic)


def test_tau_ap_punishes_an_error_at_the_top_more():
    full = np.arange(10, 0, -1.0)
    top, bottom = full.copy(), full.copy()
    top[[0, 1]], bottom[[8, 9]] = top[[1, 0]], bottom[[9, 8]]
    at_top, at_bottom = (_correlations(full[None], x[None]) for x in (top, bottom))
    assert at_top["tau"] == at_bottom["tau"]
    assert at_top["tau_ap"] < at_bottom["tau_ap"]


def test_intervals_hold_the_figure_and_narrow_with_topics():
    shifts = np.linspace(0, 0.1, 8)
    few, many = (
        qrels_power(planted(shifts, n), planted(shifts, n, 0.1, 1), resamples=300, random_state=7) for n in (25, 400)
    )
    for found in (few, many):
        assert found.tau.low <= found.tau.value <= found.tau.high
    assert many.f1.high - many.f1.low < few.f1.high - few.f1.low
    assert many.f1.value > few.f1.value
    assert few.f1.seed == 7


def test_an_interval_holds_its_figure_even_where_draws_lean_low():
    # Topic t tells systems up to t from those above it and nothing else; a draw that lacks a topic has a tie more.
    steps = {f"s{i}": (np.arange(7) < i).astype(float) for i in range(8)}
    full = {name: v.mean() + 0.001 * np.random.default_rng(i).random(7) for i, (name, v) in enumerate(steps.items())}
    tau = qrels_power(full, steps, resamples=200, confidence=0.5).tau
    assert tau.low < tau.value == tau.high == pytest.approx(1)


def test_results_can_be_read_and_written():
    full = planted([0.0, 0.1, 0.2])
    found = qrels_power({k: estimate(v) for k, v in full.items()}, full, correction="bh")
    assert "3 kept, 0 missed" in str(found)
    assert "publication bias" in str(found)
    back = json.loads(json.dumps(found.to_dict()))
    assert back["f1"]["value"] == 1
    assert ["s2", "s0"] in back["kept"]
    assert back["correction"] == "bh"


def test_sixty_systems_are_still_told_apart():
    found = qrels_power(planted(np.linspace(0, 1, 60)), planted(np.linspace(0, 1, 60)), resamples=20)
    assert found.pairs == 1770
    assert len(found.kept) > 1500


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: qrels_power({"a": s["s0"]}, {"a": s["s0"]}), "at least two systems"),
        (lambda s: qrels_power(s, {**s, "other": s["s0"]}), "one side only: .'other'"),
        (lambda s: qrels_power(s, {**s, "s0": s["s0"][:-1]}), "same queries"),
        (lambda s: qrels_power(s, {**s, "s0": s["s0"] * np.nan}), "s0 .* hold NaN"),
        (lambda s: qrels_power({"a": [1.0], "b": [2.0]}, {"a": [1.0], "b": [2.0]}), "at least two"),
        (lambda s: qrels_power(s, s, correction="tukey"), "correction must be"),
        (lambda s: qrels_power(s, s, alpha=0), "alpha must lie"),
        (lambda s: qrels_power(s, s, resamples=0), "resamples must be"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(planted([0.0, 0.1]))


def test_intervals_cover_what_new_topics_give_on_average():
    rng = np.random.default_rng(11)
    every, systems = 3000, 8
    full = rng.uniform(0, 0.6, every) + np.linspace(0, 0.06, systems)[:, None] + 0.1 * rng.normal(size=(systems, every))
    reduced = 0.7 * full + 0.05 * rng.normal(size=(systems, every))
    found = []
    for seed in range(40):
        topics = rng.integers(0, every, 100)
        tables = ({f"s{i}": row[topics] for i, row in enumerate(table)} for table in (full, reduced))
        found.append(qrels_power(*tables, resamples=100, random_state=seed))
    for name in ("f1", "tau", "tau_ap"):
        figures = [getattr(f, name) for f in found]
        mean = np.mean([e.value for e in figures])
        assert sum(e.low <= mean <= e.high for e in figures) >= 36
        assert np.mean([e.high - e.low for e in figures]) < 3 * np.std([e.value for e in figures]) * 2


def test_estimates_that_know_their_topics_are_put_in_one_order():
    full, reduced = planted([0.0, 0.1, 0.2]), planted([0.0, 0.1, 0.2], seed=1)
    ids = tuple(f"q{i}" for i in range(60))
    turned = np.random.default_rng(2).permutation(60)
    known = {name: estimate(v, ids=ids) for name, v in full.items()}
    other = {name: estimate(v[turned], ids=tuple(ids[i] for i in turned)) for name, v in reduced.items()}
    # One system of the reduced side in another order than the rest would be compared topic by topic at random.
    mixed = {**other, "s0": estimate(reduced["s0"], ids=ids)}
    assert qrels_power(known, mixed).to_dict() == qrels_power(full, reduced).to_dict()
    strangers = {name: estimate(v, ids=tuple(f"t{i}" for i in range(60))) for name, v in reduced.items()}
    with pytest.raises(BadInput, match="lacks 60 of the 60 queries"):
        qrels_power(known, strangers)
