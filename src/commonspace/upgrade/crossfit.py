"""Bridges measured on what they have not seen: each score is that of a bridge which knows neither query nor item.

Things are dealt into K folds. Where queries are apart from the items, item i is met through the bridge that learned
from all folds but its own. Where items ask for each other, query and item may lie in two folds, and the bridge is one
that learned from neither; where both lie in one, a second fold is left out as well, so that all bridges learned from
K - 2 folds and none is better because it knows more:

    queries apart     K bridges, each of (K - 1) / K of the items
    items ask         K (K - 1) / 2 bridges, each of (K - 2) / K of the items

The gallery is thereby all of the probes, and every query counts. The figures are those of bridges which learned from
fewer items than the one that is kept, and so a little low.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.upgrade.bridges.base import Bridge
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.probes import Direction, Probes


@dataclass(frozen=True)
class Folds:
    """The fold of every item and query.

    Parameters
    ----------
    count : int
        K.
    items, queries : mapping of str to (n,) int64
        Modality -> fold of each row. Queries have one, too: what is chosen for a query was chosen on other folds.
    crossed : bool
        Whether the items ask.
    """

    count: int
    items: dict[str, np.ndarray]
    queries: dict[str, np.ndarray]
    crossed: bool

    @classmethod
    def deal(cls, probes: Probes, count: int, rng: np.random.Generator) -> Folds:
        """Deal the things at random, folds being as equal as can be."""
        least = 3 if probes.queries is None else 2
        if count < least:
            raise BadInput(f"folds must be at least {least} here, not {count}: a bridge needs others to learn from")
        item_things, query_things = probes.codes
        codes = [*item_things.values(), *query_things.values()]
        turn = rng.permutation(max((int(c.max(initial=-1)) for c in codes), default=-1) + 1) % count

        def dealt(rows: int, things: np.ndarray | None) -> np.ndarray:
            return rng.permutation(rows) % count if things is None else turn[things]

        items = {m: dealt(len(x), item_things.get(m)) for m, x in probes.items.old.items()}
        if probes.queries is None:
            return cls(count, items, items, True)
        queries = {m: dealt(len(x), query_things.get(m)) for m, x in probes.queries.old.items()}
        return cls(count, items, queries, False)

    def unseen(self, asks: int, searched: int) -> frozenset[int]:
        """Return the folds that the bridge between a query and an item of these folds must not have seen."""
        if not self.crossed:
            return frozenset({searched})
        return frozenset({asks, searched if searched != asks else (asks + 1) % self.count})

    @property
    def all_unseen(self) -> list[frozenset[int]]:
        """Every set of folds that some bridge must not have seen."""
        return sorted({self.unseen(a, b) for a in range(self.count) for b in range(self.count)}, key=sorted)

    @property
    def learned(self) -> float:
        """Share of the items that each bridge has seen."""
        return 1 - len(self.all_unseen[0]) / self.count

    def training(self, items: Pairs, unseen: frozenset[int]) -> Pairs:
        """Return the items of the other folds."""
        return items.take({m: np.flatnonzero(~np.isin(fold, list(unseen))) for m, fold in self.items.items()})


@dataclass(frozen=True)
class CrossFitted:
    """One kind of bridge, learned without each set of folds.

    Parameters
    ----------
    bridges : mapping of frozenset of int to Bridge
        Folds that it has not seen -> the bridge.
    """

    probes: Probes
    folds: Folds
    bridges: dict[frozenset[int], Bridge]
    _carried: dict[Any, np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def fit(
        cls,
        make: Callable[[], Bridge],
        probes: Probes,
        folds: Folds,
        seed: int,
        advance: Callable[[], None] = lambda: None,
    ) -> CrossFitted:
        """Learn all bridges of one kind."""
        bridges = {}
        for unseen in folds.all_unseen:
            bridges[unseen] = make().fit(folds.training(probes.items, unseen), random_state=seed)
            advance()
        return cls(probes, folds, bridges)

    @property
    def carries(self) -> str:
        """Which side crosses."""
        return next(iter(self.bridges.values())).carries

    def scores(self, direction: Direction, some: np.ndarray, fold: int) -> np.ndarray:
        """Return the cosines of some queries of one fold with the whole gallery: (q, n) float32."""
        rows, searched = direction.rows[some], direction.searched
        where = self.folds.items[searched]
        asking = self.probes.items if self.probes.queries is None else self.probes.queries
        if self.carries == "items":
            scores: np.ndarray = asking.new[direction.asks][rows] @ self._gallery(searched, fold).T
            return scores
        queries = asking.new[direction.asks][rows]
        old = self.probes.items.old[searched]
        out = np.empty((len(rows), len(old)), np.float32)
        for f in range(self.folds.count):
            here = np.flatnonzero(where == f)
            bridge = self.bridges[self.folds.unseen(fold, f)]
            out[:, here] = bridge.carry(queries, direction.asks) @ old[here].T
        return out

    def forget(self) -> None:
        """Let go of the vectors carried for the last fold."""
        self._carried.clear()

    def _gallery(self, searched: str, fold: int) -> np.ndarray:
        """Return all items as a query of this fold meets them; kept until another fold asks."""
        key = searched, fold if self.folds.crossed else -1
        if key not in self._carried:
            self._carried.clear()
            where, old = self.folds.items[searched], self.probes.items.old[searched]
            out = np.empty((len(old), self.probes.items.dims[1]), np.float32)
            for f in range(self.folds.count):
                here = np.flatnonzero(where == f)
                out[here] = self.bridges[self.folds.unseen(fold, f)].carry(old[here], searched)
            self._carried[key] = out
        return self._carried[key]
