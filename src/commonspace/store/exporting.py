"""Writing a version of a collection as one Parquet file, some rows at a time; see `commonspace.store.portable`."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from commonspace.core.errors import BadInput
from commonspace.store import drafts, files
from commonspace.store.copying import Copied, needed
from commonspace.store.lances import ITEM, VECTOR
from commonspace.store.migrating import state_of
from commonspace.store.portable import KEY, MARK, Description, vector_names, vector_type
from commonspace.store.records import VectorColumn
from commonspace.store.snapshot import Snapshot
from commonspace.store.versions import ITEMS, Versions

#: About so many bytes in memory, and at most so many rows, make a row group.
_BYTES, _ROWS = 32 * 2**20, 2**16
#: Rows from which the size of the others is judged.
_SAMPLE = 64


def export(
    items: Versions,
    stored: Snapshot,
    target: Path,
    *,
    columns: Sequence[str] | None = None,
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda n: None,
) -> Copied:
    """Write one version as a Parquet file, whole or not at all, in constant memory.

    Parameters
    ----------
    items : Versions
        The item table of the collection.
    stored : Snapshot
        The version.
    target : Path
        The file; its name ends in ``.parquet``.
    columns : sequence of str, optional
        Columns besides the id, as the file names them; all by default.
    overwrite : bool
        Replace a file that is there.
    advance : callable
        Called with a number of rows after these have been written.

    Raises
    ------
    BadInput
        If the name has another ending, the file exists, a column is unknown, or of a type that Parquet lacks.
    Corrupt
        If a file of the collection is not what was written.
    CommonspaceError
        If the disk is full or fails.
    """
    if target.suffix.lower() != ".parquet":
        raise BadInput(
            f"cannot export to {target.name!r}: the name must end in .parquet. Only Parquet keeps types, lists and "
            "vectors exactly; read the file with any Parquet reader to write .csv or .jsonl from it"
        )
    vectors, sources = _choose(items, stored, columns)
    types = _types(stored, sources, vectors)
    read = list(sources.values())
    wanted = _check_files(items, stored, read)
    state = state_of(items.catalogue)
    underway = state.underway
    migration = None
    if underway is not None:
        migration = {"id": underway.id, "old": underway.old, "new": underway.new, "phase": underway.phase}
    description = Description(stored.id_name, state.space, stored.version, len(stored), vectors, migration)
    described = types.with_metadata({KEY: description.to_json().encode()})
    options = _options(described)
    with drafts.file(target, overwrite=overwrite) as part, open(part, "wb") as f:
        sink = _Sink(f)
        writer = pq.ParquetWriter(sink, described, **options)
        try:
            for start, stop in _runs(stored, read, wanted):
                table = stored.take(np.arange(start, stop), read)
                writer.write_table(pa.table(table.columns, schema=described), row_group_size=stop - start)
                advance(stop - start)
            with sink.sealing():
                writer.close()
        except BaseException:
            sink.ignored = True  # else the writer would finish the file when it is forgotten
            with contextlib.suppress(Exception):
                writer.close()
            raise
    return Copied(target, stored.version, len(stored), target.stat().st_size)


class _Sink:
    """A file that seals what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.closed = False
        self.ignored = False
        self._file = file
        self._size = 0
        self._digest = hashlib.sha256()
        self._held: list[bytes] | None = None

    def write(self, data: Any) -> int:
        """Write bytes."""
        size = memoryview(data).nbytes
        self._size += size
        if self._held is not None:
            self._held.append(bytes(data))
        elif not self.ignored:
            self._file.write(data)
            self._digest.update(data)
        return size

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size

    def flush(self) -> None:
        """Leave that to the file."""

    def close(self) -> None:
        """Take no more; the file is closed by who opened it."""
        self.closed = True

    @contextlib.contextmanager
    def sealing(self) -> Iterator[None]:
        """Put the seal before what is written while the block runs: the footer."""
        self._held = []
        yield
        footer, self._held = b"".join(self._held), None
        self._digest.update(footer)
        self._file.write(MARK + self._digest.digest() + footer)


def _choose(
    items: Versions, stored: Snapshot, columns: Sequence[str] | None
) -> tuple[dict[str, VectorColumn], dict[str, str]]:
    """Return the vector columns to write, and column of the file -> column of the table for all of them."""
    space = str(items.catalogue.get("space"))
    known = {c.name: c for c in items.catalogue.columns()}
    vectors = vector_names([known[name] for name in stored.schema.names if name in known], space)
    kept = [name for name in stored.schema.names if name.startswith(ITEM)]
    sources = {name: name for name in [stored.id_name, *stored.fields, *kept]}
    sources.update({name: column.name for name, column in vectors.items()})
    if columns is None:
        return vectors, sources
    if isinstance(columns, str) or (unknown := [name for name in columns if name not in sources]):
        wrong = [columns] if isinstance(columns, str) else unknown
        raise BadInput(
            f"there is no column {', '.join(map(repr, wrong))} to export; columns is a list of some of "
            f"{', '.join(n for n in sources if n != stored.id_name) or 'none'}"
        )
    chosen = {stored.id_name, *columns}
    return {n: c for n, c in vectors.items() if n in chosen}, {n: c for n, c in sources.items() if n in chosen}


def _types(stored: Snapshot, sources: Mapping[str, str], vectors: Mapping[str, VectorColumn]) -> pa.Schema:
    """Return the schema of the file."""
    if stored.version == 0:
        return pa.schema([pa.field(stored.id_name, pa.string(), False)])
    fields = []
    for name, column in sources.items():
        field = stored.schema.field(column)
        kind = vector_type(vectors[name]) if column.startswith(VECTOR) else field.type
        fields.append(pa.field(name, kind, field.nullable))
    return pa.schema(fields)


def _check_files(items: Versions, stored: Snapshot, columns: Sequence[str]) -> dict[str, int]:
    """Compare every file that is about to be read with its digest; return path below the table -> size.

    A reader of long standing has checked them long ago. What leaves the house is checked anew.
    """
    prefix = f"{ITEMS}/"
    read = {prefix + name for name in stored.files(columns)}
    wanted = {name: what for name, what in needed(items, stored).items() if name in read}
    for name, wrong in files.check_all(items.folder, wanted).items():
        raise items.corrupt(f"{items.folder / name} {wrong}; nothing was exported")
    return {name.removeprefix(prefix): what.size for name, what in wanted.items()}


def _runs(stored: Snapshot, columns: Sequence[str], sizes: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield first and last + 1 of rows that together take about `_BYTES` in memory."""
    bytes_a_row = [
        sum(sizes.get(path, 0) for path, _ in f.files) / max(f.metadata.physical_rows, 1) for f in stored.fragments
    ]
    packed = _packed(stored, columns, bytes_a_row)
    start = end = 0
    room = float(_BYTES)
    for fragment, each in zip(stored.fragments, bytes_a_row, strict=True):
        each = max(each * packed, 1.0)
        left = fragment.rows
        while left:
            fits = min(left, _ROWS - (end - start), int(room / each))
            if fits < 1 and end > start:
                yield start, end
                start, room = end, float(_BYTES)
                continue
            taken = max(fits, 1)
            end, left, room = end + taken, left - taken, room - taken * each
    if end > start:
        yield start, end


def _packed(stored: Snapshot, columns: Sequence[str], bytes_a_row: Sequence[float]) -> float:
    """Return how much larger rows are in memory than on disk, judged by some of them."""
    if len(stored) == 0:
        return 1.0
    some = np.unique(np.linspace(0, len(stored) - 1, _SAMPLE).astype(np.int64))
    ends = np.cumsum([fragment.rows for fragment in stored.fragments])
    on_disk = float(np.asarray(bytes_a_row)[np.searchsorted(ends, some, side="right")].sum())
    return max(1.0, float(stored.take(some, columns).nbytes) / max(on_disk, 1.0))


def _options(types: pa.Schema) -> dict[str, Any]:
    """Return how columns are written: vectors as they are, because nothing makes them smaller, the rest compressed."""
    empty = pa.BufferOutputStream()
    try:
        pq.write_table(types.empty_table(), empty)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as e:
        raise BadInput(f"a field has a type that Parquet lacks: {e}. Choose the others with columns=[...]") from None
    leaves = pq.ParquetFile(pa.BufferReader(empty.getvalue())).schema
    paths = [leaves.column(i).path for i in range(len(leaves))]
    plain = [path for path in paths if not path.startswith(VECTOR)]
    return {
        "compression": {path: "zstd" if path in plain else "none" for path in paths},
        "use_dictionary": plain,
        "write_statistics": plain,
    }
