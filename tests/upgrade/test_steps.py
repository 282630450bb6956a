import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.upgrade.test_figures import RIVALS, drawn, measured

from commonspace.measure import metric
from commonspace.measure.statistics.ratio import ratio
from commonspace.upgrade.figures import figures
from commonspace.upgrade.options import Cost, Option
from commonspace.upgrade.steps import steps
from commonspace.upgrade.verdict import Rule

TASK = "a->b"


def option(name, kind, share=0.0, calls=1.0, written=0):
    return Option(name, kind, {}, {}, {}, Cost(calls_per_query=calls, bytes_written=written), share=share)


def values_of(kept, n=400, seed=0, new=0.7):
    """Values of ways that keep a share of what a full re-embed finds."""
    rng = np.random.default_rng(seed)
    full = (rng.random(n) < new) * 1.0
    return {"keep": full * 0.3, "re-embed": full, **{w: full * (rng.random(n) < k) for w, k in kept.items()}}


def found(options, values, groups=None, **more):
    given = replace(measured({TASK: values} if "keep" in values else values, groups), **more)
    said = figures(given, metric("recall@10"), confidence=0.95, resamples=50, seed=0)
    known = [replace(o, kept=said.kept[o.name], against_old=said.against_old[o.name]) for o in options]
    return steps(known, given, confidence=0.95, resamples=1000, seed=0)


def test_shares_come_from_the_largest_to_the_smallest_and_bridges_last():
    some = [
        option("ridge", "bridge", written=5), option("swap", "bridge"), option("30% both", "partial", 0.3, 2.0),
        option("80%", "partial", 0.8), option("30%", "partial", 0.3), option("30% most found", "partial", 0.3),
        option("top", "rescore"), option("keep", "keep"), option("re-embed", "re-embed", 1.0),
    ]  # fmt: skip
    kept = {"ridge": 0.7, "swap": 0.1, "30% both": 0.95, "30%": 0.8, "30% most found": 0.9, "80%": 0.97, "top": 0.9}
    said = found(some, values_of(kept))
    names = [[o.name for o in step] for step in said]
    assert names == [["80%"], ["30% most found", "30%", "30% both"], ["swap", "ridge"]]


def test_a_step_of_one_option_has_its_one_sided_interval():
    values = values_of({"b": 0.9})
    ((step,),) = found([option("b", "bridge")], values)
    known = ratio(values["b"], values["re-embed"], confidence=0.9)
    assert (step.kept[TASK].low, step.kept[TASK].high) == pytest.approx((known.low, known.high))
    assert step.against_old[TASK].difference == pytest.approx((values["b"] - values["keep"]).mean())


def test_lower_ends_of_a_step_hold_at_once_where_single_ones_do_not():
    """Twelve bridges that keep the same: the best-looking one's own lower end is too high far too often."""
    some, wrong, n = [option(r, "bridge") for r in RIVALS], {"joint": 0, "single": 0}, 120
    for seed in range(n):
        values = drawn(np.random.default_rng(seed), n=200, alike=0.5, kept=0.9)
        (step,) = found(some, values)
        single = [ratio(values[r], values["re-embed"], confidence=0.9) for r in RIVALS]
        wrong["joint"] += any(o.kept[TASK].low > 0.9 for o in step)
        wrong["single"] += any(e.low > 0.9 for e in single)
    assert wrong["joint"] <= 0.05 * n + 2 * np.sqrt(0.05 * 0.95 * n)
    assert wrong["single"] >= 0.2 * n


def test_options_that_are_all_the_same_cost_nothing():
    values = drawn(np.random.default_rng(1))
    same = {**values, **dict.fromkeys(RIVALS, values["b0"])}
    (step,) = found([option(r, "bridge") for r in RIVALS], same)
    alone = ratio(values["b0"], values["re-embed"], confidence=0.9)
    assert step[0].kept[TASK].low == pytest.approx(alone.low, abs=0.003)


def test_one_thing_counts_once_however_many_directions_it_asks_in():
    values, some = drawn(np.random.default_rng(2)), [option(r, "bridge") for r in RIVALS]
    (once,), (twice,) = found(some, values), found(some, {"a->b": values, "b->a": values})
    assert [o.kept[TASK].low for o in twice] == pytest.approx([o.kept[TASK].low for o in once], abs=0.002)


def test_a_direction_in_which_nothing_differs_does_not_hide_that_options_differ_in_another():
    values, some = drawn(np.random.default_rng(2)), [option(r, "bridge") for r in RIVALS]
    few = {w: np.ones(10) for w in values}  # all kept, of so few that the lower end is the lowest
    (alone,), (beside,) = found(some, values), found(some, {TASK: values, "x->b": few})
    assert all(o.worst == "x->b" for o in beside)
    lows = [{o.name: o.kept[TASK].low for o in step} for step in (alone, beside)]
    assert lows[1] == pytest.approx(lows[0], abs=0.002)


def test_a_larger_corpus_asks_for_enough_in_twice_the_gallery_too():
    whole, half = values_of({"b": 0.95}, n=4000), values_of({"b": 0.98}, n=4000, seed=1)
    some, exact = [option("b", "bridge")], [v["b"].sum() / v["re-embed"].sum() for v in (whole, half)]
    for doublings, further in ((0.0, 0.0), (0.4, 0.4), (9.0, 1.0)):
        ((step,),) = found(some, whole, halved={TASK: half}, doublings={TASK: doublings})
        assert step.kept[TASK].value == pytest.approx(exact[0] + further * (exact[0] - exact[1]))
        assert ("twice" in step.kept[TASK].metric) == (further == 1)


def test_a_figure_is_told_of_the_gallery_that_it_is_of():
    full = np.ones(400)
    whole, half = ({"keep": full * 0.3, "re-embed": full, "b": full.copy()} for _ in range(2))
    whole["b"][:10], half["b"][:9], half["b"][9] = 0, 0, 0.3
    some = [option("b", "bridge")]
    ((here,),) = found(some, whole)
    ((step,),) = found(some, whole, halved={TASK: half}, doublings={TASK: 5.0})
    assert step.kept[TASK].low == here.kept[TASK].low  # the cautious one of this gallery
    assert step.kept[TASK].value == pytest.approx(1 - 10.3 / 400)
    assert "twice" in step.kept[TASK].metric


def test_a_gain_with_the_gallery_is_not_counted_on():
    whole, half = values_of({"b": 0.95}, n=4000), values_of({"b": 0.9}, n=4000, seed=1)
    some = [option("b", "bridge")]
    ((here,),) = found(some, whole)
    ((grown,),) = found(some, whole, halved={TASK: half}, doublings={TASK: 5.0})
    assert grown.kept[TASK].low == here.kept[TASK].low
    assert grown.kept[TASK].value == here.kept[TASK].value


def test_the_order_bounds_the_chance_of_going_too_far():
    """Shares keep less and less, from the third too little: no more than 5 % of samples go that far."""
    rule, far, n = Rule(keep=0.9), 0, 400
    kept = {"90%": 0.97, "75%": 0.93, "50%": 0.9 - 1e-9, "25%": 0.89, "10%": 0.88}
    some = [option(name, "partial", int(name[:-1]) / 100) for name in kept]
    for seed in range(n):
        rng = np.random.default_rng(seed)
        full, luck = (rng.random(300) < 0.8) * 1.0, stats.norm.cdf(rng.normal(size=300))
        values = {"keep": full * 0.3, "re-embed": full, **{w: full * (luck < k) for w, k in kept.items()}}
        passed = [o.name for (o,) in itertools.takewhile(lambda step: rule.enough(step[0]), found(some, values))]
        far += "50%" in passed
    assert far / n < 0.05 + 2 * np.sqrt(0.05 * 0.95 / n)
    assert far > 0
