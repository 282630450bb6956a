"""One collection, and writers that are killed one after the other.

Half of the kills come at a random time from outside; the others strike at a chosen step, or some microseconds after
it, so that the narrow windows are hit as often as the wide ones. After each the collection is compared with a
dictionary (tests.model.oracle): all that was acknowledged is there, of what was not all or nothing, and the next write
works. It is one collection from the first kill to the last, so that what dead writers leave behind piles up.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tests.model import operations as ops
from tests.model.execution import do, observe, open_collection, vectors
from tests.model.oracle import Oracle, Refused, disagreement
from tests.processes.children import Nursery

from commonspace import Collection

#: Where a kill can strike, in the order of a write.
WINDOWS = (
    "opening",
    "before anything was written",
    "while files were written",
    "after Lance's commit, before the catalogue's",
    "within the catalogue's commit",
    "after the commit, before the answer",
    "between two operations",
)
_MAGIC = bytes.fromhex("d9d505f920a163d7")  # a rollback journal that is to be played back begins so
_ROWS = 1500


class Lost(AssertionError):
    """What was acknowledged is not there, or what was not is there in part."""


class Loop:
    """A collection, what it must hold, and what has been seen."""

    def __init__(self, path: Path, space: Any, seed: int) -> None:
        self.path = path
        self.copy = path.with_name("copy.cs")
        self.rng = np.random.default_rng(seed)
        self.oracle = Oracle()
        self.children = Nursery("tests.kill.worker")
        self.next_id = 0
        self.windows: Counter[str] = Counter()
        self.places: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.acknowledged = self.copies = 0
        self.steps = dict.fromkeys(["open", *ops.KINDS], 100)
        self.leftovers: set[Path] = set()
        Collection.create(path, space).close()
        self.watcher = open_collection(path)  # is never closed, and must see everything

    def close(self) -> None:
        """End what is still running."""
        self.children.close()
        self.watcher.close()

    def kill_one(self) -> None:
        """Let a writer work, kill it, and compare.

        Raises
        ------
        Lost
            Saying what is wrong.
        """
        operations = [self.operation() for _ in range(40)]
        first = next((o for o in operations if isinstance(o, ops.Snapshot)), None)  # there is one place for a copy
        operations = [o for o in operations if o is first or not isinstance(o, ops.Snapshot)]
        fatal = None
        if self.rng.random() < 0.5:
            number = int(self.rng.integers(-1, 3))
            kind = "open" if number < 0 else type(operations[number]).__name__
            step = int(self.rng.integers(self.steps[kind] + 1))
            fatal = {"operation": number, "step": step, "microseconds": int(self.rng.choice([0, 0, 100, 500, 2000]))}
        child = self.children.take()
        durability = str(self.rng.choice(["full", "full", "batch", "os"]))
        plain = [ops.to_plain(o) for o in operations]
        child.tell({
            "path": str(self.path), "copy": str(self.copy), "operations": plain, "fatal": fatal,
            "durability": durability,
        })  # fmt: skip
        said: list[Any] = []
        if fatal is None:
            said.append(child.hear())  # it has opened the collection
            time.sleep(self.rng.uniform(0, 0.15))
        else:
            while (message := child.hear()) is not None:
                said.append(message)
                if len(said) > fatal["operation"] + 3:
                    break  # it had fewer steps than expected, and lives
        said += child.kill()
        if errors := child.errors():
            raise Lost(f"the writer failed:\n{errors}")
        self.check([m for m in said if m is not None], operations)

    def check(self, said: list[dict[str, Any]], operations: list[Any]) -> None:
        """Compare what is there with what the child has acknowledged, and write once more."""
        dying = [m["dying"] for m in said if "dying" in m]
        answers = [m for m in said if "dying" not in m]
        for message, kind in zip(answers, ["open", *(type(o).__name__ for o in operations)], strict=False):
            self.steps[kind] = message.get("steps", self.steps[kind])
        done = answers[1:]
        copied = None
        for operation, answer in zip(operations, done, strict=False):
            self.expect(operation, answer)
            if isinstance(operation, ops.Snapshot) and "value" in answer:
                copied = self.oracle.copy()
        before, pending = self.oracle, operations[len(done)] if answers else None
        allowed = [before] if pending is None else before.cut(pending)
        self.check_copy(copied, before, pending)

        there = self.files()
        hot = (self.path / "catalogue.sqlite-journal").read_bytes()[:8] == _MAGIC
        with open_collection(self.path) as c:
            known = {self.path / name for name in c._catalogue.files()}
            newest = max((v.version for v in c.versions()), default=0)
            if isinstance(pending, ops.Backfill):  # is done part by part
                allowed.append(before.filled_for(pending, vectors(c, pending.modality, pending.space)[0]))
            self.oracle = self.adopt(c, allowed, pending)
            window = self.window(answers, there - known, newest, hot, grown=not self.oracle.same(before))
            self.windows[window] += 1
            self.kinds["open" if pending is None else type(pending).__name__] += 1
            self.places.update(dying)
            self.leftovers = self.files() - known
            self.expect(write := self.upsert(3), do(c, write))
            if (problem := self.difference(c, self.oracle)) is not None:
                raise Lost(f"the next write, {write}: {problem}")
        if (problem := self.difference(self.watcher, self.oracle)) is not None:
            raise Lost(f"who had the collection open all the time sees something else: {problem}")

    def adopt(self, c: Collection, allowed: list[Oracle], pending: Any) -> Oracle:
        """Return the first of the allowed states that is there."""
        problems = []
        for oracle in allowed:
            if (problem := self.difference(c, oracle)) is None:
                return oracle
            problems.append(problem)
        raise Lost(f"during {pending}: not allowed: {'; and not '.join(problems)}")

    def check_copy(self, acknowledged: Oracle | None, before: Oracle, pending: Any) -> None:
        """Compare a snapshot, which must be there if it was acknowledged, and whole if it is there."""
        if self.copy.exists():
            with open_collection(self.copy) as c:
                source = acknowledged if acknowledged is not None else before
                if (problem := self.content(c, source)) is not None or not c.verify(progress=False).ok:
                    raise Lost(f"the copy: {problem}")
            shutil.rmtree(self.copy)
            self.copies += 1
        elif acknowledged is not None:
            raise Lost("the copy that was acknowledged is not there")

    def expect(self, operation: Any, answer: dict[str, Any]) -> None:
        """Do an acknowledged operation on the dictionary, and compare the answers."""
        self.acknowledged += 1
        may_refuse = self.oracle.may_refuse(operation)
        try:
            expected = self.oracle.apply(operation)
        except Refused as e:
            if "refused" not in answer and not may_refuse:
                raise Lost(f"{operation} was done although {e}") from None
        else:
            if "refused" in answer and may_refuse:
                return
            if "refused" in answer or expected != answer["value"]:
                raise Lost(f"{operation} answered {answer}, not {expected}")

    def difference(self, c: Collection, oracle: Oracle) -> str | None:
        """Return in words how a collection differs from a dictionary."""
        if set(c.tags()) != set(oracle.tags):
            return f"tags are {sorted(c.tags())}, not {sorted(oracle.tags)}"
        return self.content(c, oracle)

    def content(self, c: Collection, oracle: Oracle) -> str | None:
        """Return in words how a collection differs from a dictionary, tags aside."""
        return disagreement(oracle.now, oracle.space, oracle.under, observe(c, list(range(self.next_id))))

    def window(self, answers: list[Any], new: set[Path], newest: int, hot: bool, *, grown: bool) -> str:
        """Return from what lies on disk when the writer died."""
        new = new - self.leftovers
        manifests = [2**64 - 1 - int(p.stem) for p in new if p.suffix == ".manifest"]
        if not answers:
            return WINDOWS[0]
        if hot:
            return WINDOWS[4]
        if grown:
            return WINDOWS[5]
        if any(version > newest for version in manifests):
            return WINDOWS[3]
        return WINDOWS[2] if new else WINDOWS[1]

    def files(self) -> set[Path]:
        """Return the files of the item table."""
        return {p for p in (self.path / "items.lance").rglob("*") if p.is_file()}

    # ------------------------------------------------------------ what the writers do

    def operation(self) -> Any:
        """Return some operation."""
        kinds: dict[str, float] = {
            "add": 5, "upsert": 4, "delete": 2, "update": 1, "compact": 2, "clean": 1, "tag": 0.5, "restore": 0.3,
            "field": 0.3, "stream": 2, "backfill": 1, "drop": 0.3, "snapshot": 0.5,
        }  # fmt: skip
        weights = np.array(list(kinds.values()))
        match str(self.rng.choice(list(kinds), p=weights / weights.sum())):
            case "add":
                return self.add(int(self.rng.choice([1, 20, 200])))
            case "upsert":
                return self.upsert(int(self.rng.choice([1, 10, 50])))
            case "delete":
                low = int(self.rng.integers(self.next_id + 1))
                return ops.DeleteWhere(["and", [">", "id", low], ["<", "id", low + self._some()]])
            case "update":
                return ops.Update({"n": int(self.rng.integers(9))}, ["=", "n", int(self.rng.integers(9))])
            case "compact":
                return ops.Compact()
            case "clean":
                return ops.CleanUp()
            case "tag":
                name = str(self.rng.choice(["a", "b"]))
                return ops.Tag(name) if self.rng.random() < 0.6 else ops.Untag(name)
            case "stream":
                add = self.add(12)
                return ops.AddStream(add.batch, given=True, on_error="skip")
            case "backfill":
                return ops.Backfill("image", ops.SPACES[1])
            case "drop":
                return ops.DropVectors("image", ops.SPACES[1])
            case "snapshot":
                return ops.Snapshot(move=False, link=bool(self.rng.random() < 0.5))
            case "restore":
                return ops.Restore(str(self.rng.choice(["a", "b"])))
            case _:
                return ops.AddField("x") if self.rng.random() < 0.5 else ops.DropField("x")

    def add(self, n: int) -> ops.Add:
        """Return an add of new items."""
        first, self.next_id = self.next_id, self.next_id + n
        return ops.Add(self._batch(list(range(first, first + n))))

    def upsert(self, n: int) -> ops.Upsert:
        """Return an upsert of old and new items."""
        low = max(0, self.next_id - _ROWS)
        ids = sorted({int(i) for i in self.rng.integers(low, self.next_id + n, n)})
        self.next_id = max(self.next_id, ids[-1] + 1)
        return ops.Upsert(self._batch(ids), given=True)

    def _batch(self, ids: list[int]) -> ops.Batch:
        words = self.rng.integers(0, 40, (len(ids), 2)).tolist()
        return {
            "id": ids,
            "text": [f"word{a} word{b}" for a, b in words],
            "image": [None if a % 4 == 0 else a for a, _ in words],
            "n": [a % 9 for a, _ in words],
        }

    def _some(self) -> int:
        """Return how many ids to delete: many when there are many items."""
        return int(self.rng.integers(1, 30 if len(self.oracle.now.items) < _ROWS else _ROWS))
