"""The index of a collection on disk: folders of derived data, each of one vector column of one committed version.

    index/<id>/     written beside, synced, renamed, and only then entered in the catalogue with its digest

A segment never changes. Whoever opens it compares every byte with the digest first. Losing one loses speed and nothing
else, so a segment that is damaged or gone is left out with a warning, and what it held is searched exactly.
"""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from commonspace.core.digest import digest_folder
from commonspace.core.errors import CommonspaceError, Corrupt
from commonspace.core.warning import warn
from commonspace.store import drafts
from commonspace.store.catalogue import Catalogue, now
from commonspace.store.files import below, size_of
from commonspace.store.folder import names_folder
from commonspace.store.ledger import Ledger

INDEX = "index"
GRACE = 3600.0  # seconds after which a folder that the catalogue does not know belongs to a dead writer
S = TypeVar("S")


@dataclass(frozen=True)
class Entry:
    """What the catalogue knows of a segment.

    Parameters
    ----------
    id : str
        Its name below ``index/``.
    column : str
        The vector column.
    version : int
        The version of the item table that it was built from.
    created : str
        When, in UTC.
    digest : str
        Of all its files.
    about : mapping
        Plain data of whoever built it.
    """

    id: str
    column: str
    version: int
    created: str
    digest: str
    about: Mapping[str, Any]


class Segments(Generic[S]):
    """The segments of a collection, each opened once.

    Parameters
    ----------
    folder : Path
        The collection.
    catalogue : Catalogue
        Where they are entered.
    load : callable
        Folder -> the opened segment; raises `Corrupt`.
    fixed : bool
        Whether an earlier version is read, for which segments made of later ones are no substitute: those that were
        opened once are then held, whatever replaces them, as a lease holds the version's own files.
    """

    def __init__(self, folder: Path, catalogue: Catalogue, load: Callable[[Path], S], *, fixed: bool = False) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self._load = load
        self._opened: dict[str, dict[str, S | None]] = {}  # column -> id
        self._opening = threading.Lock()  # for moments, and never while a file is read
        self._reading: dict[str, threading.Lock] = {}  # id of a segment that is being opened
        self._fixed = fixed
        self._held: dict[str, list[tuple[Entry, S]]] = {}

    def entries(self, column: str | None = None) -> list[Entry]:
        """Return what the catalogue knows, of one column or of all, oldest first."""
        where, values = ("1", ()) if column is None else ('"column" = ?', (column,))
        rows = self.catalogue.rows("segments", where, values)
        found = [Entry(id, name, v, made, seal, json.loads(about)) for id, name, v, made, seal, about in rows]
        return sorted(found, key=lambda e: (e.created, e.id))

    def open(self, column: str) -> list[tuple[Entry, S]]:
        """Return the segments of a column that are whole.

        Warns
        -----
        RuntimeWarning
            Once a process for each segment that is damaged or gone.
        """
        with self._opening:
            if self._held.get(column):
                return self._held[column]
            entries = self.entries(column)
            opened = self._opened.setdefault(column, {})
            for replaced in opened.keys() - {entry.id for entry in entries}:  # by another process
                del opened[replaced]  # or its bytes would stay on disk for as long as it is mapped
        whole = [(entry, segment) for entry in entries if (segment := self._open_one(entry)) is not None]
        if self._fixed and whole:
            with self._opening:
                self._held.setdefault(column, whole)
        return whole

    def _open_one(self, entry: Entry) -> S | None:
        """Return a segment, None if it is not whole; it is read once, and only who wants the same one waits."""
        with self._opening:
            opened = self._opened[entry.column]
            if entry.id in opened:
                return opened[entry.id]
            reading = self._reading.setdefault(entry.id, threading.Lock())
        with reading:
            with self._opening:
                if entry.id in opened:  # by whom this thread has waited for
                    return opened[entry.id]
            found = self._checked(entry)
            with self._opening:
                opened[entry.id] = found
                self._reading.pop(entry.id, None)
            return found

    def damaged(self, column: str) -> list[str]:
        """Return the segments of a column that were left out because they are damaged or gone."""
        with self._opening:
            left_out = {id for id, segment in self._opened.get(column, {}).items() if segment is None}
        return [entry.id for entry in self.entries(column) if entry.id in left_out] if left_out else []

    def size(self, id: str) -> int:
        """Return the bytes of a segment's files."""
        return self._size(self.folder / INDEX / id) if names_folder(id) else 0

    def _checked(self, entry: Entry) -> S | None:
        place = self.folder / INDEX / entry.id
        try:
            if not names_folder(entry.id) or digest_folder(place) != entry.digest:
                raise Corrupt("it holds other bytes than were written")
            return self._load(place)
        except (CommonspaceError, OSError) as e:
            if entry.id not in {known.id for known in self.entries(entry.column)}:
                return None  # replaced by another process while it was being opened
            warn(
                f"the index segment {place} is left out: {e}. Its vectors are searched without it, which is slower "
                "and misses nothing; build_index() makes it anew"
            )
            return None

    def add(
        self,
        column: str,
        version: int,
        write: Callable[[Path], S],
        about: Mapping[str, Any],
        keeps: Collection[str],
        also: Callable[[Ledger], None] | None = None,
    ) -> Entry:
        """Write a segment and enter it, in place of others; whole or not at all.

        Of two processes that build at once the last one wins, so that no vector is in two segments for long.

        Parameters
        ----------
        column, version, about
            See `Entry`.
        write : callable
            Fills an empty folder and returns what it has made.
        keeps : collection of str
            Segments of the column beside which it stands. All others are removed, those included that somebody entered
            while it was built.
        also : callable, optional
            What else changes in the catalogue with it, in the same transaction.

        Raises
        ------
        CommonspaceError
            If the disk is full or fails, or another writer does not finish; nothing was changed.
        """
        id = secrets.token_hex(8)
        place = self.folder / INDEX / id
        place.parent.mkdir(exist_ok=True)
        with drafts.folder(place) as part:
            write(part)
            seal = digest_folder(part)
        entry = Entry(id, column, version, now(), seal, dict(about))
        row = (id, column, version, entry.created, seal, json.dumps(entry.about))
        try:
            opened = self._load(place)
            with self.catalogue.writing() as ledger:
                replaced = [known.id for known in self.entries(column) if known.id not in keeps]
                ledger.remove("segments", *replaced)
                ledger.put("segments", row)
                if also is not None:
                    also(ledger)
        except BaseException:
            if id not in {known.id for known in self.entries(column)}:
                self._erase([id])
            raise
        with self._opening:
            self._opened.setdefault(column, {})[id] = opened
        self._erase(replaced)
        return entry

    def remove(self, ids: Sequence[str]) -> None:
        """Remove segments."""
        with self.catalogue.writing() as ledger:
            ledger.remove("segments", *ids)
        self._erase(ids)

    def _erase(self, ids: Sequence[str]) -> None:
        """Remove the folders of segments that the catalogue does not name any more."""
        for id in filter(names_folder, ids):
            # Who has it mapped goes on reading it; who is about to open it finds it gone from the catalogue, too.
            shutil.rmtree(self.folder / INDEX / id, ignore_errors=True)

    def clean_up(self, useful: Callable[[S], bool]) -> tuple[int, int]:
        """Remove segments that are of no use, and what writers that died have left.

        Parameters
        ----------
        useful : callable
            Segment -> whether any version that is kept has one of its vectors.

        Returns
        -------
        removed, bytes : int
            Segments, drafts of such included, and their size. A damaged segment stays, for `repair` to tell of it.
        """
        columns = {entry.column for entry in self.entries()}
        opened = [(entry, segment) for column in sorted(columns) for entry, segment in self.open(column)]
        dead = [entry.id for entry, segment in opened if not useful(segment)]
        size = sum(self._size(self.folder / INDEX / id) for id in dead)
        if dead:
            self.remove(dead)
        removed = len(dead)
        place = self.folder / INDEX
        there = list(place.iterdir()) if place.is_dir() else []
        known = {entry.id for entry in self.entries()}  # after looking, so that what is entered meanwhile is in it
        for found in there:
            if found.name not in known:
                was = self._size(found)
                if self._remove_leftover(found):
                    removed, size = removed + 1, size + was
        return removed, size

    @staticmethod
    def _remove_leftover(found: Path) -> bool:
        if drafts.is_draft(found) and (dead := drafts.remove_dead(found)) is not None:
            return dead
        try:
            if time.time() - found.stat().st_mtime <= GRACE:
                return False  # its writer may be about to enter it
        except OSError:
            return False
        shutil.rmtree(found, ignore_errors=True)
        return not found.exists()

    @staticmethod
    def _size(folder: Path) -> int:
        return sum(map(size_of, below(folder)))
