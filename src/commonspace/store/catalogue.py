"""The catalogue: what a collection knows about itself, in one small SQLite file, and the one place where writes commit.

    meta      name -> value: format, name of the id column, current space, when it was made; the migration to another
              space; the acknowledged version of the item table, its number of rows, and the last one on disk for good
    versions  version of the item table -> rows, when and by what it was made
    files     path below the collection -> size, SHA-256, version that brought it
    copies    "manifest" -> bytes of the newest manifest, from which a damaged one is healed
    spaces    space id -> digest of its saved folder
    columns   name of a vector column -> modality, space id, dimension, kind
    tags      name -> version
    calls     idempotency key -> what the call did
    jobs      key of work that can go on after a kill -> how far it came
    segments  name of a folder of the index -> column and version that it was made from, its digest, what it is
    settings  name of a vector column -> how its index is searched

Names and types of fields stand in the schema of the item table and nowhere else, so that they cannot disagree.

A version of the item table exists for readers from the moment this file says so, and not before: whatever Lance has
written by then is unheard of. One writer at a time holds BEGIN IMMEDIATE, which the operating system releases when a
process dies. SQLite keeps a rollback journal here and not a write-ahead log: in the log a flipped bit is taken for
the torn end of a crash, and the writes behind it are dropped without a word. Rows are sealed, see `Ledger`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from commonspace.core.errors import BadInput, Busy, CommonspaceError, Corrupt, NotFound
from commonspace.core.sqlite import connect, is_busy
from commonspace.store import files
from commonspace.store.files import Stored
from commonspace.store.ledger import Ledger
from commonspace.store.records import META, TABLES, Acknowledged, VectorColumn, Version, column_name

FORMAT = 3
MIGRATING = 4  # while a migration is under way: releases that know nothing of migrations refuse it
#: Seconds a writer waits for another one.
PATIENCE = 30.0
#: "SpCs", by which `file` and other tools can know the format.
_APPLICATION = 0x53704373
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA)


class Catalogue:
    """An open catalogue.

    Parameters
    ----------
    path : Path
        The file; it must exist, see `create`.
    patience : float
        Seconds to wait for another writer before `Busy`.
    synced : bool
        Whether each commit waits until it is on disk.

    Raises
    ------
    NotFound
        If there is no such file.
    Corrupt
        If it is not what was written.
    BadInput
        If it is of another format.
    """

    def __init__(self, path: Path, *, patience: float = PATIENCE, synced: bool = True) -> None:
        self.path = path
        self.patience = patience
        self._closed = self._within = False
        if not path.is_file():
            raise NotFound(f"there is no {path}")
        journal = Path(f"{path}-journal")
        if journal.exists() and not journal.is_file():
            raise Corrupt(f"{journal} is no file: SQLite's journal is to be there. Remove what is in its place")
        self._reading, self._writing = threading.RLock(), threading.RLock()
        with self._errors(), _legible():
            self._synced = synced
            self._reader = _connect(path, patience, synced)
            self._read = Ledger(self._reader, TABLES)
            try:
                self._check_format()
                with self._reading:
                    self._reader.execute("BEGIN")
                    try:
                        self._read.check()
                    finally:
                        self._reader.execute("ROLLBACK")
            except BaseException:
                self.close()
                raise

    @classmethod
    def create(cls, path: Path, *, id_name: str, space: str, space_digest: str) -> None:
        """Write a new catalogue of an empty collection."""
        db = _connect(path, PATIENCE, True)
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            ledger = Ledger(db, TABLES)
            ledger.create()
            ledger.put("spaces", (space, space_digest))
            meta = {"id_name": id_name, "space": space, "created": now(), "version": 0, "rows": 0, "synced": 0}
            ledger.put("meta", *meta.items())
            db.execute("COMMIT")
        finally:
            db.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        if "_write" in self.__dict__:
            self._writer.close()
        self._closed = True

    def sync(self) -> None:
        """Put what was committed on disk, where commits do not wait for that themselves."""
        for path in (Path(f"{self.path}-journal"), self.path):
            if path.exists():
                files.sync(path)

    # ---------------------------------------------------------------- reading

    def get(self, name: str) -> Any:
        """Return a value of the table `meta`."""
        rows = self.rows("meta", "name = ?", (name,))
        if not rows:
            raise Corrupt(f"the catalogue {self.path} lacks its entry {name!r}")
        if not isinstance(rows[0][1], META.get(name, object)):
            raise self._damaged(f"its entry {name!r} is of a wrong type")
        return rows[0][1]

    def acknowledged(self) -> Acknowledged:
        """Return the last version that a writer has finished; version 0 means that nothing was ever written."""
        found = dict(self.rows("meta", "name IN ('version', 'rows', 'synced')"))
        if len(found) != 3 or not all(isinstance(number, int) for number in found.values()):
            raise Corrupt(f"the catalogue {self.path} does not say which version of the items is the last")
        return Acknowledged(**found)

    def versions(self) -> list[Version]:
        """Return all versions that are kept, oldest first."""
        return [Version(*row) for row in self.rows("versions")]

    def version(self, number: int) -> Version | None:
        """Return a version; None if it is not kept."""
        rows = self.rows("versions", "version = ?", (number,))
        return Version(*rows[0]) if rows else None

    def resolve(self, version: int | str) -> int:
        """Return the number of a version that is named by number or by tag.

        Raises
        ------
        NotFound
            If it is not kept, or there is no such tag.
        """
        tags = self.tags()
        number = tags.get(version) if isinstance(version, str) else version
        if number is None:
            raise NotFound(f"{self.path.parent} has no tag {version!r}; it has {', '.join(tags) or 'none'}")
        if number != 0 and self.version(number) is None:
            kept = [v.version for v in self.versions()]
            span = f"it keeps {len(kept)}, from {kept[0]} to {kept[-1]}" if kept else "nothing was written yet"
            raise NotFound(f"{self.path.parent} does not keep version {number}; {span}")
        return number

    def files(self, *, since: int = 0) -> dict[str, Stored]:
        """Return path -> size and digest of the files that versions later than `since` brought."""
        return {path: Stored(size, sha) for path, size, sha, _ in self.rows("files", "version > ?", (since,))}

    def file(self, path: str) -> Stored | None:
        """Return what one file must be; None if it is not known."""
        rows = self.rows("files", "path = ?", (path,))
        return Stored(*rows[0][1:3]) if rows else None

    def manifest(self) -> bytes | None:
        """Return the copy of the newest version's manifest; None before the first write."""
        rows = self.rows("copies", "name = 'manifest'")
        return rows[0][1] if rows else None

    def space_digest(self, space: str) -> str:
        """Return the digest of a saved space's folder."""
        rows = self.rows("spaces", "id = ?", (space,))
        if not rows:
            raise Corrupt(f"the catalogue {self.path} does not know the space {space}")
        return str(rows[0][1])

    def spaces(self) -> list[str]:
        """Return the ids of all spaces."""
        return [row[0] for row in self.rows("spaces")]

    def columns(self, space: str | None = None) -> list[VectorColumn]:
        """Return the vector columns, of all spaces or of one."""
        return [column for row in self.rows("columns") if space in (None, (column := VectorColumn(*row)).space)]

    def tags(self) -> dict[str, int]:
        """Return name -> version."""
        return {name: version for name, version, _ in self.rows("tags")}

    def call(self, key: str) -> tuple[str, dict[str, Any]] | None:
        """Return the digest of the input and the result of the call with an idempotency key; None if there was none."""
        rows = self.rows("calls", "key = ?", (key,))
        return (rows[0][1], json.loads(rows[0][2])) if rows else None

    def job(self, key: str) -> dict[str, Any] | None:
        """Return how far a job came; None if there is none of that key."""
        rows = self.rows("jobs", "key = ?", (key,))
        return json.loads(rows[0][2]) if rows else None

    def jobs(self) -> dict[str, str]:
        """Return key -> kind of the jobs that are not finished."""
        return {key: kind for key, kind, *_ in self.rows("jobs")}

    def rows(self, table: str, where: str = "1", values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return rows of a table, each checked against its seal."""
        with self._errors(), self._reading:
            return self._read.rows(table, where, values)

    # ---------------------------------------------------------------- writing

    @cached_property
    def _write(self) -> Ledger:
        """A connection of its own, so that reading does not wait for a writer of this process; made when needed."""
        if self._closed:
            raise sqlite3.ProgrammingError("closed")
        return Ledger(_connect(self.path, self.patience, self._synced), TABLES)

    @property
    def _writer(self) -> sqlite3.Connection:
        return self._write.db

    @property
    def ledger(self) -> Ledger:
        """What is put into it inside `writing` is committed with it."""
        return self._write

    @contextmanager
    def writing(self) -> Iterator[Ledger]:
        """Hold the one right to write while the block runs; what it puts into the ledger is committed at its end.

        Within the block of a thread it may be entered again; the outermost block commits.

        Raises
        ------
        Busy
            If another writer does not finish within the time of patience.
        """
        busy = Busy(f"another writer holds {self.path.parent} for longer than {self.patience:g} s; try again later")
        if not self._writing.acquire(timeout=self.patience):
            raise busy
        nested = self._within
        try:
            with self._errors(busy):
                if not nested:
                    self._undo()  # what Ctrl-C kept an earlier block from undoing
                    self._writer.execute("BEGIN IMMEDIATE")
                    self._within = True
            with self._errors():
                yield self._write
            if not nested:
                with self._errors(busy):
                    self._commit()
        finally:
            try:
                self._within = nested
                if not nested:
                    self._undo()
            finally:
                self._within = nested  # twice, because Ctrl-C can come between any two lines, but hardly twice
                self._writing.release()

    def acknowledge(
        self, version: int, rows: int, what: str, files: Mapping[str, Stored], *, synced: bool, manifest: bytes
    ) -> None:
        """Record the version that was just written; only inside `writing`.

        Parameters
        ----------
        version, rows : int
            The version and its number of items.
        what : str
            The operation that made it.
        files : mapping
            The files it brought.
        synced : bool
            Whether they, and all earlier ones, are on disk for good.
        manifest : bytes
            Its manifest.
        """
        ledger = self._write
        ledger.put("files", *((path, s.size, s.sha256, version) for path, s in files.items()))
        ledger.put("versions", (version, rows, now(), what))
        ledger.put("meta", ("version", version), ("rows", rows), *([("synced", version)] if synced else []))
        ledger.put("copies", ("manifest", manifest))

    def add_column(self, modality: str, space: str, dim: int, kind: str = "vector") -> VectorColumn:
        """Return the column of a modality and space, entered now if it is new.

        Raises
        ------
        BadInput
            If it is there with another kind of vectors.
        """
        column = VectorColumn(column_name(modality, space), modality, space, dim, kind)
        have = {c.name: c for c in self.columns(space)}.get(column.name)
        if have is not None and have != column:
            raise BadInput(
                f"the collection stores {modality} as {have.kind}s of dimension {have.dim} in the space {space}; "
                f"these are {kind}s of dimension {dim}"
            )
        if have is None:
            with self.writing() as ledger:
                ledger.put("columns", (column.name, modality, space, dim, kind))
        return column

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.OperationalError as e:
            if is_busy(e):
                raise
            # The journal may be void already, or not: only the next reader finds out.
            raise CommonspaceError(
                f"the disk failed at the last step of a write to {self.path.parent} ({e}): it may have been done or "
                "not. Read it back, or repeat the call with its key"
            ) from None

    def _undo(self) -> None:
        """Roll back what was not committed: an error, or Ctrl-C anywhere in the block."""
        try:
            if "_write" in self.__dict__ and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # closed meanwhile, or a disk that fails: the journal rolls it back at the next opening

    def _check_format(self) -> None:
        ((version,),) = self._reader.execute("PRAGMA user_version").fetchall()
        ((application,),) = self._reader.execute("PRAGMA application_id").fetchall()
        if application != _APPLICATION:
            raise Corrupt("it is not marked as a catalogue of commonspace")
        if version not in (FORMAT, MIGRATING):
            raise BadInput(
                f"{self.path.parent} has format {version!r}, but this commonspace reads format {FORMAT}: "
                "open it with the version of commonspace that made it"
            )

    @contextmanager
    def _errors(self, busy: Busy | None = None) -> Iterator[None]:
        """Say what SQLite's errors mean: closed, locked, damaged, or a disk that does not do its work."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise BadInput(f"the collection {self.path.parent} was closed; open it again") from None
        except sqlite3.Error as e:
            if is_busy(e):
                raise busy or Busy(f"another process holds {self.path}; try again later") from None
            if getattr(e, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _DAMAGE:
                raise self._damaged(str(e)) from None
            raise CommonspaceError(
                f"cannot use the catalogue {self.path} ({e}); nothing was changed. "
                "Free space or mend the disk, then try again"
            ) from None
        except Corrupt as e:
            raise (e if str(self.path.parent) in str(e) else self._damaged(str(e))) from None

    def _damaged(self, why: str) -> Corrupt:
        return Corrupt(
            f"the catalogue {self.path} is damaged: {why}. `commonspace repair {self.path.parent} --trust-unchecked` "
            "makes it anew from the items, whose bytes can then no longer be compared with what was written"
        )


@contextmanager
def _legible() -> Iterator[None]:
    """Take it for damage if SQLite complains of a schema in words that are no text."""
    try:
        yield
    except UnicodeDecodeError:
        raise Corrupt("its schema is not legible") from None


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _connect(path: Path, patience: float, synced: bool) -> sqlite3.Connection:
    db = connect(path, patience=patience, journal="PERSIST")
    db.execute(f"PRAGMA synchronous = {'FULL' if synced else 'OFF'}")
    db.execute("PRAGMA trusted_schema = OFF")  # a damaged or hostile schema runs no functions
    db.execute("PRAGMA cell_size_check = ON")
    return db
