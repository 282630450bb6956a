"""The index of a collection: built beside it, used by every search, never needed for a right answer."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from commonspace.collection.opened import Opened
from commonspace.core.errors import Corrupt, NotFound
from commonspace.core.registry import name_of
from commonspace.search.best import Gallery, Searchable
from commonspace.search.planner import Plan, Settings
from commonspace.store import incoming
from commonspace.store.catalogue import now as stamp
from commonspace.store.migrating import Underway
from commonspace.store.records import VectorColumn
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.search.index.indexed import Part
    from commonspace.search.index.segment import Segment


class Indexing(Opened):
    """The part of `Collection` that searches by its index and describes it."""

    def drop_index(self, modality: str | None = None) -> int:
        """Remove the index of a modality, or of all; return how many segments there were."""
        self._items.check_writable()
        columns = self._columns(modality, bridged=True)
        doomed = [e.id for c in columns for e in self._segments.entries(c.name)]
        self._segments.remove(doomed)
        with self._catalogue.writing() as ledger:
            ledger.remove("settings", *(c.name for c in columns))
        return len(doomed)

    def index(self) -> list[dict[str, Any]]:
        """Return what the index holds, a dict a segment: modality, code, vectors, live ones, bytes, what was tuned."""
        now, found = self._items.snapshot(), []
        for column in self._columns(None, bridged=True):
            for entry, part in self._parts(now, column):
                segment = part.segment
                found.append(
                    {
                        "modality": self._label(column), "segment": entry, "code": name_of(segment.coded.code),
                        "bytes_per_vector": segment.coded.code.bytes_per_vector, "cells": len(segment.coded.cells),
                        "degree": degree_of(segment),
                        "vectors": len(segment), "live": part.live,
                        "bytes_in_memory": segment.bytes_in_memory, "tuned": self._tuned(column),
                    }
                )  # fmt: skip
        return found

    def _summary(self, now: Snapshot, column: VectorColumn, items: int) -> dict[str, Any]:
        """Return what the catalogue knows of the index of a column that so many items have; the index is not read."""
        entries = self._segments.entries(column.name)
        files = {name for entry in entries for name in entry.about["files"]}
        fresh = now.having(column.name, without=files) if entries else items
        tuned = self._tuned(column)
        return {
            "segments": len(entries),
            "inside": items - fresh,
            "fresh": fresh,
            "bytes": sum(self._segments.size(entry.id) for entry in entries),
            "tuned": None if tuned is None else {"k": tuned["k"], **tuned["unseen"]},
        }

    # ---------------------------------------------------------------- what searches use

    def _gallery(self, now: Snapshot, column: VectorColumn, *, exact: bool = False) -> Searchable:
        """Return the vectors of a column as they are best searched."""
        parts = [] if exact else [part for _, part in self._parts(now, column)]
        rows, matrix = now.matrix(column.name, column.dim, without=covered(parts))
        why = "these vectors are in no segment yet" if parts else "there is no index"
        if exact:
            why = "exact search was asked for"
        elif self._segments.damaged(column.name):
            why = f"{'a part of ' if parts else ''}the index is damaged: build_index() makes it anew"
        plans: list[Plan] = []
        fresh = Gallery(column.modality, rows, matrix, why=why, plans=plans)
        if not parts:
            return fresh
        from commonspace.search.index import graph
        from commonspace.search.index.indexed import Indexed

        settings = self._settings(column)
        if settings is None:
            many = max(len(part.segment) for part in parts) > graph.UNTUNED
            settings = Settings(beam=0) if many else Settings()
        return Indexed(column.modality, parts, fresh, settings, plans)

    def _settings(self, column: VectorColumn) -> Settings | None:
        """Return what tuning has chosen, if it has."""
        tuned = self._tuned(column)
        if tuned is None:
            return None
        return Settings(shortlist=tuned["shortlist"], probe=tuned["probe"], beam=tuned.get("beam", 0))

    def _tuned(self, column: VectorColumn) -> dict[str, Any] | None:
        rows = self._catalogue.rows("settings", '"column" = ?', (column.name,))
        found: dict[str, Any] | None = json.loads(rows[0][1]) if rows else None
        return found

    def _set(self, column: VectorColumn, tuned: Mapping[str, Any]) -> None:
        """Search a column by these settings from now on."""
        with self._catalogue.writing() as ledger:
            ledger.put("settings", self._setting(column, tuned))

    @staticmethod
    def _setting(column: VectorColumn, tuned: Mapping[str, Any]) -> tuple[str, str, str]:
        """Return the row of the catalogue that says how a column is searched."""
        return column.name, json.dumps(tuned, allow_nan=False), stamp()

    def _parts(self, now: Snapshot, column: VectorColumn) -> list[tuple[str, Part]]:
        """Return the whole segments of a column as a version sees them, with their ids; those of no use left out."""
        opened = self._segments.open(column.name)
        with self._mapping:
            of_all = self._mapped[1] if self._mapped[0]() is now else {}
            known = of_all.get(column.name, {})
            if any(entry.id not in known for entry, _ in opened):
                from commonspace.search.index.indexed import see

                files = now.files_of(column.name)
                known = {entry.id: known.get(entry.id) or see(segment, files) for entry, segment in opened}
            parts = of_all[column.name] = {entry.id: known[entry.id] for entry, _ in opened}  # the replaced are let go
            self._mapped = (weakref.ref(now), of_all)  # the version itself is not kept in use
        return [(id, part) for id, part in parts.items() if part.live]

    def _workload(self, column: VectorColumn) -> dict[str, int]:
        """Return filter -> how often it was asked, after which the newest segment of a column was laid out."""
        entries = self._segments.entries(column.name)
        return dict(entries[-1].about.get("workload", {})) if entries else {}

    def _bridged_columns(self) -> list[VectorColumn]:
        """Return the columns besides those of the space that searches go through while a migration is under way.

        Where a bridge has filled any, they are those; else they are the old ones.
        """
        underway = self._state.serving
        return [] if underway is None else self._catalogue.columns(self._served_by(underway))

    def _served_by(self, underway: Underway) -> str:
        """Return the space of the columns in which items are found that wait for vectors of the new one."""
        try:
            return underway.id if self._migration_of(underway).stores else underway.old
        except Corrupt:  # nobody can search, but the rest can be told
            return underway.id

    def _label(self, column: VectorColumn) -> str:
        """Return what a column is called before users."""
        underway = self._state.underway
        bridged = underway is not None and column.space in (underway.id, self._state.serving and underway.old)
        return f"{column.modality} (bridged)" if bridged else column.modality

    def _columns(self, modality: str | None, *, bridged: bool = False) -> list[VectorColumn]:
        """Return the columns of the space, or those of one modality; `bridged` adds what else searches go through."""
        columns = [*self._catalogue.columns(self._space_id), *(self._bridged_columns() if bridged else ())]
        if modality is None:
            return columns
        incoming.check_modalities([modality], self.space.modalities)
        if not (found := [c for c in columns if c.modality == modality]):
            raise NotFound(f"{self._path} has no vectors of {modality}")
        return found


def covered(parts: Iterable[Part]) -> set[str]:
    """Return the files whose vectors segments have."""
    return {name for part in parts for name in part.files}


def degree_of(segment: Segment) -> int:
    """Return how many links a vector of a segment has, at most."""
    return 0 if segment.graph is None else int(segment.graph.links.shape[1])
