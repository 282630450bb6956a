"""An open collection: its files, its space, and which version is read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from commonspace.collection.demand import Demand
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.method import check_choice
from commonspace.core.warning import warn
from commonspace.search.csls import HubCorrection
from commonspace.store import folder as folders
from commonspace.store.catalogue import Catalogue
from commonspace.store.items import Items
from commonspace.store.migrating import State, Underway, state_of
from commonspace.store.opening import settle
from commonspace.store.segments import Segments
from commonspace.store.versions import DURABILITY

if TYPE_CHECKING:
    from commonspace.search.index.indexed import Part
    from commonspace.search.index.segment import Segment
    from commonspace.space import Space
    from commonspace.store.snapshot import Snapshot
    from commonspace.upgrade.migration import Migration


class Opened:
    """What every part of `Collection` stands on."""

    def __init__(
        self,
        path: Path,
        space: Space | None,
        catalogue: Catalogue,
        *,
        durability: str = "full",
        version: int | str | None = None,
    ) -> None:
        self._path = path
        self._loading = threading.RLock()
        self._catalogue = catalogue
        fixed = None if version is None else catalogue.resolve(version)
        self._spaces: dict[str, Space] = {} if space is None else {space.id: space}
        self._migrations: dict[str, Migration] = {}
        self._opened_with = state_of(catalogue)
        self._known_space_id = self._opened_with.space  # that whoever holds this object knows of
        self._items = Items(path, catalogue, durability=durability, fixed=fixed)
        self._hubs = HubCorrection()
        self._segments: Segments[Segment] = Segments(path, catalogue, _load_segment, fixed=fixed is not None)
        self._mapping = threading.Lock()
        self._mapped: tuple[Callable[[], Snapshot | None], dict[str, dict[str, Part]]] = (lambda: None, {})
        self._background: list[threading.Thread] = []
        self._closing = threading.Event()
        # not a method: an object that knows itself would be freed late, and keep its lease until then
        self._demand = Demand(path, partial(_is_underway, catalogue))

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        space: Space,
        *,
        id: str = "id",
        exist_ok: bool = False,
        durability: str = "full",
    ) -> Self:
        """Make an empty collection, whole or not at all.

        Parameters
        ----------
        path : path
            The folder to make; by custom its name ends in ``.cs``.
        space : Space
            Encodes items and queries; a copy is saved in the folder.
        id : str
            Name of the column that holds the ids.
        exist_ok : bool
            Open a collection that is there, provided that it has this space and id column.
        durability : {"full", "batch", "os"}
            See `open`.

        Raises
        ------
        BadInput
            If the path exists, or the id column's name is reserved.
        SpaceMismatch
            If an existing collection has another space.
        """
        target = Path(path)
        if not (exist_ok and target.exists()):
            folders.make_folder(target, space, id_name=id)
        found = cls.open(target, space=space, durability=durability)
        if found.id_name != id:
            found.close()
            raise BadInput(f"{target} has the id column {found.id_name!r}, not {id!r}")
        return found

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        space: Space | None = None,
        version: int | str | None = None,
        durability: str = "full",
    ) -> Self:
        """Open a collection.

        Parameters
        ----------
        path : path
            Its folder.
        space : Space, optional
            The collection's space, if it is in memory already; otherwise it is loaded when first needed.
        version : int or str, optional
            Read the collection as it was in this version, by number or by tag; writing is refused. By default the
            newest, which moves on with every write, of whatever process.
        durability : {"full", "batch", "os"}
            What a write of this object has survived for certain when its call returns. "full": a power cut. "batch":
            a killed process; a power cut only from the next sync on, which happens with the first write a second or
            more after the last one, after 100 writes, in `sync` and in `close`. "os": a killed process; a power cut
            only after `sync` or `close`, and one before that may leave a catalogue that needs `repair`.

        Raises
        ------
        NotFound
            If there is no such folder, or the version is not kept.
        BadInput
            If the folder is not a collection, or of a newer format.
        SpaceMismatch
            If `space` is not the space of the collection, nor the one that it is being migrated from.
        Corrupt
            If what was acknowledged is not there.

        Warns
        -----
        RuntimeWarning
            If a damaged manifest was restored, or writes that were not synced were lost in a power cut.
        """
        check_choice("durability", durability, DURABILITY)
        folder = Path(path)
        catalogue = folders.open_catalogue(folder, synced=durability != "os")
        try:
            found = cls(folder, space, catalogue, durability=durability, version=version)
            if space is not None and not found._opened_with.takes(space.id):
                found._check_space(space.id)
            for done in settle(found._items):
                warn(done)
            found._items.snapshot()
        except BaseException:
            catalogue.close()
            raise
        return found

    def close(self) -> None:
        """Put on disk what this object has written, and close the files; it cannot be used after that.

        An index that is being built in the background is waited for; a backfill is stopped, and what it has made is
        stored.
        """
        self._closing.set()
        for thread in self._background:
            thread.join()
        self._demand.save()
        try:
            if self._items.unsynced:
                self._items.sync()
        finally:
            self._items.release()
            self._catalogue.close()

    def sync(self) -> None:
        """Return when every write acknowledged so far, by whatever process, is on disk.

        Only less than full durability needs it.
        """
        self._items.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    @property
    def id_name(self) -> str:
        """Name of the id column."""
        return self._items.id_name

    @property
    def space(self) -> Space:
        """The space that encodes items and queries; another one after a migration, whichever process made it."""
        return self._space_of(self._space_id)

    def __len__(self) -> int:
        return len(self._items.snapshot())

    def __repr__(self) -> str:
        return f"Collection({str(self._path)!r}, {len(self):,} items, space {self._space_id})"

    @property
    def _state(self) -> State:
        """What searches go by now; of an earlier version, what they went by when it was opened."""
        return self._opened_with if self._items.fixed is not None else state_of(self._catalogue)

    @property
    def _space_id(self) -> str:
        return self._state.space

    def _moment(self) -> tuple[State, Snapshot]:
        """Return a version, and what searches went by when it was the newest."""
        while True:
            now, state = self._items.snapshot(), self._state
            if self._items.fixed is not None or state.version == now.version:
                return state, now

    def _space_of(self, space_id: str) -> Space:
        """Return a space of the collection; those in use stay in memory."""
        with self._loading:
            if space_id not in self._spaces:
                from commonspace.space import Space

                loaded = Space.load(folders.space_folder(self._path, self._catalogue, space_id))
                state = self._state
                if not state.takes(space_id):
                    return loaded
                self._spaces = {id: s for id, s in self._spaces.items() if state.takes(id)} | {space_id: loaded}
            return self._spaces[space_id]

    def _migration_of(self, underway: Underway) -> Migration:
        """Return a migration as it was saved."""
        with self._loading:
            if underway.id not in self._migrations:
                from commonspace.upgrade.migration import Migration

                place = folders.space_folder(self._path, self._catalogue, underway.id)
                self._migrations = {underway.id: Migration.load(place)}
            return self._migrations[underway.id]

    def _refuse_unlabelled(self, what: str) -> None:
        """Raise if vectors are given without their space, and whoever gives them may not know that it has changed."""
        if (now := self._space_id) != self._known_space_id:
            raise SpaceMismatch(
                f"{self._path} went from the space {self._known_space_id} to {now} since it was opened here, so that "
                f"nobody can tell which of them {what} comes from: open the collection again"
            )

    def _start(self, found: Future[Any], work: Callable[[], Any], failed: str, mend: str) -> None:
        """Carry out work in a thread, for a future; `close` waits for it.

        Whoever asks the future gets its error. Because nobody may, a warning says what has `failed`, and the `mend`.
        """

        def run() -> None:
            if found.set_running_or_notify_cancel():
                try:
                    found.set_result(work())
                except BaseException as e:
                    found.set_exception(e)
                    warn(f"{failed}: {e!r}. Searches go on with what there is; {mend}")

        thread = threading.Thread(target=run, name="commonspace-background", daemon=True)
        self._background.append(thread)
        thread.start()

    def _check_space(self, space_id: str) -> None:
        state = self._state
        if state.serving is not None and space_id == state.serving.old:
            raise SpaceMismatch(
                f"{self._path} goes from the space {space_id} to {state.space}: new vectors must be of the latter, "
                "collection.space"
            )
        if space_id != state.space:
            raise SpaceMismatch(
                f"{self._path} was built with the space {self._space_id}, not {space_id}; vectors of two spaces "
                "cannot be compared. Use its own space (collection.space), or make a new collection"
            )


def _is_underway(catalogue: Catalogue, migration: str) -> bool:
    underway = state_of(catalogue).underway
    return underway is not None and underway.id == migration


def _load_segment(place: Path) -> Segment:
    from commonspace.search.index.segment import Segment

    return Segment.load(place)
