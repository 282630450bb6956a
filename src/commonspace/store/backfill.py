"""Vectors for items that have none yet: of another space, or after damage; fragment by fragment.

Each fragment gets one new file for the column and nothing else is rewritten. A fragment that is done is committed, so
that after a kill the next call goes on with the fragments that are left.

Items that matter most can come first, in a pass of their own: their fragments get a file in which the others are
empty, and another one when these have their turn. So what is written, for n items of d numbers, is

    4 d n  bytes in one pass,       4 d (n + rows of the fragments that hold the first items)  in two,

whatever the share of items that come first, because a file has room for every row of its fragment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from commonspace.core import progress as bars
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import Table
from commonspace.store import incoming, payload
from commonspace.store.batch import vector_column
from commonspace.store.items import Items
from commonspace.store.migrating import Over
from commonspace.store.reading import Fragment
from commonspace.store.records import VectorColumn
from commonspace.store.snapshot import Snapshot

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
#: Ids -> their vectors, None for an item that has none.
Source = Callable[[list[Any]], Any]
#: Version -> the rows whose turn it is, None for all.
Turn = Callable[[Snapshot], Ints | None]
_ROWS = 4096
_TAKEN = 512  # rows taken out of a fragment at once, where few are wanted


@dataclass(frozen=True)
class Backfilled:
    """What `backfill` did.

    Parameters
    ----------
    n : int
        Vectors that were made.
    skipped : dict of id to str
        Items that could not be encoded, left without a vector by ``on_error="skip"`` -> the reason.
    left : dict of str to int
        Modality -> items that are still found through the bridge only, while a migration is under way.
    bytes : int
        Bytes of the files that were written.
    stopped : bool
        Whether it was asked to stop; what was made until then is stored.
    """

    n: int
    skipped: dict[Any, str] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    stopped: bool = False


class Makes(Protocol):
    """Makes vectors of stored rows."""

    #: Columns that it reads.
    reads: Sequence[str]
    #: Rows that it is given at once.
    batch: int

    def __call__(self, rows: pa.RecordBatch) -> tuple[Ints, Floats]:
        """Return which rows got a vector, and the vectors."""


class Encoding:
    """Encodes what is stored of the items, or asks a function for their vectors.

    Parameters
    ----------
    now : Snapshot
        To look where the items are.
    space : Encodes
        Makes the vectors.
    modality : str
        The modality.
    column, vectors, on_error
        See `backfill`.
    """

    def __init__(
        self,
        now: Snapshot,
        space: incoming.Encodes,
        modality: str,
        *,
        column: str | None = None,
        vectors: Source | None = None,
        on_error: str = "raise",
        batch: int = _ROWS,
    ) -> None:
        self.space, self.modality, self.vectors, self.on_error = space, modality, vectors, on_error
        self.id_name = now.id_name
        self.source = None if vectors is not None else _source(now, modality, column)
        self.reads: Sequence[str] = [self.id_name, *([] if self.source is None else [self.source])]
        self.batch = batch
        self.skipped: dict[Any, str] = {}
        self.failed: set[Any] = set()  # ids of which it was asked for a vector and made none

    def __call__(self, rows: pa.RecordBatch) -> tuple[Ints, Floats]:
        """Return which rows got a vector, and the vectors."""
        ids = rows.column(self.id_name).to_pylist()
        if self.vectors is not None:
            given = incoming.given(self.vectors(ids), self.modality, len(ids), self.space.dim)
            if isinstance(given, incoming.BagRows):
                raise BadInput("backfill makes one vector an item, not bags of them")
            return self._noted(ids, given)
        table = Table({"item": rows.column(self.source).to_pylist()})
        found, bad = incoming.encoded(table, "item", self.modality, self.space, self.on_error)
        self.skipped.update({ids[row]: why for row, why in bad.items()})
        return self._noted(ids, found)

    def _noted(self, ids: list[Any], made: tuple[Ints, Floats]) -> tuple[Ints, Floats]:
        if len(made[0]) < len(ids):
            self.failed |= set(ids) - {ids[row] for row in made[0]}
        return made

    def possible(self, now: Snapshot) -> npt.NDArray[np.bool_]:
        """Return of which items of a version a vector can be made, as far as is known: those that failed cannot."""
        found = np.ones(len(now), bool) if self.source is None else now.present(self.source)
        if self.failed:
            rows = now.positions(now.as_ids(list(self.failed)))
            found = found.copy()
            found[rows[rows >= 0]] = False
        return found


class Converting:
    """Makes vectors of the vectors of another column.

    Parameters
    ----------
    column : str
        The other column.
    dim : int
        Dimension of its vectors.
    convert : callable
        (m, dim) rows -> what becomes of them.
    """

    def __init__(self, column: str, dim: int, convert: Callable[[Floats], Floats]) -> None:
        self.reads: Sequence[str] = [column]
        self.batch = _ROWS
        self.dim, self.convert = dim, convert

    def __call__(self, rows: pa.RecordBatch) -> tuple[Ints, Floats]:
        """Return which rows got a vector, and the vectors."""
        cells = rows.column(0)
        flat = cells.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, self.dim)
        return np.flatnonzero(cells.is_valid().to_numpy(zero_copy_only=False)), self.convert(flat)


def backfill(
    items: Items,
    column: VectorColumn,
    make: Makes,
    *,
    passes: Iterable[Turn] = (lambda now: None,),
    check: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
    progress: bool = True,
    advance: Callable[[int], None] = lambda n: None,
) -> Backfilled:
    """Give items that lack a vector of a column one, if there is something to make it from.

    Parameters
    ----------
    items : Items
        The table.
    column : VectorColumn
        The column; it is made if the table lacks it.
    make : callable
        Makes the vectors.
    passes : iterable of callable
        One after the other, each drawn after the one before: version -> the rows whose turn it is, or None for all.
    check : callable
        Called before each batch and inside each transaction; raises `Over` once the vectors are wanted no more.
    stopped : callable
        Asked between batches; True ends the work.
    progress : bool
        Show a bar.
    advance : callable
        Called with a number of rows that were looked at.
    """
    if items.snapshot().version == 0:
        return Backfilled(0)
    items.extend([pa.field(column.name, pa.list_(pa.float32(), column.dim))], check=check)
    filler = _Filler(items, column, make, check, stopped)
    with bars.task(f"Filling in {column.modality}", len(items.snapshot())) if progress else bars.silent() as bar:

        def seen(rows: int) -> None:
            bar.advance(rows)
            advance(rows)

        for turn in passes:
            done: set[Any] = set()
            # Others may add and merge fragments meanwhile: go on until there is none that was not looked at.
            while not filler.ended:
                now = items.snapshot()
                todo = [i for i, fragment in enumerate(now.fragments) if _key(fragment) not in done]
                if not todo:
                    break
                rows = turn(now)
                for i in _fullest_first(now, todo, rows):
                    fragment, stands = now.fragments[i], filler.fill(now, i, rows, seen)
                    if filler.ended:
                        break
                    done.add(_key(fragment))
                    if stands:  # otherwise somebody has changed it meanwhile, and it has its turn again
                        done |= {_key(f) for f in items.snapshot().fragments if _same_rows(f, fragment)}
    return Backfilled(filler.n, getattr(make, "skipped", {}), bytes=filler.bytes, stopped=filler.ended)


class _Filler:
    """Fills one column, and counts."""

    def __init__(
        self,
        items: Items,
        column: VectorColumn,
        make: Makes,
        check: Callable[[], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.items, self.column, self.make, self.check, self.stopped = items, column, make, check, stopped
        self.n = self.bytes = 0
        self.ended = False

    def fill(self, now: Snapshot, number: int, rows: Ints | None, seen: Callable[[int], None]) -> bool:
        """Make the vectors that a fragment lacks, of some rows or of all; return whether they are stored."""
        fragment, (first, last) = now.fragments[number], now.stretch(number)
        offsets = (now.addresses[first:last] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        have = now.present(self.column.name)[first:last]
        lacking = ~have
        if rows is not None:
            turn = np.zeros(last - first, bool)
            turn[rows[(rows >= first) & (rows < last)] - first] = True
            lacking &= turn
        made: list[tuple[Ints, Floats]] = []
        seen(int(np.count_nonzero(~lacking)) if rows is None else 0)
        stands = True
        try:
            for places, batch in self._batches(now, fragment, first, np.flatnonzero(lacking)):
                self.check()
                got, vectors = self.make(batch)
                made.append((places[got], vectors))
                seen(len(places))
                self.ended = self.stopped()
                if self.ended:
                    break
        except Over:
            made.clear()
            raise
        finally:  # Ctrl-C, or an item that cannot be read: what is made is kept
            if any(len(places) for places, _ in made):
                stands = self._store(now, fragment, offsets, have, made)
        return stands

    def _store(
        self, now: Snapshot, fragment: Fragment, offsets: Ints, have: npt.NDArray[np.bool_], made: list[Any]
    ) -> bool:
        """Commit what was made for a fragment beside what it has; return whether that stands."""
        values = np.zeros((fragment.metadata.physical_rows, self.column.dim), np.float32)
        there = np.zeros(len(values), bool)
        if have.any():
            made.append((np.flatnonzero(have), self._stored(now, fragment)))
        for places, vectors in made:
            values[offsets[places]], there[offsets[places]] = vectors, True
        cells = vector_column((np.flatnonzero(there), values[there]), len(values))
        written = self.items.set_vectors(fragment, self.column, cells, check=self.check)
        if written:
            self.n += int(np.count_nonzero(there)) - int(np.count_nonzero(have))
            self.bytes += written
        return bool(written)

    def _batches(
        self, now: Snapshot, fragment: Fragment, first: int, lacking: Ints
    ) -> Iterator[tuple[Ints, pa.RecordBatch]]:
        """Yield lacking rows with their places among the rows of the fragment."""
        if len(lacking) == 0:
            return
        columns, size = list(self.make.reads), self.make.batch
        if 2 * len(lacking) < fragment.rows:
            for start in range(0, len(lacking), _TAKEN):
                places = lacking[start : start + _TAKEN]
                table = now.take(first + places, columns).combine_chunks()
                yield places, table.to_batches()[0]
            return
        now.check(columns)
        scanner = now.data.scanner(columns=columns, fragments=[fragment.handle], batch_size=size, scan_in_order=True)
        wanted = np.zeros(fragment.rows, bool)
        wanted[lacking] = True
        start = 0
        for batch in scanner.to_batches():
            mine = wanted[start : start + len(batch)]
            if mine.any():
                yield start + np.flatnonzero(mine), batch.filter(pa.array(mine))
            start += len(batch)

    def _stored(self, now: Snapshot, fragment: Fragment) -> Floats:
        """Return the vectors that a fragment has."""
        now.check([self.column.name])
        table = now.data.scanner(columns=[self.column.name], fragments=[fragment.handle], scan_in_order=True).to_table()
        flat = table.column(0).combine_chunks().drop_null().flatten().to_numpy(zero_copy_only=False)
        stored: Floats = flat.reshape(-1, self.column.dim)
        return stored


def _source(now: Snapshot, modality: str, column: str | None) -> str:
    """Return the column that the items are read from."""
    name = column if column is not None else payload.readable(now.schema.names, modality)
    if name is None or name not in now.schema.names:
        what = f"neither kept items nor a field of the name {modality!r}" if column is None else f"no field {column!r}"
        raise NotFound(
            f"there is {what} to encode {modality} from; the fields are {', '.join(now.fields) or 'none'}. Name one "
            "with column=..., give vectors=..., or store the items with add(..., keep=...)"
        )
    return name


def _fullest_first(now: Snapshot, todo: Sequence[int], rows: Ints | None) -> list[int]:
    """Return the fragments in which rows have their turn, that with the most of them first."""
    if rows is None:
        return list(todo)
    held = {i: int(np.count_nonzero((rows >= now.stretch(i)[0]) & (rows < now.stretch(i)[1]))) for i in todo}
    return sorted(todo, key=lambda i: -held[i])


def _key(fragment: Fragment) -> Any:
    return fragment.metadata.id, fragment.files


def _same_rows(one: Fragment, other: Fragment) -> bool:
    """Return whether two are the same rows, perhaps with other columns."""
    return bool(one.metadata.id == other.metadata.id and set(one.files) & set(other.files))
