"""Graded relevance from what labels say, for ``fit_heads(relevance=...)``.

Labels are seldom the same or different only: "tool" and "instrument" are close, two icons of one category closer than
two of one family. Both builders return a function from positions in the data to the (batch, batch) relevance of these
items, which every objective that reads relevance takes as its soft targets; nothing of size (n, n) is ever held.

    by_text(vectors)   R_ij = exp((cos(e_i, e_j) - 1) / temperature),    e = frozen vectors of the label's text
    by_sets(views)     R_ij = (mean over views v of |S_vi and S_vj| / |S_vi or S_vj|)^power,    S = parts of a label

A row of the first, divided by its sum, is the softmax of cos / temperature: the targets of the source. Of the second,
views in which both sets are empty are left out; identical labels have 1, an item without a label has nothing but
itself.

Sources: "Dialog2Flow: Pre-training Soft-Contrastive Action-Driven Sentence Embeddings for Automatic Dialog Flow
Extraction" and "SPACE-2: Tree-Structured Semi-Supervised Contrastive Pre-training for Task-Oriented Dialog
Understanding". Theirs are losses within one modality; here the grades are between modalities, and the head for each
view of the second is not built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors, unit

Relevance = Callable[[np.ndarray], np.ndarray]


def by_text(vectors: Any, *, temperature: float = 0.35, labelled: Any = None) -> Relevance:
    """Return relevance by the similarity of label texts.

    Parameters
    ----------
    vectors : (n, d) array
        Vectors of the text of each item's label, by any frozen encoder.
    temperature : float
        How fast relevance falls with the cosine; small is strict.
    labelled : (n,) bool, optional
        Which items have a label; the others are relevant to themselves alone. Default: those whose vector is not zero.

    Returns
    -------
    callable
        From (batch,) positions to (batch, batch) float32 in (0, 1], 1 for equal directions.

    Raises
    ------
    BadInput
        No matrix of finite numbers, a temperature that is not positive, a mask of another length.
    """
    if not temperature > 0:
        raise BadInput(f"temperature must be positive, not {temperature!r}")
    rows = check_vectors(vectors, name="vectors of labels")
    mask = np.asarray(rows.any(axis=1) if labelled is None else labelled)
    if mask.shape != (len(rows),) or mask.dtype != bool:
        raise BadInput(f"labelled must be ({len(rows)},) bool, not {mask.shape} {mask.dtype}")
    e = unit(rows)

    def look_up(index: np.ndarray) -> np.ndarray:
        cosine = np.minimum(e[index] @ e[index].T, 1)
        grades = np.exp((cosine - 1) / temperature, dtype=np.float32)
        return _labelled_only(grades, mask[index])

    return look_up


def by_sets(views: Mapping[str, Sequence[Collection[Hashable]]], *, power: float = 1.0) -> Relevance:
    """Return relevance by the shared parts of labels.

    Parameters
    ----------
    views : mapping of str to sequence of n collections
        View -> the set of parts of each item's label as that view sees it, empty where it has none. `views_of_paths`
        and `views_of_records` make them.
    power : float
        Exponent of the mean. Of a broad level there are many items in a batch; with 1 they take most of a target
        together, a larger power leaves them less.

    Returns
    -------
    callable
        From (batch,) positions to (batch, batch) float32 in [0, 1], 1 for equal labels that are not empty.

    Raises
    ------
    BadInput
        No view, views of different items, a text in place of a set of them, a power that is not positive.
    """
    if not power > 0:
        raise BadInput(f"power must be positive, not {power!r}")
    if not isinstance(views, Mapping) or not views:
        raise BadInput("views must map at least one name to the label sets of the items")
    sizes = {name: len(sets) for name, sets in views.items()}
    if len(set(sizes.values())) > 1:
        raise BadInput(f"every view must have one set an item, got {sizes}")
    tables = [_incidence(sets, name) for name, sets in views.items()]

    def look_up(index: np.ndarray) -> np.ndarray:
        total = np.zeros((len(index), len(index)), np.float32)
        seen = np.zeros_like(total)
        for table in tables:
            part = table[index]
            shared = (part @ part.T).toarray()
            size = np.asarray(part.sum(axis=1)).ravel()
            union = size[:, None] + size[None, :] - shared
            total += np.divide(shared, union, out=np.zeros_like(total), where=union > 0)
            seen += union > 0
        labelled = np.diagonal(seen) > 0
        grades: np.ndarray = (total / np.maximum(seen, 1)) ** power
        return _labelled_only(grades, labelled)

    return look_up


def views_of_paths(paths: Sequence[Sequence[Hashable]]) -> dict[str, list[set[Hashable]]]:
    """Return the views of labels that are paths in a tree, such as ("animal", "bird", "owl"): one a level.

    A level's set holds the path down to it, so that equal words under different parents stay different. Paths may end
    early; an empty one is no label.
    """
    _check_not_text(paths, "paths")
    depth = max((len(p) for p in paths), default=0)
    levels: dict[str, list[set[Hashable]]] = {
        f"level {d + 1}": [{tuple(p[: d + 1])} if len(p) > d else set() for p in paths] for d in range(depth)
    }
    return levels


def views_of_records(records: Sequence[Mapping[str, Any]]) -> dict[str, list[set[Hashable]]]:
    """Return the views of labels that are records: one a field, the names of the filled fields, and fields with values.

    A cell may hold one value or a list, set or tuple of several; None, NaN and empty ones are not filled. An empty
    record is no label.
    """
    cells = [{field: _values(v) for field, v in record.items()} for record in records]
    filled = [{field: v for field, v in row.items() if v} for row in cells]
    fields = sorted({field for row in filled for field in row})
    views = {f"field {field}": [row.get(field, set()) for row in filled] for field in fields}
    views["fields"] = [set(row) for row in filled]
    views["fields with values"] = [{(field, v) for field, own in row.items() for v in own} for row in filled]
    return views


def from_table(table: Any) -> Relevance:
    """Return relevance that is looked up in an (n, n) SciPy sparse array."""

    def look_up(index: np.ndarray) -> np.ndarray:
        dense: np.ndarray = table[index][:, index].toarray().astype(np.float32)
        return dense

    return look_up


def of_rows(relevance: Any, positions: np.ndarray) -> Any:
    """Return relevance between the rows of a table as relevance between some of them.

    Parameters
    ----------
    relevance : callable, (n, n) SciPy sparse matrix or None
        In positions of the table.
    positions : (m,) int64
        Where each of the rows that are left stood in it.

    Returns
    -------
    callable, (m, m) sparse matrix or None
        In positions of the rows that are left.
    """
    if relevance is None:
        return None
    if callable(relevance):
        return lambda index: relevance(positions[index])
    shape = getattr(relevance, "shape", ())
    if len(shape) != 2 or min(shape) <= positions.max():
        raise BadInput(f"relevance must be a callable or a sparse matrix of all rows of the table, not {shape}")
    table = relevance.tocsr() if hasattr(relevance, "tocsr") else relevance
    return table[positions][:, positions]


def _incidence(sets: Sequence[Collection[Hashable]], view: str) -> Any:
    """Return (n, parts) sparse 0/1 float32: which item has which part."""
    from scipy.sparse import csr_array

    _check_not_text(sets, f"view {view!r}")
    numbers: dict[Hashable, int] = {}
    columns = [[numbers.setdefault(part, len(numbers)) for part in dict.fromkeys(own)] for own in sets]
    ends = np.cumsum([0, *map(len, columns)])
    flat = np.fromiter((c for own in columns for c in own), np.int64, int(ends[-1]))
    return csr_array((np.ones(len(flat), np.float32), flat, ends), shape=(len(sets), max(1, len(numbers))))


def _labelled_only(grades: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return the grades with those of items without a label at zero; an item is always relevant to itself."""
    grades[~labelled] = 0
    grades[:, ~labelled] = 0
    np.fill_diagonal(grades, 1)
    return grades


def _values(cell: Any) -> set[Hashable]:
    several = cell if isinstance(cell, list | tuple | set | frozenset) else [cell]
    return {v for v in several if not (v is None or v == "" or (isinstance(v, float) and v != v))}


def _check_not_text(sets: Sequence[Any], name: str) -> None:
    """Raise `BadInput` if an item has a text where a collection belongs: its letters would pass for parts."""
    for i, own in enumerate(sets):
        if isinstance(own, str | bytes):
            raise BadInput(f"{name} holds the text {own!r} for item {i}: give a list or a set, as in [{own!r}]")
