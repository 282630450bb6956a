"""Keeping a collection: its versions, and what time does to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from commonspace.collection.opened import Opened
from commonspace.core.errors import BadInput, NotFound
from commonspace.store import folder as folders
from commonspace.store import upkeep
from commonspace.store.catalogue import now
from commonspace.store.records import Version
from commonspace.store.stream import Job
from commonspace.store.upkeep import CleanedUp, Compacted
from commonspace.store.versions import ITEMS

if TYPE_CHECKING:
    from commonspace.search.index.segment import Segment


class Keeping(Opened):
    """The part of `Collection` that looks after versions and files."""

    def versions(self) -> list[Version]:
        """Return the versions that are kept, oldest first: number, items, time in UTC, and what made each."""
        return self._catalogue.versions()

    def tags(self) -> dict[str, int]:
        """Return the named versions: name -> version."""
        return self._catalogue.tags()

    def tag(self, name: str, version: int | str | None = None) -> int:
        """Name a version, so that it is kept until the tag is removed; return its number.

        Parameters
        ----------
        name : str
            The name. A tag of that name is moved.
        version : int or str, optional
            The version or another tag of it; the newest by default.

        Raises
        ------
        NotFound
            If the version is not kept.
        BadInput
            If the name is empty, or nothing was written yet.
        """
        if not isinstance(name, str) or not name.strip():
            raise BadInput(f"the name of a tag must be a string that is not empty, not {name!r}")
        with self._catalogue.writing() as ledger:
            number = self._catalogue.acknowledged().version if version is None else self._catalogue.resolve(version)
            if number == 0:
                raise BadInput("the collection has no version yet: add items, then tag")
            ledger.put("tags", (name, number, now()))
        return number

    def untag(self, name: str) -> None:
        """Remove a tag; its version goes with the next clean-up.

        Raises
        ------
        NotFound
            If there is no such tag.
        """
        with self._catalogue.writing() as ledger:
            if name not in self._catalogue.tags():
                raise NotFound(f"{self._path} has no tag {name!r}; it has {', '.join(self.tags()) or 'none'}")
            ledger.remove("tags", name)

    def restore(self, version: int | str) -> None:
        """Make an earlier version the newest again.

        It becomes a new version, so that what was written in between stays where it is and can be restored in turn.

        Parameters
        ----------
        version : int or str
            Number or tag.
        """
        upkeep.restore(self._items, self._catalogue.resolve(version))

    def compact(self, *, progress: bool = True) -> Compacted:
        """Merge small fragments and give up the room of deleted rows; readers and writers go on meanwhile.

        Small writes do as much as is needed by themselves. The files of earlier versions stay until `clean_up`.
        """
        return upkeep.compact(self._items, progress=progress)

    def clean_up(self, older_than: timedelta = timedelta(days=7), *, keep: int = 1) -> CleanedUp:
        """Remove old versions and the files that only they needed.

        The newest version stays, and so does every version that is tagged, or being read by any process. Of the index
        go the segments whose vectors all were in files that are gone; what has no other cost than that of being passed
        over stays until `build_index` merges it. Segments that this process has not searched yet are read for that.

        Parameters
        ----------
        older_than : timedelta
            Age from which a version may go.
        keep : int
            Number of versions that stay whatever their age.
        """
        done = upkeep.clean_up(self._items, older_than=older_than, keep=keep)
        segments, size = self._segments.clean_up(self._is_useful)
        size += folders.remove_leftovers(self._path, self._catalogue, grace=upkeep.GRACE)
        return replace(done, segments=segments, bytes=done.bytes + size)

    def _is_useful(self, segment: Segment) -> bool:
        """Return whether any version that is kept has a file that the segment was made from."""
        known = self._catalogue.files()
        return any(f"{ITEMS}/{name}" in known for name in segment.origin.files)

    def jobs(self) -> list[str]:
        """Return the keys of the calls of `add_stream` that were begun and are not completed."""
        return [key.partition(":")[2] for key in self._catalogue.jobs()]

    def discard(self, key: str) -> None:
        """Forget a call of `add_stream` that was begun and not completed, and what it has written.

        Raises
        ------
        NotFound
            If there is none with that key.
        """
        if key not in self.jobs():
            raise NotFound(f"there is no call with the key {key!r} to discard; there are {self.jobs() or 'none'}")
        Job(self._items, key).abandon()
