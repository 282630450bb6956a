"""Orders in which the pooled documents of one query are judged, best first.

A `Pool` is what a few systems returned for one query. An order is asked for the next open document and told which ones
turned out relevant. It keeps nothing that does not follow from the judgements, their order and the seed, so that
judging can be broken off and taken up again.

    depth_k            by the best rank that any system gives
    move_to_front      down the ranking of one system while it brings relevant documents; after one that is not, the
                       system loses a point, and the next with most points goes on
    hedge              weights w of systems, losses l of a document at rank r of Z: -1/2 ln(Z / r) if relevant, the same
                       with a plus if not; w <- w beta^l; next comes the largest sum of w 1/2 ln(Z / r)
    max_mean           systems are arms of a bandit with chance of success Beta(1 + rel, 1 + ret - rel), of ret judged
                       documents rel were relevant; next comes the first open one of the arm with the highest mean
    max_mean_recent    the same with a memory: rel <- memory rel + 1 or 0, ret <- memory ret + 1
    random             any, the baseline

Sources: Cormack, Palmer and Clarke, "Efficient Construction of Large Test Collections", 1998 (move-to-front, the local
form); Aslam, Pavlu and Savell, "A Unified Model for Metasearch, Pooling, and System Evaluation", 2003 (hedge); Losada,
Parapar and Barreiro, "Multi-Armed Bandits for Adjudicating Documents in Pooling-Based Evaluation of Information
Retrieval Systems", 2017 (the bandits).

Ours: equal claims are settled by one order of the systems and documents, drawn once a query, not by a new draw at each
step; a judgement counts for every system that holds the document; a document that a system lacks stands, for hedge, at
the mean of 1/2 ln(Z / r) over the ranks that the rest of the pool would take behind its list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.measure.judgements.runs import Id


class Pool:
    """The documents that some systems returned for one query.

    Parameters
    ----------
    rankings : sequence of lists
        One a system, best first.
    rng : Generator
        Draws the order of systems and documents that settles equal claims.

    Attributes
    ----------
    ids : list
        The documents, (n_docs,).
    ranks : (n_systems, n_docs) int64
        Rank from 0; `absent` where the system lacks the document.
    """

    def __init__(self, rankings: Sequence[list[Id]], rng: np.random.Generator) -> None:
        seen = list(dict.fromkeys(i for r in rankings for i in r))
        self.ids = [seen[i] for i in rng.permutation(len(seen))]
        self.position = {i: at for at, i in enumerate(self.ids)}
        self.absent = max(map(len, rankings), default=0)
        self.lists = [np.array([self.position[i] for i in rankings[s]], int) for s in rng.permutation(len(rankings))]
        self.ranks = np.full((len(rankings), len(self.ids)), self.absent)
        for row, places in zip(self.ranks, self.lists, strict=True):
            row[places] = np.arange(len(places))
        self.holds = self.ranks < self.absent


def _first(pool: Pool, worth: np.ndarray, waiting: np.ndarray) -> tuple[int, int]:
    """Return the system of most worth that holds a waiting document, and the first of them."""
    for system in np.argsort(-worth, kind="stable"):
        its = waiting[pool.lists[system]]
        at = int(its.argmax()) if len(its) else 0
        if len(its) and its[at]:
            return int(system), int(pool.lists[system][at])
    raise ValueError("no document is waiting")


class DepthK:
    """By the best rank that any system gives."""

    parameters: ClassVar[dict[str, float]] = {}

    def __init__(self, pool: Pool) -> None:
        self.order = np.argsort(pool.ranks.min(axis=0, initial=pool.absent), kind="stable")

    def next(self, is_open: np.ndarray) -> int:
        """Return the document to judge next, given which are open; at least one is."""
        return int(self.order[is_open[self.order].argmax()])

    def tell(self, doc: int, relevant: bool) -> None:
        """Learn what a judge said."""


class Random(DepthK):
    """Any document; those of a pool already stand in an order that was drawn."""

    def __init__(self, pool: Pool) -> None:
        self.order = np.arange(len(pool.ids))


class MoveToFront:
    """Down the ranking of one system while it brings relevant documents.

    The walk over what is judged is the same whoever chose those documents: judgements that come from elsewhere count
    when the walk comes to them, and documents out with a judge are passed over.
    """

    parameters: ClassVar[dict[str, float]] = {}

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.verdict = np.full(len(pool.ids), -1)  # -1 = not told
        self._begin()

    def _begin(self) -> None:
        self.points = np.zeros(len(self.pool.lists))
        self.counted = np.zeros(len(self.pool.ids), bool)
        self.last = -1

    def next(self, is_open: np.ndarray) -> int:
        """Return the document to judge next."""
        while True:
            waiting = is_open | ((self.verdict >= 0) & ~self.counted)
            front, doc = _first(self.pool, self.points, waiting)
            if is_open[doc]:
                self.last = doc
                return doc
            self.counted[doc] = True
            self.points[front] -= self.verdict[doc] == 0

    def tell(self, doc: int, relevant: bool) -> None:
        """Learn what a judge said; the walk starts anew if it has passed this document over."""
        self.verdict[doc] = relevant
        if doc != self.last:
            self._begin()


class Hedge:
    """The document that systems of low loss rank high."""

    parameters: ClassVar[dict[str, float]] = {"beta": 0.1}

    def __init__(self, pool: Pool, *, beta: float) -> None:
        if not 0 < beta < 1:
            raise BadInput(f"beta must lie between 0 and 1, both excluded, not {beta!r}")
        self.step = np.log(beta)
        self.log_weights = np.zeros(len(pool.lists))
        length = pool.holds.sum(axis=1, keepdims=True)
        log_ranks = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, len(pool.ids) + 1)))])
        beyond = np.maximum(len(pool.ids) - length, 1)
        behind = np.log(np.maximum(length, 1)) - (log_ranks[-1] - log_ranks[length]) / beyond
        held = np.log(np.maximum(length, 1)) - np.log(pool.ranks + 1)
        self.gains = 0.5 * np.where(pool.holds, held, behind)

    def next(self, is_open: np.ndarray) -> int:
        """Return the document to judge next."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return int(np.where(is_open, weights @ self.gains, -np.inf).argmax())

    def tell(self, doc: int, relevant: bool) -> None:
        """Learn what a judge said."""
        self.log_weights += self.step * (-self.gains[:, doc] if relevant else self.gains[:, doc])


class MaxMean:
    """The arm with the highest mean chance of a relevant document."""

    parameters: ClassVar[dict[str, float]] = {}

    def __init__(self, pool: Pool, *, memory: float = 1.0) -> None:
        if not 0 <= memory <= 1:
            raise BadInput(f"memory must lie between 0 and 1, not {memory!r}")
        self.pool, self.memory = pool, memory
        self.relevant = np.zeros(len(pool.lists))
        self.judged = np.zeros(len(pool.lists))

    def next(self, is_open: np.ndarray) -> int:
        """Return the document to judge next."""
        return _first(self.pool, (1 + self.relevant) / (2 + self.judged), is_open)[1]

    def tell(self, doc: int, relevant: bool) -> None:
        """Learn what a judge said."""
        arms = self.pool.holds[:, doc]
        self.relevant[arms] = self.memory * self.relevant[arms] + relevant
        self.judged[arms] = self.memory * self.judged[arms] + 1


class MaxMeanRecent(MaxMean):
    """The same for chances that change down the ranking; with memory 0 only the last judgement counts."""

    parameters: ClassVar[dict[str, float]] = {"memory": 0.0}


ORDERS: dict[str, Any] = {
    "depth_k": DepthK,
    "move_to_front": MoveToFront,
    "hedge": Hedge,
    "max_mean": MaxMean,
    "max_mean_recent": MaxMeanRecent,
    "random": Random,
}
