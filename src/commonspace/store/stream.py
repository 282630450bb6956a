"""Adding more rows than fit in memory: chunk by chunk to disk, and all of them visible at once at the end.

Each chunk becomes a fragment that no version knows. What has been written is noted in the catalogue as a job, so that
a call with the same idempotency key goes on where a killed one stopped: rows whose fragments are there and whole are
only counted and compared by their ids. One commit at the end makes the version that has them all.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from lance.fragment import FragmentMetadata

from commonspace.core import progress as bars
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.method import check_choice
from commonspace.core.tables import read_table
from commonspace.store import chunks, files, incoming, lances, schema
from commonspace.store.batch import Batch, read_batch
from commonspace.store.calls import Call
from commonspace.store.catalogue import now
from commonspace.store.ingest import encode_into
from commonspace.store.items import Items
from commonspace.store.ledger import Ledger
from commonspace.store.migrating import state_of

KIND = "stream"


@dataclass(frozen=True)
class Streamed:
    """What `add_stream` did.

    Parameters
    ----------
    n : int
        Items written.
    skipped : dict of int to str
        Position in the stream of each item left out by ``on_error="skip"`` -> the reason.
    left_out : dict of str to str
        Columns that could not be stored as fields -> the reason.
    resumed : int
        Rows of the stream that an earlier call with the same key had written already.
    repeated : bool
        The call was done before under the same key, and nothing was written this time.
    """

    n: int
    skipped: dict[int, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    repeated: bool = False


class Job:
    """The chunks that have been written, on disk and in the catalogue.

    Parameters
    ----------
    items : Items
        The table.
    key : str or None
        The call's idempotency key; a job without one is forgotten when the call fails.
    """

    def __init__(self, items: Items, key: str | None) -> None:
        self.items = items
        self.named = key is not None
        self.key = f"{KIND}:{key if key is not None else uuid.uuid4().hex}"
        found = items.catalogue.job(self.key) or {}
        self.parts: list[dict[str, Any]] = found.get("parts", [])
        self._drop_damaged()

    @property
    def rows(self) -> int:
        """Rows of the stream that are done."""
        return sum(part["rows"] for part in self.parts)

    def fragments(self) -> list[FragmentMetadata]:
        """Return the fragments that were written."""
        return [FragmentMetadata.from_json(json.dumps(p["fragment"])) for p in self.parts if p["fragment"] is not None]

    def layout(self) -> dict[str, list[int]]:
        """Return the columns for which the chunks were written.

        Raises
        ------
        BadInput
            If they were written for different ones.
        """
        found: dict[str, list[int]] = {}
        for part in self.parts:
            if any(found.get(name, numbers) != numbers for name, numbers in part["layout"].items()):
                raise BadInput(
                    "columns were dropped or exchanged while rows for them were being written: begin again with "
                    "another key"
                )
            found.update(part["layout"])
        return found

    def add(
        self, chunk: pa.Table, name: str, written: FragmentMetadata | None, batch: Batch, skipped: Any, space: str
    ) -> None:
        """Note a chunk whose fragment has been written with vectors of a space, after putting it on disk."""
        names = lances.files_of([written] if written is not None else [])
        with self.items.errors("no item was added"):
            if self.items.durability == "full":
                files.sync_all(self.items.root, names)
            stored = files.measure_all(self.items.root, names)
        self.parts.append(
            {
                "rows": chunk.num_rows,
                "name": name,
                "fragment": None if written is None else written.to_json(),
                "files": {n: [s.size, s.sha256] for n, s in stored.items()},
                "layout": lances.layout(self.items.snapshot().data),
                "space": space,
                "skipped": skipped,
                "left_out": batch.left_out,
            }
        )
        with self.items.catalogue.writing() as ledger:
            self._note(ledger)

    def spaces(self) -> set[str]:
        """Return the spaces that made the vectors of the chunks."""
        return {part["space"] for part in self.parts if part.get("space") is not None}

    def remove(self, ledger: Ledger) -> None:
        """Forget the job; its files belong to a version now, or to nobody."""
        ledger.remove("jobs", self.key)

    def abandon(self) -> None:
        """Forget the job and remove what it has written, unless a version has it by now."""
        with self.items.catalogue.writing() as ledger:
            if not ledger.rows("jobs", "key = ?", (self.key,)):
                return
            self.remove(ledger)
        lances.remove(self.items.root / name for part in self.parts for name in part["files"])

    def _note(self, ledger: Ledger) -> None:
        names = [name for part in self.parts for name in part["files"]]
        ledger.put("jobs", (self.key, KIND, json.dumps({"parts": self.parts, "files": names}), now()))

    def _drop_damaged(self) -> None:
        """Forget chunks from the first on whose files are not what was written."""
        for i, part in enumerate(self.parts):
            if files.check_all(self.items.root, {n: files.Stored(*s) for n, s in part["files"].items()}):
                del self.parts[i:]
                with self.items.catalogue.writing() as ledger:
                    self._note(ledger)
                return


def add_stream(
    source: Any,
    items: Items,
    space: incoming.Encodes,
    *,
    columns: Mapping[str, str | None] | None = None,
    vectors: Mapping[str, str] | None = None,
    fields: Sequence[str] | None = None,
    new_fields: bool = False,
    on_error: str = "raise",
    keep: str | Sequence[str] = (),
    key: str | None = None,
    progress: bool = True,
) -> Streamed:
    """Add the rows of a stream, all of them or none; see `Collection.add_stream`."""
    check_choice("on_error", on_error, ("raise", "skip"))
    call = Call.of(key, "add_stream", [])
    if (known := call.known(items.catalogue)) is not None:
        return _result(known, repeated=True)
    tables, total = chunks.batches_of(source)
    job = Job(items, key)
    resumed, seen = 0, chunks.Seen()
    try:
        with bars.task("Adding items", total) if progress else bars.silent() as bar:
            for place, chunk in enumerate(_as_before(tables, job.parts)):
                _check_ids(chunk, items, seen)
                name = chunks.name_of(chunk, items.id_name)
                if place < len(job.parts):
                    _check_same(job.parts[place], name, key)
                    resumed += chunk.num_rows
                else:
                    batch, skipped = _read(
                        chunk, items, space, columns=columns, vectors=vectors, fields=fields, new_fields=new_fields,
                        keep=keep, on_error=on_error,
                    )  # fmt: skip
                    written = _write(items, batch)
                    left_out = [[at + job.rows, why] for at, why in skipped.items()]
                    job.add(chunk, name, written, batch, left_out, space.id)
                bar.advance(chunk.num_rows)
        return _finish(items, job, call, seen, resumed)
    except BaseException as e:
        if not job.named:
            job.abandon()
        elif isinstance(e, KeyboardInterrupt):
            e.add_note(f"{job.rows:,} rows are written; the same call with key={key!r} goes on after them")
        raise


def _as_before(tables: Any, parts: Sequence[Mapping[str, Any]]) -> Any:
    """Yield chunks: first those that were written already, cut as they were then, and then as they come."""
    held: list[pa.Table] = []
    tables = iter(tables)
    for part in parts:
        while sum(t.num_rows for t in held) < part["rows"]:
            table = next(tables, None)
            if table is None:
                break
            held.append(table)
        if not held:
            return
        joined = pa.concat_tables(held, promote_options="default")
        yield joined.slice(0, part["rows"])
        held = [joined.slice(part["rows"])]

    def rest() -> Any:
        yield from held
        yield from tables

    yield from chunks.cut(rest())


def _check_ids(chunk: pa.Table, items: Items, seen: chunks.Seen) -> None:
    """Refuse ids that are missing, of a wrong type, stored, or twice in the stream."""
    stored = items.snapshot()
    values = list(read_table(chunk.select([n for n in chunk.column_names if n == items.id_name] or [0]))[items.id_name])
    ids = schema.id_array(values, kind=stored.id_type, name=items.id_name)
    schema.check_unique(values, items.id_name)
    items.refuse_existing(stored, ids)
    twice = seen.add(ids)
    if len(twice):
        raise BadInput(
            f"{items.id_name} {schema.shorten(twice.to_pylist())} came earlier in the stream; an id names one item"
        )


def _check_same(part: Mapping[str, Any], name: str, key: str | None) -> None:
    if part["name"] != name:
        raise BadInput(
            f"the stream is not the one that the key {key!r} began with: other ids stand where it has been written "
            "already. Give the same rows in the same order, or another key"
        )


def _read(
    chunk: pa.Table,
    items: Items,
    space: incoming.Encodes,
    *,
    columns: Mapping[str, str | None] | None,
    vectors: Mapping[str, str] | None,
    fields: Sequence[str] | None,
    new_fields: bool,
    keep: str | Sequence[str],
    on_error: str,
) -> tuple[Batch, dict[int, str]]:
    """Return a chunk as it will be stored, and row -> reason of those that cannot be encoded."""
    given = dict(vectors or {})
    for modality, column in given.items():
        if column not in chunk.column_names:
            raise BadInput(
                f"vectors[{modality!r}] names the column {column!r}; the stream has {', '.join(chunk.column_names)}"
            )
    table = read_table(chunk.drop_columns(list(dict.fromkeys(given.values()))))
    sources = incoming.sources(table, columns, given, space, needed=True)
    batch = read_batch(
        table, items.snapshot(), fields=fields, sources=set(sources.values()), new_fields=new_fields,
        kinds={f.name: schema.widened(f.type) for f in chunk.schema},
    )  # fmt: skip
    found = {m: incoming.arrow_vectors(chunk.column(c), m, space.dim) for m, c in given.items()}
    return batch, encode_into(batch, table, sources, found, items, space, keep=keep, on_error=on_error)


def _write(items: Items, batch: Batch) -> FragmentMetadata | None:
    """Write a chunk as a fragment that no version knows; the first one of all makes an empty version with its types."""
    items.make_ready(batch.table.schema)
    stored = items.snapshot()
    if len(batch.table) == 0:
        return None
    with items.errors("no item was added"):
        return lances.write_fragment(items.root, batch.table, stored.schema, stored.data)


def _finish(items: Items, job: Job, call: Call, seen: chunks.Seen, resumed: int) -> Streamed:
    """Make the version that has all that was written."""
    fragments = job.fragments()
    n = sum(fragment.physical_rows for fragment in fragments)
    skipped = [entry for part in job.parts for entry in part["skipped"]]
    left_out = {name: why for part in job.parts for name, why in part["left_out"].items()}
    call.result.update(n=n, skipped=skipped, left_out=left_out)

    def note(ledger: Ledger) -> None:
        call.note(ledger)
        job.remove(ledger)

    with items.writing() as stored:
        if (known := call.known(items.catalogue)) is not None:
            return _result(known, repeated=True)
        state = state_of(items.catalogue)
        if gone := [space for space in job.spaces() if not state.takes(space)]:
            raise SpaceMismatch(
                f"the rows were written with vectors of the space {gone[0]}, but the collection has gone to "
                f"{state.space} since: add them again, with another key if there was one"
            )
        if fragments:
            items.append_fragments(stored, fragments, seen.all(), job.layout(), note)
        else:
            note(items.catalogue.ledger)
    return _result(call.result, resumed=resumed)


def _result(result: Mapping[str, Any], **more: Any) -> Streamed:
    return Streamed(result.get("n", 0), dict(result.get("skipped", [])), result.get("left_out", {}), **more)
