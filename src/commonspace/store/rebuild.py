"""`rebuild`: a new catalogue for a collection that has lost its own.

The catalogue holds the digests, so that without it nobody can say whether the items are what was written; but each of
its rows has a seal, and those that have survived still count. What can be done for the rest is to find the newest
version of which the ids and fields can be read to the last row, and to take its files as they are. From then on their
digests guard them again. Files of vectors or kept items that cannot be read are entered as damaged, and mended like
any other damage afterwards.

It is put in place as the last step and in one piece. Killed before that, the collection has no catalogue, or still
the damaged one, and the next repair does it all again.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa

from commonspace.core import progress as bars
from commonspace.core.digest import digest_folder
from commonspace.core.errors import CommonspaceError, Corrupt
from commonspace.store import files, lances
from commonspace.store.catalogue import Catalogue, now
from commonspace.store.files import Stored, size_of
from commonspace.store.folder import CATALOGUE, DAMAGED, SPACES, set_aside
from commonspace.store.lances import VECTOR
from commonspace.store.migrating import PREPARING, SERVING, Underway, enter, record_of, saved_migration
from commonspace.store.opening import OlderCatalogue
from commonspace.store.records import VectorColumn, column_name
from commonspace.store.scan import id_name, scan
from commonspace.store.segments import INDEX
from commonspace.store.spaces import modalities_of, save_again
from commonspace.store.surviving import surviving, surviving_files
from commonspace.store.verify import Uses, core_of, manifest, uses_of
from commonspace.store.versions import ITEMS

#: Files that SQLite may have left beside the catalogue; a journal would be played back into the new one.
_BESIDE = ("", "-journal", "-wal", "-shm")
#: The digest of a file that could not be read: no file has it, so that the repair goes on without this one.
NOT_WHOLE = "0" * 64


def rebuild(folder: Path, why: Corrupt, *, space: Any, trust_unchecked: bool, progress: bool) -> list[str]:
    """Make a new catalogue; nobody else may have the collection open.

    Parameters
    ----------
    folder : Path
        The collection.
    why : Corrupt
        What is wrong with its catalogue.
    space : Space or None
        A space to save again if its folder is gone or damaged.
    trust_unchecked : bool
        Must be true, because a guarantee is given up.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of str
        What was done, in sentences.

    Raises
    ------
    Corrupt
        If there is nothing to make it from, or it was not asked for.
    """
    kept = lances.manifests(folder / ITEMS)
    reason = " ".join(str(why).split())
    if not kept:
        raise Corrupt(f"{reason}. But there are no items to make it from: restore the folder from a backup")
    if not trust_unchecked:
        raise Corrupt(
            f"{reason}. Because that gives up a guarantee, it is done only when asked for: repair with "
            f"trust_unchecked=True (--trust-unchecked), or put a backup of {CATALOGUE} in place"
        )
    state = "is gone" if not (folder / CATALOGUE).is_file() else "was damaged"
    steps = [f"The catalogue {'was older than the items' if isinstance(why, OlderCatalogue) else state}."]
    checkable = surviving_files(folder / CATALOGUE)
    data, spoilt, unusable = _newest_readable(folder, kept, checkable, progress)
    spaces, underway = _saved_spaces(folder, space, surviving(folder / CATALOGUE, "meta"), steps)
    columns = [column for name, modalities in spaces.items() for column in _columns(data.schema, name, modalities)]
    if underway is None:
        current = _current(uses_of(data), folder, spaces, columns)
    else:
        current = underway.new if underway.phase == SERVING else underway.old
    draft = folder / f".repair.{secrets.token_hex(4)}.part"
    try:
        draft.mkdir()
        brought = _write(draft / CATALOGUE, folder, data, spoilt, spaces, columns, current, underway)
        # What no version can use any more goes first, the new catalogue comes last.
        below = (path for path in (folder / ITEMS).rglob("*") if path.is_file() and path.suffix != ".json")
        gone = {path.relative_to(folder).as_posix() for path in below} - brought
        moved = set_aside(folder, [*sorted(gone), *(CATALOGUE + end for end in _BESIDE)])
        os.rename(draft / CATALOGUE, folder / CATALOGUE)
        files.sync(folder)
    except (OSError, sqlite3.Error) as e:
        why_not = getattr(e, "strerror", None) or e
        raise CommonspaceError(f"cannot write a new catalogue for {folder} ({why_not})") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    steps += [f"Version {version} cannot be used ({reason})." for version, reason in unusable.items()]
    steps.append(
        f"The catalogue was made anew from version {data.version}, the newest of which all {data.count_rows():,} items "
        f"can be read. {_told(len((brought - spoilt) & set(checkable)), len(brought - spoilt))}"
    )
    steps.append(
        f"Earlier versions, tags and idempotency keys are forgotten; {moved:,} files were moved to {folder / DAMAGED}, "
        f"nothing was deleted. The collection's space is {current}."
    )
    if (folder / INDEX).is_dir() and any((folder / INDEX).iterdir()):
        steps.append(
            "The index is forgotten, too: collection.build_index() makes it anew, and clean_up removes the old."
        )
    named = {column.name for column in columns}
    if strange := [name for name in data.schema.names if name.startswith(VECTOR) and name not in named]:
        steps.append(f"The vectors {', '.join(strange)} belong to no space that is saved here and cannot be used.")
    return steps


def _told(checked: int, every: int) -> str:
    """Return in words how far its files can be trusted."""
    if checked == every:
        return f"Its {every:,} files are what was written, as digests tell that survived in the old one."
    some = f", but for {checked:,} of its {every:,} files, whose digests survived in the old one" if checked else ""
    return f"Whether their bytes are those that were written could not be checked{some}; from now on changes are seen."


def sweep(folder: Path) -> None:
    """Remove the drafts of repairs that were killed."""
    for draft in folder.glob(".repair.*.part"):
        shutil.rmtree(draft, ignore_errors=True)


def _newest_readable(
    folder: Path, kept: Mapping[int, Path], known: Mapping[str, Stored], progress: bool
) -> tuple[Any, set[str], dict[int, str]]:
    """Return the newest version that can be used, the files it must do without, and why later ones cannot be used."""
    unusable: dict[int, str] = {}
    for version in sorted(kept, reverse=True):
        with bars.task(f"Reading version {version}") if progress else bars.silent():
            scanned = scan(folder / ITEMS, version)
        if scanned.wrong is not None:
            unusable[version] = scanned.wrong
            continue
        data = lance.dataset(str(folder / ITEMS), version=version)
        uses = uses_of(data)
        wrong = files.check_all(folder, {name: known[name] for name in (manifest(version), *uses) if name in known})
        if core := {manifest(version), *core_of(uses)} & set(wrong):
            unusable[version] = f"{min(core)} {wrong[min(core)]}"
            continue
        return data, {f"{ITEMS}/{name}" for name in scanned.spoilt} | set(wrong), unusable
    told = "; ".join(f"version {version}: {reason}" for version, reason in list(unusable.items())[:3])
    raise Corrupt(f"no version of {folder / ITEMS} can be read whole ({told}): restore the folder from a backup")


def _saved_spaces(
    folder: Path, space: Any, meta: Sequence[tuple[Any, ...]], steps: list[str]
) -> tuple[dict[str, list[str]], Underway | None]:
    """Return space id -> modalities, and the migration under way, after putting aside what is neither.

    `meta` is what the damaged catalogue still tells of itself. The space that was given is saved first.
    """
    place = folder / SPACES
    if space is not None and modalities_of(place / space.id) is None:
        save_again(folder, space)
        steps.append(f"The space {space.id} was saved again.")
    found = {path.name: modalities_of(path) for path in sorted(place.iterdir())} if place.is_dir() else {}
    spaces = {name: modalities for name, modalities in found.items() if modalities is not None}
    underway = _underway(place, spaces, meta, steps)
    if underway is not None:  # its vectors are of the modalities of both
        spaces[underway.id] = list(dict.fromkeys([*spaces[underway.old], *spaces[underway.new]]))
    if not spaces:
        raise Corrupt(
            f"{folder} has no saved space that can be read, so that its vectors have no meaning: give the space "
            "(space=..., or --space FOLDER), or restore the folder from a backup"
        )
    if spoilt := [name for name in found if name not in spaces]:
        set_aside(folder, [f"{SPACES}/{name}" for name in spoilt])
        steps.append(f"{', '.join(spoilt)} in {place} cannot be read as a space and was moved to {folder / DAMAGED}.")
    return spaces, underway


def _underway(
    place: Path, spaces: Mapping[str, list[str]], meta: Sequence[tuple[Any, ...]], steps: list[str]
) -> Underway | None:
    """Return the migration that is under way: the one that the old catalogue tells of, or the one that is saved."""
    saved = {path.name: saved_migration(path) for path in sorted(place.iterdir())} if place.is_dir() else {}
    there = {id: both for id, both in saved.items() if both is not None and set(both) <= set(spaces)}
    known = record_of(meta)
    if known is not None and known.id in there:
        return known
    if len(there) != 1 or "space" in {row[0] for row in meta}:  # a leftover of one that is over
        return None
    ((id, (old, new)),) = there.items()
    steps.append(
        f"A migration from the space {old} to {new} is saved and taken to be under way; how far it was is not known, "
        f"so that {old} is used. Repeat apply, which goes on where it was, or call roll_back_upgrade()."
    )
    return Underway(id, old, new, PREPARING, now())


def _columns(stored: pa.Schema, space: str, modalities: list[str]) -> list[VectorColumn]:
    """Return the vector columns of a space that a table has."""
    found = []
    for modality in modalities:
        name = column_name(modality, space)
        if name in stored.names:
            kind = stored.field(name).type
            bag = pa.types.is_list(kind) or pa.types.is_large_list(kind)
            cell = kind.value_type if bag else kind
            if pa.types.is_fixed_size_list(cell):
                found.append(VectorColumn(name, modality, space, cell.list_size, "bag" if bag else "vector"))
    return found


def _current(uses: Uses, folder: Path, spaces: Mapping[str, list[str]], columns: list[VectorColumn]) -> str:
    """Return the space that the collection uses: the one with the most vectors; of equals, the one saved last."""
    owner = {column.name: column.space for column in columns}
    vectors = dict.fromkeys(spaces, 0)
    for rows, held in uses.values():
        for name in held:
            if name in owner:
                vectors[owner[name]] += rows
    return max(spaces, key=lambda name: (vectors[name], (folder / SPACES / name).stat().st_mtime, name))


def _write(
    path: Path,
    folder: Path,
    data: Any,
    spoilt: set[str],
    spaces: Mapping[str, list[str]],
    columns: list[VectorColumn],
    current: str,
    underway: Underway | None,
) -> set[str]:
    """Write the new catalogue; return the files that it knows."""
    version = int(data.version)
    names = {*uses_of(data), manifest(version)}
    whole = sorted(names - spoilt)
    files.sync_all(folder, whole)
    stored = files.measure_all(folder, whole) | {name: Stored(size_of(folder / name), NOT_WHOLE) for name in spoilt}
    digests = {name: digest_folder(folder / SPACES / name) for name in spaces}
    Catalogue.create(path, id_name=id_name(data), space=current, space_digest=digests[current])
    catalogue = Catalogue(path)
    try:
        with catalogue.writing() as ledger:
            ledger.put("spaces", *digests.items())
            ledger.put("columns", *((c.name, c.modality, c.space, c.dim, c.kind) for c in columns))
            if underway is not None:
                enter(ledger, underway.id, underway.old, underway.new, underway.phase)
            body = (folder / manifest(version)).read_bytes()
            catalogue.acknowledge(version, int(data.count_rows()), "repair", stored, synced=True, manifest=body)
    finally:
        catalogue.close()
    return names
