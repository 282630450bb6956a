"""The grouped jackknife: bias and interval of figures of a whole sample, from sums over a few parts of it.

With theta the figure of all n rows and theta_b that of all rows but those of part b of B,

    corrected   B theta - (B - 1) mean theta_b              the bias of order 1 / n is gone
    variance    (B - 1) / B  sum_b (theta_b - mean theta_b)^2

and the interval is corrected +- t sqrt(variance), t of B - 1 degrees of freedom. Unlike a bootstrap it needs one pass
over the rows and B sums, and repeats no row: copies would look like structure to a spectrum or to neighbours.

Sources: Quenouille, "Notes on Bias in Estimation", 1956; Tukey, "Bias and Confidence in Not-quite Large Samples", 1958.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_share
from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.streams import Rows

PARTS = 20
MEMORY = 1 << 28  # bytes of the second moments of all parts
_LEAST = 5


class Parts:
    """Deals rows to parts of equal size, in whatever blocks they come.

    Parameters
    ----------
    parts : int
        How many.
    rng : Generator
        Rows go to parts at random: files are often sorted.
    groups : (n,) array, optional
        Rows of one label go to one part.
    """

    def __init__(self, parts: int, rng: np.random.Generator, groups: np.ndarray | None = None) -> None:
        self.parts, self.rng = parts, rng
        self.of: np.ndarray | None = None
        self._left = np.zeros(0, np.int64)
        if groups is not None:
            labels, member = np.unique(np.asarray(groups), return_inverse=True)
            self.of = (rng.permutation(len(labels)) % parts)[member.reshape(-1)]

    def deal(self, positions: np.ndarray) -> np.ndarray:
        """Return the part of each row."""
        if self.of is not None:
            if len(positions) and positions[-1] >= len(self.of):
                raise BadInput(f"groups holds {len(self.of)} labels, but there is a row {positions[-1]}")
            dealt: np.ndarray = self.of[positions]
            return dealt
        missing = len(positions) - len(self._left)
        if missing > 0:
            decks = [self.rng.permutation(self.parts) for _ in range(-(-missing // self.parts))]
            self._left = np.concatenate([self._left, *decks])
        now, self._left = self._left[: len(positions)], self._left[len(positions) :]
        return now

    def check(self, n: int) -> None:
        """Raise `BadInput` unless there is a label for each of n rows and no more."""
        if self.of is not None and len(self.of) != n:
            raise BadInput(f"groups holds {len(self.of)} labels, but there are {n} rows: one label a row")


def jackknifed(
    name: str,
    whole: float,
    without: np.ndarray,
    n: int,
    *,
    confidence: float = 0.95,
    corrected: bool = True,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    log: bool = False,
    skipped: int = 0,
    seed: int | None = None,
) -> Estimate:
    """Return the estimate of one figure.

    Parameters
    ----------
    whole : float
        The figure of all rows.
    without : (parts,) array
        The figure of all rows but those of each part.
    corrected : bool
        Take the bias away; otherwise the figure stays as it is, and the interval says how it would vary over samples
        of the same size.
    bounds : (float, float)
        What the figure can be; value and interval are clipped.
    log : bool
        Work on the logarithm, for figures that are ratios.
    """
    from scipy import stats

    check_share("confidence", confidence)
    theta, leave = (np.log(np.maximum(a, 1e-300)) if log else np.asarray(a, float) for a in (whole, without))
    parts = len(leave)
    half = 0.0
    if parts > 1:
        middle = float(leave.mean())
        half = float(np.sqrt((parts - 1) / parts * np.square(leave - middle).sum()))
        half *= float(stats.t.ppf((1 + confidence) / 2, parts - 1))
        theta = parts * theta - (parts - 1) * middle if corrected else theta
    value, low, high = (float(np.clip(np.exp(v) if log else v, *bounds)) for v in (theta, theta - half, theta + half))
    return Estimate(name, value, low, high, n=n, confidence=confidence, skipped=skipped, seed=seed)


def moments(
    rows: Rows, parts: int, groups: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each part its number of rows (parts,), their sum (parts, dim), and that of their outer products.

    Rows that are not finite are left out. There are fewer parts where their (dim, dim) matrices would take more than
    256 MB, but at least 5 (or `parts`).
    """
    deal: Parts | None = None
    counts, sums, grams = np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0, 0))
    for positions, block in rows.finite_blocks():
        if deal is None:
            dim = block.shape[1]
            parts = max(min(parts, MEMORY // (8 * max(dim, 1) ** 2)), min(parts, _LEAST))
            deal = Parts(parts, rng, groups)
            counts, sums, grams = np.zeros(parts), np.zeros((parts, dim)), np.zeros((parts, dim, dim))
        part = deal.deal(positions)
        for b in range(parts):
            some = block[part == b]
            counts[b] += len(some)
            sums[b] += some.sum(axis=0)
            grams[b] += some.T @ some
    if deal is not None:
        deal.check(rows.n)
    return counts, sums, grams


def leave_one_out(sums: tuple[np.ndarray, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the sums of all rows but those of each part, for parts that hold some rows but not all.

    Parameters
    ----------
    sums : tuple of arrays with a first axis of length parts
        What `moments` returns: the number of rows comes first.
    """
    total = tuple(a.sum(axis=0) for a in sums)
    for b in np.flatnonzero((sums[0] > 0) & (sums[0] < total[0])):
        yield tuple(t - a[b] for t, a in zip(total, sums, strict=True))


def share(name: str, hits: int, n: int, *, confidence: float = 0.95, skipped: int = 0) -> Estimate:
    """Return the share of n independent units that are hits, with its exact interval (Clopper and Pearson, 1934)."""
    from scipy import stats

    tail = (1 - check_share("confidence", confidence)) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return Estimate(name, hits / max(n, 1), low, high, n=n, confidence=confidence, skipped=skipped)
