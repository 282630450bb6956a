import numpy as np
import pytest
from scipy import stats

from commonspace.measure import metric
from commonspace.upgrade.figures import figures, kept_in_growing
from commonspace.upgrade.measuring import Measured

RIVALS = [f"b{i}" for i in range(12)]
KEPT = 0.9


def measured(values, groups=None, **more):
    groups = {t: np.arange(len(v["keep"])) if groups is None else groups for t, v in values.items()}
    return Measured(values, values, groups, dict.fromkeys(values, 0.0), **more)


def drawn(rng, n=200, alike=0.5, kept=KEPT):
    """Values of rivals that keep the same in truth, and often fail on the same queries."""
    new = (rng.random(n) < 0.7) * 1.0
    shared = rng.normal(size=n)
    values = {"keep": new * (rng.random(n) < 0.7), "re-embed": new}
    for name in RIVALS:
        z = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.normal(size=n)
        values[name] = new * (stats.norm.cdf(z) < kept)
    return values


def figures_of(values):
    return figures(measured(values), metric("recall@10"), confidence=0.95, resamples=400, seed=0)


def test_a_full_re_embed_keeps_all_and_nothing_is_compared_with_itself():
    said = figures_of({"a->b": drawn(np.random.default_rng(3))})
    kept = said.kept["re-embed"]["a->b"]
    assert (kept.low, kept.value, kept.high) == (1, 1, 1)
    assert said.against_old["keep"] == {}
    assert said.against_old["b0"]["a->b"].b == "old"
    assert said.trend["re-embed"] == {}
    assert said.trend["b0"]["a->b"].change.value == 0


def test_p_values_are_corrected_over_the_directions_of_an_option():
    rng = np.random.default_rng(4)
    both = {"a->b": drawn(rng), "b->a": drawn(rng)}
    said = figures_of(both)
    for found in said.against_old.values():
        for c in found.values():
            assert c.p_value >= c.p_value_raw
    raw = sorted(c.p_value_raw for c in said.against_old["b0"].values())
    assert min(c.p_value for c in said.against_old["b0"].values()) == pytest.approx(min(1, 2 * raw[0]))


def test_a_space_that_finds_nothing_leaves_what_is_kept_open():
    values = drawn(np.random.default_rng(5))
    values["re-embed"] = np.zeros(200)
    said = figures_of({"a->b": values})
    assert np.isnan(said.kept["b0"]["a->b"].value)
    assert said.kept["b0"]["a->b"].low == 0
    assert np.isnan(said.kept["re-embed"]["a->b"].value)


def test_nothing_is_compared_with_the_old_space_where_what_is_right_is_not_known():
    values = {"a->b": drawn(np.random.default_rng(6))}
    said = figures(measured(values, labelled=False), metric("recall@10"), confidence=0.95, resamples=50, seed=0)
    assert not any(said.against_old.values())


def test_a_doubling_changes_what_is_kept_as_the_last_one_did():
    rng = np.random.default_rng(7)
    whole, half = drawn(rng, kept=0.8), drawn(rng, kept=0.9)
    shares = [v["b0"].sum() / v["re-embed"].sum() for v in (whole, half)]
    for doublings in (0.0, 1.0, 2.5):
        e = kept_in_growing("b0", whole, half, np.arange(200), doublings, 0.95)
        assert e.value == pytest.approx(shares[0] + doublings * (shares[0] - shares[1]))
        assert e.low < e.value < e.high
