"""`Items`: what can be done to the item table; every call makes one version, or none if it fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from typing import Any

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lance.fragment import FragmentMetadata

from commonspace.core.errors import BadInput
from commonspace.store import lances, schema
from commonspace.store.calls import Call
from commonspace.store.lances import OWN_FILE
from commonspace.store.ledger import Ledger
from commonspace.store.migrating import check_taken
from commonspace.store.reading import Fragment
from commonspace.store.records import VectorColumn
from commonspace.store.snapshot import Snapshot
from commonspace.store.versions import Versions

Ints = npt.NDArray[np.int64]
#: Called inside the transaction that acknowledges a write, to enter what belongs to it.
Note = Callable[[Ledger], None]


class Items(Versions):
    """The item table of an open collection; parameters as `Versions`."""

    def append(self, table: pa.Table, *, call: Call | None = None, space: str | None = None) -> bool:
        """Add new items, all of them or none; return whether that was still to be done.

        `space` is that of the vectors: if the collection has gone to another one, the error is `Moved`.

        Raises
        ------
        BadInput
            Naming the ids that exist already.
        """
        with self.writing() as now:
            if call is not None and call.known(self.catalogue) is not None:
                return False
            self._check_space(space)
            now = self._with_columns(now, table.schema)
            self.refuse_existing(now, table.column(self.id_name))
            self.change(now, "add", table=table, note=None if call is None else call.note)
            return True

    def upsert(
        self, table: pa.Table, *, what: str = "upsert", call: Call | None = None, space: str | None = None
    ) -> bool:
        """Add new items and change existing ones, all or none; columns that the table lacks keep their values.

        But where it has vectors of a modality, those of other spaces are cleared: they are of what the item was.
        Returns whether that was still to be done; `space` as in `append`.
        """
        with self.writing() as now:
            if call is not None and call.known(self.catalogue) is not None:
                return False
            self._check_space(space)
            now = self._with_columns(now, table.schema)
            gone = None
            if now.version:
                table = _complete(table, now, self.id_name, self._outdated(table.column_names))
                old = now.positions(table.column(self.id_name))
                gone = old[old >= 0]
            self.change(now, what, table=table, gone=gone, note=None if call is None else call.note)
            return True

    def _check_space(self, space: str | None) -> None:
        if space is not None:
            check_taken(self.catalogue, space)

    def _outdated(self, names: Sequence[str]) -> set[str]:
        """Return the vector columns that are not given, of modalities that are."""
        columns = self.catalogue.columns()
        given = {c.modality for c in columns if c.name in names}
        return {c.name for c in columns if c.modality in given and c.name not in names}

    def update(self, values: Mapping[str, Any], *, where: str) -> int:
        """Give fields of all items that a filter selects new values; return how many items there were."""
        with self.catalogue.writing():
            now = self.snapshot()
            if unknown := [name for name in values if name not in now.fields]:
                raise BadInput(
                    f"there is no field {', '.join(map(repr, unknown))}; there are {', '.join(now.fields) or 'none'}"
                )
            rows = now.where(where)
            if len(rows) == 0 or not values:
                return 0
            table = pa.table({self.id_name: now.ids.take(pa.array(rows))})
            for name, value in values.items():
                cell = schema.field_array([value], name, now.fields[name])
                table = table.append_column(name, pa.repeat(cell[0], len(rows)))
            self.upsert(table, what="update")
            return len(rows)

    def delete(self, *, ids: pa.Array | None = None, where: str | None = None) -> int:
        """Remove items by id or by filter; return how many there were."""
        with self.writing() as now:
            doomed = now.where(where) if where is not None else now.positions(ids)
            doomed = np.unique(doomed[doomed >= 0])
            if len(doomed):
                self.change(now, "delete", gone=doomed)
            return len(doomed)

    def add_field(self, name: str, kind: Any) -> None:
        """Add a field by name and type; `BadInput` if there is one of that name."""
        now = self.snapshot()
        if now.version == 0:
            raise BadInput("the collection is empty: fields come with its first items")
        if name in now.filterable:
            raise BadInput(f"the collection has a field {name!r} already")
        self._extend(pa.schema([pa.field(schema.check_name(name, now.filterable), schema.field_type(kind))]))

    def drop_columns(self, names: Sequence[str], *, note: Note | None = None) -> None:
        """Remove columns, for all items at once; names that are not there are no error."""
        with self.writing() as now:
            there = [n for n in names if n in now.schema.names]
            if there:
                data = lance.dataset(str(self.root), version=now.version)
                data.drop_columns(there)
                self.acknowledge(data, "drop", [lances.transaction_name(data)])
            if note is not None:
                note(self.catalogue.ledger)

    def refuse_existing(self, now: Snapshot, ids: pa.Array | pa.ChunkedArray) -> None:
        """Raise `BadInput` if any of the ids is stored."""
        there = now.positions(ids) >= 0
        if there.any():
            named = schema.shorten(ids.filter(pa.array(there)).to_pylist())
            verb = "is" if there.sum() == 1 else "are"
            raise BadInput(
                f"{self.id_name} {named} {verb} in the collection already: use upsert to change stored items"
            )

    def change(
        self,
        now: Snapshot,
        what: str,
        *,
        table: pa.Table | None = None,
        fragments: Sequence[FragmentMetadata] = (),
        gone: Ints | None = None,
        note: Note | None = None,
    ) -> None:
        """Make the version that has some more rows and some rows less; only inside `writing`.

        Parameters
        ----------
        now : Snapshot
            The newest version.
        what : str
            A word for the change.
        table : pyarrow.Table, optional
            New rows.
        fragments : sequence of FragmentMetadata
            New rows that are written already.
        gone : (m,) int array, optional
            Positions of rows to remove.
        note : callable, optional
            Enters what belongs to this write in the catalogue.
        """
        added = list(fragments)
        full = self.full_schema(now, table.schema) if table is not None else now.schema
        if table is not None and len(table):
            added.append(lances.write_fragment(self.root, table, full, now.data))
            ids = table.column(self.id_name).combine_chunks()
            self.fresh = {f"data/{added[-1].files[0].path}": ids}
        new = lances.files_of(added)
        try:
            if now.data is None:
                operation: Any = lance.LanceOperation.Overwrite(full, added)
            else:
                removed, updated = self._without(now, gone)
                new += [name for name in lances.files_of(updated) if name.startswith("_deletions/")]
                operation = lance.LanceOperation.Update(removed, updated, added, [])
            self.publish(operation, now, what, new)
        except BaseException:
            lances.remove(self.root / name for name in new)
            raise
        if note is not None:
            note(self.catalogue.ledger)

    def staged(self) -> set[str]:
        """Return the files, below the table, of jobs that are not finished."""
        return {name for key in self.catalogue.jobs() for name in (self.catalogue.job(key) or {}).get("files", ())}

    def full_schema(self, now: Snapshot, incoming: pa.Schema) -> pa.Schema:
        """Return the schema of the item table; before the first items it is theirs, with the id declared as the key."""
        if now.version:
            return now.schema
        # Declaring the key lets Lance itself refuse concurrent upserts of one id, by whatever program.
        key = pa.field(self.id_name, incoming.field(self.id_name).type, False, schema.PRIMARY_KEY)
        plain = [f for f in incoming if f.name != self.id_name and not f.name.startswith(OWN_FILE)]
        return pa.schema([key, *plain, *(f for f in incoming if f.name.startswith(OWN_FILE))])

    def set_vectors(
        self, fragment: Fragment, column: VectorColumn, values: pa.Array, *, check: Callable[[], None] = lambda: None
    ) -> int:
        """Give one fragment a vector column; return the bytes written, 0 if it was not there any more to be given one.

        Parameters
        ----------
        fragment : Fragment
            The fragment.
        column : VectorColumn
            The column; the table has it already.
        values : pyarrow.Array
            A cell for each row of the fragment, deleted ones included.
        check : callable
            Called inside the transaction; what it raises leaves everything as it was.

        Raises
        ------
        BadInput
            If somebody has dropped the column meanwhile.
        """
        now = self.snapshot()
        leaf = lances.leaf_ids(now.schema, now.data).get(column.name)
        if leaf is None:
            check()  # which knows better why
            raise self._dropped(column)
        like = fragment.metadata.files[0]
        with self.errors("what was done until now stays"):
            file = lances.write_column(self.root, pa.chunked_array([values]), column.name, leaf, like=like)
        new = [f"data/{file.path}"]
        with self.writing() as now:
            try:
                check()
                mine = [f for f in now.fragments if (f.metadata.id, f.files) == (fragment.metadata.id, fragment.files)]
                if lances.leaf_ids(now.schema, now.data).get(column.name) != leaf:
                    raise self._dropped(column)
                if mine:
                    changed = copy(mine[0].metadata)  # this version must not change, if the next one is never made
                    changed.files = [f for f in changed.files if f.fields != [leaf]] + [file]
                    metadata = [changed if f is mine[0] else f.metadata for f in now.fragments]
                    self.publish(lance.LanceOperation.Merge(metadata, now.data.lance_schema), now, "backfill", new)
                    return file.file_size_bytes or 1
                lances.remove(self.root / name for name in new)
                return 0
            except BaseException:
                lances.remove(self.root / name for name in new)
                raise

    def _dropped(self, column: VectorColumn) -> BadInput:
        return BadInput(
            f"somebody has dropped the {column.modality} vectors of the space {column.space} while more of them were "
            f"being made for {self.root.parent}: nothing of them is stored. See collection.upgrading() and spaces()"
        )

    def make_ready(self, incoming: pa.Schema) -> None:
        """Give the table every column of a schema, and if it never had any, an empty version with these."""
        if self.snapshot().version == 0:
            with self.writing() as now:
                if now.version == 0:
                    self.change(now, "begin", table=incoming.empty_table())
        self._extend(incoming)
        self._check_types(self.snapshot(), incoming)

    def append_fragments(
        self,
        now: Snapshot,
        fragments: Sequence[FragmentMetadata],
        ids: pa.Array,
        layout: Mapping[str, list[int]],
        note: Note | None,
    ) -> None:
        """Make the version that has rows which were written before; only inside `writing`.

        Parameters
        ----------
        now : Snapshot
            The newest version.
        fragments : sequence of FragmentMetadata
            The rows.
        ids : array
            Their ids.
        layout : mapping of str to list of int
            The columns for which they were written, see `lances.layout`.
        note : callable or None
            See `change`.

        Raises
        ------
        BadInput
            If ids were stored, or columns dropped, since the rows were written.
        """
        self.refuse_existing(now, ids)
        there = lances.layout(now.data)
        if any(there.get(name) != numbers for name, numbers in layout.items()):
            raise BadInput(
                "columns were dropped or exchanged while rows for them were being written: begin again with another key"
            )
        self.change(now, "add", fragments=fragments, note=note)

    def extend(self, fields: Sequence[pa.Field], *, check: Callable[[], None] = lambda: None) -> None:
        """Add columns that are empty for all items; columns that are there stay. `check` as in `set_vectors`."""
        self._extend(pa.schema(fields), check)

    def _extend(self, incoming: pa.Schema, check: Callable[[], None] = lambda: None) -> None:
        """Give the table every column of a schema, if it has any columns yet."""
        now = self.snapshot()
        if now.version == 0 or not set(incoming.names) - set(now.schema.names):
            return
        with self.writing() as now:
            check()
            wider = self._with_columns(now, incoming)
            if wider is not now:
                self.acknowledge(wider.data, "extend", [lances.transaction_name(wider.data)])

    def _with_columns(self, now: Snapshot, incoming: pa.Schema) -> Snapshot:
        """Return the newest version with every column of a schema; only inside `writing`.

        If there are new ones it is a version that Lance has and no reader: it is acknowledged with the next one that
        is made from it, so that new columns and the rows that need them come together.
        """
        self._check_types(now, incoming)
        fields = [f for f in incoming if f.name not in now.schema.names]
        if now.version == 0 or not fields:
            return now
        data = lance.dataset(str(self.root), version=now.version)
        data.add_columns(pa.schema(fields))
        return Snapshot(data, self.id_name, self.checks, before=now)

    def _check_types(self, now: Snapshot, incoming: pa.Schema) -> None:
        """Compare with the newest version what was checked against an earlier one, perhaps before the first items."""
        for column in incoming:
            if column.name in now.schema.names and now.schema.field(column.name).type != column.type:
                raise BadInput(
                    f"column {column.name!r} is of type {column.type}, but another writer has stored it as "
                    f"{now.schema.field(column.name).type} in the meantime; convert the values and try again"
                )

    def _without(self, now: Snapshot, gone: Ints | None) -> tuple[list[int], list[FragmentMetadata]]:
        """Return the fragments that lose all their rows, and those that lose some."""
        if gone is None or len(gone) == 0:
            return [], []
        addresses = np.sort(now.addresses[gone])
        owners = (addresses >> np.uint64(32)).astype(np.int64)
        removed, updated = [], []
        fragments = {f.metadata.id: f.handle for f in now.fragments}
        for owner in np.unique(owners).tolist():
            offsets = (addresses[owners == owner] & np.uint64(0xFFFFFFFF)).tolist()
            left = lances.delete_rows(fragments[owner], offsets)
            if left is None:
                removed.append(owner)
            else:
                updated.append(left)
        return removed, updated


def _complete(table: pa.Table, now: Snapshot, id_name: str, cleared: Collection[str] = ()) -> pa.Table:
    """Return the rows with every stored column: what the call does not give is read from the stored items."""
    for name in now.schema.names:
        if name in cleared:
            field = now.schema.field(name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    missing = [n for n in now.schema.names if n not in table.column_names]
    if missing:
        positions = now.positions(table.column(id_name))
        old = np.flatnonzero(positions >= 0)
        stored = now.take(positions[old], missing)
        # Row i of the batch takes row source[i] of the stored ones; null for items that are new.
        source = np.full(len(positions), -1, np.int64)
        source[old] = np.arange(len(old))
        index = pa.array(source, mask=source < 0)
        for name in missing:
            table = table.append_column(now.schema.field(name), stored.column(name).take(index))
    return table.select(now.schema.names).cast(now.schema)
