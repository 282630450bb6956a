"""What searches and reports know of a migration that is under way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.collection.crossing import Bridged, Crossing
from commonspace.collection.indexing import Indexing
from commonspace.core.errors import Corrupt
from commonspace.store.migrating import Underway
from commonspace.store.records import VectorColumn, column_name
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.upgrade.migration import Migration


class Migrating(Indexing):
    """The part of `Collection` that knows how far a migration is."""

    @property
    def migration(self) -> Migration | None:
        """The migration that is under way, with its bridge and scales; None without one."""
        underway = self._state.underway
        return None if underway is None else self._migration_of(underway)

    def upgrading(self) -> dict[str, Any] | None:
        """Return how far the migration to another space is, as plain data; None if there is none under way.

        Returns
        -------
        dict or None
            ``phase`` ("preparing": the old space answers until `apply` is done; "serving": the new one), ``old``,
            ``new`` and ``migration`` (ids), ``bridge`` (None if queries are encoded by both spaces),
            ``carries`` ("items", "queries" or None), ``since``, ``modalities`` (name -> ``items`` that have it,
            ``native``: of these have a vector of the new space, ``bridged``: are found by another one, ``share``: the
            native part), ``asked`` (items that searches have found since, which `backfill` encodes first).
        """
        state, now = self._moment()
        underway = state.underway
        if underway is None:
            return None
        columns = self._catalogue.columns()
        found: dict[str, dict[str, float]] = {}
        for m in dict.fromkeys(c.modality for c in columns if c.space in (underway.old, underway.new)):
            native = now.present(column_name(m, underway.new))
            items = int(np.count_nonzero(native | now.present(column_name(m, underway.old))))
            own = int(np.count_nonzero(native))
            if items:
                found[m] = {"items": items, "native": own, "bridged": items - own, "share": own / items}
        try:
            bridge = self._migration_of(underway).bridge
            told = None if bridge is None else str(bridge)
        except Corrupt:
            bridge, told = None, "damaged"
        return {
            "phase": underway.phase,
            "old": underway.old,
            "new": underway.new,
            "migration": underway.id,
            "bridge": told,
            "carries": None if bridge is None else bridge.carries,
            "since": underway.since,
            "modalities": found,
            "asked": len(self._demand.total(underway.id)),
        }

    def _waiting(self, now: Snapshot, underway: Underway) -> dict[str, int]:
        """Return modality -> items that have an old vector and none of the new space, where there are any."""
        found = {}
        for old in self._catalogue.columns(underway.old):
            lacking = now.present(old.name) & ~now.present(column_name(old.modality, underway.new))
            if lacking.any():
                found[old.modality] = int(np.count_nonzero(lacking))
        return found

    @cached_property
    def _bridged(self) -> Bridged:
        return Bridged(self._gallery)

    def _crossing(self, underway: Underway, columns: Sequence[VectorColumn]) -> Crossing:
        """Return a migration as searches see it."""
        return Crossing(
            underway, self._migration_of(underway), self._space_of(underway.new),
            lambda: self._space_of(underway.old), columns,
        )  # fmt: skip
