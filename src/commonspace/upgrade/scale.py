"""`Scale`: scores across a bridge, on the scale of the new space's own.

A cosine with a vector that was carried over is lower than with the vector the new encoder would have given, and spread
otherwise. Ranked side by side as they are, items that were encoded anew would push away the others whether they fit or
not. A line brings the one to the other:

    x_r, y_r     the r-th best score of a query among the same items, across the bridge and natively, r = 1 ... depth
    slope        sum (x - mean x) (y - mean y) / sum (x - mean x)^2       over all queries and ranks
    shift        mean y - slope mean x

What stands at the same rank becomes equal on average, which is what two lists need that are merged; pairs far down are
never ranked and do not count. The regression of the native score of an item on its score across would be the best
guess of a single score, but guesses are drawn to the mean: the best of the old items would be pushed below new ones.

Where new queries go back into an old space, or both encoders are asked, a query has a level of its own there: an old
space whose vectors all point one way gives every item of one query 0.8 and every item of another 0.6. Scores are then
`standard`: measured from the mean over a sample of items, in standard deviations over them, on either side:

    native mean + native spread (slope (score - mean) / spread + shift)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share, check_vectors
from commonspace.measure.statistics.estimates import Estimate, draw_counts, group_numbers

DEPTH = 10
_FLAT = 1e-9  # a spread below this is rounding


@dataclass(frozen=True)
class Level:
    """How a query's scores lie over a sample of items.

    Parameters
    ----------
    mean, spread : (q, 1) arrays
        Mean and standard deviation of the scores of each query; (1,) for a single one.
    """

    mean: np.ndarray
    spread: np.ndarray


def level(queries: Any, sample: Any) -> Level:
    """Return where the scores of queries lie over a sample of items.

    Parameters
    ----------
    queries : (q, dim) or (dim,) array
        Vectors as they meet the items.
    sample : (m, dim) array
        Items drawn at random, at least 2; some hundreds are enough.
    """
    rows = check_vectors(sample, name="sample")
    if len(rows) < 2:
        raise BadInput(f"a level needs a sample of at least 2 items, got {len(rows)}")
    asked = np.asarray(queries)
    asked = check_vectors(asked[None] if asked.ndim == 1 else asked, name="queries", dim=rows.shape[1])
    scores = (asked[0] if np.ndim(queries) == 1 else asked) @ rows.T
    mean, spread = scores.mean(axis=-1, keepdims=True), scores.std(axis=-1, keepdims=True)
    return Level(mean.astype(np.float64), np.maximum(spread.astype(np.float64), _FLAT))


@dataclass(frozen=True)
class Scale:
    """A line from scores across the bridge to scores of the new space.

    Parameters
    ----------
    slope : float
        Above 0, so that the order of the items is kept.
    shift : float
        What is added.
    standard : bool
        Whether the line is between standard scores, so that both levels of a query are needed.
    slopes, shifts : (float, float), optional
        Intervals, where it was fitted.
    n : int
        Queries that it was fitted on.
    confidence : float
        Nominal coverage of the intervals.
    """

    slope: float = 1.0
    shift: float = 0.0
    standard: bool = False
    slopes: tuple[float, float] | None = None
    shifts: tuple[float, float] | None = None
    n: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (np.isfinite([self.slope, self.shift]).all() and self.slope > 0):
            raise BadInput(
                f"a scale needs a slope above 0 and a finite shift, got {self.slope} and {self.shift}: another slope "
                "would turn the order of the items round"
            )
        for name in ("slopes", "shifts"):
            ends = getattr(self, name)
            object.__setattr__(self, name, None if ends is None else (float(ends[0]), float(ends[1])))

    def __call__(self, scores: Any, across: Level | None = None, native: Level | None = None) -> Any:
        """Return scores of the new space's scale.

        Parameters
        ----------
        scores : (n,) or (q, n) array
            Of one query, or a row a query.
        across, native : Level, optional
            Where the query's scores lie across the bridge and natively; needed if `standard`.
        """
        s = np.asarray(scores)
        if not self.standard:
            return s * self.slope + self.shift
        if across is None or native is None:
            raise BadInput(
                "this scale is between standard scores: give the level of the query across the bridge and natively, "
                "`level(query, sample)`"
            )
        return native.mean + native.spread * ((s - across.mean) / across.spread * self.slope + self.shift)

    def of(self, across: Level, native: Level) -> Scale:
        """Return the line of plain scores that this is for one query."""
        if not self.standard:
            return self
        ratio = float(native.spread.item() / across.spread.item())
        start = float(native.mean.item() - ratio * self.slope * across.mean.item())
        return Scale(self.slope * ratio, start + self.shift * float(native.spread.item()))

    @property
    def estimates(self) -> tuple[Estimate, Estimate]:
        """Slope and shift with their intervals."""
        if self.slopes is None or self.shifts is None:
            raise BadInput("this scale was not fitted, so that nothing is known about its interval: use fit_scale")
        return (
            Estimate("slope", self.slope, *self.slopes, n=self.n, confidence=self.confidence),
            Estimate("shift", self.shift, *self.shifts, n=self.n, confidence=self.confidence),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        own: dict[str, Any] = {"slope": self.slope, "shift": self.shift}
        if self.standard:
            own["standard"] = True
        if self.slopes is not None and self.shifts is not None:
            own |= {"slopes": list(self.slopes), "shifts": list(self.shifts), "n": self.n}
            own["confidence"] = self.confidence
        return own

    def __str__(self) -> str:
        what = "standard score" if self.standard else "score"
        if self.slopes is None or self.shifts is None:
            return f"{self.slope:.3f} x {what} {self.shift:+.3f}"
        slope, shift = self.estimates
        return f"slope {slope}, shift {shift} of the {what}"


def fit_scale(
    across: Any,
    native: Any,
    *,
    levels: tuple[Level, Level] | None = None,
    depth: int = DEPTH,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Scale:
    """Return the line that lets items of both kinds be ranked in one list.

    Parameters
    ----------
    across, native : (q, n) arrays
        Scores of the same pairs of queries and items, by vectors that the bridge has carried and by the new encoder's
        own. Items that the bridge has learned from look better than others: leave them out, or carry each by a bridge
        that has not seen it. NaN or -inf: this pair is not compared.
    levels : (Level, Level), optional
        Where each query's scores lie across the bridge and natively; the scale is then between standard scores.
        For bridges that carry queries and for queries asked by both encoders.
    depth : int
        Best scores of each query that count; as many as are shown.
    groups : (q,) array, optional
        Queries of one label are drawn together.
    resamples, confidence, random_state
        Of the bootstrap over queries that gives the intervals.

    Raises
    ------
    BadInput
        Shapes that disagree, or a query with less than 2 scores.
    """
    x, y = (np.array(s, np.float64, ndmin=2) for s in (across, native))
    if x.shape != y.shape or x.ndim != 2 or not len(x):
        raise BadInput(f"across and native must score the same pairs, (queries, items), not {x.shape} and {y.shape}")
    if levels is not None:
        x, y = ((s - at.mean) / at.spread for s, at in zip((x, y), levels, strict=True))
    x, y = _tops(x, y, check_positive("depth", depth))
    check_share("confidence", confidence)
    group = group_numbers(groups, len(x))
    # Sums a query are all that the line needs; taken from the mean, so that no figure is lost to rounding.
    origin = x.mean(), y.mean()
    u, v = x - origin[0], y - origin[1]
    ones = np.ones_like(u)
    each = np.stack([s.sum(axis=1) for s in (ones, u, v, u * u, u * v, v * v)], axis=1)
    sums = np.zeros((group.max() + 1, 6))
    np.add.at(sums, group, each)
    counts = draw_counts(generator(random_state), check_positive("resamples", resamples), len(sums))
    (slope, *slopes), (middle, *middles) = _lines(np.vstack([sums.sum(axis=0), counts @ sums]))
    shift = origin[1] + middle - slope * origin[0]
    shifts = origin[1] + np.array(middles) - np.array(slopes) * origin[0]
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    return Scale(
        float(slope), float(shift), levels is not None, tuple(np.quantile(slopes, ends)),
        tuple(np.quantile(shifts, ends)), len(x), confidence,
    )  # fmt: skip


def _tops(x: np.ndarray, y: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best scores of each query, falling, on both sides."""
    shared = np.isfinite(x) & np.isfinite(y)
    least = int(shared.sum(axis=1).min())
    if least < 2:
        raise BadInput(
            f"query {int(shared.sum(axis=1).argmin())} has {least} scores on both sides: a line needs at least 2"
        )
    depth = min(depth, least)
    a, b = (-np.sort(-np.where(shared, s, -np.inf), axis=1)[:, :depth] for s in (x, y))
    return a, b


def _lines(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept for each row of sums (count, x, y, xx, xy, yy).

    Where the regression would fall, or all x are equal, the ratio of the spreads is the slope, and 1 without spreads.
    """
    n, sx, sy, sxx, sxy, syy = sums.T
    vx, vy = (np.maximum(q - s * s / n, 0.0) for q, s in ((sxx, sx), (syy, sy)))
    both = sxy - sx * sy / n
    flat = vx <= n * _FLAT**2
    safe = np.where(flat, 1.0, vx)
    ratio = np.where(flat | (vy <= n * _FLAT**2), 1.0, np.sqrt(vy / safe))
    slope = np.where(flat | (both <= _FLAT * safe), ratio, both / safe)
    return slope, (sy - slope * sx) / n
