"""`Side`: stored vectors that are asked in another space than the one the query is in.

While a collection goes from an old space to a new one, items without a vector of the new one are compared in the old
one, or by vectors that were carried over. Their scores are brought to the scale of the others, so that both lists can
be merged:

    best(q, k) of all = best k of { <q, x> : x of the new space }  and  { s(<q', x>) : x of the others }

with q' the query as that side understands it and s the scale. s rises, so that the k best of each side suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from commonspace.search.best import Searchable
from commonspace.search.planner import Plan

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One side's vectors of one modality.

    Parameters
    ----------
    inner : Searchable
        The vectors.
    side : str
        Its name, which hits carry.
    asked : (q, dim) float32, unit rows
        The queries as this side understands them.
    rows : (n,) bool or None
        The items that take part; None for all that have one of the vectors.
    scales : sequence of q callables
        What each query's scores become; they must rise.
    """

    inner: Searchable
    side: str
    asked: Floats
    rows: Mask | None
    scales: Sequence[Callable[[Any], Any]]

    @property
    def modality(self) -> str:
        """Name of the modality."""
        return self.inner.modality

    @property
    def plans(self) -> list[Plan]:
        """What the searches of this object did, in order."""
        return self.inner.plans

    def of(self, queries: Sequence[int]) -> Side:
        """Return the side for some of the queries."""
        return replace(self, asked=self.asked[list(queries)], scales=[self.scales[i] for i in queries])

    def best(self, queries: Floats, k: int, mask: Mask | None) -> tuple[Ints, Floats]:
        """Return rows and scores among which are the k best items; see `Searchable`. `queries` are not looked at."""
        taking = self.rows if mask is None or self.rows is None else mask & self.rows
        rows, scores = self.inner.best(self.asked, k, mask if taking is None else taking)
        if scores.size:
            scores = np.stack([scale(own) for scale, own in zip(self.scales, scores, strict=True)])
        return rows, scores.astype(np.float32, copy=False)
