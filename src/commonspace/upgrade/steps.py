"""From everything encoded anew to nothing, step by step: what the verdict tests, in the order of the tests.

A step is a share of the items encoded anew, the largest first; the last one is a bridge, with none. The verdict goes
down as long as each step is shown to be enough, and stops at the first that is not. That order is fixed before anything
is seen, so that every step may use the whole error rate, however many there are: to go too far, the first step that is
not enough in truth must pass, and that is one test (a fixed sequence: Maurer, Hothorn and Lehmacher, 1995; Westfall and
Krishen, 2001). That bounds how far a plan goes. Where some options of a step are enough in truth and others are not,
one of the latter may be advised if the plan stops there: over several such steps this adds up to no more than the error
rate, unless the next step tends to fail just when an option is taken wrongly.

Several options may stand for a step: bridges, orders, who serves the rest. Whichever is taken because it looks best
looks better than it is, also where other queries choose it: its errors then add up to nothing on average, but it is too
good more often than not (see the claim `choice`). So the lower ends of all options of a step hold at once. An option is
taken wrongly only if its end is too high in the direction in which it keeps least; so each counts once in this, with
its worst direction (of those in which it differs from a full re-embed at all), and that all directions must pass needs
no correction (an intersection-union test: Berger, "Multiparameter Hypothesis Testing and Acceptance Sampling", 1982).

A bridge loses as the gallery grows. Where the corpus is larger than the gallery of the probes, an option must be enough
in that gallery and in one twice as large (or as large as the corpus, if that is less), should the second doubling
change what is kept as the first one did, from half of the gallery to all of it. Further than that nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.ratio import joint_quantile
from commonspace.upgrade.figures import NEW, kept_in_growing, kept_of
from commonspace.upgrade.measuring import Measured
from commonspace.upgrade.options import Option

FURTHER = 1.0  # doublings of the gallery beyond what was measured

#: Options of one step, the cheapest first.
Step = tuple[Option, ...]


def steps(
    options: Sequence[Option], measured: Measured, *, confidence: float, resamples: int, seed: int
) -> tuple[Step, ...]:
    """Return the options of each step, dearest first, with the figures that are tested.

    Parameters
    ----------
    options : sequence of Option
    measured : Measured
        Values of their queries.
    confidence : float
        With which the lower ends of a step hold at once, and its upper ends: one-sided, above 0.5.
    resamples : int
        Random signs that the joint distribution is drawn from; Bonferroni's ends where they are too few.
    seed : int
        Of these.
    """
    found = []
    for some in _dear_first(options):
        level = joint_confidence(some, measured, confidence, resamples, seed)
        kept = {o.name: {task: _least(o.name, measured, task, level) for task in measured.whole} for o in some}
        found.append(tuple(replace(o, kept=kept[o.name]) for o in some))
    return tuple(found)


def joint_confidence(
    options: Sequence[Option], measured: Measured, confidence: float, resamples: int, seed: int
) -> float:
    """Return the confidence of single two-sided intervals of which all lower ends hold at once with `confidence`."""
    from scipy import special

    units = 1 + max(int(g.max()) for g in measured.groups.values())
    both = 2 * confidence - 1
    columns = []
    for option in options if len(options) > 1 else ():
        differs = [t for t, values in measured.whole.items() if (values[option.name] != values[NEW]).any()]
        task = min(differs, key=lambda t: option.kept[t].low, default="")
        if task and measured.whole[task][NEW].any():
            a, b = (measured.whole[task][w] for w in (option.name, NEW))
            u = a - a.sum() / b.sum() * b
            columns.append(np.bincount(measured.groups[task], weights=u, minlength=units))
    if len(columns) < 2 or units < 2:
        return both
    c = joint_quantile(np.stack(columns, axis=1), confidence, resamples, np.random.default_rng(seed))
    return float(2 * special.stdtr(units - 1, c) - 1)


def _least(way: str, measured: Measured, task: str, confidence: float) -> Estimate:
    """Return what is kept in the gallery or in a larger one, whichever is shown to be less: both must be enough."""
    whole, half, groups = measured.whole[task], measured.halved[task], measured.groups[task]
    here = kept_of(way, whole, groups, confidence)
    further = min(measured.doublings[task], FURTHER)
    if not further or not half[NEW].any():
        return here
    there = kept_in_growing(way, whole, half, groups, further, confidence)
    less = min(here, there, key=lambda e: e.value)
    return replace(less, low=min(here.low, there.low), high=min(here.high, there.high))


def _dear_first(options: Sequence[Option]) -> list[list[Option]]:
    """Return the options of each step, the cheapest of them first; of equals the one that keeps most."""
    shares = sorted({o.share for o in options if o.kind == "partial"}, reverse=True)
    found = [[o for o in options if o.kind == "partial" and o.share == s] for s in shares]
    bridges = [o for o in options if o.kind == "bridge"]
    return [sorted(some, key=_price) for some in [*found, bridges] if some]


def _price(option: Option) -> tuple[float, int, float]:
    cost = option.cost
    return cost.calls_per_query, cost.bytes_written, -option.least_kept
