"""`Cache`: encoder outputs kept on disk, named by content.

    key = (encoder's fingerprint, item's digest) -> vector, or bag of vectors

One SQLite file in write-ahead mode, shared by any number of processes. Three properties matter:

- Never wrong. Every row carries a checksum of its key, shape and bytes, verified at each read. A row that fails is
  deleted, counted in `bad` and reported as missing, so that the item is simply encoded again.
- Survives a crash. A batch is one transaction: after a kill or a power cut it is there whole or not at all. A file
  that SQLite itself finds malformed is set aside and a new one begun.
- Never in the way. On a read-only or full disk, or behind a lock that does not open, it warns once and goes quiet;
  encoding then works as if there were no cache.

Beyond `max_bytes` the least recently used encoders lose their oldest rows. Use is noted per encoder, not per row: a
note per row would turn each read into thousands of writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import struct
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.core.bags import Bags
from commonspace.core.errors import BadInput
from commonspace.core.sqlite import connect
from commonspace.core.warning import warn

FILE = "encoded-v1.sqlite"
ENVIRONMENT = "COMMONSPACE_CACHE"
_AT_ONCE = 500  # keys in one query; SQLite's oldest limit on variables is 999
_LOCK_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS encoders (id INTEGER PRIMARY KEY, fingerprint TEXT UNIQUE NOT NULL, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (
    id INTEGER PRIMARY KEY,
    encoder INTEGER NOT NULL,
    item TEXT NOT NULL,
    count INTEGER NOT NULL,          -- vectors in the bag, -1 for a single vector
    dim INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    data BLOB NOT NULL,              -- little-endian float32; last, so that a key is found without reading it
    UNIQUE (encoder, item)
);
"""


class Cache:
    """Content-addressed cache of encoder outputs.

    Parameters
    ----------
    path : path, optional
        Folder of the cache; default is the environment variable ``COMMONSPACE_CACHE`` or the user's cache folder.
    max_bytes : int
        Size beyond which old rows are dropped.

    Attributes
    ----------
    bad : int
        Rows whose checksum failed so far; each was deleted and reported as missing.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, max_bytes: int = 10 * 2**30) -> None:
        self.path = _default_folder() if path is None else Path(path).expanduser()
        self.max_bytes = max_bytes
        self.bad = 0
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._off = False

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return self.path / FILE

    def get_many(self, fingerprint: str, digests: Sequence[str]) -> dict[str, np.ndarray]:
        """Return what is known of these items.

        Parameters
        ----------
        fingerprint : str
            The encoder's.
        digests : sequence of str
            The items'.

        Returns
        -------
        dict of str to array
            Digest -> (dim,) float32 vector, or (m, dim) for a bag. Missing items are left out.
        """
        found: dict[str, np.ndarray] = {}
        broken: list[int] = []
        with self._session() as db:
            encoder = db and _encoder_id(db, fingerprint)
            if db is None or encoder is None:
                return {}
            for start in range(0, len(digests), _AT_ONCE):
                keys = list(digests[start : start + _AT_ONCE])
                marks = ",".join("?" * len(keys))
                rows = db.execute(
                    f"SELECT id, item, count, dim, checksum, data FROM vectors WHERE encoder = ? AND item IN ({marks})",
                    (encoder, *keys),
                )
                for row, item, count, dim, checksum, data in rows:
                    if checksum == _checksum(fingerprint, item, count, dim, data):
                        vector = np.frombuffer(data, "<f4")
                        found[item] = vector.reshape(count, dim) if count >= 0 else vector
                    else:
                        broken.append(row)
        self.bad += len(broken)
        if broken or found:
            with self._session(write=True) as db:
                if db is not None:
                    db.executemany("DELETE FROM vectors WHERE id = ?", ((i,) for i in broken))
                    db.execute("UPDATE encoders SET used = ? WHERE fingerprint = ?", (time.time(), fingerprint))
        return found

    def put_many(self, fingerprint: str, digests: Sequence[str], values: np.ndarray | Bags) -> None:
        """Keep the outputs of an encoder, one transaction for all.

        Parameters
        ----------
        fingerprint : str
            The encoder's.
        digests : sequence of str, n long
            The items'.
        values : (n, dim) float32 or Bags of length n
            What the encoder made of them.
        """
        if len(digests) != len(values):
            raise BadInput(f"{len(digests)} digests but {len(values)} values")
        bags = isinstance(values, Bags)
        rows = []
        for item, value in zip(digests, values, strict=True):
            data = np.ascontiguousarray(value, "<f4").tobytes()
            count, dim = (len(value) if bags else -1), int(value.shape[-1])
            rows.append((item, count, dim, _checksum(fingerprint, item, count, dim, data), data))
        with self._session(write=True) as db:
            if db is None or not rows:
                return
            db.execute(
                "INSERT INTO encoders (fingerprint, used) VALUES (?, ?) "
                "ON CONFLICT (fingerprint) DO UPDATE SET used = excluded.used",
                (fingerprint, time.time()),
            )
            encoder = _encoder_id(db, fingerprint)
            db.executemany(
                "INSERT OR REPLACE INTO vectors (encoder, item, count, dim, checksum, data) VALUES (?, ?, ?, ?, ?, ?)",
                ((encoder, *row) for row in rows),
            )
        self._shrink()

    def clear(self) -> None:
        """Forget everything and give the space back."""
        with self._session(write=True) as db:
            if db is not None:
                db.execute("DELETE FROM vectors")
                db.execute("DELETE FROM encoders")
        with self._session() as db:
            if db is not None:
                db.execute("VACUUM")

    def info(self) -> dict[str, Any]:
        """Return the folder, the numbers of encoders and entries, and the bytes in use."""
        entries = encoders = used = 0
        with self._session() as db:
            if db is not None:
                entries = db.execute("SELECT count(*) FROM vectors").fetchone()[0]
                encoders = db.execute("SELECT count(*) FROM encoders").fetchone()[0]
                used = _bytes_in_use(db)
        return {"path": str(self.path), "encoders": encoders, "entries": entries, "bytes": used}

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    def _shrink(self) -> None:
        """Drop the oldest rows of the least recently used encoders until the cache fits, a tenth at a time."""
        with self._session(write=True) as db:
            if db is None:
                return
            used = _bytes_in_use(db)
            target = self.max_bytes if used <= self.max_bytes else int(0.9 * self.max_bytes)
            while used > target:
                gone = db.execute(
                    "DELETE FROM vectors WHERE id IN (SELECT v.id FROM vectors v JOIN encoders e ON e.id = v.encoder "
                    "ORDER BY e.used, v.id LIMIT 1000)"
                ).rowcount
                used = _bytes_in_use(db)
                if not gone:
                    break

    @contextlib.contextmanager
    def _session(self, *, write: bool = False) -> Iterator[sqlite3.Connection | None]:
        """Yield the open file, or None where the cache is off; what SQLite throws turns it off.

        With `write` the block is one transaction: committed at its end, undone on any error.
        """
        with self._lock:
            db = self._open()
            if db is None:
                yield None
                return
            try:
                if write:
                    db.execute("BEGIN IMMEDIATE")
                yield db
                if write:
                    db.execute("COMMIT")
            except sqlite3.Error as e:
                self._undo(db)
                self._give_up(e)
            except BaseException:
                self._undo(db)
                raise

    def _open(self) -> sqlite3.Connection | None:
        if self._off:
            return None
        if self._connection is not None and self._owner == os.getpid():
            return self._connection
        self._connection = None  # SQLite connections must not cross a fork: the child opens its own
        for attempt in (1, 2):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                self._connection = _connect(self.file)
                self._owner = os.getpid()
                return self._connection
            except (sqlite3.Error, OSError) as e:
                if attempt == 2 or not _is_malformed(e) or not self._set_aside():
                    self._give_up(e)
                    return None
        return None

    def _undo(self, db: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _give_up(self, error: Exception) -> None:
        """Warn once and go quiet; a malformed file is set aside, so that the next process starts afresh."""
        self.close()
        what = "Nothing is cached in this run"
        if _is_malformed(error) and self._set_aside():
            what = "It was set aside, the next run starts an empty one; nothing more is cached in this run"
        self._off = True
        warn(
            f"the cache of encoded items at {self.file} cannot be used ({error}). {what}, results are unaffected. "
            f"To use another folder set {ENVIRONMENT}."
        )

    def _set_aside(self) -> bool:
        """Rename a malformed file, with its log, and delete it; another process may still have it open."""
        aside = self.file.with_name(f"{FILE}.{uuid.uuid4().hex}.malformed")
        try:
            os.replace(self.file, aside)
            for part in (aside, Path(f"{self.file}-wal"), Path(f"{self.file}-shm")):
                part.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _default_folder() -> Path:
    if given := os.environ.get(ENVIRONMENT):
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("commonspace"))


def _connect(file: Path) -> sqlite3.Connection:
    """Open or begin the file; rows are large, so pages are (a 2,000-float row on 4 KiB pages reads at half speed)."""
    db = connect(file, patience=_LOCK_SECONDS, page_size=16384)
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        if db.execute("PRAGMA table_info(vectors)").fetchall() == []:
            raise sqlite3.DatabaseError("malformed: the table is missing")
    except BaseException:
        db.close()
        raise
    return db


def _encoder_id(db: sqlite3.Connection, fingerprint: str) -> int | None:
    row = db.execute("SELECT id FROM encoders WHERE fingerprint = ?", (fingerprint,)).fetchone()
    return None if row is None else int(row[0])


def _bytes_in_use(db: sqlite3.Connection) -> int:
    pages, free, size = (db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def _checksum(fingerprint: str, item: str, count: int, dim: int, data: bytes) -> bytes:
    """Return 8 bytes over key, shape and vector, so that rows that changed places fail as well as changed bytes."""
    h = hashlib.blake2b(f"{fingerprint}/{item}".encode(), digest_size=8)
    h.update(struct.pack("<qq", count, dim))
    h.update(data)
    return h.digest()


def _is_malformed(error: Exception) -> bool:
    words = str(error)
    return isinstance(error, sqlite3.DatabaseError) and ("malformed" in words or "not a database" in words)
