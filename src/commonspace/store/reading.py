"""Reading whole columns, fragment by fragment, and only those fragments that an earlier version did not have.

A fragment's data never changes: a write adds fragments, or replaces the list of rows deleted from one. So what was
read for one version is taken over by the next, and a small append to a large collection costs a copy in memory and
not a reading of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from commonspace.store.lookup import Part

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
_BATCH = 8192
#: What decides how a fragment's column reads -> which of its rows have a value there.
Presence = dict[Any, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Fragment:
    """A run of rows of one version.

    Parameters
    ----------
    handle : LanceFragment
        To read it with.
    metadata : FragmentMetadata
        Its files.
    rows : int
        Rows that are not deleted.
    deleted : str or None
        Path of the list of deleted rows, below the table.
    files : tuple of (str, frozenset of int)
        Path of each data file, below the table, and the ids of the fields that it holds.
    """

    handle: Any
    metadata: Any
    rows: int
    deleted: str | None
    files: tuple[tuple[str, frozenset[int]], ...]

    def key(self, ids: set[int]) -> tuple[Any, ...]:
        """Return what decides how a column of it reads: the files that hold the column, and the deleted rows."""
        return (*(path for path, fields in self.files if not ids.isdisjoint(fields)), self.deleted)

    def file(self, ids: set[int]) -> str | None:
        """Return the file that holds a column; None if the fragment lacks it."""
        return next((path for path, fields in self.files if not ids.isdisjoint(fields)), None)


@dataclass(frozen=True)
class Stretch:
    """The rows of one file, as a version has them.

    Parameters
    ----------
    first : int
        The version's first row of them.
    places : (rows,) int64
        Where in the file those stand that are not deleted, ascending.
    size : int
        Rows of the file, deleted ones counted.
    """

    first: int
    places: Ints
    size: int


def fragments_of(data: Any) -> list[Fragment]:
    """Return the fragments of a version, in order."""
    found = []
    for handle in data.get_fragments():
        metadata = handle.metadata
        deletion = metadata.deletion_file
        deleted = None if deletion is None else deletion.path(metadata.id)
        files = tuple((f"data/{file.path}", frozenset(file.fields)) for file in metadata.files)
        rows = metadata.physical_rows - metadata.num_deletions
        found.append(Fragment(handle, metadata, rows, deleted, files))
    return found


@dataclass(frozen=True)
class Ids:
    """The id column. Parts are those of the fragments, part i ends at ``ends[i]``.

    Parameters
    ----------
    keys : list
        Of each fragment, see `Fragment.key`.
    ends : list of int
        Where each fragment's rows end.
    ids : (n,) string or integer array
        The ids.
    addresses : (n,) uint64 array
        Number of the fragment times 2**32, plus the place in it.
    parts : list of Part
        The ids of each fragment, to look them up.
    """

    keys: list[Any]
    ends: list[int]
    ids: pa.Array
    addresses: npt.NDArray[np.uint64]
    parts: list[Part]


@dataclass(frozen=True)
class Vectors:
    """A vector column. Parts are those of the fragments, part i ends at ``ends[i]``.

    Parameters
    ----------
    keys : list
        Of each fragment, see `Fragment.key`.
    ends : list of int
        Where each fragment's vectors end.
    places : (m,) int64 array
        Row that each vector belongs to, counted within its fragment; ascending, the same for all of a bag.
    values : (m, dim) float32 array
        The vectors; read-only.
    """

    keys: list[Any]
    ends: list[int]
    places: Ints
    values: Floats


def read_ids(
    data: Any,
    fragments: Sequence[Fragment],
    name: str,
    numbers: set[int],
    old: Ids | None,
    fresh: Mapping[str, pa.Array] | None = None,
) -> Ids:
    """Return the id column.

    Parameters
    ----------
    data : LanceDataset
        The version.
    fragments : sequence of Fragment
        Its fragments.
    name : str
        The column.
    numbers : set of int
        The ids that Lance gave it.
    old : Ids or None
        What was read for an earlier version.
    fresh : mapping of str to array, optional
        Data file -> the ids that this process has just written to it.
    """
    keys = [fragment.key(numbers) for fragment in fragments]
    known = {} if old is None else {key: i for i, key in enumerate(old.keys)}
    kind = data.schema.field(name).type
    parts: list[Part] = []
    addresses: list[npt.NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    for fragment, key in zip(fragments, keys, strict=True):
        if old is not None and key in known:
            i = known[key]
            parts.append(old.parts[i])
            addresses.append(old.addresses[([0, *old.ends])[i] : old.ends[i]])
            continue
        written = None if fresh is None or fragment.deleted else fresh.get(fragment.files[0][0])
        if written is not None:
            parts.append(Part(written))
            addresses.append(np.uint64(fragment.metadata.id << 32) + np.arange(len(written), dtype=np.uint64))
            continue
        table = data.scanner(
            columns=[name], fragments=[fragment.handle], with_row_address=True, scan_in_order=True
        ).to_table()
        if table.num_rows != fragment.rows:
            raise ValueError(f"{table.num_rows} rows instead of {fragment.rows}")
        parts.append(Part(pa.concat_arrays([pa.array([], kind), *table.column(name).chunks])))
        addresses.append(table.column("_rowaddr").to_numpy().astype(np.uint64))
    ends = np.cumsum([fragment.rows for fragment in fragments]).tolist()
    ids = pa.concat_arrays([pa.array([], kind), *(part.ids for part in parts)])
    return Ids(keys, ends, ids, np.concatenate(addresses), parts)


def read_vectors(
    data: Any, fragments: Sequence[Fragment], name: str, dim: int, numbers: set[int], old: Vectors | None
) -> Vectors:
    """Return a vector column of vectors or of bags of them; `numbers` are the ids that Lance gave it."""
    keys = [fragment.key(numbers) for fragment in fragments]
    if old is not None and old.keys == keys:
        return old
    found = _found(keys, old)
    kind = data.schema.field(name).type
    if pa.types.is_list(kind):  # of a bag's length only its reading tells
        new = {i: list(_cells(data, fragments[i], name, dim)) for i, (_, stop) in enumerate(found) if stop < 0}
        most = sum(stop - start for start, stop in found if stop >= 0)
        most += sum(len(part) for parts in new.values() for _, part in parts)
    else:
        new = {}
        most = sum(fragment.rows for fragment in fragments)  # what is not filled is never touched, and takes no memory
    values, places = np.empty((most, dim), np.float32), np.empty(most, np.int64)
    ends = []
    at = 0
    for i, (fragment, (start, stop)) in enumerate(zip(fragments, found, strict=True)):
        begin = at
        if old is not None and stop >= 0:
            at += stop - start
            values[begin:at], places[begin:at] = old.values[start:stop], old.places[start:stop]
        else:
            for place, part in new.pop(i, None) or _cells(data, fragment, name, dim):
                values[at : at + len(part)], places[at : at + len(part)] = part, place
                at += len(part)
        ends.append(at)
    values, places = values[:at], places[:at]
    for array in (values, places):
        array.flags.writeable = False
    return Vectors(keys, ends, places, values)


def read_presence(
    data: Any,
    fragments: Sequence[Fragment],
    name: str,
    numbers: set[int],
    known: Presence,
) -> Presence:
    """Return key of each fragment -> which of its rows have a value in a column.

    Parameters
    ----------
    data, fragments, name, numbers
        As `read_ids`.
    known : mapping
        What was read for an earlier version.
    """
    found: Presence = {}
    for fragment in fragments:
        key = (fragment.metadata.id, fragment.rows, *fragment.key(numbers))
        if key in known:
            found[key] = known[key]
            continue
        there = np.zeros(fragment.rows, bool)
        if fragment.file(numbers) is not None:
            start = 0
            scanner = data.scanner(columns=[name], fragments=[fragment.handle], batch_size=_BATCH, scan_in_order=True)
            for batch in scanner.to_batches():
                there[start : start + len(batch)] = batch.column(0).is_valid().to_numpy(zero_copy_only=False)
                start += len(batch)
            if start != fragment.rows:
                raise ValueError(f"{start} rows instead of {fragment.rows}")
        found[key] = there
    return found


def _cells(data: Any, fragment: Fragment, name: str, dim: int) -> Iterator[tuple[Ints, Floats]]:
    """Yield rows within the fragment and their vectors, batch by batch."""
    start = 0
    scanner = data.scanner(columns=[name], fragments=[fragment.handle], batch_size=_BATCH, scan_in_order=True)
    for batch in scanner.to_batches():
        cells = batch.column(0)
        place = start + np.flatnonzero(cells.is_valid().to_numpy(zero_copy_only=False))
        if pa.types.is_list(cells.type):
            present = cells.drop_null()
            place = np.repeat(place, np.diff(present.offsets.to_numpy()))
            cells = present.flatten()
        part = cells.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)  # leaves null cells out
        yield place.astype(np.int64), part
        start += len(batch)
    if start != fragment.rows:
        raise ValueError(f"{start} rows instead of {fragment.rows}")


def _found(keys: Sequence[Any], old: Vectors | None) -> list[tuple[int, int]]:
    """Return where each part stands in what was read before; (0, -1) for one that is not there."""
    if old is None:
        return [(0, -1)] * len(keys)
    places = {key: (start, stop) for key, start, stop in zip(old.keys, [0, *old.ends], old.ends, strict=False)}
    return [places.get(key, (0, -1)) for key in keys]
