"""`Demand`: how often each item was found while a migration was under way, so that the most wanted are encoded first.

Counts are kept in memory and written now and then to a small file of this object's own below `demand/`; whoever fills
in adds up the files of all. Nothing depends on them: lost counts cost some order, and errors of the disk are passed
over. Counts of a migration that has ended are not written: whoever ends it removes all there are after that, and who
has written meanwhile looks again.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

FOLDER = "demand"
_MOST = 100_000  # items that are remembered
_SEARCHES, _SECONDS = 1_000, 30.0  # after which counts are written


class Demand:
    """Counts hits.

    Parameters
    ----------
    folder : Path
        The collection.
    underway : callable
        Says whether a migration is still under way.
    """

    def __init__(self, folder: Path, underway: Callable[[str], bool] = lambda migration: True) -> None:
        self._underway = underway
        self._root = folder / FOLDER
        self._name = f"{secrets.token_hex(8)}.json"
        self._lock = threading.Lock()
        self._migration: str | None = None
        self._counts: Counter[Any] = Counter()
        self._unsaved = 0
        self._saved_at = time.monotonic()

    def count(self, migration: str, hits: Iterable[Iterable[Any]]) -> None:
        """Count the items that each of some searches has found."""
        with self._lock:
            if migration != self._migration:
                self._migration, self._counts, self._unsaved = migration, Counter(), 0
            for ids in hits:
                self._counts.update(ids)
                self._unsaved += 1
            if len(self._counts) > 2 * _MOST:
                self._counts = Counter(dict(self._counts.most_common(_MOST)))
            due = self._unsaved >= _SEARCHES or time.monotonic() - self._saved_at > _SECONDS
        if due:
            self.save()

    def save(self) -> None:
        """Write what was counted."""
        with self._lock, contextlib.suppress(OSError):
            if self._migration is None or not self._unsaved:
                return
            self._unsaved, self._saved_at = 0, time.monotonic()
            if not self._underway(self._migration):
                return
            place = self._root / self._migration
            place.mkdir(parents=True, exist_ok=True)
            draft = place / f".{self._name}.part"
            draft.write_text(json.dumps(self._counts.most_common(_MOST)))
            os.replace(draft, place / self._name)
            if not self._underway(self._migration):
                shutil.rmtree(place)
                self._root.rmdir()

    def total(self, migration: str) -> Counter[Any]:
        """Return id -> how often it was found, by whatever process, the latest searches of others perhaps left out."""
        self.save()
        found: Counter[Any] = Counter()
        for path in sorted((self._root / migration).glob("*.json")):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.update({id: int(n) for id, n in json.loads(path.read_text())})
        return found

    def forget(self) -> None:
        """Remove all counts: the migration is over."""
        with self._lock:
            self._migration, self._counts, self._unsaved = None, Counter(), 0
        shutil.rmtree(self._root, ignore_errors=True)
