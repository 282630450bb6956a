"""A collection in another place: a standalone copy of one version, or one Parquet file, and the way back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from commonspace.collection.opened import Opened
from commonspace.core import progress as progress_bars
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.method import check_choice
from commonspace.core.warning import warn
from commonspace.store.copying import Copied, copy_version, needed
from commonspace.store.exporting import export
from commonspace.store.importing import make_from, opened, resumes
from commonspace.store.snapshot import Snapshot
from commonspace.store.versions import DURABILITY

if TYPE_CHECKING:
    from commonspace.space import Space


class Portable(Opened):
    """The part of `Collection` that takes items elsewhere and brings them back."""

    def snapshot(
        self,
        target: str | os.PathLike[str],
        *,
        version: int | str | None = None,
        link: bool = False,
        progress: bool = True,
    ) -> Copied:
        """Copy the collection as it is in one version into a new folder, whole or not at all.

        The copy is a collection of its own: open it with `open`, from wherever it is moved. It holds only what this
        version needs, every file compared with its digest on the way, and keeps the number of the version, its tags
        and its spaces. Others may write and clean up meanwhile.

        Parameters
        ----------
        target : path
            The folder to make.
        version : int or str, optional
            A version by number or by tag; by default the newest.
        link : bool
            Share files with the collection by hard links: quick, and free of charge, but on the same disk, so that
            a damaged block damages both. Neither ever changes a file of the other.
        progress : bool
            Show a progress bar on terminals.

        Raises
        ------
        NotFound
            If the version is not kept.
        BadInput
            If the target exists, lies inside the collection, or cannot be linked to.
        Corrupt
            If a file is not what was written; nothing is left at the target then.
        CommonspaceError
            If the disk is full or fails; likewise.
        """
        stored = self._as_of(version)
        with _bar("Copying files", len(needed(self._items, stored)), progress) as bar:
            return copy_version(self._items, stored, Path(target), link=link, advance=bar.advance)

    def export(
        self,
        file: str | os.PathLike[str],
        *,
        version: int | str | None = None,
        columns: Sequence[str] | None = None,
        overwrite: bool = False,
        progress: bool = True,
    ) -> Copied:
        """Write the items of one version with all their vectors as one Parquet file, whole or not at all.

        Any Parquet reader can open it; the names of its columns are explained in `commonspace.store.portable`.
        `from_parquet` makes a collection of it again, bit for bit. Memory stays constant, whatever the number of
        items. Tags, earlier versions and the spaces themselves do not go along.

        Parameters
        ----------
        file : path
            The file to write; its name ends in ``.parquet``.
        version : int or str, optional
            A version by number or by tag; by default the newest.
        columns : sequence of str, optional
            What to write besides the ids: fields, and vectors under the names that the file gives them, for example
            ``["title", "_vector_text"]``. Everything by default.
        overwrite : bool
            Replace a file that is there.
        progress : bool
            Show a progress bar on terminals.

        Raises
        ------
        NotFound
            If the version is not kept.
        BadInput
            If the name has another ending, the file exists, or a column is unknown or of a type that Parquet lacks.
        Corrupt
            If a file of the collection is not what was written; nothing is left at the target then.
        CommonspaceError
            If the disk is full or fails; likewise.
        """
        stored = self._as_of(version)
        with _bar("Exporting items", len(stored), progress) as bar:
            return export(self._items, stored, Path(file), columns=columns, overwrite=overwrite, advance=bar.advance)

    @classmethod
    def from_parquet(
        cls,
        path: str | os.PathLike[str],
        file: str | os.PathLike[str],
        space: Space,
        *,
        others: Sequence[Space] = (),
        vectors: bool | Sequence[str] = True,
        durability: str = "full",
        progress: bool = True,
    ) -> Self:
        """Make a collection from a file that `export` wrote, whole or not at all.

        Items, types and vectors are those of the file, bit for bit; nothing is encoded. Memory stays constant but
        for the ids, which are checked to be unique. A file that something else wrote is for `add`.

        Parameters
        ----------
        path : path
            The folder to make.
        file : path
            The file.
        space : Space
            The space of the new collection. A file does not hold spaces; `Space.load` reads one.
        others : sequence of Space or Migration
            Further spaces that vectors in the file come from. If the file was written while a migration was under way,
            it goes on with the other space and the migration among them, see `Collection.migration`.
        vectors : bool or sequence of str
            Whether to take the vectors over, or the columns of those that are wanted, as the file names them. Each
            must come from one of the spaces given. With False the items have no vectors, until `backfill` or
            `upsert` gives them some.
        durability : {"full", "batch", "os"}
            See `open`.
        progress : bool
            Show a progress bar on terminals.

        Raises
        ------
        NotFound
            If there is no such file.
        SpaceMismatch
            If the file holds vectors of a space that is not given.
        BadInput
            If the folder exists, or the file is not one that `export` wrote.
        Corrupt
            If the file is damaged; no folder is made then.
        CommonspaceError
            If the disk is full or fails; likewise.

        Warns
        -----
        RuntimeWarning
            If a migration was under way and cannot go on with what was given.
        """
        check_choice("durability", durability, DURABILITY)
        spaces: list[Any] = [space, *others]
        if len({s.id for s in spaces}) < len(spaces):
            raise BadInput("others names a space twice, or the space of the collection once more")
        with opened(Path(file)) as source, _bar("Importing items", source.description.items, progress) as bar:
            make_from(Path(path), source, spaces, vectors=vectors, advance=bar.advance)
            if source.description.migration is not None and not resumes(source.description, [s.id for s in spaces]):
                warn(
                    f"{file} was written while its collection went from one space to another; in {path} only items "
                    f"that have a vector of the space {space.id} are found. To go on with the migration, give its two "
                    "spaces and others=[..., collection.migration]"
                )
        return cls.open(path, space=space, durability=durability)

    def _as_of(self, version: int | str | None) -> Snapshot:
        """Return a version, held against clean-up as long as the object lives."""
        if version is None:
            return self._items.snapshot()
        number = self._catalogue.resolve(version)
        found = self._items.at(number)
        if found is None:  # cleaned up since
            raise NotFound(f"{self._path} does not keep version {number} any more")
        return found


def _bar(title: str, total: int, shown: bool) -> AbstractContextManager[progress_bars.Task]:
    return progress_bars.task(title, total) if shown else progress_bars.silent()
