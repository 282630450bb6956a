"""Writing to a collection: a call is done whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from commonspace.collection.opened import Opened
from commonspace.core import progress as progress_bars
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import read_table
from commonspace.store import upkeep
from commonspace.store.ingest import Added, ingest
from commonspace.store.migrating import Moved
from commonspace.store.stream import Streamed, add_stream


class Writing(Opened):
    """The part of `Collection` that changes items."""

    def add(
        self,
        table: Any,
        *,
        columns: Mapping[str, str | None] | None = None,
        vectors: Mapping[str, Any] | None = None,
        space_id: str | None = None,
        fields: Sequence[str] | None = None,
        new_fields: bool = False,
        on_error: str = "raise",
        keep: str | Sequence[str] = (),
        key: str | None = None,
        progress: bool = True,
    ) -> Added:
        """Encode and store new items, all of them or none.

        Parameters
        ----------
        table : table-like
            List of dicts, data frame, Arrow table, path of a file ...; see `commonspace.core.tables`.
        columns : mapping of str to str or None, optional
            Modality -> column with its items, or None to leave it out; by default the column of its name, if there
            is one. A missing cell means that the item lacks the modality.
        vectors : mapping of str to (n, dim) array, optional
            Modality -> vectors of the collection's space, computed elsewhere; scaled to length one. A list may hold
            None for items that lack the modality.
        space_id : str, optional
            Id of the space that `vectors` come from; checked if given.
        fields : sequence of str, optional
            Columns to store as they are. By default all that can be stored, but for those that are encoded.
        new_fields : bool
            Add fields that the collection does not have yet.
        on_error : "raise" or "skip"
            What to do with items that cannot be encoded; skipped ones are left out whole and reported.
        keep : str or sequence of str
            Modalities whose items are stored themselves, besides their vectors: text as text, pictures and other
            files as bytes. With them `backfill` can encode the items again.
        key : str, optional
            Idempotency key: a name for this call. A second call with it and the same ids writes nothing and returns
            what the first returned, so that a call whose answer was lost can be repeated safely.
        progress : bool
            Show a progress bar on terminals.

        Raises
        ------
        BadInput, BadItems, NotFound, SpaceMismatch
            Whatever is wrong with the input, before anything is written.
        Busy
            If another writer does not finish.
        """
        return self._write(
            table, False, space_id, progress,
            columns=columns, vectors=vectors, fields=fields, new_fields=new_fields, on_error=on_error,
            keep=keep, key=key,
        )  # fmt: skip

    def upsert(
        self,
        table: Any,
        *,
        columns: Mapping[str, str | None] | None = None,
        vectors: Mapping[str, Any] | None = None,
        space_id: str | None = None,
        fields: Sequence[str] | None = None,
        new_fields: bool = False,
        on_error: str = "raise",
        keep: str | Sequence[str] = (),
        key: str | None = None,
        progress: bool = True,
    ) -> Added:
        """Store items whether or not their ids exist; all of them or none.

        Of an item that exists, the fields and modalities that the call gives are replaced (a missing cell clears),
        and those that it does not give stay as they are. Arguments and errors as `add`.
        """
        return self._write(
            table, True, space_id, progress,
            columns=columns, vectors=vectors, fields=fields, new_fields=new_fields, on_error=on_error,
            keep=keep, key=key,
        )  # fmt: skip

    def add_stream(
        self,
        source: Any,
        *,
        columns: Mapping[str, str | None] | None = None,
        vectors: Mapping[str, str] | None = None,
        space_id: str | None = None,
        fields: Sequence[str] | None = None,
        new_fields: bool = False,
        on_error: str = "raise",
        keep: str | Sequence[str] = (),
        key: str | None = None,
        progress: bool = True,
    ) -> Streamed:
        """Add more rows than fit in memory: read, encoded and written chunk by chunk, visible all at once at the end.

        What grows with the stream is the list of its ids. Arguments and errors as `add`, but for:

        Parameters
        ----------
        source : path, Arrow table, RecordBatchReader, Arrow data set, or iterable of tables
            A path of Parquet, Arrow, CSV or JSON lines files, or Arrow batches (or what else `add` takes) one after
            the other.
        vectors : mapping of str to str, optional
            Modality -> column of the stream that holds its vectors; a null cell means that the item lacks it.
        key : str, optional
            Idempotency key. A call that was killed or interrupted is taken up by the next one with its key and the
            same rows, after the chunks that are on disk; one that was completed is not done again.
        """
        if space_id is not None:
            self._check_space(space_id)
        elif vectors:
            self._refuse_unlabelled("vectors=...")
        done = add_stream(
            source, self._items, self.space, columns=columns, vectors=vectors, fields=fields, new_fields=new_fields,
            on_error=on_error, keep=keep, key=key, progress=progress,
        )  # fmt: skip
        upkeep.tidy(self._items)
        return done

    def delete(self, ids: Any = None, *, where: str | None = None) -> int:
        """Remove items by id or by filter; return how many there were. Unknown ids are no error."""
        if (ids is None) == (where is None):
            raise BadInput("delete needs either ids or where (where='true' removes every item)")
        ids = None if ids is None else self._items.snapshot().as_ids(ids)
        gone = self._items.delete(ids=ids, where=where)
        upkeep.tidy(self._items)
        return gone

    def update(self, values: Mapping[str, Any], *, where: str) -> int:
        """Give fields of all items that a filter selects new values; return how many items there were.

        Parameters
        ----------
        values : mapping of str to value
            Field -> its new value; None clears.
        where : str
            SQL expression over the fields (``where="true"`` means every item).
        """
        changed = self._items.update(values, where=where)
        upkeep.tidy(self._items)
        return changed

    def add_field(self, name: str, type: Any) -> None:
        """Add a field that is missing for all items so far.

        The type is an Arrow type or one of the names in `commonspace.store.schema.TYPES`: bool, int, float, string,
        bytes, date, timestamp.
        """
        self._items.add_field(name, type)

    def drop_field(self, name: str) -> None:
        """Remove a field from all items; `NotFound` if there is none of that name.

        Its bytes leave the disk with `compact` and `clean_up`; earlier versions keep it.
        """
        fields = self._items.snapshot().fields
        if name not in fields:
            raise NotFound(f"there is no field {name!r}; there are {', '.join(fields) or 'none'}")
        self._items.drop_columns([name])

    def _write(self, table: Any, upsert: bool, space_id: str | None, progress: bool, **options: Any) -> Added:
        if space_id is not None:
            self._check_space(space_id)
        elif options["vectors"]:
            self._refuse_unlabelled("vectors=...")
        rows = read_table(table)
        with progress_bars.task("Upserting items" if upsert else "Adding items") if progress else nullcontext():
            while True:
                try:
                    done = ingest(rows, self._items, self.space, upsert=upsert, **options)
                    break
                except Moved:
                    if options["vectors"]:  # which only their maker can make anew
                        raise
            upkeep.tidy(self._items)
            return done
