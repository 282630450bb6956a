"""Which space a collection uses, and which migration to it is under way: one small record, changed as a whole.

    preparing   the old space is used; vectors that the bridge carries are being written
    serving     the new space is used; items that it has not encoded are found through the bridge

The record stands in the catalogue's table `meta`, so that every write that depends on it or changes it is one
transaction with the items' version.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from commonspace.core.errors import BadInput, CommonspaceError, SpaceMismatch
from commonspace.store.catalogue import FORMAT, MIGRATING, Catalogue, now
from commonspace.store.folder import SPACES
from commonspace.store.ledger import Ledger
from commonspace.store.sealed import read_sealed

PREPARING, SERVING = "preparing", "serving"
_SPACE, _MIGRATION = "space", "migration"


class Moved(SpaceMismatch):
    """The collection went to another space while items were being encoded."""


class Over(BadInput):
    """The migration for which vectors were being made has come to its end."""


@dataclass(frozen=True)
class Underway:
    """A migration.

    Parameters
    ----------
    id : str
        Of what is saved in the collection's folder of spaces.
    old, new : str
        The spaces.
    phase : {"preparing", "serving"}
        How far it is.
    since : str
        When that began, in UTC.
    """

    id: str
    old: str
    new: str
    phase: str
    since: str


@dataclass(frozen=True)
class State:
    """What a collection is searched by.

    Parameters
    ----------
    space : str
        The space that encodes queries and new items.
    underway : Underway or None
        The migration that is not finished.
    version : int
        The newest version of the items at that moment.
    """

    space: str
    underway: Underway | None = None
    version: int = field(default=0, compare=False)

    @property
    def serving(self) -> Underway | None:
        """The migration that searches go through."""
        return self.underway if self.underway is not None and self.underway.phase == SERVING else None

    def takes(self, space: str) -> bool:
        """Return whether vectors of a space may be written: those of the current one, or those that a bridge serves."""
        return space == self.space or (self.serving is not None and space == self.serving.old)


def state_of(catalogue: Catalogue) -> State:
    """Return what stands in the catalogue now."""
    found = dict(catalogue.rows("meta", f"name IN ('{_SPACE}', '{_MIGRATION}', 'version')"))
    space = found.get(_SPACE) or catalogue.get(_SPACE)
    record = found.get(_MIGRATION)
    return State(str(space), None if record is None else Underway(**json.loads(record)), int(found.get("version", 0)))


def enter(ledger: Ledger, id: str, old: str, new: str, phase: str) -> None:
    """Record a migration and the space that is used with it; only inside a transaction.

    Earlier releases, which would search the new vectors only and miss the others without a word, refuse the collection
    from now on until the migration is over.
    """
    record = Underway(id, old, new, phase, now())
    ledger.put("meta", (_MIGRATION, json.dumps(asdict(record))), (_SPACE, new if phase == SERVING else old))
    mark(ledger)


def leave(ledger: Ledger, underway: Underway, space: str) -> None:
    """Record that a migration is over and which space is used; only inside a transaction."""
    ledger.put("meta", (_SPACE, space))
    ledger.remove("meta", _MIGRATION)
    ledger.remove("spaces", underway.id)
    ledger.remove("columns", *(row[0] for row in ledger.rows("columns") if row[2] == underway.id))
    mark(ledger)


def mark(ledger: Ledger) -> None:
    """Set the format of a catalogue by whether a migration is under way; only inside a transaction."""
    migrating = ledger.rows("meta", f"name = '{_MIGRATION}'")
    ledger.db.execute(f"PRAGMA user_version = {MIGRATING if migrating else FORMAT}")


def check_taken(catalogue: Catalogue, space: str) -> None:
    """Raise `Moved` if vectors of a space are not wanted any more; only inside a transaction."""
    state = state_of(catalogue)
    if not state.takes(space):
        raise Moved(
            f"{catalogue.path.parent} went from the space {space} to {state.space} while items were being encoded; "
            "nothing was written. Encode them again with collection.space"
        )


def check_underway(catalogue: Catalogue, underway: Underway) -> None:
    """Raise `Over` if a migration has come to its end since it was read."""
    state = state_of(catalogue)
    if state.underway is not None and state.underway.id == underway.id:
        return
    if state.underway is not None:  # its end was not seen, and can have been either
        how = f"has ended and another one, to {state.underway.new}, has begun"
        mend = "collection.upgrading() says how far that is"
    elif state.space == underway.new:
        how, mend = "was finished", "backfill() makes vectors of the space in use for items that lack them"
    else:
        how = "was rolled back"
        mend = f"backfill(space_id={underway.new!r}) makes vectors of the other space all the same"
    raise Over(
        f"the migration of {catalogue.path.parent} from the space {underway.old} to {underway.new} {how} by somebody "
        "else while vectors were being made for it: no more are made, and what was not stored before is not kept. "
        f"{mend}"
    )


def refuse_underway(catalogue: Catalogue, what: str) -> None:
    """Raise `BadInput` if a migration is not finished."""
    if (found := state_of(catalogue).underway) is not None:
        raise BadInput(
            f"{what} while {catalogue.path.parent} goes from the space {found.old} to {found.new}: call "
            "finish_upgrade() or roll_back_upgrade() first"
        )


def remove_saved(folder: Path, id: str) -> None:
    """Remove what was saved of a migration that is over; a leftover does no harm."""
    saved = folder / SPACES / id
    gone = saved.with_name(f".{id}.part")
    try:
        os.rename(saved, gone)  # never half of it under its name
    except OSError:
        gone = saved
    shutil.rmtree(gone, ignore_errors=True)


def saved_migration(saved: Path) -> tuple[str, str] | None:
    """Return the old and the new space of a migration that is saved whole in a folder; None if it is something else."""
    try:
        config, _ = read_sealed(saved)
    except (CommonspaceError, OSError):
        return None
    old, new = config.get("old"), config.get("new")
    if config.get("kind") != _MIGRATION or config.get("id") != saved.name:
        return None
    return (old, new) if isinstance(old, str) and isinstance(new, str) else None


def record_of(rows: Iterable[tuple[Any, ...]]) -> Underway | None:
    """Return the migration that stands among rows of the table `meta`; None if there is none."""
    record = dict(row[:2] for row in rows).get(_MIGRATION)
    return None if record is None else Underway(**json.loads(record))
