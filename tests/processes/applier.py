"""A child that goes over to another space when it is told, perhaps at the instant at which another one does.

``python -m tests.processes.applier`` is told where the collection is and which way to take, opens it and says so; with
the next message it applies. What became of it is its last word.
"""

from __future__ import annotations

from pathlib import Path

from tests.planted_space import migration, new_space, saved_spaces
from tests.processes import children

from commonspace import Collection
from commonspace.core.errors import CommonspaceError


def main() -> None:
    """Do what the parent tells."""
    told = children.messages()
    message = next(told)
    plan, space = migration(message["carries"]), new_space()
    with Collection.open(Path(message["path"])) as c:
        children.say(ready=True)
        next(told)
        try:
            state = c.apply(plan, space, progress=False)
        except CommonspaceError as e:
            children.say(error=f"{type(e).__name__}: {e}")
        else:
            children.say(phase=state["phase"], migration=state["migration"])


if __name__ == "__main__":
    with saved_spaces():
        main()
