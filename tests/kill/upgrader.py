"""The child that dies on its way from one space to another: ``python -m tests.kill.upgrader``.

It is told once: where the collection is, what to do, and at which step to die. If it lives it says how many steps there
were.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kill.steps import Steps, die_after
from tests.planted_space import migration, new_space, saved_spaces
from tests.processes import children

from commonspace import Collection


def act(c: Collection, verb: str, carries: str | None) -> None:
    """Do one of the four things."""
    match verb:
        case "apply":
            c.apply(migration(carries), new_space(), progress=False)
        case "backfill":
            c.backfill(first=[1, 2, 20], progress=False)
        case "finish":
            c.finish_upgrade(drop_old=True)
        case "rollback":
            c.roll_back_upgrade(drop_new=True, progress=False)


def main() -> None:
    """Do what the parent tells."""
    message: dict[str, Any] = next(children.messages())

    def die(name: str) -> None:
        children.say(dying=name)
        die_after(message["microseconds"])

    with Collection.open(Path(message["path"])) as c:
        with Steps(message["step"], die) as counted:
            act(c, message["verb"], message["carries"])
        children.say(steps=counted.n)


if __name__ == "__main__":
    with saved_spaces():
        main()
