"""A standalone copy of a collection as of one version: only the files that it needs, each compared with its digest.

The copy has the same version number, and a catalogue of its own that knows this version and no other: its files, its
vector columns and their spaces, its tags, and the idempotency keys of the calls that led to it. The index is not
copied: it is derived, often from another version, and would double the copy; `build_index` makes one where one is
wanted.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from commonspace.core.digest import digest_folder
from commonspace.core.errors import BadInput
from commonspace.store import drafts, files
from commonspace.store.catalogue import Catalogue
from commonspace.store.files import Stored
from commonspace.store.folder import CATALOGUE, SPACES, space_folder
from commonspace.store.lances import manifest_name
from commonspace.store.migrating import mark, state_of
from commonspace.store.snapshot import Snapshot
from commonspace.store.versions import ITEMS, Versions

_CHUNK = 1 << 20
_AT_ONCE = 4


@dataclass(frozen=True)
class Copied:
    """What a snapshot or an export wrote.

    Parameters
    ----------
    path : Path
        The new folder or file.
    version : int
        The version of the items in it.
    n : int
        Number of items.
    bytes : int
        Size on disk; of hard links, the size of what they share.
    """

    path: Path
    version: int
    n: int
    bytes: int


def copy_version(
    items: Versions, stored: Snapshot, target: Path, *, link: bool = False, advance: Callable[[], None] = lambda: None
) -> Copied:
    """Copy one version of a collection into a new folder, whole or not at all.

    Parameters
    ----------
    items : Versions
        The item table of the collection.
    stored : Snapshot
        The version; its lease keeps the files while they are copied.
    target : Path
        The folder to make.
    link : bool
        Share the files of items by hard links instead of copying their bytes. They are compared with their digests
        all the same.
    advance : callable
        Called after each file.

    Raises
    ------
    BadInput
        If the target exists or lies inside the collection; with `link`, if it is on another disk.
    Corrupt
        If a file is not what was written.
    CommonspaceError
        If the disk is full or fails.
    """
    if target.resolve().is_relative_to(items.folder.resolve()):
        raise BadInput(f"{target} lies inside the collection {items.folder}: choose a place outside of it")
    wanted = needed(items, stored)
    with drafts.folder(target) as part:
        _copy_files(items, part, wanted, link, advance)
        _write_catalogue(items, stored, part, set(wanted))
    return Copied(target, stored.version, len(stored), sum(p.stat().st_size for p in target.rglob("*") if p.is_file()))


def needed(items: Versions, stored: Snapshot) -> dict[str, Stored]:
    """Return path -> size and digest of the files that one version needs, the catalogue and spaces left out.

    Raises
    ------
    Corrupt
        If the catalogue does not know one of them.
    """
    if stored.version == 0:
        return {}
    manifest = f"{ITEMS}/{manifest_name(stored.version)}"
    names = [*(f"{ITEMS}/{name}" for name in stored.files()), manifest]
    known = items.catalogue.files()
    if unknown := [name for name in names if name not in known]:
        raise items.corrupt(f"{items.folder / unknown[0]} is not among the files that the catalogue knows")
    # What Lance noted about the write itself: nothing reads it here, but whoever looks into the folder can.
    own = items.catalogue.files(since=stored.version - 1)
    notes = [name for name in own if name.startswith(f"{ITEMS}/_transactions/{stored.version - 1}-")]
    return {name: known[name] for name in [*names, *notes]}


class _Wrong(Exception):
    """In a few words, what is wrong with a file that was to be copied."""


def _copy_files(
    items: Versions, part: Path, wanted: Mapping[str, Stored], link: bool, advance: Callable[[], None]
) -> None:
    """Copy or link files into the draft; the first that is damaged ends it."""
    for folder in {(part / name).parent for name in wanted}:
        folder.mkdir(parents=True, exist_ok=True)
    take = _link if link else _copy_checked
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = {pool.submit(take, items.folder / name, part / name, what): name for name, what in wanted.items()}
        try:
            for done in as_completed(running):
                done.result()
                advance()
        except _Wrong as e:
            raise items.corrupt(f"{items.folder / running[done]} {e}; no copy was made") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _copy_checked(source: Path, target: Path, wanted: Stored) -> None:
    found = _copy(source, target)
    if found.size != wanted.size:
        raise _Wrong(f"has {found.size:,} bytes instead of {wanted.size:,}")
    if found != wanted:
        raise _Wrong("holds other bytes than were written")


def _copy(source: Path, target: Path) -> Stored:
    """Copy a file; return the size and digest of what was read. Errors of the disk that is written to are raised."""
    digest, size = hashlib.sha256(), 0
    with open(target, "xb") as out:
        for piece in _pieces(source):
            digest.update(piece)
            size += len(piece)
            out.write(piece)
    return Stored(size, digest.hexdigest())


def _pieces(source: Path) -> Iterator[bytes]:
    try:
        with open(source, "rb") as f:
            while piece := f.read(_CHUNK):
                yield piece
    except FileNotFoundError:
        raise _Wrong("is missing") from None
    except OSError as e:
        raise _Wrong(f"cannot be read ({e.strerror or e})") from None


def _link(source: Path, target: Path, wanted: Stored) -> None:
    """Give a file a second name."""
    if wrong := files.check(source, wanted):
        raise _Wrong(wrong)
    try:
        os.link(source, target)
    except OSError as e:
        if e.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        raise BadInput(
            f"{source} cannot be linked to {target} ({e.strerror}): hard links need one disk whose file system has "
            "them; copy with link=False"
        ) from None


def _write_catalogue(items: Versions, stored: Snapshot, part: Path, names: set[str]) -> None:
    """Write the copy's own catalogue, and the spaces of its vectors."""
    have = items.catalogue
    meta = dict(have.rows("meta"))
    columns = [row for row in have.rows("columns") if row[0] in stored.schema.names]
    underway = state_of(have).underway
    migration = set() if underway is None else {underway.id, underway.old, underway.new}
    for space in sorted({str(meta["space"]), *(row[2] for row in columns), *migration}):
        _copy_space(items, part, space)
    path = part / CATALOGUE
    Catalogue.create(path, id_name=stored.id_name, space=meta["space"], space_digest=have.space_digest(meta["space"]))
    copy = Catalogue(path)
    try:
        with copy.writing() as ledger:
            now = {"version": stored.version, "rows": len(stored), "synced": stored.version}
            ledger.put("meta", *{**meta, **now}.items())
            mark(ledger)
            ledger.put("versions", *have.rows("versions", "version = ?", (stored.version,)))
            ledger.put("files", *(row for row in have.rows("files") if row[0] in names))
            ledger.put("columns", *columns)
            ledger.put("spaces", *(row for row in have.rows("spaces") if (part / SPACES / row[0]).is_dir()))
            ledger.put("tags", *have.rows("tags", "version = ?", (stored.version,)))
            ledger.put("calls", *have.rows("calls", "version <= ?", (stored.version,)))
            if stored.version:
                body = (part / ITEMS / manifest_name(stored.version)).read_bytes()
                ledger.put("copies", ("manifest", body))
    finally:
        copy.close()


def _copy_space(items: Versions, part: Path, space: str) -> None:
    source, target = space_folder(items.folder, items.catalogue, space), part / SPACES / space
    try:
        for path in (p for p in source.rglob("*") if p.is_file()):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, copy)
    except _Wrong as e:
        raise items.corrupt(f"{path} {e}; no copy was made") from None
    if digest_folder(target) != items.catalogue.space_digest(space):
        raise items.corrupt(f"the space in {source} holds other bytes than were written; no copy was made")
