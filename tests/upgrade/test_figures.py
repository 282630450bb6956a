import numpy as np
import pytest
from scipy import stats

from commonspace.measure import metric
from commonspace.measure.metrics.relevance import Relevance
from commonspace.upgrade.figures import figures, joint_confidence
from commonspace.upgrade.probes import Direction

RIVALS = [f"b{i}" for i in range(12)]
KEPT = 0.9


def direction(n, task="text->image", groups=None):
    asks, _, searched = task.partition("->")
    nothing = Relevance.of((np.arange(n), np.arange(n)))
    own = np.arange(n) if groups is None else groups
    return Direction(asks, searched, np.arange(n), nothing, own, np.full(n, -1), True, things=True)


def drawn(rng, n=200, alike=0.5, kept=KEPT):
    """Values of rivals that keep the same in truth, and often fail on the same queries."""
    new = (rng.random(n) < 0.7) * 1.0
    shared = rng.normal(size=n)
    values = {"keep": new * (rng.random(n) < 0.7), "re-embed": new}
    for name in RIVALS:
        z = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.normal(size=n)
        values[name] = new * (stats.norm.cdf(z) < kept)
    return values


def figures_of(values, directions, rivals=RIVALS, **options):
    tasks = {d.task: 0.0 for d in directions}
    given = {"confidence": 0.95, "resamples": 400, "seed": 0, **options}
    return figures(values, values, directions, metric("recall@10"), rivals, tasks, **given)


def test_intervals_hold_together_for_all_rivals_where_single_ones_do_not():
    """Twelve bridges that keep the same: the best-looking one's own interval is wrong far too often."""
    rng = np.random.default_rng(0)
    wrong = {"joint": 0, "single": 0}
    for i in range(80):
        values = {"text->image": drawn(rng)}
        joint = joint_confidence(values, [direction(200)], RIVALS, 0.95, 400, i)
        for name, level in (("joint", joint), ("single", 0.95)):
            said = figures_of(values, [direction(200)], RIVALS if name == "joint" else [])
            assert said.joint == pytest.approx(level, abs=0.01)
            wrong[name] += any(said.kept[r]["text->image"].low > KEPT for r in RIVALS)
    assert wrong["joint"] <= 0.06 * 80
    assert wrong["single"] >= 0.12 * 80


def test_rivals_that_are_all_the_same_cost_nothing():
    rng = np.random.default_rng(1)
    values = drawn(rng)
    same = {**values, **dict.fromkeys(RIVALS, values["b0"])}
    confidence = joint_confidence({"text->image": same}, [direction(200)], RIVALS, 0.95, 2000, 0)
    assert confidence == pytest.approx(0.95, abs=0.012)


def test_one_thing_counts_once_however_many_directions_it_asks_in():
    values = drawn(np.random.default_rng(2))
    once = joint_confidence({"a->b": values}, [direction(200, "a->b")], RIVALS, 0.95, 2000, 0)
    both = {"a->b": values, "b->a": values}
    twice = joint_confidence(both, [direction(200, t) for t in both], RIVALS, 0.95, 2000, 0)
    assert twice == pytest.approx(once, abs=0.003)


def test_a_full_re_embed_keeps_all_and_nothing_is_compared_with_itself():
    said = figures_of({"a->b": drawn(np.random.default_rng(3))}, [direction(200, "a->b")])
    kept = said.kept["re-embed"]["a->b"]
    assert (kept.low, kept.value, kept.high) == (1, 1, 1)
    assert said.against_old["keep"] == {}
    assert said.against_old["b0"]["a->b"].b == "old"
    assert said.trend["re-embed"] == {}
    assert said.trend["b0"]["a->b"].change.value == 0


def test_p_values_are_corrected_over_the_directions_of_an_option():
    rng = np.random.default_rng(4)
    both = {"a->b": drawn(rng), "b->a": drawn(rng)}
    said = figures_of(both, [direction(200, t) for t in both])
    for found in said.against_old.values():
        for c in found.values():
            assert c.p_value >= c.p_value_raw
    raw = sorted(c.p_value_raw for c in said.against_old["b0"].values())
    assert min(c.p_value for c in said.against_old["b0"].values()) == pytest.approx(min(1, 2 * raw[0]))


def test_a_space_that_finds_nothing_leaves_what_is_kept_open():
    values = drawn(np.random.default_rng(5))
    values["re-embed"] = np.zeros(200)
    said = figures_of({"a->b": values}, [direction(200, "a->b")])
    assert np.isnan(said.kept["b0"]["a->b"].value)
    assert said.kept["b0"]["a->b"].low == 0
    assert np.isnan(said.kept["re-embed"]["a->b"].value)
