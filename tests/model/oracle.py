"""What a collection must be after each operation: a dictionary, and the rules of `Collection` in their plainest form.

Nothing here knows how anything is stored. A vector is kept as the cell it was made of; search compares with every one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import numpy as np
from tests.fake_space import DIM, text_vector
from tests.model import operations as ops

#: Asked after every operation: query and filter.
QUERIES = [(q, where) for q in ({"text": "small red bin"}, {"image": 3}) for where in (None, ["<", "id", 6])]
_TIE = 1e-6
#: Modality -> slope and shift of the scores of items that a migration has not encoded yet.
SCALES = {"text": (0.5, 0.1), "image": (0.8, -0.2)}


class Refused(Exception):
    """The collection must refuse the call (BadInput or NotFound) and stay as it was."""


@cache
def picture(number: int) -> np.ndarray:
    """Return the unit vector of a picture."""
    v = np.random.default_rng(number).standard_normal(DIM)
    return (v / np.linalg.norm(v)).astype(np.float32)


@cache
def vector_of(cell: Any) -> np.ndarray:
    """Return the vector of a cell: a text, or the number of a picture."""
    return text_vector(cell) if isinstance(cell, str) else picture(cell)


def filled(id: int) -> int | None:
    """Return the number of the picture that `Backfill` gives an item; None for some."""
    return None if id % 5 == 0 else 50 + id % 7


#: Modality and space of every vector column that there can be.
COLUMNS = tuple((m, space) for m in ops.MODALITIES for space in ops.SPACES)


@dataclass
class State:
    """One version of a collection.

    `items` : id -> fields; `cells` : (modality, space) -> id -> what its vector was made of; `fields` : name -> type as
    `info` spells it; `begun` : whether anything was ever written.
    """

    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    cells: dict[tuple[str, str], dict[int, Any]] = field(default_factory=lambda: {c: {} for c in COLUMNS})
    fields: dict[str, str] = field(default_factory=dict)
    begun: bool = False

    def copy(self) -> State:
        """Return a copy that does not change with this one."""
        items = {i: dict(item) for i, item in self.items.items()}
        return State(
            items, {column: dict(cells) for column, cells in self.cells.items()}, dict(self.fields), self.begun
        )

    def add_fields(self, names: Iterable[str]) -> None:
        """Add those of some fields that are not there; no item has them yet."""
        for name in names:
            if name not in self.fields:
                self.fields[name] = ops.FIELDS[name][1]
                for item in self.items.values():
                    item[name] = None

    def select(self, where: ops.Filter) -> list[int]:
        """Return the ids for which a filter is true."""
        if self.begun and (unknown := names(where) - {"id", *self.fields}):
            raise Refused(f"no field {unknown}")
        return [i for i, item in self.items.items() if truth(where, {"id": i, **item}) is True]

    def scores(
        self, space: str, query: dict[str, Any], against: str | None, where: ops.Filter | None, old: str | None = None
    ) -> dict[int, float]:
        """Return id -> score of all items that a search with a space can find, by what `old` has of them at worst."""
        q = np.sum([vector_of(cell).astype(float) for cell in query.values()], axis=0)
        q /= np.linalg.norm(q)
        allowed = self.items if where is None else self.select(where)
        found: dict[int, float] = {}
        for m in [against] if against else ops.MODALITIES:
            for i, cell in self.cells[m, space].items():
                if i in allowed:
                    found[i] = max(found.get(i, -2.0), float(q @ vector_of(cell).astype(float)))
            slope, shift = SCALES[m]
            for i, cell in self.cells[m, old].items() if old else ():
                if i in allowed and i not in self.cells[m, space]:
                    found[i] = max(found.get(i, -2.0), slope * float(q @ vector_of(cell).astype(float)) + shift)
        return found

    def counts(self, old: str, new: str) -> dict[str, tuple[int, int]]:
        """Return modality -> items that have it in either space of a migration, and in the new one."""
        found = {m: (len({*self.cells[m, old], *self.cells[m, new]}), len(self.cells[m, new])) for m in ops.MODALITIES}
        return {m: n for m, n in found.items() if n[0]}

    def lacking(self, space: str, has: str) -> dict[str, int]:
        """Return modality -> items that have a vector of one space and none of another, where there are any."""
        found = {m: len(set(self.cells[m, has]) - set(self.cells[m, space])) for m in ops.MODALITIES}
        return {m: n for m, n in found.items() if n}


@dataclass(frozen=True)
class Under:
    """A migration that is under way; `phase` as the collection spells it."""

    way: str
    old: str
    new: str
    phase: str


class Oracle:
    """The collection as a dictionary, with its tags and the keys of what was done."""

    def __init__(self) -> None:
        self.now = State()
        self.space = ops.SPACES[0]
        self.tags: dict[str, State] = {}
        self.keys: dict[str, Any] = {}  # key -> what was done under it, on which ids
        self.under: Under | None = None
        self.strange_streams: set[str] = set()  # keys of those that were cut off in another space than is used now
        self.begun_streams: dict[str, bool] = {}  # keys of streams that were cut off -> whether all columns are there

    def apply(self, operation: Any) -> Any:
        """Do an operation and return what the call must answer; `Refused` leaves everything as it is."""
        before = self.copy()
        try:
            return getattr(self, f"_{type(operation).__name__.lower()}")(operation)
        except Refused:
            self.__dict__ = before.__dict__
            raise

    def after(self, operation: Any) -> Oracle:
        """Return the oracle that has done one more operation; this one stays."""
        new = self.copy()
        with contextlib.suppress(Refused):
            new.apply(operation)
        return new

    def cut(self, operation: Any) -> list[Oracle]:
        """Return what may be there when an operation was cut off: all of it, or nothing."""
        before = self.copy()
        if isinstance(operation, ops.AddStream) and operation.key not in (None, *self.keys):
            before.begun_streams[operation.key] = True
        return [self.after(operation), before, *before.prepared(operation)]

    @property
    def serving(self) -> str | None:
        """The old space of a migration that searches go through."""
        return self.under.old if self.under is not None and self.under.phase == "serving" else None

    def prepared(self, operation: Any) -> list[Oracle]:
        """Return the one state in between that is allowed.

        The fields of a stream come with its first chunk, and a migration begins before it is gone through.
        """
        if isinstance(operation, ops.Apply) and self.under is None and self.space != operation.to:
            new = self.copy()
            new.under = Under(operation.way, self.space, operation.to, "preparing")
            return [new]
        if not isinstance(operation, ops.AddStream) or operation.key in self.keys:
            return []
        new = self.copy()
        new.now.begun = True
        new.now.add_fields(set(operation.batch) & set(ops.FIELDS))
        return [new]

    def filled_for(self, operation: ops.Backfill, ids: list[int]) -> Oracle:
        """Return the oracle for which a backfill got only so far that these ids have a vector."""
        new, done = self.copy(), self.after(operation)
        column = operation.modality, operation.space
        new.now.cells[column] = {i: cell for i, cell in done.now.cells[column].items() if i in ids}
        return new

    def may_refuse(self, operation: Any) -> bool:
        """Return whether it is for the store to say if an operation can be done.

        A stream that was cut off has perhaps written rows, perhaps with columns that were dropped since.
        """
        if isinstance(operation, ops.DropVectors):  # an empty column may be there or not
            return not self.now.cells[operation.modality, operation.space]
        return isinstance(operation, ops.AddStream) and self.begun_streams.get(operation.key) is False

    def same(self, other: Oracle) -> bool:
        """Return whether two hold the same now, and under the same tags."""
        mine, others = ((one.now, one.space, one.under, one.tags) for one in (self, other))
        return mine == others

    def copy(self) -> Oracle:
        """Return a copy that does not change with this one; what is tagged never changes."""
        new = Oracle()
        new.now, new.tags, new.keys = self.now.copy(), dict(self.tags), dict(self.keys)
        new.space, new.begun_streams = self.space, dict(self.begun_streams)
        new.under, new.strange_streams = self.under, set(self.strange_streams)
        return new

    # ------------------------------------------------------------ writing

    def _add(self, o: ops.Add) -> list[int]:
        if not set(o.batch) & set(ops.MODALITIES):
            raise Refused("no modality")
        return self._write(o, new_only=True)

    def _upsert(self, o: ops.Upsert) -> list[int]:
        return self._write(o, new_only=False)

    def _addstream(self, o: ops.AddStream) -> int | str:
        if o.key in self.keys:  # a stream is known by its key alone
            if self.keys[o.key] != ("AddStream",):
                raise Refused("the key of another call")
            return "repeated"
        if not set(o.batch) & set(ops.MODALITIES):
            raise Refused("no modality")
        n = len(self._write(o, new_only=True))
        if o.key is not None:
            self.keys[o.key] = ("AddStream",)
        return n

    def _write(self, o: ops.Write, *, new_only: bool) -> Any:
        now, batch, ids = self.now, o.batch, o.batch["id"]
        if len(set(ids)) < len(ids):
            raise Refused("an id twice")
        typed = isinstance(o, ops.AddStream)  # Arrow columns have a type even if all their values are missing
        known = {
            f: cells for f, cells in batch.items() if f in ops.FIELDS and (typed or f in now.fields or any_of(cells))
        }
        if now.begun and not o.new_fields and set(known) - set(now.fields):
            raise Refused("unknown field")
        if o.key is not None and o.key in self.keys:
            if self.keys[o.key] != (type(o).__name__, ids):
                raise Refused("the key of another call")
            return "repeated"
        if new_only and set(ids) & set(now.items):
            raise Refused("stored already")
        bad = {i for i, text in enumerate(batch.get("text", [])) if text == ops.UNREADABLE}
        if bad and o.on_error == "raise":
            raise Refused("cannot be encoded")
        kept = [i for i in range(len(ids)) if i not in bad]
        if kept or typed:
            now.begun = True
            now.add_fields(known)
            if o.key is not None:
                self.keys[o.key] = (type(o).__name__, ids)
        for row in kept:
            item = now.items.setdefault(ids[row], dict.fromkeys(now.fields))
            item.update({name: cells[row] for name, cells in known.items()})
            for m in set(batch) & set(ops.MODALITIES):
                for space in ops.SPACES:  # in the others the item is what it was no more
                    now.cells[m, space].pop(ids[row], None)
                if batch[m][row] is not None:
                    now.cells[m, self.space][ids[row]] = batch[m][row]
        return [ids[row] for row in kept]

    def _update(self, o: ops.Update) -> int:
        chosen = self.now.select(o.where)
        if not self.now.begun or set(o.values) - set(self.now.fields):
            raise Refused("unknown field")
        for i in chosen:
            self.now.items[i].update(o.values)
        return len(chosen)

    def _delete(self, o: ops.Delete) -> int:
        gone = set(o.ids) & set(self.now.items)
        for i in gone:
            del self.now.items[i]
            for cells in self.now.cells.values():
                cells.pop(i, None)
        return len(gone)

    def _deletewhere(self, o: ops.DeleteWhere) -> int:
        return self._delete(ops.Delete(self.now.select(o.where)))

    # ------------------------------------------------------------ reading

    def _count(self, o: ops.Count) -> int:
        return len(self.now.select(o.where))

    def _get(self, o: ops.Get) -> list[dict[str, Any]]:
        if o.missing == "raise" and set(o.ids) - set(self.now.items):
            raise Refused("not stored")
        return [{"id": i, **self.now.items[i]} for i in o.ids if i in self.now.items]

    def _search(self, o: ops.Search) -> Ranking:
        return Ranking(self.now.scores(self.space, o.query, o.against, o.where, self.serving), o.k)

    # ------------------------------------------------------------ vectors of several spaces

    def _backfill(self, o: ops.Backfill) -> int:
        cells = self.now.cells[o.modality, o.space]
        new = {i: filled(i) for i in self.now.items if i not in cells and filled(i) is not None}
        cells.update(new)
        return len(new)

    def _dropvectors(self, o: ops.DropVectors) -> None:
        if self.under is not None and o.space == self.under.old:
            raise Refused("a migration needs them")
        self.now.cells[o.modality, o.space].clear()

    def _usespace(self, o: ops.UseSpace) -> None:
        if self.under is not None:
            raise Refused("a migration is under way")
        self._go_to(o.space)

    def _go_to(self, space: str) -> None:
        if space != self.space:
            self.strange_streams |= set(self.begun_streams)
        self.space = space

    def _apply(self, o: ops.Apply) -> None:
        (old,) = set(ops.SPACES) - {o.to}
        if self.under is not None and (self.under.way, self.under.new) != (o.way, o.to):
            raise Refused("another migration is under way")
        if self.under is None and self.space != old:
            raise Refused("it goes from another space")
        self.under = Under(o.way, old, o.to, "serving")
        self._go_to(o.to)

    def _finish(self, o: ops.Finish) -> dict[str, int]:
        if self.under is None or self.under.phase != "serving":
            raise Refused("there is nothing to finish")
        left = self.now.lacking(self.under.new, has=self.under.old)
        if left and not o.leave:
            raise Refused(f"not encoded yet: {left}")
        return self._end(self.under.new, self.under.old if o.drop_old else None, left)

    def _rollback(self, o: ops.RollBack) -> dict[str, int]:
        if self.under is None:
            raise Refused("there is nothing to go back from")
        # Nothing is kept here of what items are, so that no old vectors can be made.
        left = self.now.lacking(self.under.old, has=self.under.new) if self.serving else {}
        if left and not o.leave:
            raise Refused(f"without an old vector: {left}")
        return self._end(self.under.old, self.under.new if o.drop_new else None, left)

    def _end(self, space: str, dropped: str | None, left: dict[str, int]) -> dict[str, int]:
        for m in ops.MODALITIES if dropped else ():
            self.now.cells[m, dropped].clear()
        self.under = None
        self._go_to(space)
        return left

    # ------------------------------------------------------------ fields, versions, files

    def _addfield(self, o: ops.AddField) -> None:
        if not self.now.begun or o.name in self.now.fields:
            raise Refused("empty, or there already")
        self.now.add_fields([o.name])

    def _dropfield(self, o: ops.DropField) -> None:
        if o.name not in self.now.fields:
            raise Refused("no such field")
        del self.now.fields[o.name]
        self.begun_streams = dict.fromkeys(self.begun_streams, False)
        for item in self.now.items.values():
            del item[o.name]

    def _tag(self, o: ops.Tag) -> None:
        if not self.now.begun:
            raise Refused("nothing to name")
        self.tags[o.name] = self.now.copy()

    def _untag(self, o: ops.Untag) -> None:
        if o.name not in self.tags:
            raise Refused("no such tag")
        del self.tags[o.name]

    def _restore(self, o: ops.Restore) -> None:
        if o.name not in self.tags:
            raise Refused("no such tag")
        self.now = self.tags[o.name].copy()
        self.begun_streams = dict.fromkeys(self.begun_streams, False)

    def _compact(self, o: ops.Compact) -> None: ...

    def _cleanup(self, o: ops.CleanUp) -> None: ...

    def _reopen(self, o: ops.Reopen) -> None: ...

    def _snapshot(self, o: ops.Snapshot) -> Tags:
        same = {name for name, state in self.tags.items() if state == self.now}
        if o.move:
            self.begun_streams, self.strange_streams = {}, set()
            self.tags = {name: state for name, state in self.tags.items() if name in same}
        return Tags(same)

    def _export(self, o: ops.Export) -> None:
        if o.move:
            self.tags, self.keys, self.begun_streams, self.strange_streams = {}, {}, {}, set()


@dataclass
class Tags:
    """The tags that may go along with a copy: those of states that are equal, though perhaps of other versions."""

    names: set[str]

    def __eq__(self, found: object) -> bool:
        """Compare with the tags of the copy."""
        return isinstance(found, list) and set(found) <= self.names


@dataclass
class Ranking:
    """Every right answer to a search: items of one score may stand in any order."""

    scores: dict[int, float]
    k: int

    def __eq__(self, hits: object) -> bool:
        """Compare with a list of [id, score], best first."""
        if not isinstance(hits, list):
            return NotImplemented
        best = sorted(self.scores.values(), reverse=True)[: self.k]
        return (
            len({i for i, _ in hits}) == len(hits) == len(best)
            and all(i in self.scores and abs(self.scores[i] - score) < _TIE for i, score in hits)
            and all(abs(a - score) < _TIE for a, (_, score) in zip(best, hits, strict=True))
        )


def disagreement(state: State, space: str, under: Under | None, seen: dict[str, Any]) -> str | None:
    """Return in words the first difference between a state and what `execution.observe` saw; None if there is none."""
    serving = under.old if under is not None and under.phase == "serving" else None
    migration = None if under is None else {**asdict(under), "counts": state.counts(under.old, under.new)}
    for what, have, want in (
        ("len", seen["len"], len(state.items)),
        ("space", seen["space"], space),
        ("begun", seen["begun"], state.begun),
        ("fields", seen["fields"], state.fields),
        ("migration", seen["migration"], migration),
    ):
        if have != want:
            return f"{what} is {have}, not {want}"
    if seen["items"] != state.items:
        return _first_difference("items", seen["items"], state.items)
    for (m, of), cells in state.cells.items():
        ids, matrix = seen["vectors"][m, of]
        if sorted(ids) != sorted(cells):
            return f"vectors of {m} in {of} belong to {sorted(ids)}, not to {sorted(cells)}"
        want = np.array([vector_of(cells[i]) for i in ids], np.float32).reshape(len(ids), DIM)
        if ids and (wrong := np.flatnonzero(np.abs(matrix - want).max(axis=1) > _TIE)).size:
            return f"the vector of {m} in {of} of item {ids[wrong[0]]} is not that of {cells[ids[wrong[0]]]!r}"
        every = {*cells, *(state.cells[m, serving] if serving else ())}
        if of == space and seen["modalities"].get(m, 0) != len(every):
            return f"info counts {seen['modalities'].get(m, 0)} {m}, not {len(every)}"
    for query, where, hits in seen["searches"]:
        if (best := Ranking(state.scores(space, query, None, where, serving), 4)) != hits:
            return f"search {query} where {where} found {hits}, not {best}"
    return None


def any_of(cells: list[Any]) -> bool:
    """Return whether any cell has a value."""
    return any(c is not None for c in cells)


def names(where: ops.Filter) -> set[str]:
    """Return the fields that a filter uses."""
    kind, *rest = where
    return set().union(*map(names, rest)) if kind in ("and", "or", "not") else {rest[0]}


def truth(where: ops.Filter, item: dict[str, Any]) -> bool | None:
    """Return the value of a filter as SQL has it: None is unknown."""
    kind, *rest = where
    if kind in ("and", "or"):
        parts = [truth(part, item) for part in rest]
        decisive = kind == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    if kind == "not":
        inner = truth(rest[0], item)
        return None if inner is None else not inner
    value = item.get(rest[0])
    if kind == "null":
        return value is None
    if value is None:
        return None
    if kind == "in":
        return value in rest[1]
    return {"=": value == rest[1], "<": value < rest[1], ">": value > rest[1], "<>": value != rest[1]}[kind]


def _first_difference(what: str, seen: dict[int, Any], want: dict[int, Any]) -> str:
    for i in sorted(set(seen) | set(want)):
        if seen.get(i) != want.get(i):
            return f"{what}: {i} is {seen.get(i)}, not {want.get(i)}"
    return f"{what} differ"
