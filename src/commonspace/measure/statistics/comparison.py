"""Is one system better than another? Paired tests, intervals, effects, and correction for many comparisons.

The unit is the query: both systems answered the same ones, so that hard queries are hard for both and cancel. Where
queries hang together (``groups``), whole groups are the unit, in the test, in the interval, and in all else.

    difference    mean of a minus mean of b
    interval      all differences that a paired t-test would not reject (`paired`)
    p-value       random signs, or Student's t (`paired`), corrected for many comparisons (`corrections`)
    effect        the difference in standard deviations of a query's difference (`effects`)
    detectable    the smallest true difference that these queries would show (`effects`)

Random signs assume least and are the default; the t-test is their limit for many queries, and has no smallest p-value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.alignment import aligned, members
from commonspace.measure.statistics.corrections import CORRECTIONS, corrected, holm
from commonspace.measure.statistics.effects import smallest, standardised
from commonspace.measure.statistics.paired import (
    TESTS,
    Paired,
    interval,
    joint_quantile,
    sign_flip,
    student,
    t_quantile,
)

__all__ = ["Comparison", "compare", "compare_many", "holm"]

INTERVALS = ("each", "simultaneous")


@dataclass(frozen=True)
class Comparison:
    """The difference between two systems on the same queries.

    Parameters
    ----------
    difference : float
        Mean of a minus mean of b; positive where a has the larger values.
    low, high : float
        Ends of its interval.
    p_value : float
        Two-sided; from `compare_many` corrected for the number of comparisons.
    n : int
        Queries.
    a, b : str
        Names of the systems.
    p_value_raw : float
        Before correction.
    effect, effect_low, effect_high : float
        Standardised mean difference with its interval, see `effect_size`; NaN where differences do not vary.
    detectable : float
        Smallest true difference that these queries would show with 80 % power, see `detectable`; NaN for one query.
    groups : int
        Independent units: queries, or groups of them.
    test : str
        Where the p-value comes from.
    confidence : float
        Nominal coverage of both intervals.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    a: str = "a"
    b: str = "b"
    p_value_raw: float = float("nan")
    effect: float = float("nan")
    effect_low: float = float("nan")
    effect_high: float = float("nan")
    detectable: float = float("nan")
    groups: int = 0
    test: str = "randomisation"
    confidence: float = 0.95

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON; what is not known is None."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}

    def __str__(self) -> str:
        p = "p<0.001" if self.p_value < 0.001 else f"p={self.p_value:.3f}"
        return f"{self.a} - {self.b}: {self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}] {p} n={self.n}"


def compare(
    a: Any,
    b: Any,
    *,
    test: str = "randomisation",
    resamples: int = 10_000,
    groups: Any = None,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Comparison:
    """Compare two systems by their values on the same queries.

    Parameters
    ----------
    a, b : (n,) array or Estimate
        Values of the same queries. Estimates that know their queries' ids are aligned by them, others are in the same
        order.
    test : {"randomisation", "t"}
        Paired, two-sided, of the mean difference: random signs, or Student's t. Both see the sums of the groups'
        differences, so that unequal groups do no harm.
    resamples : int
        Sign patterns drawn; where there are no more patterns than that, all are counted and p is exact.
    groups : (n,) array or mapping of query id to label, optional
        Queries of one label are one unit in the test and the intervals.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the signs.

    Raises
    ------
    BadInput
        Different queries, NaN.
    """
    return compare_many(
        {"a": a, "b": b}, correction="none", test=test, resamples=resamples, groups=groups, confidence=confidence,
        random_state=random_state,
    )[0]  # fmt: skip


def compare_many(
    systems: Mapping[str, Any],
    baseline: str | None = None,
    correction: str = "holm",
    *,
    test: str = "randomisation",
    intervals: str = "each",
    resamples: int = 10_000,
    groups: Any = None,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> list[Comparison]:
    """Compare every system with a baseline, or every pair, and correct the p-values.

    Parameters
    ----------
    systems : mapping of str to (n,) array or Estimate
        Name -> values of the same queries, as in `compare`.
    baseline : str, optional
        Name of the system that the others are compared with; all pairs by default.
    correction : {"holm", "bh", "none"}
        ``"holm"`` bounds the chance of any false finding, ``"bh"`` the expected share of false ones among the findings.
    intervals : {"each", "simultaneous"}
        Whether each interval covers its difference with the confidence given, or all of them do at once. Simultaneous
        intervals are what belongs beside Holm's p-values when several are read together ("which of these are better?
        by how much?"); they are refused for ``"bh"``, which does not promise that every finding is true. The two need
        not agree on every single comparison, because Holm's procedure goes in steps and an interval cannot.

    Returns
    -------
    list of Comparison
        In the order of the systems. `detectable` is that of a test at 5 % divided by the number of comparisons for
        ``"holm"`` (the step that is hardest), and at 5 % otherwise.

    Notes
    -----
    The remaining parameters are those of `compare`.
    """
    _check(test, correction, intervals, resamples, confidence)
    names = list(systems)
    if len(names) < 2:
        raise BadInput(f"a comparison needs at least two systems, got {names}")
    if baseline is not None and baseline not in systems:
        raise NotFound(f"there is no system {baseline!r} to compare with; there are {', '.join(systems)}")
    columns, ids = aligned(systems)
    values, member = np.stack(columns, axis=1), members(groups, ids, len(columns[0]))
    against = [(s, baseline) for s in names if s != baseline] if baseline is not None else combinations(names, 2)
    places = np.array([(names.index(a), names.index(b)) for a, b in against])
    pairs = Paired.of(values, member, *places.T)

    rng = generator(random_state)
    raw = sign_flip(pairs, resamples, rng) if test == "randomisation" else student(pairs)
    c = t_quantile(confidence, pairs.freedom)
    if intervals == "simultaneous" and pairs.freedom:
        c = max(c, joint_quantile(pairs, confidence, resamples, rng))
    alpha = 0.05 / len(places) if correction == "holm" else 0.05
    rows = zip(places, pairs.means(), *interval(pairs, c), corrected(raw, correction), raw, pairs.errors(), strict=True)
    found = []
    for (i, j), mean, low, high, p, p_raw, error in rows:
        effect = standardised(values[:, i] - values[:, j], member, confidence)
        found.append(Comparison(
            float(mean), float(low), float(high), float(p), len(values), names[i], names[j], float(p_raw), *effect,
            smallest(float(error), pairs.freedom, alpha=alpha), pairs.groups, test, confidence,
        ))  # fmt: skip
    return found


def _check(test: str, correction: str, intervals: str, resamples: int, confidence: float) -> None:
    check_choice("test", test, TESTS)
    check_choice("correction", correction, CORRECTIONS)
    check_choice("intervals", intervals, INTERVALS)
    check_positive("resamples", resamples)
    check_share("confidence", confidence)
    if intervals == "simultaneous" and correction == "bh":
        raise BadInput(
            'simultaneous intervals promise that none of them is wrong, and correction="bh" does not: use "holm", or '
            'intervals="each"'
        )
