"""Do recorded operations again, with the oracle beside: ``python -m tests.model.replay FILE``.

`Run` is also what the state machine drives: one operation on the collection and on the dictionary, then everything is
compared.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.model import operations as ops
from tests.model.execution import CHILDREN, Execution, fake_spaces, observe, open_collection, vectors
from tests.model.oracle import Oracle, Refused, disagreement


class Disagreement(AssertionError):
    """The collection is not what the dictionary says."""


class Run:
    """A collection, its oracle, and the journal of what was done to both."""

    def __init__(self, folder: Path) -> None:
        self.execution = Execution(folder)
        self.oracle = Oracle()
        self.journal: list[Any] = []
        self.ids: set[int] = set()

    def do(self, operation: Any) -> None:
        """Do one operation and compare.

        Raises
        ------
        Disagreement
            Saying what differs.
        """
        self.journal.append(operation)
        self.ids.update(getattr(getattr(operation, "operation", operation), "batch", {}).get("id", ()))
        outcome = self.execution.apply(operation)
        if "cut" in outcome:  # the one case in which more than one state is right
            allowed = self.oracle.cut(operation.operation)
            if isinstance(operation.operation, ops.Backfill):  # is done part by part
                allowed.append(self.oracle.filled_for(operation.operation, self._with_vector(operation.operation)))
            self._adopt(allowed, f"cut at {outcome['cut']}")
            return
        plain = getattr(operation, "operation", operation)
        before = self.oracle.copy()
        try:
            expected = self.oracle.apply(plain)
        except Refused as e:
            if "refused" not in outcome:
                raise Disagreement(f"done although it must be refused ({e}): {outcome}") from None
            self._adopt([self.oracle, *self.oracle.prepared(plain)], "refused")
        else:
            if "refused" in outcome and before.may_refuse(plain):
                self._adopt([before, *before.prepared(plain)], "refused")
                return
            if "refused" in outcome or expected != outcome["value"]:
                raise Disagreement(f"answered {outcome}, not {expected}")
            if isinstance(plain, ops.Snapshot) and plain.move:
                self.oracle.tags = {name: self.oracle.tags[name] for name in outcome["value"]}
            self._adopt([self.oracle], "done")

    def _adopt(self, allowed: list[Oracle], what: str) -> None:
        """Go on with the first of the allowed states that is there."""
        problems = []
        for oracle in allowed:
            if (problem := self._difference(oracle)) is None:
                self.oracle = oracle
                return
            problems.append(problem)
        raise Disagreement(f"{what}: " + "; and not ".join(problems))

    def _with_vector(self, o: ops.Backfill) -> list[int]:
        return vectors(self.execution.collection, o.modality, o.space)[0]

    def _difference(self, oracle: Oracle) -> str | None:
        c = self.execution.collection
        return disagreement(
            oracle.now, oracle.space, oracle.under, observe(c, sorted(self.ids))
        ) or self._difference_of_tags(oracle)

    def _difference_of_tags(self, oracle: Oracle) -> str | None:
        c = self.execution.collection
        if set(c.tags()) != set(oracle.tags):
            return f"tags are {sorted(c.tags())}, not {sorted(oracle.tags)}"
        for name, state in oracle.tags.items():
            with open_collection(c.path, version=name) as old:
                if (
                    problem := disagreement(state, oracle.space, oracle.under, observe(old, sorted(self.ids)))
                ) is not None:
                    return f"as of tag {name}: {problem}"
        return None

    def close(self) -> None:
        """Close and remove the collection."""
        self.execution.close()


def main(file: str) -> int:
    """Replay a file; return 1 if collection and dictionary disagree."""
    run = Run(Path(tempfile.mkdtemp()))
    try:
        for number, operation in enumerate(ops.read(Path(file))):
            print(f"{number:4} {operation}")
            try:
                run.do(operation)
            except Exception as e:
                print(f"first disagreement, at operation {number}: {type(e).__name__}: {e}")
                return 1
        print("collection and dictionary agree")
        return 0
    finally:
        run.close()
        CHILDREN.close()


if __name__ == "__main__":
    with fake_spaces():
        sys.exit(main(sys.argv[1]))
