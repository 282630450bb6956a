"""The spaces of a collection: vectors of more than one stand side by side, each in columns of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commonspace.collection.opened import Opened
from commonspace.core.errors import NotFound
from commonspace.store import folder as folders
from commonspace.store.migrating import refuse_underway
from commonspace.store.records import column_name

if TYPE_CHECKING:
    from commonspace.space import Space


class Spacing(Opened):
    """The part of `Collection` that deals with spaces and their vector columns."""

    def spaces(self) -> dict[str, dict[str, int]]:
        """Return space id -> modality -> number of items that have a vector of it."""
        stored = self._items.snapshot()
        underway = self._state.underway
        carried = None if underway is None else underway.id
        found: dict[str, dict[str, int]] = {space: {} for space in self._catalogue.spaces() if space != carried}
        for column in self._catalogue.columns():
            if column.name in stored.schema.names and column.space in found:
                found[column.space][column.modality] = len(stored) - stored.missing([column.name])
        return found

    def add_space(self, space: Space) -> None:
        """Save another space in the collection, to be filled with vectors by `backfill`; no vector changes."""
        folders.add_space(self._path, self._catalogue, space)

    def use_space(self, space_id: str) -> None:
        """Make another of the collection's spaces the one that encodes items and queries from now on.

        Objects that others have open follow with their next call. Items without a vector of that space are not found:
        to have them found meanwhile is what `apply` is for.

        Raises
        ------
        NotFound
            If the collection has no such space.
        BadInput
            While a migration is under way.
        """
        self._known_space(space_id)
        with self._catalogue.writing() as ledger:
            refuse_underway(self._catalogue, "the space cannot be changed")
            ledger.put("meta", ("space", space_id))
        self._known_space_id = space_id

    def drop_vectors(self, modality: str, *, space_id: str | None = None) -> None:
        """Remove the vectors of a modality and space; their files go with the next `clean_up`.

        Raises
        ------
        NotFound
            If there are none.
        BadInput
            If a migration needs them.
        """
        state = self._state
        space = state.space if space_id is None else space_id
        if state.underway is not None and space in (state.underway.old, state.underway.id):
            refuse_underway(self._catalogue, f"the {modality} vectors of {space} cannot be dropped")
        name = column_name(modality, space)
        if name not in self._items.snapshot().schema.names:
            raise NotFound(f"{self._path} has no vectors of {modality!r} in the space {space}")
        self._items.drop_columns([name])

    def _known_space(self, space_id: str) -> str:
        underway = self._state.underway
        known = [s for s in self._catalogue.spaces() if underway is None or s != underway.id]
        if space_id not in known:
            raise NotFound(f"{self._path} has no space {space_id!r}; it has {', '.join(known)}. See add_space")
        return space_id

    def _load_space(self, space_id: str) -> Space:
        return self._space_of(self._known_space(space_id))
