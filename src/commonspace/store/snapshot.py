"""`Snapshot`: the items as they are in one version, with the vectors held in memory once they were asked for."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from commonspace.core.errors import BadInput, Corrupt, NotFound
from commonspace.store import lookup, reading, schema
from commonspace.store import where as filters
from commonspace.store.checks import Checks
from commonspace.store.lances import LANCE_ERRORS, OWN_FILE, VECTOR, brief, columns_of
from commonspace.store.leases import Lease

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Snapshot:
    """One version of the item table. Rows are named by their position in it, 0 to n - 1.

    Parameters
    ----------
    data : LanceDataset or None
        The opened version; None before anything was written.
    id_name : str
        Name of the id column.
    checks : Checks, optional
        Compares files with their digests before they are read.
    lease : Lease, optional
        Keeps the version's files from being cleaned up as long as this object lives.
    before : Snapshot, optional
        An earlier version; what it has read is not read again.
    fresh : mapping of str to array, optional
        Data file -> the ids that this process has just written to it.
    """

    def __init__(
        self,
        data: Any,
        id_name: str,
        checks: Checks | None = None,
        lease: Lease | None = None,
        before: Snapshot | None = None,
        fresh: Mapping[str, pa.Array] | None = None,
    ) -> None:
        self.data = data
        self.id_name = id_name
        self._checks = checks
        self._lease = lease
        self._fresh = fresh
        self._checked: set[str] = set()
        self.version: int = 0 if data is None else int(data.version)
        self.schema: pa.Schema = pa.schema([]) if data is None else data.schema
        self._rows = 0 if data is None else int(data.count_rows())
        self._ids: reading.Ids | None = None
        self._vectors: dict[str, reading.Vectors] = {}
        self._matrices: dict[str, tuple[list[int], Ints, Floats]] = {}
        self._old_ids: reading.Ids | None = None
        self._old_vectors: dict[str, reading.Vectors] = {}
        self._present: dict[str, reading.Presence] = {}
        self._there: dict[str, npt.NDArray[np.bool_]] = {}
        self._old_present: dict[str, reading.Presence] = {}
        if before is not None:
            self._old_ids = before._ids or before._old_ids
            self._old_vectors = before._old_vectors | before._vectors
            self._old_present = before._old_present | before._present
        self._loading = threading.RLock()

    def release(self) -> None:
        """Give the version free for clean-up."""
        if self._lease is not None:
            self._lease.close()

    def __len__(self) -> int:
        return self._rows

    @property
    def fields(self) -> dict[str, pa.DataType]:
        """Name -> type of the fields, the id and the store's own columns left out."""
        return {f.name: f.type for f in self.schema if f.name != self.id_name and not f.name.startswith("_")}

    @property
    def filterable(self) -> list[str]:
        """Names that a filter may use."""
        return [self.id_name, *self.fields] if self.data is not None else []

    @property
    def id_type(self) -> pa.DataType | None:
        """Type of the ids; None before anything was written."""
        return None if self.data is None else self.schema.field(self.id_name).type

    @property
    def ids(self) -> pa.Array:
        """The ids of all rows, in order."""
        return self._load_ids().ids

    @property
    def addresses(self) -> npt.NDArray[np.uint64]:
        """Where each row stands: the number of its fragment times 2**32, plus its place there."""
        return self._load_ids().addresses

    def as_ids(self, ids: Any) -> pa.Array:
        """Return one id or several as an array; `BadInput` for ids that are not of the collection's type."""
        values = [ids] if isinstance(ids, str | int | np.integer) else list(ids)
        return schema.id_array(values, kind=self.id_type, name=self.id_name)

    def positions(self, ids: pa.Array | pa.ChunkedArray) -> Ints:
        """Return the row of each id; -1 for ids that are not stored."""
        wanted = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        known = self._load_ids()
        return lookup.rows(wanted, known.ids, known.parts, known.ends)

    def where(self, expression: str) -> Ints:
        """Return the rows that a filter selects, ascending.

        Raises
        ------
        BadInput
            If the expression cannot be evaluated; see `commonspace.store.where`.
        """
        prepared = filters.prepare(expression, self.filterable)
        if self.data is None:
            return np.empty(0, np.int64)
        self.check(self.filterable)
        try:
            table = self.data.scanner(columns=[], filter=prepared, with_row_address=True).to_table()
        except LANCE_ERRORS as e:
            why = filters.explain(e)
            if why is None:
                raise self._damaged(e) from None
            raise filters.refuse(expression, why, self.filterable) from None
        addresses = self.addresses
        order = np.argsort(addresses, kind="stable")  # nearly free: they ascend but for rewritten fragments
        found = table.column("_rowaddr").to_numpy().astype(np.uint64)
        return np.sort(order[np.searchsorted(addresses, found, sorter=order)])

    def take(self, positions: Ints, columns: Sequence[str]) -> pa.Table:
        """Return rows in the order asked."""
        if self.data is None or len(positions) == 0:
            return pa.schema([self.schema.field(n) for n in columns]).empty_table()
        with self._reading(columns):
            table = self.data.take([int(p) for p in positions], columns=list(columns))
        if table.num_rows != len(positions):
            raise self._damaged(ValueError(f"{table.num_rows} rows instead of {len(positions)}"))
        return table

    def rows(self, positions: Ints, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return rows as dicts of id and fields, in the order asked."""
        if len(positions) == 0:
            return []
        found: list[dict[str, Any]] = self.take(positions, [self.id_name, *fields]).to_pylist()
        return found

    def choose_fields(self, wanted: bool | Sequence[str]) -> list[str]:
        """Return all fields, none, or those named; `BadInput` for a name that is none."""
        if isinstance(wanted, bool):
            return list(self.fields) if wanted else []
        if unknown := [f for f in wanted if f not in self.fields]:
            raise BadInput(
                f"there is no field {', '.join(map(repr, unknown))}; there are {', '.join(self.fields) or 'none'}"
            )
        return list(wanted)

    def matrix(self, column: str, dim: int, *, without: Collection[str] = ()) -> tuple[Ints, Floats]:
        """Return the vectors of a column: (m,) their rows, ascending, and (m, dim) float32.

        The first call reads them into one array, as far as an earlier version did not; later calls return the same
        array. A bag of vectors has several in one row.

        Parameters
        ----------
        column : str
            Name in the item table.
        dim : int
            Dimension of the vectors.
        without : collection of str
            Files whose vectors are left out, as `files_of` names them.
        """
        if column not in self.schema.names:
            return np.empty(0, np.int64), np.empty((0, dim), np.float32)
        numbers = self._numbers[column]
        chosen = [i for i, f in enumerate(self.fragments) if f.file(numbers) not in without]
        with self._loading:
            known = self._matrices.get(column)
            if known is None or known[0] != chosen:
                vectors = self._vectors.get(column) or self._old_vectors.pop(column, None)
                with self._reading([column]):
                    vectors = reading.read_vectors(
                        self.data, [self.fragments[i] for i in chosen], column, dim, numbers, vectors
                    )
                self._vectors[column] = vectors
                counts = np.diff([0, *vectors.ends])
                rows = vectors.places + np.repeat(self._firsts[chosen], counts)
                rows.flags.writeable = False
                known = self._matrices[column] = (chosen, rows, vectors.values)
        return known[1], known[2]

    def sample(self, column: str, dim: int, n: int, *, random_state: int = 0) -> Floats:
        """Return at most n vectors of a column, of items drawn at random; the vectors of other items are not read.

        Parameters
        ----------
        column, dim
            As in `matrix`.
        n : int
            Most vectors; all there are if fewer.
        random_state : int
            Seed.
        """
        if column not in self.schema.names:
            return np.empty((0, dim), np.float32)
        numbers = self._numbers[column]
        held = [f.file(numbers) is not None for f in self.fragments]
        rows = np.flatnonzero(np.repeat(held, [f.rows for f in self.fragments]))
        drawn = np.random.default_rng(random_state).permutation(rows)
        parts = [np.empty((0, dim), np.float32)]
        for start in range(0, len(drawn), n):  # several times if many items have no such vector
            cells = self.take(drawn[start : start + n], [column]).column(0).combine_chunks().drop_null()
            values = cells.flatten().flatten() if pa.types.is_list(cells.type) else cells.flatten()
            parts.append(values.to_numpy(zero_copy_only=False).reshape(-1, dim))
            if sum(map(len, parts)) >= n:
                break
        return np.concatenate(parts)[:n]

    def files_of(self, column: str) -> dict[str, reading.Stretch]:
        """Return file -> its rows, of the files that hold a column."""
        if column not in self.schema.names:
            return {}
        numbers, found = self._numbers[column], {}
        places = (self.addresses & np.uint64(0xFFFFFFFF)).astype(np.int64)
        for fragment, first in zip(self.fragments, self._firsts.tolist(), strict=True):
            name = fragment.file(numbers)
            if name is not None:
                mine = places[first : first + fragment.rows]
                found[name] = reading.Stretch(first, mine, fragment.metadata.physical_rows)
        return found

    def stretch(self, number: int) -> tuple[int, int]:
        """Return the first row of a fragment, and that after its last."""
        return (first := int(self._firsts[number])), first + self.fragments[number].rows

    @cached_property
    def _firsts(self) -> Ints:
        """The first row of each fragment."""
        return np.cumsum([0, *(f.rows for f in self.fragments)])[:-1].astype(np.int64)

    def get(self, ids: Any, *, missing: str = "raise") -> list[dict[str, Any]]:
        """Return items as dicts of id and fields, in the order asked.

        Raises
        ------
        NotFound
            Naming the ids that are not stored, unless `missing` is "skip".
        """
        return self.rows(self._rows_of(ids, missing), list(self.fields))

    def column(self, ids: Any, name: str) -> list[Any]:
        """Return one column's values of some items, in the order asked; `NotFound` names ids that are not stored."""
        return list(self.take(self._rows_of(ids, "raise"), [name]).column(name).to_pylist())

    def _rows_of(self, ids: Any, missing: str) -> Ints:
        asked = self.as_ids(ids)
        positions = self.positions(asked)
        if missing == "raise" and (positions < 0).any():
            unknown = schema.shorten(asked.filter(pa.array(positions < 0)).to_pylist())
            raise NotFound(f'there is no item with {self.id_name} {unknown}; missing="skip" leaves such ids out')
        return positions[positions >= 0]

    def missing(self, columns: Sequence[str]) -> int:
        """Return how many items have none of these columns."""
        there = [f"`{c}` IS NULL" for c in columns if c in self.schema.names]
        if not there:
            return len(self)
        with self._reading(columns):
            return int(self.data.count_rows(filter=" AND ".join(there)))

    def having(self, column: str, *, without: Collection[str] = ()) -> int:
        """Return how many items have a column, those left out whose vectors are in some files (see `files_of`)."""
        if column not in self.schema.names:
            return 0
        numbers = self._numbers[column]
        handles = [f.handle for f in self.fragments if f.file(numbers) not in {None, *without}]
        if not handles:
            return 0
        with self._reading([column]):
            return int(self.data.scanner(filter=f"`{column}` IS NOT NULL", fragments=handles).count_rows())

    def present(self, column: str) -> npt.NDArray[np.bool_]:
        """Return (n,) bool, not to be changed: which rows have a value in a column, of vectors or anything else."""
        if column not in self.schema.names:
            return np.zeros(len(self), bool)
        with self._loading:
            if column not in self._there:
                known, numbers = self._old_present.pop(column, {}), self._numbers[column]
                with self._reading([column]):
                    found = reading.read_presence(self.data, self.fragments, column, numbers, known)
                self._present[column] = found
                self._there[column] = np.concatenate([np.empty(0, bool), *found.values()])
            return self._there[column]

    def _load_ids(self) -> reading.Ids:
        with self._loading:
            if self._ids is None and self.data is None:
                self._ids = reading.Ids([], [], pa.array([], pa.string()), np.empty(0, np.uint64), [])
            elif self._ids is None:
                numbers = self._numbers[self.id_name]
                with self._reading([self.id_name]):
                    self._ids = reading.read_ids(
                        self.data, self.fragments, self.id_name, numbers, self._old_ids, self._fresh
                    )
                self._old_ids = self._fresh = None
            return self._ids

    @cached_property
    def fragments(self) -> list[reading.Fragment]:
        """The runs of rows that it is made of."""
        return [] if self.data is None else reading.fragments_of(self.data)

    @cached_property
    def _numbers(self) -> dict[str, set[int]]:
        return columns_of(self.data)

    def check(self, columns: Iterable[str]) -> None:
        """Compare the files that hold these columns, and the lists of deleted rows, with their digests.

        Raises
        ------
        Corrupt
            Naming the file and what can be recovered.
        """
        new = [c for c in columns if c not in self._checked]
        if self.data is None or self._checks is None or not new:
            return
        with self._loading:
            names = self.files(new)
            self._checks.ensure((f"{self._root}/{name}" for name in names), self._what_is_lost)
            self._checked.update(new)

    def files(self, columns: Iterable[str] | None = None) -> dict[str, tuple[int, list[str]]]:
        """Return the files that hold some columns (all by default), and the lists of deleted rows.

        Returns
        -------
        dict
            Path below the table -> number of rows that need it, and the columns in it (none for deleted rows).
        """
        if self.data is None:
            return {}
        wanted, found = set(self._numbers if columns is None else columns), dict[str, tuple[int, list[str]]]()
        for fragment in self.fragments:
            for path, fields in fragment.files:
                held = [name for name, ids in self._numbers.items() if not ids.isdisjoint(fields)]
                if wanted.intersection(held):
                    found[path] = (fragment.rows, held)
            if fragment.deleted is not None:
                found[fragment.deleted] = (fragment.rows, [])
        return found

    @property
    def _root(self) -> str:
        return Path(self.data.uri).name

    def _what_is_lost(self, path: str) -> str:
        folder, (rows, held) = Path(self.data.uri).parent, self.files()[path.removeprefix(f"{self._root}/")]
        own = [c for c in held if c.startswith(OWN_FILE)]
        if not held:
            what = f"It says which items near {rows} of version {self.version} were deleted"
        elif own == held:
            kind = "vectors" if held[0].startswith(VECTOR) else "kept items"
            what = f"It holds {kind} of {rows} items of version {self.version}, whose fields are elsewhere"
        else:
            what = f"It holds the fields of {rows} of the {len(self)} items of version {self.version}"
        return (
            f"{what}. Nothing of it was returned. `commonspace verify {folder}` lists all damage, `commonspace repair "
            f"{folder}` restores what is whole"
        )

    @contextmanager
    def _reading(self, columns: Iterable[str]) -> Iterator[None]:
        self.check(columns)
        try:
            yield
        except LANCE_ERRORS as e:
            raise self._damaged(e) from None

    def _damaged(self, error: Exception) -> Corrupt:
        folder = "" if self.data is None else Path(self.data.uri).parent
        return Corrupt(
            f"version {self.version} of {folder} cannot be read ({brief(error)}): files are missing or damaged. "
            f"`commonspace verify {folder}` lists all damage, `commonspace repair {folder}` restores what is whole"
        )
