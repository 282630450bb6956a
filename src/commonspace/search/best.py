"""The best items of each query when an item has several vectors: one a modality, or a bag of them.

    score(q, item) = max_m max_i <q, x_mi>       over the modalities m that the item has and the vectors i of its bag

The k best items of every modality suffice: an item among the k best overall is among the k best where it scores best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from commonspace.search.exact import top_k
from commonspace.search.planner import Plan

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Searchable(Protocol):
    """The vectors of one modality, in whatever form."""

    @property
    def modality(self) -> str:
        """Its name."""

    @property
    def side(self) -> str:
        """Which of the two sides of a migration it is; "" without one."""

    @property
    def plans(self) -> list[Plan]:
        """What the searches of this object did, in order."""

    def best(self, queries: Floats, k: int, mask: Mask | None) -> tuple[Ints, Floats]:
        """Return rows and scores of vectors among which are the k best items of each query.

        Parameters
        ----------
        queries : (q, dim) float32, unit rows
            The queries.
        k : int
            At least 1.
        mask : (n,) bool, optional
            Which items take part.

        Returns
        -------
        rows : (q, h) int64
            Of the items; one may come several times, and -1 stands for none.
        scores : (q, h) float32
            Inner products, best first.
        """


@dataclass(frozen=True)
class Gallery:
    """The vectors of one modality.

    Parameters
    ----------
    modality : str
        Its name.
    rows : (m,) int64
        Which item each vector belongs to, ascending; a bag of vectors repeats its row.
    matrix : (m, dim) float32, unit rows
        The vectors.
    offset : bool
        Whether the last column of `matrix` is a number to add to the cosine (minus what is taken off against hubs).
    why : str
        Why these vectors are all compared, for the explanation.
    plans : list of Plan
        What the searches of this object did, in order.
    side : str
        See `Searchable`.
    """

    modality: str
    rows: Ints
    matrix: Floats
    offset: bool = False
    why: str = "there is no index"
    plans: list[Plan] = field(default_factory=list, compare=False)
    side: str = ""

    def best(self, queries: Floats, k: int, mask: Mask | None) -> tuple[Ints, Floats]:
        """Return rows and scores of vectors among which are the k best items of each query; see `Searchable`."""
        keep = None if mask is None else mask[self.rows]
        taking = len(self.rows) if keep is None else int(np.count_nonzero(keep))
        self.plans.append(Plan("exact", self.why, len(self.rows), taking, len(queries)))
        asked = np.hstack([queries, np.ones((len(queries), 1), np.float32)]) if self.offset else queries
        # Unit rows are unit rows in float32, hence the allowance for rounding; an offset is at most 1.
        length = 1.5 if self.offset else 1.001

        def ask(vectors: int) -> tuple[Ints, Floats]:
            position, score = top_k(asked, self.matrix, vectors, mask=keep, max_length=length)
            return self.rows[position], score

        if taking < 2 or (self.rows[1:] != self.rows[:-1]).all():
            return ask(k)
        return enough_items(ask, k, self.rows if keep is None else self.rows[keep])


def enough_items(ask: Callable[[int], tuple[Ints, Floats]], k: int, rows: Ints) -> tuple[Ints, Floats]:
    """Ask for the best vectors of bags until they hold the k best items of every query.

    Parameters
    ----------
    ask : callable
        Number of vectors -> rows and scores of so many, or of all if there are fewer; -1 for none.
    k : int
        At least 1.
    rows : (m,) int64
        The items of the vectors asked.
    """
    wanted, vectors = min(k, len(np.unique(rows))), k
    while True:
        found, score = ask(vectors)
        if vectors >= len(rows) or all(len(set(f) - {-1}) >= wanted for f in found.tolist()):
            return found, score
        vectors *= 2


@dataclass(frozen=True)
class Found:
    """One item found: its row, its score, and the modality and the side of a migration that gave the score."""

    row: int
    score: float
    modality: str
    side: str = ""


def best_items(
    queries: Floats, galleries: Sequence[Searchable], k: int, *, mask: Mask | None = None
) -> list[list[Found]]:
    """Return the k best items of each query, best first; equal scores in the order of the rows.

    Parameters
    ----------
    queries : (q, dim) float32, unit rows
        The queries.
    galleries : sequence of Searchable
        The modalities to compare with.
    k : int
        At least 1; fewer items than k give fewer hits.
    mask : (n,) bool, optional
        Which items take part.
    """
    offers: list[list[Found]] = [[] for _ in range(len(queries))]
    for gallery in galleries:
        found, score = gallery.best(queries, k, mask)
        for offer, rows, scores in zip(offers, found.tolist(), score.tolist(), strict=True):
            named = gallery.modality, gallery.side
            offer.extend(Found(r, s, *named) for r, s in zip(rows, scores, strict=True) if r >= 0)
    return [_distinct(offer)[:k] for offer in offers]


def _distinct(offer: list[Found]) -> list[Found]:
    """Return each item once, with its best score."""
    best: dict[int, Found] = {}
    for found in sorted(offer, key=lambda f: (-f.score, f.row)):
        best.setdefault(found.row, found)
    return list(best.values())
