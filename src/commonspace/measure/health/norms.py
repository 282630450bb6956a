"""Lengths of vectors: which are zero, not finite, not one, or far from all others, and what half precision would lose.

    zero         rows of length zero: they have no direction and no cosine
    non_finite   rows that hold NaN or Inf
    non_unit     rows whose length differs from 1 by more than 0.001, the error of unit rows kept as float16
    outlying     rows whose log length has a robust z beyond `limit`: |log length - median| / (1.4826 MAD)
    saturated    rows with an entry at the largest number of float16, bfloat16 or float32, or infinite: most likely
                 cut off when they were stored
    unfit        rows that float16 cannot hold: one percent of their length or more is lost

Shares have exact binomial intervals, for other rows of the same kind. The spread of log lengths counts as at least
0.001, so that the rounding of unit rows makes no outliers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.measure.statistics.jackknife import share
from commonspace.measure.statistics.robust import robust_z
from commonspace.measure.statistics.streams import Rows

TOLERANCE = 1e-3
BFLOAT16 = 3.3895313892515355e38
_DRAWN = 1000
_KINDS = ("zero", "non_finite", "non_unit", "outlying", "saturated", "unfit")


@dataclass(frozen=True)
class Norms:
    """What is wrong with the lengths of vectors.

    Parameters
    ----------
    zero, non_finite, non_unit, outlying, saturated, unfit : Estimate
        Shares of rows, as defined above.
    length : Estimate
        Median length of the rows that are finite and not zero, of 1,000 of them at most; 0 with n = 0 without any.
    largest : float
        Largest absolute entry that is finite.
    rows : dict of str to (m,) int64
        The rows behind each share, in order; only the first `show` of each.
    """

    zero: Estimate
    non_finite: Estimate
    non_unit: Estimate
    outlying: Estimate
    saturated: Estimate
    unfit: Estimate
    length: Estimate
    largest: float
    rows: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the rows, ready for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in (*_KINDS, "length")}
        return {**figures, "largest": self.largest, "rows": {k: v.tolist() for k, v in self.rows.items()}}

    def __str__(self) -> str:
        names = [f.name for f in fields(self) if isinstance(getattr(self, f.name), Estimate)]
        return "\n".join(f"{name.replace('_', ' '):<11} {getattr(self, name)}" for name in names)


def norms(
    X: Any, *, limit: float = 6.0, show: int = 1000, confidence: float = 0.95, random_state: RandomState = 0
) -> Norms:
    """Return what is wrong with the lengths of vectors, in one pass that keeps one number a row.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) blocks
        Vectors as they are stored.
    limit : float
        Robust z beyond which a length is out of range.
    show : int
        Rows that are named for each kind, at most.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the bootstrap of the median length, and of the 1,000 rows it looks at.

    Raises
    ------
    BadInput
        No rows.
    """
    rows = Rows(X)
    lengths, saturated, unfit, largest = [np.zeros(0)], [np.zeros(0, bool)], [np.zeros(0, bool)], 0.0
    for _, block in rows.blocks():
        length, full, lost, peak = _looked_at(block)
        lengths.append(length)
        saturated.append(full)
        unfit.append(lost)
        largest = max(largest, peak)
    length = np.concatenate(lengths)
    n = len(length)
    if n == 0:
        raise BadInput("norms needs at least one row")
    finite = np.isfinite(length)
    fine = finite & (length > 0)
    outlying = np.zeros(n, bool)
    outlying[fine] = np.abs(robust_z(np.log(length[fine]), least=TOLERANCE)) > limit
    which = {
        "zero": length == 0,
        "non_finite": ~finite,
        "non_unit": fine & (np.abs(length - 1) > TOLERANCE),
        "outlying": outlying,
        "saturated": np.concatenate(saturated),
        "unfit": np.concatenate(unfit),
    }
    rng = generator(random_state)
    draws: Any = int(random_state) if isinstance(random_state, int | np.integer) else rng
    median = Estimate("length", 0.0, 0.0, 0.0, n=0, confidence=confidence)
    if fine.any():
        some = rng.permutation(length[fine])[:_DRAWN]
        median = estimate(some, "length", statistic="median", confidence=confidence, random_state=draws)
    return Norms(
        **{name: share(name, int(hit.sum()), n, confidence=confidence) for name, hit in which.items()},
        length=median,
        largest=largest,
        rows={name: np.flatnonzero(hit)[:show] for name, hit in which.items()},
    )


def _looked_at(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return length (Inf where a row is not finite), whether it is saturated, whether float16 loses it, the peak."""
    x = np.abs(block.astype(np.float64))
    finite = np.isfinite(x).all(axis=1)
    peak = np.where(np.isfinite(x), x, 0).max(axis=1, initial=0)
    full = np.asarray((np.isinf(x) | np.isin(x, _limits(block.dtype))).any(axis=1))
    scale = np.where(finite & (peak > 0), peak, 1)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.where(finite, np.linalg.norm(x / scale, axis=1) * scale[:, 0], np.inf)
        lost = np.linalg.norm((x - x.astype(np.float16).astype(np.float64)) / scale, axis=1) * scale[:, 0]
    unfit = finite & ~(lost <= 0.01 * length)
    return length, full, unfit, float(peak.max(initial=0))


def _limits(dtype: np.dtype) -> list[float]:
    """Return the numbers at which entries are cut off when they are stored."""
    if dtype.kind != "f":
        return []
    return [float(np.finfo(np.float16).max), BFLOAT16, float(np.finfo(np.float32).max)]
