"""`Direction`: one modality asks, another is searched; and what it finds, as figures and as answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors
from commonspace.judge.report import Case
from commonspace.measure import Estimate, estimate, evaluate, evaluate_retrieval, metric

DEPTH = 100  # answers of a query that are kept
BLOCK = 256  # queries scored at a time


@dataclass(frozen=True)
class Side:
    """Items of one modality.

    Parameters
    ----------
    vectors : (n, dim) array
        Compared by inner product: unit rows for cosine.
    labels : (n,) array
        Items of one label, here and on the other side, are right answers to one another.
    kind : str
        What the items are: ``"text"``, ``"image"`` ...
    items : sequence of n items, optional
        To be shown, and read by baselines of words where they are texts.
    names : sequence of n str, optional
        What to call them.
    classes : (n,) array, optional
        A coarser label, for figures by class.
    counts : (n,) array, optional
        How popular each is, for the baseline that always answers with the most popular.
    """

    vectors: np.ndarray
    labels: np.ndarray
    kind: str = "vector"
    items: Sequence[Any] | None = None
    names: Sequence[str] | None = None
    classes: np.ndarray | None = None
    counts: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_vectors(self.vectors, name="vectors")
        for name in ("labels", "items", "names", "classes", "counts"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.vectors):
                raise BadInput(f"{name} hold {len(column)} rows, the vectors {len(self.vectors)}")

    def __len__(self) -> int:
        return len(self.vectors)

    def show(self, row: int, note: str = "", right: bool | None = None) -> Case:
        """Return an item to look at."""
        item = None if self.items is None else self.items[row]
        name = "" if self.names is None else str(self.names[row])
        caption = "" if isinstance(item, str) and item == name else name
        # Without the item, its name is all there is to see.
        kind = self.kind if item is not None else "text"
        return Case(item, caption or ("" if item is not None else f"row {row}"), note, kind, right=right)


@dataclass(frozen=True)
class Direction:
    """One modality asks, another is searched.

    Parameters
    ----------
    asks, searched : str
        Names of the modalities.
    queries, gallery : Side
    found : (q, k) int64, optional
        Rows of the gallery that an index answered with, best first, -1 for none; by default all are compared.
    """

    asks: str
    searched: str
    queries: Side
    gallery: Side
    found: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.found is not None and (self.found.ndim != 2 or len(self.found) != len(self.queries)):
            raise BadInput(f"found must have a row for each of the {len(self.queries)} queries, not {self.found.shape}")

    @property
    def task(self) -> str:
        """The direction as figures are filed under: ``"text->image"``."""
        return f"{self.asks}->{self.searched}"

    @property
    def title(self) -> str:
        """The direction as people read it: ``"text → image"``."""
        return f"{self.asks} → {self.searched}"

    @property
    def keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels of queries and gallery."""
        return np.asarray(self.queries.labels), np.asarray(self.gallery.labels)

    @cached_property
    def judged(self) -> np.ndarray:
        """Rows of the queries to which some item is right."""
        rows: np.ndarray = np.flatnonzero(np.isin(*self.keys))
        return rows

    @cached_property
    def groups(self) -> np.ndarray:
        """Label of each query that counts: queries of one label stand and fall together."""
        labels: np.ndarray = self.keys[0][self.judged]
        return labels

    @cached_property
    def first(self) -> np.ndarray:
        """Rank of the best right answer of each query that counts; the mean over all orders where scores are equal."""
        ranks: np.ndarray = self.measure(["median_rank"])["median_rank"].per_query
        return ranks

    def measure(self, metrics: Sequence[Any], *, random_state: int = 0) -> dict[str, Estimate]:
        """Return the metrics of comparing with all vectors; queries of one label are drawn together."""
        q, g = self.queries, self.gallery
        return evaluate_retrieval(
            q.vectors, g.vectors, self.keys, metrics, groups=self.keys[0], random_state=random_state
        )

    def chance(self, metrics: Sequence[Any], *, random_state: int = 0) -> dict[str, Estimate]:
        """Return the expectation of answers in random order: where all scores are equal, all orders are."""
        nothing = np.zeros((len(self.queries), 1), np.float32), np.zeros((len(self.gallery), 1), np.float32)
        return evaluate_retrieval(*nothing, self.keys, metrics, groups=self.keys[0], random_state=random_state)

    def of_scores(self, scores: Any, metrics: Sequence[Any], *, random_state: int = 0) -> dict[str, Estimate]:
        """Return the metrics of another system's scores of the same queries and gallery."""
        return evaluate(scores, self.keys, metrics, groups=self.keys[0], random_state=random_state)

    def of_found(self, metrics: Sequence[Any], *, random_state: int = 0) -> dict[str, Estimate]:
        """Return the metrics of what the index answered; those with a cut-off beyond its answers are left out."""
        if self.found is None:
            return {}
        k = self.found.shape[1]
        kept = [m for m in metrics if (cut := str(m).partition("@")[2]).isdigit() and int(cut) <= k]
        if not kept:
            return {}
        asked, there = self.keys
        blocks: list[dict[str, Estimate]] = []
        for start in range(0, len(self.judged), BLOCK):
            rows = self.judged[start : start + BLOCK]
            found = self.found[rows]
            scores = np.full((len(rows), len(self.gallery)), -np.inf, np.float32)
            query, place = np.nonzero(found >= 0)
            scores[query, found[query, place]] = -place.astype(np.float32)
            blocks.append(evaluate(scores, (asked[rows], there), kept, resamples=1))
        return {
            m: estimate(
                np.concatenate([block[m].per_query for block in blocks]),
                m,
                statistic=getattr(metric(m), "statistic", "mean"),
                bounds=getattr(metric(m), "bounds", None),
                groups=self.groups,
                skipped=len(self.queries) - len(self.judged),
                random_state=random_state,
            )
            for m in kept
        }

    @cached_property
    def answers(self) -> Answers:
        """The best answers of every query that counts."""
        k = min(DEPTH, len(self.gallery))
        rows, scores = np.empty((len(self.judged), k), np.int64), np.empty((len(self.judged), k))
        best = np.empty(len(self.judged), np.int64)
        asked, there = self.keys
        order, sorted_labels = np.argsort(there, kind="stable"), np.sort(there, kind="stable")
        for start in range(0, len(self.judged), BLOCK):
            block = self.judged[start : start + BLOCK]
            s = self.queries.vectors[block] @ self.gallery.vectors.T
            part = np.argpartition(-s, k - 1, axis=1)[:, :k]
            part = np.take_along_axis(part, np.argsort(-np.take_along_axis(s, part, 1), axis=1, kind="stable"), 1)
            rows[start : start + len(block)] = part
            scores[start : start + len(block)] = np.take_along_axis(s, part, 1)
            low, high = (np.searchsorted(sorted_labels, asked[block], side) for side in ("left", "right"))
            for i, (a, b) in enumerate(zip(low, high, strict=True)):
                mine = order[a:b]
                best[start + i] = mine[s[i, mine].argmax()]
        return Answers(rows, scores, there[rows] == asked[self.judged][:, None], best)

    def case(self, place: int, most: int = 5) -> Case:
        """Return a query that counts with its first answers, and the best right one where it is not among them."""
        found, rank = self.answers, self.first[place]
        shown = [
            self.gallery.show(int(row), f"{i + 1} · {score:.3f}", bool(right))
            for i, (row, score, right) in enumerate(
                zip(found.rows[place, :most], found.scores[place], found.right[place], strict=False)
            )
        ]
        if not found.right[place, :most].any():
            shown.append(self.gallery.show(int(found.best[place]), f"rank {rank:,.0f}", True))
        query = self.queries.show(int(self.judged[place]), "" if rank < 1.5 else f"right answer at rank {rank:,.0f}")
        return Case(query.item, query.caption, query.note, query.kind, tuple(shown))


@dataclass(frozen=True)
class Answers:
    """The best answers of queries, and the best right one.

    Parameters
    ----------
    rows : (q, k) int64
        Of the gallery, best first.
    scores : (q, k) float64
    right : (q, k) bool
    best : (q,) int64
        The right answer with the highest score.
    """

    rows: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    best: np.ndarray


def directions_of(sides: Mapping[str, Side], meet: Any = None) -> list[Direction]:
    """Return every direction between modalities.

    Parameters
    ----------
    sides : mapping of str to Side
        Modality -> its items.
    meet : callable, optional
        From (modality that asks, modality searched, queries, gallery) to vectors of both sides whose inner product is
        the score; their own by default.
    """
    found = []
    for a, b in permutations(sides, 2):
        q, g = sides[a], sides[b]
        if meet is not None:
            x, y = meet(a, b, q.vectors, g.vectors)
            q, g = replace(q, vectors=x), replace(g, vectors=y)
        if np.isin(q.labels, g.labels).any():
            found.append(Direction(a, b, q, g))
    if not found:
        raise BadInput("no query of any modality has a right answer in another: check the labels")
    return found
