"""Isotropy: whether embeddings point in all directions, or share one that inflates every cosine.

For unit rows u_i, i = 1..n, with sum S:

    mean cosine   mean over i != j of u_i . u_j = (|S|^2 - n) / (n (n - 1))
    isotropy      1 - mean cosine
    centred       the same of rows from which their mean was taken, brought to unit length again

The closed form needs one pass and no pairs, and is unbiased: 1 on average for an even cloud of any size, where the
squared length of the mean, which counts i = j, would say 1 - 1/n. For a von Mises-Fisher cloud of concentration kappa
in p dimensions the truth is 1 - (I_{p/2}(kappa) / I_{p/2-1}(kappa))^2. Low isotropy with a centred one near 1 is a
common direction that centring takes away; where both are low, rows gather in few directions.

Taking away a mean that was made from the same rows pushes every cosine down by about 1 / (n - 1), which is added back.
Intervals are a grouped jackknife over rows, for the population that they were drawn from.

Source: isotropy as in "Contrastive Search Is What You Need For Neural Text Generation", there of the hidden states of
texts, here of any vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.jackknife import Parts, jackknifed
from commonspace.measure.statistics.streams import Rows

PARTS = 50
Blocks = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Isotropy:
    """Isotropy of a set of vectors.

    Parameters
    ----------
    isotropy : Estimate
        1 - mean cosine of two different rows: 1 for an even cloud, 0 where all point the same way, up to
        1 + 1 / (n - 1) where they point away from each other.
    centred : Estimate
        The same after the mean of the unit rows was taken away.
    """

    isotropy: Estimate
    centred: Estimate

    @property
    def mean_cosine(self) -> Estimate:
        """The mean cosine of two different rows."""
        e = self.isotropy
        return Estimate("mean_cosine", 1 - e.value, 1 - e.high, 1 - e.low, e.n, e.confidence, e.skipped, e.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        found = {f.name: getattr(self, f.name).to_dict() for f in fields(self)}
        return {**found, "mean_cosine": self.mean_cosine.to_dict()}

    def __str__(self) -> str:
        return f"isotropy          {self.isotropy}\nisotropy, centred {self.centred}"


def isotropy(X: Any, *, groups: Any = None, confidence: float = 0.95, random_state: RandomState = 0) -> Isotropy:
    """Return the isotropy of vectors, before and after centring, in two passes over the rows.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) blocks
        Brought to unit length. Rows that are zero or not finite are left out and counted as skipped.
    groups : (n,) array, optional
        Rows of one label hang together and are left out together by the jackknife.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the parts of the jackknife.

    Raises
    ------
    BadInput
        Fewer than two usable rows, or an iterator, which could be read only once.
    """
    rows, rng = Rows(X), generator(random_state)
    rows.again("centring needs a second pass")
    deal = Parts(PARTS, rng, groups)
    counts, sums = _sums(rows.unit_blocks, deal)
    deal.check(rows.n)
    n = int(counts.sum())
    if n < 2:
        raise BadInput(f"isotropy needs at least two rows with a direction, got {n}")
    middle = sums.sum(axis=0) / n

    def centred() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for positions, block in rows.unit_blocks():
            away = block - middle
            length = np.linalg.norm(away, axis=1, keepdims=True)
            keep = length[:, 0] > 1e-6  # equal rows: what is left is rounding, and has no direction
            yield positions[keep], away[keep] / length[keep]

    options: dict[str, Any] = {
        "confidence": confidence, "skipped": rows.skipped,
        "seed": int(random_state) if isinstance(random_state, int | np.integer) else None,
    }  # fmt: skip
    plain = _estimate("isotropy", counts, sums, n, 0.0, options)
    counts, sums = _sums(centred, Parts(PARTS, generator(rng), groups))
    if counts.sum() < 2:
        return Isotropy(plain, Estimate("centred", 0.0, 0.0, 0.0, n, **options))
    return Isotropy(plain, _estimate("centred", counts, sums, n, 1 / (n - 1), options))


def _sums(blocks: Blocks, deal: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Return the number and the sum of the rows of each part."""
    counts, sums = np.zeros(deal.parts), np.zeros((deal.parts, 0))
    for positions, block in blocks():
        if not sums.shape[1]:
            sums = np.zeros((deal.parts, block.shape[1]))
        part = deal.deal(positions)
        counts += np.bincount(part, minlength=deal.parts)
        for b in range(deal.parts):
            sums[b] += block[part == b].sum(axis=0, dtype=np.float64)
    return counts, sums


def _estimate(
    name: str, counts: np.ndarray, sums: np.ndarray, n: int, lost: float, options: dict[str, Any]
) -> Estimate:
    total, m = sums.sum(axis=0), counts.sum()

    def of(size: Any, s: np.ndarray) -> np.ndarray:
        found: np.ndarray = 1 - (np.square(s).sum(axis=-1) - size) / (size * (size - 1)) - lost
        return found

    left = m - counts
    some = (counts > 0) & (left > 1)
    return jackknifed(
        name, float(of(m, total)), of(left[some], (total - sums)[some]), n,
        corrected=False, bounds=(0.0, 1 + 1 / (n - 1)), **options,
    )  # fmt: skip
