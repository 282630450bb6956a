"""`Probes`: held-out items, and queries if there are any, that an old and a new space have encoded.

What is right for a query is known in one of three ways, the best first:

    relevance    a matrix of queries and items
    things       labels: rows of one label show the same thing, across modalities and within them
    neighbours   nothing is known: what a full re-embed would find counts as right. This tells what a bridge loses, but
                 not whether the new space is better than the old one
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.measure.metrics.relevance import Relevance
from commonspace.search.exact import top_k
from commonspace.upgrade.pairs import Pairs

LEAST = 10  # independent queries below which a direction is not measured


@dataclass(frozen=True)
class Probes:
    """Items and queries in both spaces, and what is right.

    Parameters
    ----------
    items : Pairs
        What is searched, and what bridges learn from.
    things : mapping of str to (n,) array, optional
        Modality -> a label a row. Rows of one label show the same thing, in whatever modality. They are never split
        between what a bridge learned from and what it is measured on. A row without a label (None, NaN) is a thing of
        its own.
    queries : Pairs, optional
        What asks; no bridge learns from it. Without queries the items ask for each other, by things.
    query_things : mapping of str to (q,) array, optional
        Query modality -> a label a row: items of that label are right. Queries of one label are one unit of the sample.
    relevance : mapping of str to (q, n) array or sparse array, optional
        Direction (``"query->doc"``) -> how relevant each item is to each query; comes before labels.
    asked : mapping of str to (n,) array, optional
        Modality -> how often each item was asked for or found, for backfilling the most valuable first. Best counted on
        other days than those of the queries.
    """

    items: Pairs
    things: Mapping[str, np.ndarray] = field(default_factory=dict)
    queries: Pairs | None = None
    query_things: Mapping[str, np.ndarray] = field(default_factory=dict)
    relevance: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("things", "query_things", "relevance", "asked"):
            object.__setattr__(self, name, dict(getattr(self, name) or {}))
        for name, side in (("things", self.items), ("asked", self.items), ("query_things", self.queries)):
            for m, column in getattr(self, name).items():
                if side is None or m not in side.old:
                    known = "there are none" if side is None else f"there are {', '.join(side.modalities)}"
                    raise BadInput(f"{name} name the modality {m!r}, of which there are no vectors: {known}")
                if np.shape(column) != (len(side.old[m]),):
                    raise BadInput(
                        f"{name} of {m!r} must hold one value for each of its {len(side.old[m])} rows, not shape "
                        f"{np.shape(column)}"
                    )
                getattr(self, name)[m] = _counts(column, m) if name == "asked" else _labels(column)
        if self.queries is not None and self.queries.dims != self.items.dims:
            raise BadInput(
                f"queries have dimensions {self.queries.dims}, items {self.items.dims}: encode both with the same two "
                "spaces"
            )
        self._check_relevance()

    def _check_relevance(self) -> None:
        if self.relevance and self.queries is None:
            raise BadInput("relevance says which items answer which queries, but there are no queries")
        for task, judged in self.relevance.items():
            asks, arrow, searched = task.partition("->")
            if not arrow or self.queries is None or asks not in self.queries.old or searched not in self.items.old:
                raise BadInput(f'relevance names {task!r}, which is not of the form "query modality->item modality"')
            shape = len(self.queries.old[asks]), len(self.items.old[searched])
            if tuple(np.shape(judged)) != shape:
                raise BadInput(f"relevance of {task!r} must have shape {shape}, not {tuple(np.shape(judged))}")

    @property
    def codes(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Things as numbers, the same for items and queries: two mappings of modality to (n,) int64."""
        columns = [*self.things.values(), *self.query_things.values()]
        if not columns:
            return {}, {}
        plain = {c.dtype.kind for c in columns} <= set("iub")
        joint = np.concatenate([c if plain else _spelled(c) for c in columns])
        numbers = np.unique(joint, return_inverse=True)[1]
        lacking = np.concatenate([_lacking(c) for c in columns])
        numbers[lacking] = len(numbers) + np.arange(lacking.sum())  # nobody else shows the same
        numbers = np.unique(numbers, return_inverse=True)[1]
        parts = np.split(numbers, np.cumsum([len(c) for c in columns])[:-1])
        mine = len(self.things)
        return dict(zip(self.things, parts[:mine], strict=True)), dict(
            zip(self.query_things, parts[mine:], strict=True)
        )


def _labels(column: Any) -> np.ndarray:
    """Return labels as they are: numpy would spell a NaN among strings "nan", which is a label like any other."""
    labels = np.asarray(column)
    if labels.dtype.kind != "U" or isinstance(column, np.ndarray) or all(isinstance(v, str) for v in column):
        return labels
    return np.array(list(column), dtype=object)


def _counts(column: Any, modality: str) -> np.ndarray:
    """Return how often items were asked for, as numbers."""
    try:
        counts = np.asarray(column, np.float64)
    except (TypeError, ValueError):
        counts = np.full(1, np.nan)
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise BadInput(f"asked of {modality!r} must be numbers of at least 0: how often each item was asked for")
    return counts


def _spelled(labels: np.ndarray) -> np.ndarray:
    """Return labels as text. A column of numbers with gaps is read as floats: 7.0 is the label 7 all the same."""
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in labels.tolist()]
    return np.array([str(v) for v in whole], dtype=str)


def _lacking(labels: np.ndarray) -> np.ndarray:
    """Return which labels are None, NaN or NA: what a row shows is not known then, and it stands for itself."""
    if labels.dtype.kind in "mM":
        unset: np.ndarray = np.isnat(labels)
        return unset
    if labels.dtype.kind not in "fO":
        return np.zeros(len(labels), bool)
    return np.array([label is None or (label == label) is not True for label in labels.tolist()], bool)


@dataclass(frozen=True)
class Direction:
    """One modality asks, another is searched.

    Parameters
    ----------
    asks, searched : str
        Names of the modalities.
    rows : (q,) int64
        Rows of the asking modality that ask.
    relevance : Relevance
        Of all rows of the asking modality, and all rows of the one searched.
    groups : (q,) int64
        Queries of one number stand and fall together.
    own : (q,) int64
        Row of the gallery that is the query itself, -1 if none.
    labelled : bool
        Whether what is right is known, or taken from the new space.
    things : bool
        Whether groups are things, which have the same number in every direction.
    """

    asks: str
    searched: str
    rows: np.ndarray
    relevance: Relevance
    groups: np.ndarray
    own: np.ndarray
    labelled: bool
    things: bool = False

    @property
    def task(self) -> str:
        """``"text->image"``."""
        return f"{self.asks}->{self.searched}"

    def __len__(self) -> int:
        return len(self.rows)

    def answers(self, some: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what is right for some of the queries, themselves left out: place among them, item, grade."""
        rows = self.rows[some]
        begin, end = self.relevance.begin[rows], self.relevance.end[rows]
        query, item, grade = replace(self.relevance, begin=begin, end=end).block(0, len(rows))
        other = item != self.own[some][query]
        return query[other], item[other], grade[other]


def units(directions: Sequence[Direction]) -> dict[str, np.ndarray]:
    """Return direction -> a number for each query's group: things have the same one in all directions.

    Where things are not known, a row is a group of its own, the same in all directions in which it asks.
    """
    names = [np.array([f"{'' if d.things else d.asks}/{g}" for g in d.groups]) for d in directions]
    _, number = np.unique(np.concatenate(names), return_inverse=True)
    parts = np.split(number, np.cumsum([len(d) for d in directions])[:-1])
    return {d.task: part for d, part in zip(directions, parts, strict=True)}


def directions_of(
    probes: Probes, k: int, most: int, rng: np.random.Generator, wanted: Sequence[str] | None = None
) -> tuple[list[Direction], dict[str, str]]:
    """Return what can be measured, and why other directions cannot.

    Parameters
    ----------
    probes : Probes
    k : int
        Neighbours that count as right where nothing else is known.
    most : int
        Queries of a direction; where there are more, so many are drawn.
    rng : Generator
    wanted : sequence of str, optional
        Directions that count, as ``"text->image"``; all by default.

    Raises
    ------
    NotFound
        If there is no such direction.
    BadInput
        If nothing can be measured.
    """
    asking = probes.items if probes.queries is None else probes.queries
    pairs = list(product(asking.modalities, probes.items.modalities))
    names = [f"{a}->{s}" for a, s in pairs]
    for task in wanted or ():
        if task not in names:
            raise NotFound(f"there is no direction {task!r}; there are {', '.join(names)}")
    found: list[Direction] = []
    left_out = {n: "it was not asked for" for n in names if wanted and n not in wanted}
    pairs = [p for p, n in zip(pairs, names, strict=True) if n not in left_out]
    for asks, searched in pairs:
        judged = _labelled(probes, asks, searched)
        if judged is None:
            left_out[f"{asks}->{searched}"] = "it is not known what is right"
            continue
        one = _direction(probes, asks, searched, judged, True, most, rng)
        if isinstance(one, str):
            left_out[f"{asks}->{searched}"] = one
        else:
            found.append(one)
    if found:
        return found, left_out
    for asks, searched in pairs:
        judged = neighbours(probes, asks, searched, k)
        one = _direction(probes, asks, searched, judged, False, most, rng)
        if isinstance(one, str):
            left_out[f"{asks}->{searched}"] = one
        else:
            left_out.pop(f"{asks}->{searched}", None)
            found.append(one)
    if not found:
        why = "; ".join(f"{task}: {reason}" for task, reason in left_out.items())
        raise BadInput(f"these probes are too few to measure anything ({why}): give more items or queries")
    return found, left_out


def _labelled(probes: Probes, asks: str, searched: str) -> Relevance | None:
    if f"{asks}->{searched}" in probes.relevance:
        return Relevance.of(probes.relevance[f"{asks}->{searched}"])
    items, queries = probes.codes
    asking = items if probes.queries is None else queries
    if asks not in asking or searched not in items:
        return None
    return Relevance.of((asking[asks], items[searched]))


def neighbours(probes: Probes, asks: str, searched: str, k: int, among: np.ndarray | None = None) -> Relevance:
    """Return the k nearest items of each query in the new space, of all or of those `among` which is true."""
    asking = probes.items if probes.queries is None else probes.queries
    own = probes.queries is None and asks == searched
    found, _ = top_k(asking.new[asks], probes.items.new[searched], k + own, mask=among, max_length=1.001)
    if own:  # a row that stands behind k twins of itself is not among its own best, and the last one goes
        rows = np.arange(len(found))[:, None]
        last = np.where((found == rows).any(axis=1), -1, found[:, -1])
        kept = (found != rows) & (found != last[:, None])
        found = found[kept].reshape(len(found), -1)
    n, width = found.shape
    begin = np.arange(n) * width
    return Relevance(begin, begin + width, found.ravel(), None, len(probes.items.new[searched]))


def _direction(
    probes: Probes, asks: str, searched: str, judged: Relevance, labelled: bool, most: int, rng: np.random.Generator
) -> Direction | str:
    """Return the queries that have an answer, or why there are too few."""
    item_things, query_things = probes.codes
    crossed = probes.queries is None
    n = len(judged)
    itself = np.arange(n) if crossed and asks == searched else np.full(n, -1)
    rows = np.flatnonzero(_answered(judged, itself))
    things = (item_things if crossed else query_things).get(asks)
    groups = np.arange(n) if things is None else things
    if judged.n_items < LEAST:
        return f"{judged.n_items} items are searched, at least {LEAST} must be"
    if (asking := len(np.unique(groups[rows]))) < LEAST:
        return f"{asking} different things ask and have an answer, at least {LEAST} must"
    if len(rows) > most:  # queries, not whole things: a few large ones would be all there is
        rows = np.sort(rng.permutation(rows)[:most])
        if (asking := len(np.unique(groups[rows]))) < LEAST:
            return f"{asking} different things ask among most={most:,} queries, at least {LEAST} must"
    return Direction(asks, searched, rows, judged, groups[rows], itself[rows], labelled, things is not None)


def _answered(judged: Relevance, itself: np.ndarray) -> np.ndarray:
    """Return which queries have an answer other than themselves: (n,) bool."""
    count = judged.end - judged.begin
    only = count == 1
    found: np.ndarray = count > 0
    found[only] = judged.items[judged.begin[only]] != itself[only]
    return found
