"""Where the relevant items of each query stand, with ties kept as ties.

A ranking with equal scores is not one order but a set of equally likely orders. Whatever a metric says about one
order, its value here is the mean over all of them, which has a closed form for each metric once it is known, for each
tie that holds a relevant item, how many items stand above it, how many are tied, and how many of those are relevant.
Items without relevance enter only through these counts, so a metric never touches the (queries, items) array again.

Source of the idea: McSherry and Najork, "Computing Information Retrieval Performance Measures Efficiently in the
Presence of Tied Scores", 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.measure.metrics.relevance import Relevance

TIES = Paper(
    "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores",
    2008,
    "https://doi.org/10.1007/978-3-540-78646-7_38",
)


@dataclass(frozen=True)
class Ties:
    """Groups of equally scored items with at least one relevant among them, ordered by query, best first.

    Parameters
    ----------
    query : (g,) int64
        Whose group it is.
    above : (g,) int64
        Items scored strictly higher.
    size : (g,) int64
        Items in the group.
    relevant : (g,) int64
        Relevant items in the group, at least 1.
    before : (g,) int64
        Relevant items of the same query in higher groups.
    ranked : (g,) int64, optional
        How many items of the query were ranked at all; None where all were.
    """

    query: np.ndarray
    above: np.ndarray
    size: np.ndarray
    relevant: np.ndarray
    before: np.ndarray
    ranked: np.ndarray | None = None

    @cached_property
    def first(self) -> Ties:
        """The best group of each query that has one."""
        keep = self.before == 0
        ranked = None if self.ranked is None else self.ranked[keep]
        return Ties(self.query[keep], self.above[keep], self.size[keep], self.relevant[keep], self.before[keep], ranked)

    def inside(self, k: int | np.ndarray | None) -> np.ndarray:
        """Return how many places of each group lie within the first k that were ranked: (g,) int64.

        k may differ by group; None is the whole ranking.
        """
        if self.ranked is not None:
            k = self.ranked if k is None else np.minimum(k, self.ranked)
        return self.size if k is None else np.clip(k - self.above, 0, self.size)


@dataclass(frozen=True)
class Ranks:
    """The relevant items of a block of queries, ordered by query, best first.

    Parameters
    ----------
    query : (m,) int64
        Whose item it is.
    above : (m,) int64
        Items of the gallery scored strictly higher.
    tied : (m,) int64
        Items with the same score, itself included.
    grade : (m,) float64
        How relevant it is, greater than 0.
    n_queries, n_items : int
    ranked : (n_queries,) int64, optional
        How many items of each query were ranked, where only the top of a ranking is known; relevant items beyond are
        given as tied below them, and count as never found. None: all items were ranked.
    """

    query: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    grade: np.ndarray
    n_queries: int
    n_items: int
    ranked: np.ndarray | None = None

    @classmethod
    def of(cls, scores: Any, relevance: Any) -> Ranks:
        """Rank the relevant items of every query.

        Parameters
        ----------
        scores : (q, n) array
            Higher is better; minus infinity is allowed and ranks last.
        relevance : (q, n) array, sparse array, pair of keys or `Relevance`

        Raises
        ------
        BadInput
            NaN scores or shapes that disagree.
        """
        a, judged = check_scores(scores), Relevance.of(relevance)
        check_shapes(a.shape, judged)
        return cls.of_block(a, *judged.block(0, len(a)))

    @classmethod
    def of_block(cls, scores: np.ndarray, query: np.ndarray, item: np.ndarray, grade: np.ndarray) -> Ranks:
        """Rank judged items given as flat arrays, `query` never falling."""
        n_queries, n_items = scores.shape
        value = scores[query, item]
        lower, not_above = _counted(scores, query, value)
        best_first = np.lexsort((-not_above, query))
        return cls(
            query=query[best_first],
            above=n_items - not_above[best_first],
            tied=(not_above - lower)[best_first],
            grade=grade[best_first],
            n_queries=n_queries,
            n_items=n_items,
        )

    @cached_property
    def relevant(self) -> np.ndarray:
        """Number of relevant items of each query: (n_queries,) int64."""
        return np.bincount(self.query, minlength=self.n_queries)

    @cached_property
    def group(self) -> np.ndarray:
        """Which of `ties` each relevant item belongs to: (m,) int64."""
        new = (np.diff(self.query, prepend=-1) != 0) | (np.diff(self.above, prepend=-1) != 0)
        return np.cumsum(new) - 1

    @cached_property
    def ties(self) -> Ties:
        """The groups of equally scored items that hold the relevant ones."""
        relevant = np.bincount(self.group)
        first = np.cumsum(relevant) - relevant
        query = self.query[first]
        start = np.cumsum(self.relevant) - self.relevant
        ranked = None if self.ranked is None else self.ranked[query]
        return Ties(query, self.above[first], self.tied[first], relevant, first - start[query], ranked)

    def total(self, query: np.ndarray, values: np.ndarray, *, mean: bool = False) -> np.ndarray:
        """Return the sum of values over each query, NaN for queries without a relevant item: (n_queries,) float64.

        With `mean`, the sum is divided by the number of relevant items of the query.
        """
        out = np.bincount(query, weights=values, minlength=self.n_queries).astype(np.float64)
        if mean:
            out /= np.maximum(self.relevant, 1)
        out[self.relevant == 0] = np.nan
        return out


def _counted(scores: np.ndarray, query: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many scores of its query lie below each value, and how many not above it: (m,) int64 each."""
    n_queries = len(scores)
    if len(query) == n_queries and (np.diff(query) == 1).all():  # one each: two passes are nine times faster
        mine = value[:, None]
        return np.count_nonzero(scores < mine, axis=1), np.count_nonzero(scores <= mine, axis=1)
    ordered = np.sort(scores, axis=1)
    lower, not_above = np.empty(len(query), np.int64), np.empty(len(query), np.int64)
    ends = np.searchsorted(query, np.arange(n_queries + 1))
    for i in range(n_queries):
        own = slice(ends[i], ends[i + 1])
        lower[own] = ordered[i].searchsorted(value[own], "left")
        not_above[own] = ordered[i].searchsorted(value[own], "right")
    return lower, not_above


def check_scores(scores: Any) -> np.ndarray:
    """Return scores as a two-dimensional array of numbers without NaN."""
    a = np.asarray(scores)
    if a.ndim != 2 or a.dtype.kind not in "fiub":
        raise BadInput(f"scores must be a numeric array of shape (queries, items), not {a.dtype} {a.shape}")
    if a.dtype.kind == "f" and np.isnan(a).any():
        row, column = np.argwhere(np.isnan(a))[0]
        raise BadInput(
            f"scores hold NaN, first for query {row} and item {column}: NaN has no place in a ranking; "
            "use minus infinity for items that must come last"
        )
    return a


def check_shapes(shape: tuple[int, ...], relevance: Relevance) -> None:
    """Raise `BadInput` unless the relevance speaks of the same queries and items as the scores."""
    judged = (len(relevance), relevance.n_items)
    if tuple(shape) != judged:
        raise BadInput(
            f"scores are of {shape[0]} queries x {shape[1]} items but the relevance is of {judged[0]} x {judged[1]}"
        )
