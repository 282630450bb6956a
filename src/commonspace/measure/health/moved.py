"""Which items moved between two versions of a space, and how far?

For every item looked at: the cosine of its two versions, and the overlap of its k nearest neighbours before and after,

    overlap@k    mean over items of |neighbours before and after| / k;  k / (n - 1) for unrelated versions

which also compares spaces of different dimension, turned or shifted, where a cosine means nothing. Intervals are a
bootstrap over items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.health.neighbours import nearest
from commonspace.measure.health.streams import Rows
from commonspace.measure.statistics.estimates import Estimate, estimate


@dataclass(frozen=True)
class MovedItem:
    """One item in two versions.

    Parameters
    ----------
    row : int
    overlap : float
        Share of its neighbours that stayed.
    cosine : float or None
        Of the two versions; None between spaces of different dimension.
    """

    row: int
    overlap: float
    cosine: float | None


@dataclass(frozen=True)
class Moved:
    """How far items moved between two versions.

    Parameters
    ----------
    overlap : Estimate
        Mean share of the k nearest neighbours that stayed.
    chance : float
        What it would be for unrelated versions.
    cosine : Estimate or None
        Mean cosine of an item with itself; None between spaces of different dimension.
    items : tuple of MovedItem
        Those that moved most, first by overlap, then by cosine.
    k : int
        Neighbours.
    """

    overlap: Estimate
    chance: float
    cosine: Estimate | None
    items: tuple[MovedItem, ...]
    k: int

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, ready for JSON."""
        return {
            "overlap": self.overlap.to_dict(),
            "chance": self.chance,
            "cosine": None if self.cosine is None else self.cosine.to_dict(),
            "items": [vars(i) for i in self.items],
            "k": self.k,
        }

    def __str__(self) -> str:
        lines = [f"overlap@{self.k}  {self.overlap}, by chance {self.chance:.3f}"]
        lines += [] if self.cosine is None else [f"cosine      {self.cosine}"]
        return "\n".join([*lines, f"moved most: rows {', '.join(str(i.row) for i in self.items) or 'none'}"])


def moved(
    X: Any,
    Y: Any,
    *,
    k: int = 10,
    most: int = 2000,
    show: int = 10,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Moved:
    """Return how far the same items moved between two versions.

    Parameters
    ----------
    X, Y : (n, dim_x) and (n, dim_y) arrays, memory maps, or iterables of (rows, dim) blocks
        Row i of both is the same item; compared by cosine. Items without a direction in both are not looked at.
    k : int
        Neighbours.
    most : int
        Items looked at, drawn at random; their neighbours come from all.
    show : int
        Items that are listed.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the items and of the bootstrap.

    Raises
    ------
    BadInput
        Different numbers of rows, or fewer than two items.
    """
    rng, rows, others = generator(random_state), Rows(X), Rows(Y, "Y")
    if rows.length() != others.length():
        raise BadInput(f"X and Y must hold the same items, not {rows.n} and {others.n} rows")
    positions, x = rows.sample(check_positive("most", most), rng)
    y, good = others.take(positions)
    positions, x, y = positions[good], x[good], y[good]
    before, after = (nearest(v, r, check_positive("k", k), own=positions)[1] for v, r in ((x, rows), (y, others)))
    k = min(before.shape[1], after.shape[1])
    if k < 1:
        raise BadInput("moved needs at least two items with a direction in both versions")
    stayed = np.array([np.isin(b, a).mean() for a, b in zip(before[:, :k], after[:, :k], strict=True)])
    same = rows.dim == others.dim
    cosines = (x * y).sum(axis=1, dtype=np.float64) if same else np.zeros(len(x))
    draws: Any = int(random_state) if isinstance(random_state, int | np.integer) else rng
    options: dict[str, Any] = {
        "resamples": resamples, "confidence": confidence, "random_state": draws,
        "skipped": min(most, rows.n) - len(x),
    }  # fmt: skip
    first = np.lexsort((cosines, stayed))[:show]
    return Moved(
        overlap=estimate(stayed, "overlap", bounds=(0.0, 1.0), **options),
        chance=min(k / max(rows.n - rows.skipped - 1, 1), 1.0),
        cosine=estimate(cosines, "cosine", bounds=(-1.0, 1.0), **options) if same else None,
        items=tuple(MovedItem(int(positions[i]), float(stayed[i]), float(cosines[i]) if same else None) for i in first),
        k=k,
    )
