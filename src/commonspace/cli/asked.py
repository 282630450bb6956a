"""What `eval` asks: the rows of a table, in one space, in two, or of a collection, as directions to be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.cli.shared import say_skipped
from commonspace.core.bags import Bags
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import Table, none_for_nan
from commonspace.core.vectors import distinct_rows
from commonspace.encode.columns import Rows, check_columns, column_of, given, rows_of
from commonspace.judge.evaluating.directions import DEPTH, Direction, Side, directions_of
from commonspace.search.csls import CSLS, with_offsets

if TYPE_CHECKING:
    from commonspace.collection import Collection
    from commonspace.space import Space


@dataclass(frozen=True)
class Question:
    """A table and how it is read.

    Parameters
    ----------
    table : Table
    columns : mapping of str to str
        Modality -> column.
    group : str, optional
        Column of labels: rows of one label are right answers to one another.
    class_column : str, optional
        Column of coarser labels, for figures by class.
    hubs : str, optional
        ``"csls"``: correct hubs.
    on_error : str
        ``"raise"`` or ``"skip"`` unreadable items.
    """

    table: Table
    columns: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    class_column: str | None = None
    hubs: str | None = None
    on_error: str = "raise"

    def modalities(self, space: Space, least: int) -> list[str]:
        """Return the modalities of a space of which the table has the columns."""
        if not len(self.table):
            raise BadInput("the table has no rows: there is nothing to ask")
        check_columns(self.columns, space.modalities, self.table)
        found = [m for m in space.modalities if column_of(m, self.columns) in self.table]
        if len(found) < least:
            needed = "columns of at least two modalities" if least > 1 else "the column of a modality"
            raise BadInput(
                f"evaluating needs the {needed}; the table has {', '.join(found) or 'none'} "
                f"of {', '.join(column_of(m, self.columns) for m in space.modalities)}: say which column a modality "
                f"reads with --column, such as --column {space.modalities[0]}=NAME"
            )
        return found

    def rows(self, space: Space, modalities: Sequence[str]) -> Rows:
        """Return the rows of the table, ready to be encoded."""
        return rows_of(self.table, {m: space.kind_of(m) for m in modalities}, self.columns, self.group)

    def classes(self) -> np.ndarray | None:
        """Return the class of each row, if there is a column of them."""
        if self.class_column is None:
            return None
        return np.array(list(self.table[self.class_column]), dtype=object)


def ask_space(space: Space, question: Question) -> list[Direction]:
    """Return every direction between the modalities of a table; equal vectors of one label count once."""
    return ask_spaces([space], question)[0]


def ask_spaces(spaces: Sequence[Space], question: Question) -> list[list[Direction]]:
    """Return the directions of each space, all over the same items: those that every space can encode.

    An item counts once where all spaces give it a vector that another item of its label has, too.
    """
    modalities = question.modalities(spaces[0], 2)
    for other in spaces[1:]:
        if missing := [m for m in modalities if m not in other.modalities]:
            raise BadInput(f"the other space has no modality {missing[0]!r}; it has {', '.join(other.modalities)}")
        if differ := [m for m in modalities if other.kind_of(m) != spaces[0].kind_of(m)]:
            raise BadInput(f"the spaces take items of different kinds as {differ[0]!r}, so they cannot be compared")
    rows = question.rows(spaces[0], modalities)
    names = _names(question, rows, {m: spaces[0].kind_of(m) for m in modalities})
    sides: list[dict[str, Side]] = [{} for _ in spaces]
    for m in modalities:
        for mine, side in zip(sides, _sides(spaces, m, question, rows, names[m]), strict=True):
            mine[m] = side
    return [directions_of(mine, _meet(s, question.hubs)) for s, mine in zip(spaces, sides, strict=True)]


def ask_collection(collection: Collection, question: Question) -> list[Direction]:
    """Return the directions from the table's modalities to what a collection stores, with its index's answers.

    Right answers are the items whose field of the group's name has the row's label; without a group, the item of the
    row's id.
    """
    space = collection.space
    asks = question.modalities(space, 1)
    stored = [m for m, n in collection.info()["modalities"].items() if n]
    pairs = [(a, b) for a in asks for b in stored if a != b] or [(a, b) for a in asks for b in stored]
    label = question.group or collection.id_name
    if label not in question.table:
        raise BadInput(f"the table has no column {label!r}, which says what the right answers are: name one by --group")
    rows = question.rows(space, asks)
    labels = _labels(question.table[label], "row")
    names = _names(question, rows, {m: space.kind_of(m) for m in asks})
    keyed = replace(rows, labels=labels)
    sides = {m: _sides([space], m, question, keyed, names[m])[0] for m in dict.fromkeys(a for a, _ in pairs)}
    galleries = {m: _stored(collection, m, question.group) for m in dict.fromkeys(b for _, b in pairs)}
    meet, found = _meet(space, question.hubs), []
    for a, b in pairs:
        q, (ids, g) = sides[a], galleries[b]
        if not np.isin(q.labels, g.labels).any():
            continue
        answers = None if meet else _answers(collection, q.vectors, b, ids)
        if meet:
            x, y = meet(a, b, q.vectors, g.vectors)
            q, g = replace(q, vectors=x), replace(g, vectors=y)
        found.append(Direction(a, b, q, g, answers))
    if not found:
        raise BadInput(f"no row of the table has a right answer in the collection: compare their values of {label!r}")
    return found


def _sides(
    spaces: Sequence[Space], modality: str, question: Question, rows: Rows, names: Sequence[str] | None
) -> list[Side]:
    """Return the items of one modality in each space."""
    column = rows.items[modality]
    where = given(column)
    made = [space.encode_items([column[i] for i in where], modality, on_error=question.on_error) for space in spaces]
    say_skipped({int(where[i]): why for one in made for i, why in one.skipped.items()}, modality)
    shared = sorted(set.intersection(*(set(np.asarray(one.kept).tolist()) for one in made)))
    kept = where[shared]
    vectors = [one.vectors[np.searchsorted(one.kept, shared)] for one in made]
    if not len(kept):
        raise BadInput(f"no row of the table has an item of {modality} that can be encoded: nothing can be asked")
    first = np.unique(np.concatenate([distinct_rows(v, rows.labels[kept]) for v in vectors]))
    at, classes = kept[first], question.classes()
    return [
        Side(
            v[first],
            rows.labels[at],
            spaces[0].kind_of(modality),
            [column[i] for i in at],
            None if names is None else [names[i] for i in at],
            None if classes is None else classes[at],
        )
        for v in vectors
    ]


def _names(question: Question, rows: Rows, kinds: Mapping[str, str]) -> dict[str, list[str] | None]:
    """Return what to call the items of each modality: by the text beside them, else by their id."""
    texts = [m for m, kind in kinds.items() if kind == "text"]
    ids = [str(v) for v in question.table["id"]] if "id" in question.table else None
    names: dict[str, list[str] | None] = {}
    for m in kinds:
        beside = next((t for t in texts if t != m), None)
        if kinds[m] != "text" and beside is not None:
            names[m] = ["" if v is None else str(v) for v in rows.items[beside]]
        else:
            names[m] = ids
    return names


def _labels(cells: Sequence[Any] | np.ndarray, what: str) -> np.ndarray:
    """Return (n,) str: what each row shows; one without a label is right for no other, here or there."""
    values = [none_for_nan(c) for c in cells]
    return np.array([f"\0{what} {i}" if v is None else str(v) for i, v in enumerate(values)])


def _stored(collection: Collection, modality: str, group: str | None) -> tuple[list[Any], Side]:
    """Return the ids and the items that a collection stores of one modality."""
    ids, vectors = collection.vectors(modality)
    if isinstance(vectors, Bags):
        raise BadInput(f"{modality} is stored as bags of vectors, which eval does not compare yet")
    fields = collection.get(ids)
    label = group or collection.id_name
    if fields and label not in fields[0]:
        raise BadInput(f"the collection has no field {label!r}; it has {', '.join(fields[0])}")
    words = next((n for n, v in fields[0].items() if isinstance(v, str) and n != collection.id_name), None)
    try:
        items = collection.items(ids, modality)
    except NotFound:  # none were kept
        items = None
    side = Side(
        vectors,
        _labels([f[label] for f in fields], "item"),
        collection.space.kind_of(modality),
        items,
        [str(f[words or collection.id_name]) for f in fields],
    )
    return ids, side


def _answers(collection: Collection, queries: np.ndarray, modality: str, ids: Sequence[Any]) -> np.ndarray | None:
    """Return (q, k) rows that searches answer with, best first; None where there is no index."""
    index = collection.info()["index"].get(modality)
    if not index or not index["segments"]:
        return None
    place = {id: i for i, id in enumerate(ids)}
    k = min(DEPTH, len(ids))
    found = np.full((len(queries), k), -1, np.int64)
    for row, hits in enumerate(collection.search_many(list(queries), k=k, against=modality, with_fields=False)):
        for i, hit in enumerate(hits):
            found[row, i] = place.get(hit.id, -1)
    return found


def _meet(space: Space, hubs: str | None) -> Any:
    """Return how queries and gallery are compared; None for their cosine."""
    if hubs is None:
        return None

    def meet(asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray) -> Any:
        return with_offsets(queries, gallery, CSLS().fit(space.bank(asks)).offsets(gallery))

    return meet
