"""The folder of a collection: made whole or not at all, and with the saved space it was made with.

name.cs/
    catalogue.sqlite    what the collection knows about itself
    items.lance/        ids, fields and vectors; appears with the first items
    index/              derived from the vectors by `build_index`; can be lost without losing anything
    leases/             locks on the versions that are being read
    spaces/<space id>/  a copy of the space
    damaged/            what a repair has put aside
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from commonspace.core.digest import digest_folder
from commonspace.core.errors import BadInput, CommonspaceError, Corrupt, NotFound
from commonspace.store import drafts, schema
from commonspace.store.catalogue import Catalogue
from commonspace.store.files import below, size_of, sync, sync_tree
from commonspace.store.ledger import Ledger
from commonspace.store.versions import ITEMS

CATALOGUE = "catalogue.sqlite"
SPACES = "spaces"
DAMAGED = "damaged"


def make_folder(target: Path, space: Any, *, id_name: str) -> None:
    """Make the folder of an empty collection; it appears under its name when it is complete.

    Raises
    ------
    BadInput
        If the path exists, or the id column's name or the space's id cannot be used.
    """
    schema.check_name(id_name)
    with drafts.folder(target, hint="open it with Collection.open or pass exist_ok=True") as part:
        fill_folder(part, space, id_name=id_name)


def fill_folder(part: Path, space: Any, *, id_name: str) -> None:
    """Write the catalogue and the space of an empty collection into a folder."""
    _check_space_id(space)
    saved = part / SPACES / space.id
    saved.parent.mkdir()
    space.save(saved)
    Catalogue.create(part / CATALOGUE, id_name=id_name, space=space.id, space_digest=digest_folder(saved))


def add_space(folder: Path, catalogue: Catalogue, space: Any, *, note: Callable[[Ledger], None] | None = None) -> None:
    """Save another space, or a migration, in a collection; one that is there already stays as it is.

    What `note` enters in the catalogue is committed with it; if it raises, nothing is saved.
    """
    _check_space_id(space)
    if space.id in catalogue.spaces() and note is None:
        return
    part = folder / SPACES / f".{space.id}.{secrets.token_hex(4)}.part"
    saved = folder / SPACES / space.id
    try:
        space.save(part)
        sync_tree(part)
        with catalogue.writing() as ledger:
            if note is not None:
                note(ledger)
            if space.id not in catalogue.spaces():
                shutil.rmtree(saved, ignore_errors=True)  # of a call that was killed before it was entered
                os.rename(part, saved)
                sync(saved.parent)
                ledger.put("spaces", (space.id, digest_folder(saved)))
    except OSError as e:
        raise CommonspaceError(f"cannot save the space {space.id} in {folder}: {e.strerror or e}") from e
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_leftovers(folder: Path, catalogue: Catalogue, *, grace: float) -> int:
    """Remove what killed calls have left among the saved spaces and is older than some seconds; return its bytes."""
    place, known, size = folder / SPACES, set(catalogue.spaces()), 0
    for left in place.iterdir() if place.is_dir() else ():
        with contextlib.suppress(OSError):
            if left.name not in known and time.time() - left.stat().st_mtime > grace:
                size += sum(map(size_of, below(left)))
                shutil.rmtree(left, ignore_errors=True)
    return size


def names_folder(space: str) -> bool:
    """Return whether a space's id is the name of a folder, and of no other place."""
    return bool(space) and all(c.isalnum() or c in "-_" for c in space)


def _check_space_id(space: Any) -> None:
    if not names_folder(space.id):
        raise BadInput(f"the space id {space.id!r} cannot name a folder")


def open_catalogue(folder: Path, *, synced: bool = True) -> Catalogue:
    """Open the catalogue of a collection; see `Catalogue` for `synced`.

    Raises
    ------
    NotFound
        If there is no such folder.
    BadInput
        If the folder is not a collection, or one of another format.
    Corrupt
        If the catalogue is damaged or gone.
    """
    try:
        there, catalogue, items = folder.exists(), (folder / CATALOGUE).is_file(), (folder / ITEMS).is_dir()
    except OSError as e:
        raise CommonspaceError(f"cannot look into {str(folder)[:200]}: {e.strerror or e}") from None
    if not there:
        raise NotFound(f"there is no collection at {folder}: make it with Collection.create")
    if not catalogue:
        if items:
            raise Corrupt(
                f"{folder} has items but no {CATALOGUE}. `commonspace repair {folder} --trust-unchecked` makes it anew "
                "from the items, whose bytes can then no longer be compared with what was written"
            )
        raise BadInput(f"{folder} is not a collection: it has no {CATALOGUE}")
    return Catalogue(folder / CATALOGUE, synced=synced)


def space_folder(folder: Path, catalogue: Catalogue, space: str) -> Path:
    """Return the folder of a saved space after checking every byte of it; `Corrupt` if one differs."""
    saved = folder / SPACES / space
    try:
        whole = names_folder(space) and saved.is_dir() and digest_folder(saved) == catalogue.space_digest(space)
    except OSError as e:
        raise CommonspaceError(f"cannot read the space in {saved}: {e.strerror or e}") from None
    if not whole:
        raise Corrupt(
            f"the space in {saved} is not the one that was saved: restore the folder from a backup, or give the space "
            "to Collection.open(..., space=...)"
        )
    return saved


def set_aside(folder: Path, names: Iterable[str]) -> int:
    """Move files or folders of a collection to its folder of damaged ones; return how many there were.

    Raises
    ------
    Corrupt
        If one of them is not in the collection: a name out of a damaged file can be anything.
    CommonspaceError
        If the disk refuses.
    """
    moved = 0
    inside = folder.resolve()
    for name in names:
        source, target = folder / name, folder / DAMAGED / name
        if not os.path.lexists(source):
            continue
        if ".." in Path(name).parts or not all(
            place.resolve().is_relative_to(inside) for place in (source.parent, target.parent)
        ):
            raise Corrupt(f"{folder} names the file {source}, which lies elsewhere, as its own; it was left alone")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            while os.path.lexists(target):  # of an earlier repair
                target = target.with_name(f"{target.name}.{secrets.token_hex(2)}")
            os.rename(source, target)
            for parent in (target.parent, source.parent):
                sync(parent)
        except OSError as e:
            raise CommonspaceError(
                f"cannot move {source} to {target} ({e.strerror or e}); free space or mend the disk, then repair again"
            ) from None
        moved += 1
    return moved


def bytes_on_disk(folder: Path) -> int:
    """Return the size of all files; those that are removed meanwhile count nothing."""
    return sum(map(size_of, below(folder)))
