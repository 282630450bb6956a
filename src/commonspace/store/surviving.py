"""What a damaged catalogue can still tell."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from commonspace.store.files import Stored
from commonspace.store.ledger import Ledger
from commonspace.store.records import TABLES


def surviving_files(path: Path) -> dict[str, Stored]:
    """Return what can still be told of a collection's files by a catalogue that is damaged; nothing if it is gone."""
    return {name: Stored(size, sha) for name, size, sha, _ in surviving(path, "files")}


def surviving(path: Path, table: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table that are still what was written, of a catalogue that is damaged or gone."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / path.name  # SQLite may write when it opens a file
        for end in ("", "-journal"):
            with contextlib.suppress(OSError):
                shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        try:
            with contextlib.closing(sqlite3.connect(copy)) as db:
                db.text_factory = lambda body: body.decode(errors="replace")
                return Ledger(db, TABLES).survivors(table)
        except (sqlite3.Error, UnicodeDecodeError):  # SQLite may complain in words that are no text
            return []
