"""What the catalogue holds, table by table, and what it tells: vector columns, versions, which one is the newest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from commonspace.core.digest import digest

#: Table -> columns and their types, the key first; see `Catalogue` for what they mean.
TABLES: Mapping[str, Mapping[str, type]] = {
    "meta": {"name": str, "value": object},
    "versions": {"version": int, "rows": int, "created": str, "what": str},
    "files": {"path": str, "size": int, "sha256": str, "version": int},
    "copies": {"name": str, "body": bytes},
    "spaces": {"id": str, "digest": str},
    "columns": {"name": str, "modality": str, "space": str, "dim": int, "kind": str},
    "tags": {"name": str, "version": int, "created": str},
    "calls": {"key": str, "digest": str, "result": str, "created": str, "version": int},
    "jobs": {"key": str, "kind": str, "state": str, "updated": str},
    "segments": {"id": str, "column": str, "version": int, "created": str, "digest": str, "about": str},
    "settings": {"column": str, "value": str, "created": str},
}
#: Entry of the table `meta` -> its type.
META: Mapping[str, type] = {
    "id_name": str,
    "space": str,
    "migration": str,
    "created": str,
    "version": int,
    "rows": int,
    "synced": int,
}


@dataclass(frozen=True)
class VectorColumn:
    """One vector column of the item table.

    Parameters
    ----------
    name : str
        Name in the item table.
    modality : str
        What was encoded.
    space : str
        Id of the space that encoded it.
    dim : int
        Dimension of the vectors.
    kind : {"vector", "bag"}
        One vector an item, or any number.
    """

    name: str
    modality: str
    space: str
    dim: int
    kind: str = "vector"


@dataclass(frozen=True)
class Acknowledged:
    """The last version of the item table that a writer has finished.

    Parameters
    ----------
    version : int
        Its number; 0 before the first write.
    rows : int
        How many items it has.
    synced : int
        The last version known to be on disk for good; older than `version` while a writer works with less than full
        durability.
    """

    version: int
    rows: int
    synced: int


@dataclass(frozen=True)
class Version:
    """One version of the item table.

    Parameters
    ----------
    version : int
        Its number.
    rows : int
        How many items it has.
    created : str
        When, in UTC.
    what : str
        The operation that made it.
    """

    version: int
    rows: int
    created: str
    what: str


def column_name(modality: str, space: str) -> str:
    """Return the name of a vector column in the item table: readable, and one per modality and space."""
    readable = "".join(c if c.isascii() and c.isalnum() else "_" for c in modality)[:40]
    return f"_vector_{readable}_{digest([modality, space])[:8]}"


def spelt(modality: str) -> str:
    """Return a modality's name in letters, digits and underscores; no two modalities are spelt alike."""
    return "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in modality)
