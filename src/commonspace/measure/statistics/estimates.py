"""`Estimate`: a number with its interval, and the bootstrap that gives the interval.

Queries are the sample: the interval says how much the figure would move with other queries of the same kind, not with
another gallery or another training run. Where queries hang together (several of one user, one document, one speaker)
whole groups are drawn instead of single queries, because dependent queries carry less information than their number.

Means get the interval of `bca`, which has the coverage it says for small and skewed samples too; medians percentiles.

Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.bca import ends

STATISTICS = ("mean", "median")
INTERVALS = ("bca", "percentile")
_BLOCK = 1 << 20  # draws held at once: 8 MB, so that they stay near the processor


@dataclass(frozen=True)
class Estimate:
    """One figure of quality with the interval that belongs to it.

    Parameters
    ----------
    metric : str
        What was measured.
    value : float
        The figure.
    low, high : float
        Ends of the interval.
    n : int
        Queries behind it.
    confidence : float
        Nominal coverage of the interval.
    skipped : int
        Queries left out because no item is relevant to them.
    seed : int, optional
        Seed of the bootstrap, if it was an integer.
    per_query : (n,) float64
        The value of each query that counts, in the order of the queries; systems are compared on these.
    ids : tuple
        The queries' ids in the same order, where they are known; systems are then compared query by query, whatever the
        order.
    """

    metric: str
    value: float
    low: float
    high: float
    n: int
    confidence: float = 0.95
    skipped: int = 0
    seed: int | None = None
    per_query: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    ids: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the values of single queries, ready for JSON."""
        names = ("metric", "value", "low", "high", "n", "confidence", "skipped", "seed")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        digits = 3 if max(abs(self.value), abs(self.low), abs(self.high)) < 10 else 1
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}] n={self.n}"


def bootstrap(
    values: Any,
    statistic: str = "mean",
    resamples: int = 1000,
    groups: Any = None,
    random_state: RandomState = 0,
    *,
    confidence: float = 0.95,
    interval: str = "bca",
) -> tuple[float, float]:
    """Return the bootstrap interval of a mean or median.

    Parameters
    ----------
    values : (n,) array
        One value a query.
    statistic : {"mean", "median"}
    resamples : int
        Number of resamples.
    groups : (n,) array, optional
        Label of each query's group; whole groups are drawn.
    random_state : int, Generator or None
    confidence : float
        Nominal coverage, between 0 and 1.
    interval : {"bca", "percentile"}
        How the ends follow from the resamples of a mean, see `bca`. A median has percentiles either way: what a single
        query adds to it is no smooth function.

    Returns
    -------
    low, high : float
        Both equal to the value where there is one query or group only: the sample then says nothing about others.
    """
    v = check_values(values)
    check_choice("statistic", statistic, STATISTICS)
    check_choice("interval", interval, INTERVALS)
    check_positive("resamples", resamples)
    check_share("confidence", confidence)
    member = group_numbers(groups, len(v))
    rng = generator(random_state)
    if statistic == "median":
        found = _medians(v, member, resamples, rng)
    else:
        sizes, sums = np.bincount(member).astype(np.float64), np.bincount(member, weights=v)
        found = _means(sums, sizes, resamples, rng)
        if interval == "bca":
            return ends(found, float(sums.sum() / sizes.sum()), sums - sizes * v.mean(), confidence)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _means(sums: np.ndarray, sizes: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the mean of each resample of groups, given their sums and sizes: (resamples,).

    Drawn values are looked up and added; counting draws first and multiplying takes longer (`bench/judge.py`).
    """
    n, equal = len(sums), bool((sizes == sizes[0]).all())
    found = np.empty(resamples)
    step = max(1, _BLOCK // n)
    for start in range(0, resamples, step):
        drawn = rng.integers(0, n, (min(step, resamples - start), n))
        total = n * sizes[0] if equal else sizes.take(drawn).sum(axis=1)
        found[start : start + len(drawn)] = sums.take(drawn).sum(axis=1) / total
    return found


def _medians(v: np.ndarray, member: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the median of each resample of groups: (resamples,)."""
    order = np.argsort(v, kind="stable")
    found = np.empty(resamples)
    step = max(1, 4 * _BLOCK // len(v))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        counts = draw_counts(rng, rows, int(member.max()) + 1)
        found[start : start + rows] = _weighted_median(v[order], counts[:, member[order]])
    return found


def estimate(
    values: Any,
    metric: str = "value",
    *,
    statistic: str = "mean",
    bounds: tuple[float, float] | None = None,
    resamples: int = 1000,
    groups: Any = None,
    confidence: float = 0.95,
    skipped: int = 0,
    random_state: RandomState = 0,
    interval: str = "bca",
    ids: tuple[Any, ...] = (),
) -> Estimate:
    """Return the mean or median of values with its bootstrap interval.

    The bootstrap knows only what it has seen: of twenty hits in twenty queries it would say [1, 1]. Where all values
    sit on one end of `bounds`, the other end of the interval is therefore the one for which that would be seen with
    probability (1 - confidence) / 2, as Clopper and Pearson do for proportions (1934):
    [(0.05 / 2)^(1 / 20), 1] = [0.83, 1]. It is valid for the mean of any values within the bounds.

    Parameters
    ----------
    values : (n,) array
        One value a query.
    metric : str
        What to call the figure.
    bounds : (float, float), optional
        The interval that values lie in; used for the mean only.
    skipped : int
        Carried over to the result.
    ids : tuple, optional
        The queries' ids, carried over to the result.

    Notes
    -----
    The remaining parameters are those of `bootstrap`.
    """
    v = check_values(values)
    low, high = bootstrap(v, statistic, resamples, groups, random_state, confidence=confidence, interval=interval)
    if bounds is not None and statistic == "mean":
        independent = len(v) if groups is None else int(group_numbers(groups, len(v)).max()) + 1
        reach = (bounds[1] - bounds[0]) * (1 - math.pow((1 - confidence) / 2, 1 / independent))
        if (v == bounds[1]).all():
            low = bounds[1] - reach
        elif (v == bounds[0]).all():
            high = bounds[0] + reach
    return Estimate(
        metric=metric,
        value=float(v.mean() if statistic == "mean" else np.median(v)),
        low=low,
        high=high,
        n=len(v),
        confidence=confidence,
        skipped=skipped,
        seed=int(random_state) if isinstance(random_state, int | np.integer) else None,
        per_query=v,
        ids=ids,
    )


def check_values(values: Any, name: str = "values") -> np.ndarray:
    """Return one value a query as a (n,) float64 array; an `Estimate` stands for its `per_query`."""
    try:
        v = np.asarray(values.per_query if isinstance(values, Estimate) else values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{name} must hold one number a query, shape (n,), and nothing else") from None
    if v.ndim != 1 or not len(v):
        raise BadInput(f"{name} must hold one number a query, shape (n,) with n of at least 1, not {v.shape}")
    if not np.isfinite(v).all():
        raise BadInput(
            f"{name} hold NaN or Inf, first for query {int((~np.isfinite(v)).argmax())}: "
            "leave out queries without a relevant item before averaging"
        )
    return v


def group_numbers(groups: Any, n: int, what: str = "queries") -> np.ndarray:
    """Return the number of the group of each of n queries (or of what is said): (n,) int64."""
    if groups is None:
        return np.arange(n)
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise BadInput(f"groups must hold one label for each of the {n} {what}, not shape {labels.shape}")
    # NaN would be one large group: what has no label hangs together with nothing.
    lacking = np.zeros(n, bool)
    if labels.dtype.kind in "fO":
        lacking = np.array([label is None or label != label for label in labels.tolist()], bool)
    if lacking.any():
        raise BadInput(
            f"groups lack a label for {int(lacking.sum())} of the {n} {what}, first for {int(lacking.argmax())}: "
            "give each of these a label of its own"
        )
    return np.unique(labels, return_inverse=True)[1]


def draw_counts(rng: np.random.Generator, rows: int, n: int) -> np.ndarray:
    """Return how often each of n units is drawn in n draws with replacement: (rows, n) float64.

    The same law as `rng.multinomial(n, [1 / n] * n, rows)`, which is ten times slower for large n.
    """
    drawn = rng.integers(0, n, (rows, n))
    drawn += np.arange(rows)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _weighted_median(ascending: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the median of values repeated by integer weights, for each row of weights: (rows,)."""
    reached = np.cumsum(weights, axis=1)
    total = reached[:, -1]
    lower = (reached <= ((total - 1) // 2)[:, None]).sum(axis=1)
    upper = (reached <= (total // 2)[:, None]).sum(axis=1)
    middle: np.ndarray = (ascending[lower] + ascending[upper]) / 2
    return middle
