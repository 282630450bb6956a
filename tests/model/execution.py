"""Operations on a real collection: in this process, interrupted in it, or in a child that is killed.

``python -m tests.model.execution`` is that child: it reads one line, opens the collection, does the operation and
answers, unless it dies on the way as it was told to.
"""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from tests.fake_space import DIM, FakeSpace
from tests.kill.steps import Steps, die_after
from tests.model import operations as ops
from tests.model.oracle import COLUMNS, QUERIES, SCALES, filled, picture
from tests.processes import children

from commonspace import BadInput, Collection, NotFound
from commonspace.store import chunks
from commonspace.upgrade.bridges.swap import Swap
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.scale import Scale

CHILDREN = children.Nursery("tests.model.execution")
Outcome = dict[str, Any]


class Execution:
    """A collection in a folder of its own, and what is done to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.moves = 0
        self.collection = Collection.create(folder / "0.cs", FakeSpace())

    def apply(self, operation: Any) -> Outcome:
        """Do an operation; return its value, that it was refused, or that nobody knows how far it came."""
        match operation:
            case ops.Reopen():
                self.collection.close()
                self.collection = open_collection(self.collection.path, operation.durability)
                return {"value": None}
            case ops.Snapshot() | ops.Export():
                try:
                    return self._copied(operation)
                except BadInput as e:
                    return {"refused": str(e)}
            case ops.Interrupted():
                return self._interrupted(operation)
            case ops.Killed():
                return self._killed(operation)
        return do(self.collection, operation)

    def close(self) -> None:
        """Close the collection, whose files must be those that were written, and remove its folder."""
        report = self.collection.verify(progress=False)
        self.collection.close()
        assert report.ok, str(report)
        shutil.rmtree(self.folder)

    def _copied(self, operation: ops.Snapshot | ops.Export) -> Outcome:
        self.moves += 1
        target, old = self.folder / f"{self.moves}.cs", self.collection
        if isinstance(operation, ops.Snapshot):
            old.snapshot(target, link=operation.link, progress=False)
            new = open_collection(target)
        else:
            file = self.folder / f"{self.moves}.parquet"
            old.export(file, progress=False)
            here = old.info()["space"]
            space, *others = (FakeSpace(id) for id in sorted(ops.SPACES, key=lambda id: id != here))
            others += [] if old.migration is None else [old.migration]
            new = Collection.from_parquet(target, file, space, others=others, progress=False)
        tags = sorted(new.tags())
        if operation.move:
            self.collection, new = new, old
        new.close()
        return {"value": tags if isinstance(operation, ops.Snapshot) else None}

    def _interrupted(self, operation: ops.Interrupted) -> Outcome:
        def press(name: str) -> None:
            raise KeyboardInterrupt(name)

        try:
            with Steps(operation.step, press):
                return do(self.collection, operation.operation)
        except KeyboardInterrupt as e:
            if isinstance(operation.operation, ops.MOVES):  # an object that was not told keeps its space
                self.apply(ops.Reopen())
            return {"cut": str(e)}

    def _killed(self, operation: ops.Killed) -> Outcome:
        path = self.collection.path
        beside = operation.beside and not isinstance(operation.operation, ops.MOVES)
        if not beside:
            self.collection.close()
        child = CHILDREN.take()
        answer = child.ask({"path": str(path), **ops.to_plain(operation)})
        child.kill()
        if answer is None and (errors := child.errors()):
            raise AssertionError(f"the child did not die but failed:\n{errors}")
        if not beside:
            self.collection = open_collection(path)
        return {"cut": f"{operation.microseconds} us after step {operation.step}"} if answer is None else answer


def open_collection(path: Path, durability: str = "full", **options: Any) -> Collection:
    """Open a collection; its space is loaded from its folder, see `fake_spaces`."""
    return Collection.open(path, durability=durability, **options)


def fake_spaces() -> Any:
    """Return a context in which the spaces that a collection saves and loads are fake ones."""
    return patch.dict(sys.modules, {"commonspace.space": SimpleNamespace(Space=FakeSpace)})


def do(c: Collection, operation: Any) -> Outcome:
    """Do an operation on an open collection."""
    try:
        return {"value": _do(c, operation)}
    except (BadInput, NotFound) as e:
        return {"refused": str(e)}


def _do(c: Collection, operation: Any) -> Any:
    match operation:
        case ops.Add() | ops.Upsert():
            return _write(c, operation)
        case ops.AddStream():
            return _stream(c, operation)
        case ops.Update(values, where):
            return c.update(values, where=ops.sql(where))
        case ops.Delete(ids):
            return c.delete(ids)
        case ops.DeleteWhere(where):
            return c.delete(where=ops.sql(where))
        case ops.Count(where):
            return c.count(ops.sql(where))
        case ops.Get(ids, missing):
            return c.get(ids, missing=missing)
        case ops.Search(query, k, where, against):
            sql = None if where is None else ops.sql(where)
            return _hits(c.search(_query(query), k=k, where=sql, against=against))
        case ops.AddField(name):
            return c.add_field(name, ops.FIELDS[name][0])
        case ops.DropField(name):
            return c.drop_field(name)
        case ops.Backfill(modality, space):
            return c.backfill(modality, space=FakeSpace(space), vectors=_pictures, progress=False).n
        case ops.DropVectors(modality, space):
            c.drop_vectors(modality, space_id=space)
        case ops.UseSpace(space):
            c.add_space(FakeSpace(space))
            c.use_space(space)
        case ops.Apply(way, to):
            (old,) = set(ops.SPACES) - {to}
            c.apply(migration(way, old, to), FakeSpace(to), progress=False)
        case ops.Finish(drop_old, leave):
            return c.finish_upgrade(drop_old=drop_old, leave=leave)
        case ops.RollBack(drop_new, leave):
            return c.roll_back_upgrade(drop_new=drop_new, leave=leave, progress=False)
        case ops.Compact():
            c.compact(progress=False)
        case ops.CleanUp():
            c.clean_up(older_than=timedelta(0))
        case ops.Tag(name):
            c.tag(name)
        case ops.Untag(name):
            c.untag(name)
        case ops.Restore(name):
            c.restore(name)
        case _:
            raise TypeError(f"cannot do {operation}")
    return None


def _write(c: Collection, operation: ops.Add | ops.Upsert) -> Any:
    table = {name: cells for name, cells in operation.batch.items() if name != "image"}
    options: dict[str, Any] = {"new_fields": operation.new_fields, "on_error": operation.on_error}
    if operation.key is not None:
        options["key"] = operation.key
    if "image" in operation.batch:
        pictures = [None if cell is None else picture(cell).tolist() for cell in operation.batch["image"]]
        if operation.given:
            options["vectors"] = {"image": pictures}
        else:
            table["image"] = pictures
    call = c.add if isinstance(operation, ops.Add) else c.upsert
    added = call(table, progress=False, **options)
    return "repeated" if getattr(added, "repeated", False) else added.ids


def _stream(c: Collection, operation: ops.AddStream) -> Any:
    types = {"id": pa.int64(), "text": pa.string(), "n": pa.int64(), "w": pa.string(), "x": pa.float64()}
    batch = {name: pa.array(cells, types[name]) for name, cells in operation.batch.items() if name != "image"}
    vectors = {}
    if "image" in operation.batch:
        pictures = [None if cell is None else picture(cell).tolist() for cell in operation.batch["image"]]
        batch["vector" if operation.given else "image"] = pa.array(pictures, pa.list_(pa.float32(), DIM))
        vectors = {"image": "vector"} if operation.given else {}
    with patch.object(chunks, "ROWS", 2):
        done = c.add_stream(
            pa.table(batch), vectors=vectors, key=operation.key, new_fields=operation.new_fields,
            on_error=operation.on_error, progress=False,
        )  # fmt: skip
    return "repeated" if done.repeated else done.n


def observe(c: Collection, ids: list[int]) -> dict[str, Any]:
    """Return all that can be seen of a collection whose items have some of these ids."""
    info = c.info()
    found = c.get(sorted(ids), missing="skip")
    return {
        "len": len(c),
        "space": info["space"],
        "begun": info["version"] > 0,
        "fields": info["fields"],
        "items": {row["id"]: {name: cell for name, cell in row.items() if name != "id"} for row in found},
        "vectors": {column: vectors(c, *column) for column in COLUMNS},
        "modalities": info["modalities"],
        "migration": migrating(info["upgrading"]),
        "searches": [
            (q, where, _hits(c.search(_query(q), k=4, where=where and ops.sql(where), with_fields=False)))
            for q, where in QUERIES
        ],
    }


@cache
def migration(way: str, old: str, new: str) -> Migration:
    """Return a migration between spaces that see the same, whose scales tell the sides from each other."""
    same = Pairs(
        {m: np.eye(DIM, dtype=np.float32) for m in ops.MODALITIES},
        {m: np.eye(DIM, dtype=np.float32) for m in ops.MODALITIES},
    )
    bridge = None if way == "both encoders" else Swap(carries=way).fit(same)
    return Migration(old, new, DIM, bridge, {f"->{m}": Scale(*line) for m, line in SCALES.items()})


def migrating(state: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what the oracle knows of a migration that is under way."""
    if state is None:
        return None
    counts = {m: (n["items"], n["native"]) for m, n in state["modalities"].items()}
    way = "both encoders" if state["carries"] is None else state["carries"]
    return {"way": way, "old": state["old"], "new": state["new"], "phase": state["phase"], "counts": counts}


def vectors(c: Collection, modality: str, space: str) -> tuple[list[int], Any]:
    """Return the ids that have a vector of a modality and space, and the vectors."""
    try:
        return c.vectors(modality, space_id=space)
    except NotFound:
        return [], None


def _pictures(ids: list[int]) -> list[Any]:
    return [None if filled(i) is None else picture(filled(i)).tolist() for i in ids]


def _query(cells: dict[str, Any]) -> dict[str, Any]:
    return {m: picture(cell) if m == "image" else cell for m, cell in cells.items()}


def _hits(hits: Any) -> list[list[Any]]:
    return [[hit.id, hit.score] for hit in hits]


def main() -> None:
    """Be the child."""
    message = next(children.messages())
    fatal = ops.from_plain({name: value for name, value in message.items() if name != "path"})
    steps = Steps(fatal.step, lambda name: die_after(fatal.microseconds))
    with fake_spaces(), steps, open_collection(Path(message["path"])) as c:
        outcome = do(c, fatal.operation)
    children.say(**outcome)


if __name__ == "__main__":
    main()
