"""The form in which a collection travels: one Parquet file, which any Parquet reader can open.

    <id>                      the ids, under the name of the collection's id column
    <field> ...               the fields, under their names
    _item_<modality>          kept items: text, or the bytes of a file
    _vector_<modality>        vectors of the current space, as lists of float32 of fixed size; bags as lists of those
    _vector_<modality>@<id>   vectors of another space

No field's name begins with an underscore, so that these never clash. The entry "commonspace" of the file's own
metadata makes it a collection again: JSON that tells the format, who wrote it, the name of the id column, the space,
the version, the number of items, and for each vector column its modality, space, dimension and kind. Exact types stand
in Arrow's entry "ARROW:schema", because Parquet has fewer.

Between the rows and the footer stand 40 bytes that readers pass over, because the footer says where rows are and the
end of the file where the footer is:

    seal = "cs seal1", SHA-256(all bytes of the file but these 40)

Parquet itself checks nothing: one flipped bit of a footer can turn floats into whole numbers, and rows into none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata

import pyarrow as pa

from commonspace.core.errors import BadInput
from commonspace.store import schema
from commonspace.store.lances import ITEM, VECTOR
from commonspace.store.records import VectorColumn, column_name, spelt

FORMAT = 1
KEY, TYPES = b"commonspace", b"ARROW:schema"
#: How the seal begins, and how long it is.
MARK, SEAL_BYTES = b"cs seal1", 40


@dataclass(frozen=True)
class Description:
    """What such a file says about the collection in it.

    Parameters
    ----------
    id_name : str
        Name of the id column.
    space : str
        Id of the collection's current space.
    version : int
        The version of the items; 0 if nothing was ever written.
    items : int
        Number of items.
    vectors : mapping of str to VectorColumn
        Vector column of the file -> what it is called in a collection, and what it holds.
    migration : mapping of str to str, optional
        The migration that was under way: its `id`, `old`, `new` and `phase`.
    """

    id_name: str
    space: str
    version: int
    items: int
    vectors: Mapping[str, VectorColumn]
    migration: Mapping[str, str] | None = None

    def to_json(self) -> str:
        """Return it as text."""
        columns = {name: asdict(column) for name, column in self.vectors.items()}
        for column in columns.values():
            del column["name"]  # a matter of the collection
        body = {"format": FORMAT, "commonspace": _version(), **asdict(self), "vectors": columns}
        return json.dumps(body, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: bytes, types: pa.Schema) -> Description:
        """Return what a file says, checked against its columns.

        Raises
        ------
        BadInput
            If it is of another format, or makes no sense.
        """
        try:
            body = json.loads(text)
            if body["format"] != FORMAT:
                raise BadInput(
                    f"it has format {body['format']!r}, but this commonspace reads format {FORMAT}: read it with the "
                    f"version that wrote it ({body.get('commonspace')})"
                )
            vectors = {}
            for name, column in body["vectors"].items():
                modality, space = str(column["modality"]), str(column["space"])
                vectors[name] = VectorColumn(
                    column_name(modality, space), modality, space, int(column["dim"]), str(column["kind"])
                )
            migration = body.get("migration")
            if migration is not None:
                migration = {name: str(migration[name]) for name in ("id", "old", "new", "phase")}
            found = cls(
                body["id_name"], str(body["space"]), int(body["version"]), int(body["items"]), vectors, migration
            )
            found._check(types)
        except BadInput:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as e:
            raise BadInput(f"its description cannot be read ({type(e).__name__}: {e})") from None
        return found

    def _check(self, types: pa.Schema) -> None:
        """Raise `BadInput` unless the columns are such as a collection can hold."""
        seen: set[str] = set()
        for field in types:
            name, wanted = field.name, None
            if name in seen:
                raise BadInput(f"it has two columns {name!r}")
            if name in self.vectors:
                wanted = vector_type(self.vectors[name])
            elif name.startswith(ITEM):
                wanted = field.type if field.type in (pa.string(), pa.binary()) else pa.binary()
            else:
                schema.check_name(name, seen)
                if name == self.id_name:
                    wanted = field.type if field.type in (pa.string(), pa.int64()) else pa.int64()
            if wanted is not None and field.type != wanted:
                raise BadInput(f"its column {name!r} is of type {field.type}, not {wanted}")
            seen.add(name)
        if missing := {self.id_name, *self.vectors} - seen:
            raise BadInput(f"it lacks the columns {', '.join(sorted(missing))}")


def vector_names(columns: list[VectorColumn], space: str) -> dict[str, VectorColumn]:
    """Return what vector columns are called in a file whose current space is this one: name -> column."""
    return {VECTOR + spelt(c.modality) + (f"@{c.space}" if c.space != space else ""): c for c in columns}


def vector_type(column: VectorColumn) -> pa.DataType:
    """Return the type of a vector column."""
    one = pa.list_(pa.float32(), column.dim)
    return one if column.kind == "vector" else pa.list_(one)


def _version() -> str:
    try:
        return metadata.version("commonspace")
    except metadata.PackageNotFoundError:  # run from its source
        return "unknown"
