"""What can be done to a collection, as plain data: it can be printed, kept in a file and done again.

A batch is a dictionary of columns: ``id``, the modalities ``text`` (words; the empty text cannot be encoded) and
``image`` (the number of a picture, see `oracle.picture`), and the fields ``n`` (int), ``w`` (string) and ``x`` (float).
A filter is a nested list, ``["and", [">", "n", 1], ["null", "w"]]``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Batch = dict[str, list[Any]]
Filter = list[Any]

#: Field -> its type, as `add_field` takes it and as `info` spells it.
FIELDS = {"n": ("int", "int64"), "w": ("string", "string"), "x": ("float", "double")}
MODALITIES = ("text", "image")
#: The first is the one that a collection begins with.
SPACES = ("fake0001", "fake0002")
#: Ways of a migration: what its bridge carries, or no bridge at all.
WAYS = ("items", "queries", "both encoders")
#: A text that no encoder finds anything in.
UNREADABLE = ""


class Operation:
    """One thing that is done to a collection."""


@dataclass(frozen=True)
class Write(Operation):
    """Write items; with `key`, once however often it is done. Images can be given as vectors."""

    batch: Batch
    key: str | None = None
    given: bool = False
    new_fields: bool = False
    on_error: str = "raise"


class Add(Write):
    """Add new items."""


class Upsert(Write):
    """Add or change items."""


class AddStream(Write):
    """Add a stream of new items that is written two rows at a time."""


@dataclass(frozen=True)
class Update(Operation):
    """Set fields of all items that a filter selects."""

    values: dict[str, Any]
    where: Filter


@dataclass(frozen=True)
class Delete(Operation):
    """Remove items by id."""

    ids: list[int]


@dataclass(frozen=True)
class DeleteWhere(Operation):
    """Remove the items that a filter selects."""

    where: Filter


@dataclass(frozen=True)
class Count(Operation):
    """Count the items that a filter selects."""

    where: Filter


@dataclass(frozen=True)
class Get(Operation):
    """Read items by id."""

    ids: list[int]
    missing: str


@dataclass(frozen=True)
class Search(Operation):
    """Search with a text, a picture or both."""

    query: dict[str, Any]
    k: int
    where: Filter | None = None
    against: str | None = None


@dataclass(frozen=True)
class AddField(Operation):
    """Add a field that no item has yet."""

    name: str


@dataclass(frozen=True)
class DropField(Operation):
    """Remove a field."""

    name: str


@dataclass(frozen=True)
class Backfill(Operation):
    """Give items that lack a vector of a modality and space one: a picture that depends on the id, to most of them."""

    modality: str
    space: str


@dataclass(frozen=True)
class DropVectors(Operation):
    """Remove the vectors of a modality and space."""

    modality: str
    space: str


@dataclass(frozen=True)
class UseSpace(Operation):
    """Make a space the one that encodes items and queries."""

    space: str


@dataclass(frozen=True)
class Apply(Operation):
    """Go over to a space by a migration from the other one."""

    way: str
    to: str


@dataclass(frozen=True)
class Finish(Operation):
    """End a migration with the new space."""

    drop_old: bool
    leave: bool


@dataclass(frozen=True)
class RollBack(Operation):
    """End a migration with the old space."""

    drop_new: bool
    leave: bool


@dataclass(frozen=True)
class Compact(Operation):
    """Rewrite the files into fewer."""


@dataclass(frozen=True)
class CleanUp(Operation):
    """Remove the files of versions that nobody names."""


@dataclass(frozen=True)
class Tag(Operation):
    """Name the newest version."""

    name: str


@dataclass(frozen=True)
class Untag(Operation):
    """Forget a name."""

    name: str


@dataclass(frozen=True)
class Restore(Operation):
    """Make a named version the newest again."""

    name: str


@dataclass(frozen=True)
class Snapshot(Operation):
    """Copy the collection to another folder, perhaps by hard links, and go on working there if `move`."""

    move: bool
    link: bool = False


@dataclass(frozen=True)
class Export(Operation):
    """Write the collection to a Parquet file, make a collection of it, and go on working there if `move`."""

    move: bool


@dataclass(frozen=True)
class Reopen(Operation):
    """Close the collection and open it with a durability."""

    durability: str = "full"


@dataclass(frozen=True)
class Interrupted(Operation):
    """Press Ctrl-C at the `step`-th call that touches the disk while an operation runs."""

    operation: Operation
    step: int


@dataclass(frozen=True)
class Killed(Operation):
    """Do an operation in a child process that dies some microseconds after its `step`-th call that touches the disk.

    `beside` keeps the collection open here meanwhile.
    """

    operation: Operation
    step: int
    microseconds: int
    beside: bool


#: After these the collection may be searched by another space, which an object that was cut off does not know.
MOVES = (UseSpace, Apply, Finish, RollBack)
KINDS = {kind.__name__: kind for kind in (*Write.__subclasses__(), *Operation.__subclasses__()) if kind is not Write}


def to_plain(operation: Operation) -> dict[str, Any]:
    """Return an operation as JSON can hold it."""
    plain = {"do": type(operation).__name__, **asdict(operation)}
    if "operation" in plain:
        plain["operation"] = to_plain(operation.operation)
    return plain


def from_plain(plain: dict[str, Any]) -> Operation:
    """Return the operation that `to_plain` wrote."""
    values = {name: value for name, value in plain.items() if name != "do"}
    if "operation" in values:
        values["operation"] = from_plain(values["operation"])
    return KINDS[plain["do"]](**values)


def write(path: Path, operations: list[Operation]) -> None:
    """Write operations to a file, one a line."""
    path.write_text("".join(json.dumps(to_plain(o)) + "\n" for o in operations))


def read(path: Path) -> list[Operation]:
    """Return the operations of a file."""
    return [from_plain(json.loads(line)) for line in path.read_text().splitlines() if line.strip()]


def sql(where: Filter) -> str:
    """Return a filter as the SQL expression that a collection takes."""
    kind, *rest = where
    if kind in ("and", "or"):
        return "(" + f" {kind.upper()} ".join(sql(part) for part in rest) + ")"
    if kind == "not":
        return f"NOT ({sql(rest[0])})"
    if kind == "null":
        return f"{rest[0]} IS NULL"
    if kind == "in":
        return f"{rest[0]} IN ({', '.join(map(_literal, rest[1]))})"
    return f"{rest[0]} {kind} {_literal(rest[1])}"


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
