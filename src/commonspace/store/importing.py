"""Making a collection from a file that `export` wrote; see `commonspace.store.portable`.

The file is compared with its seal before anything is made of it. Then rows go from row groups of the file to fragments
of the collection as they are: nothing is encoded, scaled or converted, and one commit makes them a version.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from commonspace.core.errors import BadInput, Corrupt, NotFound, SpaceMismatch
from commonspace.store import chunks, drafts, lances, migrating, schema
from commonspace.store import folder as folders
from commonspace.store.catalogue import Catalogue
from commonspace.store.items import Items
from commonspace.store.portable import KEY, MARK, SEAL_BYTES, TYPES, Description
from commonspace.store.records import VectorColumn

_CHUNK = 2**20
_MAGIC = b"PAR1"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Exported]:
    """Open an exported file while the block runs.

    Raises
    ------
    NotFound
        If there is no such file.
    BadInput
        If it is something else.
    Corrupt
        If it is not what was written.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except FileNotFoundError:
            raise NotFound(f"there is no file {path}") from None
        except OSError as e:
            raise BadInput(f"{path} cannot be read ({e.strerror or e})") from None
        yield Exported(path, file)


class Exported:
    """An exported file that was found to be whole; see `opened`.

    Parameters
    ----------
    path : Path
        Where it is, for messages.
    file : file
        Its bytes.

    Attributes
    ----------
    description : Description
        What it says about the collection in it.
    types : pyarrow.Schema
        Its columns and their exact types.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        if not self._is_sealed():
            self._refuse()
        try:
            # Without buffering ahead, which would hold all row groups in memory.
            self._parquet = pq.ParquetFile(file, pre_buffer=False)
            entries = self._parquet.metadata.metadata
            types = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(entries[TYPES], validate=True)))
            self.types: pa.Schema = types.remove_metadata()
            self.description = Description.from_json(entries[KEY], self.types)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as e:
            raise BadInput(f"{path} cannot be read as an exported collection: {e}") from None
        if self._parquet.metadata.num_rows != self.description.items:
            raise self._damaged(f"it has {self._parquet.metadata.num_rows} rows, not {self.description.items}")

    def choose(self, vectors: bool | Sequence[str], spaces: Mapping[str, int]) -> dict[str, VectorColumn]:
        """Return the vector columns to take over.

        Parameters
        ----------
        vectors : bool or sequence of str
            All, none, or some by the names of their columns in the file.
        spaces : mapping of str to int
            Id of each space that is given -> its dimension.

        Raises
        ------
        BadInput
            If there is no such column, or it does not fit its space.
        SpaceMismatch
            If a column comes from a space that is not given.
        """
        there = self.description.vectors
        wanted = (there if vectors else {}) if isinstance(vectors, bool) else dict.fromkeys(vectors)
        if unknown := [name for name in wanted if name not in there]:
            raise BadInput(
                f"{self.path} has no vector column {', '.join(map(repr, unknown))}; it has {', '.join(there) or 'none'}"
            )
        for name in wanted:
            column = there[name]
            if column.space not in spaces:
                raise SpaceMismatch(
                    f"the column {name!r} of {self.path} holds vectors of the space {column.space}, not of "
                    f"{' or '.join(spaces)}: give that space (more than one with others=[...]), or leave vectors of "
                    "other spaces out: vectors=False for none, vectors=[columns] for some" + self._carried(column.space)
                )
            if column.dim != spaces[column.space]:
                raise BadInput(
                    f"the column {name!r} of {self.path} has dimension {column.dim}, but the space {column.space} has "
                    f"{spaces[column.space]}: the file was not written by this project"
                )
        return {name: there[name] for name in wanted}

    def _carried(self, space: str) -> str:
        migration = self.description.migration
        if migration is None or space != migration["id"]:
            return ""
        return (
            ". They were carried over by a migration, which is given like a space: others=[old, collection.migration]"
        )

    def ids(self) -> pa.ChunkedArray:
        """Return the ids of all rows.

        Raises
        ------
        BadInput
            If one is missing, or occurs twice.
        """
        name = self.description.id_name
        parts = [part for table in self.tables([name]) for part in table.column(0).chunks]
        ids = pa.chunked_array(parts, self.types.field(name).type)
        if ids.null_count:
            raise BadInput(f"{self.path} has rows without {name}")
        if len(counted := pc.value_counts(ids).flatten()) and len(counted[0]) < len(ids):
            twice = counted[0].filter(pc.greater(counted[1], 1))
            raise BadInput(f"{self.path} has {name} {schema.shorten(twice.to_pylist())} more than once")
        return ids

    def tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of all rows in order, a part of the file at a time, with their exact types."""
        types = pa.schema([self.types.field(name) for name in names])
        for i in range(self._parquet.num_row_groups):
            try:
                table = self._parquet.read_row_group(i, columns=types.names).select(types.names).cast(types)
            except (pa.ArrowException, OSError, ValueError, KeyError) as e:
                raise self._damaged(str(e).splitlines()[0]) from None
            if len(table):
                yield table

    def _is_sealed(self) -> bool:
        """Return whether the file has a seal; raise `Corrupt` if it is not that of its bytes."""
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, size - 8))
        length, end = int.from_bytes(self._file.read(4), "little"), self._file.read(4)
        start = size - 8 - length - SEAL_BYTES
        if end != _MAGIC or start < len(_MAGIC):
            return False
        self._file.seek(start)
        seal = self._file.read(SEAL_BYTES)
        if not seal.startswith(MARK):
            return False
        digest = hashlib.sha256()
        for first, last in ((0, start), (start + SEAL_BYTES, size)):
            self._file.seek(first)
            while first < last and (piece := self._file.read(min(last - first, _CHUNK))):
                digest.update(piece)
                first += len(piece)
        if seal != MARK + digest.digest():
            raise self._damaged("it holds other bytes than were written")
        return True

    def _refuse(self) -> NoReturn:
        """Say what a file without a seal is."""
        self._file.seek(0)
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise BadInput(f"{self.path} is not a Parquet file")
        try:
            exported = KEY in (pq.read_metadata(self._file).metadata or {})
        except (pa.ArrowException, OSError, ValueError) as e:
            raise self._damaged(str(e).splitlines()[0]) from None
        if exported:
            raise self._damaged("its seal is gone")
        raise BadInput(
            f"{self.path} is a Parquet file, but not one that export wrote. Make a collection with Collection.create, "
            "then give the file to add, or to add_stream if it is larger than memory"
        )

    def _damaged(self, why: str) -> Corrupt:
        return Corrupt(
            f"{self.path} is damaged: {why}. Take another copy of the file. If another program has written it anew, it "
            "is a table like any other: make a collection with Collection.create, then give the file to add"
        )


def make_from(
    target: Path,
    source: Exported,
    spaces: Sequence[Any],
    *,
    vectors: bool | Sequence[str] = True,
    advance: Callable[[int], None] = lambda n: None,
) -> None:
    """Make the folder of a collection from an exported file, whole or not at all, in constant memory but for the ids.

    Parameters
    ----------
    target : Path
        The folder to make.
    source : Exported
        The file.
    spaces : sequence of Space
        The space of the collection, and any others that vectors in the file come from.
    vectors : bool or sequence of str
        Which vectors to take over, see `Exported.choose`.
    advance : callable
        Called with a number of rows after these have been written.

    Raises
    ------
    BadInput, SpaceMismatch
        If the target exists, ids are not unique, or vectors do not come from the spaces.
    Corrupt
        If the file is damaged.
    CommonspaceError
        If the disk is full or fails.
    """
    chosen = source.choose(vectors, {space.id: space.dim for space in spaces})
    source.ids()
    with drafts.folder(target) as part:
        folders.fill_folder(part, spaces[0], id_name=source.description.id_name)
        catalogue = Catalogue(part / folders.CATALOGUE)
        try:
            for space in spaces[1:]:
                folders.add_space(part, catalogue, space)
            if resumes(source.description, [space.id for space in spaces]):
                found = source.description.migration or {}
                with catalogue.writing() as ledger:
                    migrating.enter(ledger, found["id"], found["old"], found["new"], found["phase"])
            if source.description.version:
                _fill(Items(part, catalogue), source, chosen, advance)
        finally:
            catalogue.close()


def resumes(described: Description, spaces: Sequence[str]) -> bool:
    """Return whether the migration that a file tells of goes on with these spaces, the first of them in use."""
    found = described.migration
    if found is None or not {found["id"], found["old"], found["new"]} <= set(spaces):
        return False
    return spaces[0] == (found["new"] if found["phase"] == migrating.SERVING else found["old"])


def _fill(items: Items, source: Exported, chosen: Mapping[str, VectorColumn], advance: Callable[[int], None]) -> None:
    """Write all rows as fragments, and make them the first version."""
    names = [n for n in source.types.names if n in chosen or n not in source.description.vectors]
    for column in chosen.values():
        items.catalogue.add_column(column.modality, column.space, column.dim, column.kind)
    stored = [chosen[n].name if n in chosen else n for n in names]
    types = pa.schema([source.types.field(n).with_name(s) for n, s in zip(names, stored, strict=True)])
    with items.writing() as now:
        full = items.full_schema(now, types)
        fragments = []
        for table in chunks.cut(source.tables(names)):
            for name in chosen:
                _check_finite(table.column(name), name, source.path)
            fragments.append(lances.write_fragment(items.root, table.rename_columns(stored), full, None))
            advance(len(table))
        items.change(now, "import", table=types.empty_table(), fragments=fragments)


def _check_finite(column: pa.ChunkedArray, name: str, path: Path) -> None:
    for chunk in column.chunks:
        values = chunk
        while pa.types.is_nested(values.type):
            values = values.flatten()
        if values.null_count or not np.isfinite(values.to_numpy(zero_copy_only=False)).all():
            raise BadInput(f"the column {name!r} of {path} holds numbers that are missing, infinite or NaN")
