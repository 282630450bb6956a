"""From a user's table to stored items: check, encode, write; in this order, so that nothing bad is ever written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from commonspace.core.method import check_choice
from commonspace.core.tables import Table
from commonspace.store import incoming, payload
from commonspace.store.batch import Batch, read_batch
from commonspace.store.calls import Call
from commonspace.store.items import Items


@dataclass(frozen=True)
class Added:
    """What an add or upsert did.

    Parameters
    ----------
    n : int
        Items written.
    ids : list of str or int
        Their ids, in the order of the table.
    skipped : dict of int to str
        Position in the table of each item left out by ``on_error="skip"`` -> the reason.
    left_out : dict of str to str
        Columns that could not be stored as fields -> the reason.
    repeated : bool
        The call was done before under the same key, and nothing was written this time.
    """

    n: int
    ids: list[Any]
    skipped: dict[int, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    repeated: bool = False


def ingest(
    table: Table,
    items: Items,
    space: incoming.Encodes,
    *,
    upsert: bool,
    columns: Mapping[str, str | None] | None = None,
    vectors: Mapping[str, Any] | None = None,
    fields: Sequence[str] | None = None,
    new_fields: bool = False,
    on_error: str = "raise",
    keep: str | Sequence[str] = (),
    key: str | None = None,
) -> Added:
    """Write a table's items with the vectors that the space makes of them; see `Collection.add`.

    Raises
    ------
    BadInput, BadItems, NotFound, SpaceMismatch
        Whatever is wrong with the input, before anything is written.
    Busy
        If another writer does not finish.
    """
    check_choice("on_error", on_error, ("raise", "skip"))
    given = dict(vectors or {})
    sources = incoming.sources(table, columns, given, space, needed=not upsert)
    now = items.snapshot()
    batch = read_batch(table, now, fields=fields, sources=set(sources.values()), new_fields=new_fields)
    ids = batch.table.column(items.id_name).to_pylist()
    call = Call.of(key, "upsert" if upsert else "add", ids)
    if (known := call.known(items.catalogue)) is not None:
        return _repeated(known, ids)
    if not upsert:
        items.refuse_existing(now, batch.table.column(items.id_name))  # before hours of encoding

    found = {m: incoming.given(v, m, len(table), space.dim) for m, v in given.items()}
    skipped = encode_into(batch, table, sources, found, items, space, keep=keep, on_error=on_error)
    ids = batch.table.column(items.id_name).to_pylist()
    call.result.update(skipped=sorted(skipped.items()), left_out=batch.left_out)
    made = space.id if found or sources else None
    if len(batch.table) and not (items.upsert if upsert else items.append)(batch.table, call=call, space=made):
        return _repeated(call.known(items.catalogue) or {}, batch.table.column(items.id_name).to_pylist())
    return Added(len(ids), ids, dict(sorted(skipped.items())), batch.left_out)


def encode_into(
    batch: Batch,
    table: Table,
    sources: Mapping[str, str],
    given: Mapping[str, incoming.Rows | incoming.BagRows],
    items: Items,
    space: incoming.Encodes,
    *,
    keep: str | Sequence[str],
    on_error: str,
) -> dict[int, str]:
    """Give a batch its vectors, those that are given and those that the space makes, and the items to be kept.

    Parameters
    ----------
    batch : Batch
        Loses the rows that cannot be encoded.
    table : Table
        Where the items are.
    sources : mapping of str to str
        Modality -> column of its items.
    given : mapping of str to Rows or BagRows
        Modality -> vectors.
    items, space
        The table and the space.
    keep, on_error
        See `Collection.add`.

    Returns
    -------
    dict of int to str
        Row of the table -> why it was left out.
    """
    kept = payload.chosen(keep, sources, space)
    found, skipped = dict(given), {}
    for m, name in sources.items():
        found[m], bad = incoming.encoded(table, name, m, space, on_error)
        skipped.update(bad)
        if m in kept:
            batch.add_payload(m, payload.stored(table, name, m, space.kind_of(m)))
    for m, rows in found.items():
        kind = "bag" if isinstance(rows, incoming.BagRows) else "vector"
        batch.add_vectors(items.catalogue.add_column(m, space.id, space.dim, kind).name, rows)
    # What was kept of an item is no longer the item, and its vectors of other spaces are no longer its vectors.
    stored = items.snapshot().schema
    for m in found.keys() - kept:
        if payload.column_of(m) in stored.names:
            batch.add_payload(m, payload.nothing(len(table), space.kind_of(m)))
    for column in items.catalogue.columns():
        if column.modality in found and column.space != space.id and column.name in stored.names:
            batch.table = batch.table.append_column(
                column.name, pa.nulls(len(batch.table), stored.field(column.name).type)
            )
    batch.drop(skipped)
    return skipped


def _repeated(result: Mapping[str, Any], ids: Sequence[Any]) -> Added:
    """Return what the first call under the same key returned."""
    skipped = dict(result.get("skipped", []))
    written = [i for position, i in enumerate(ids) if position not in skipped]
    return Added(len(written), written, skipped, result.get("left_out", {}), repeated=True)
