"""`Crossing`: how queries reach items that have no vector of the new space while a migration is under way.

    the bridge carries items      q' = q            asked of the vectors that it carried over
    the bridge carries queries    q' = bridge(q)    asked of the old vectors, part by part of a composed query
    no bridge                     q' = old(q)       asked of the old vectors: the old space encodes the query, too

An item takes part here if it has an old vector of the modality and none of the new space. Vectors that should have
been carried over and are not yet there, because another process wrote them a moment ago or an earlier version was
restored, are carried when they are searched.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from commonspace.core.errors import BadInput
from commonspace.search.best import Gallery, Searchable
from commonspace.search.csls import HubCorrection
from commonspace.search.query import RAW, compose
from commonspace.search.sides import Side
from commonspace.store.migrating import Underway
from commonspace.store.records import VectorColumn, column_name
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.space import Space
    from commonspace.upgrade.migration import Migration

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

NATIVE, BRIDGED = "native", "bridged"
_BLOCK = 8192  # vectors that are carried at once


class Crossing:
    """A migration, as searches see it.

    Parameters
    ----------
    underway : Underway
        What the catalogue says of it.
    migration : Migration
        Its bridge and scales.
    new : Space
        The space that queries are in.
    old : callable
        Returns the old space; called only where it has to encode.
    columns : sequence of VectorColumn
        All vector columns of the collection.
    """

    def __init__(
        self,
        underway: Underway,
        migration: Migration,
        new: Space,
        old: Callable[[], Space],
        columns: Sequence[VectorColumn],
    ) -> None:
        self.underway, self.migration, self.new, self.old = underway, migration, new, old
        self.before = {c.modality: c for c in columns if c.space == underway.old}
        self.carried = {c.modality: c for c in columns if c.space == underway.id}

    def lacking(self, now: Snapshot, modality: str) -> Mask:
        """Return which items have an old vector of a modality and none of the new space."""
        if modality not in self.before:
            return np.zeros(len(now), bool)
        return now.present(self.before[modality].name) & ~now.present(column_name(modality, self.underway.new))

    def queries(self, asked: Sequence[Mapping[str, Any]], encode: Any, weights: Mapping[str, float] | None) -> Floats:
        """Return the queries as the bridged side understands them: (q, dim) unit rows.

        Parameters
        ----------
        asked : sequence of mapping
            Modality -> item.
        encode : callable
            What the new space makes of items.
        weights : mapping, optional
            Of the parts.

        Raises
        ------
        BadInput
            Without a bridge: a vector, which only the new space understands, or a modality that the old space lacks.
        """
        bridge = self.migration.bridge
        if bridge is None:
            old = self.old()
            strange = {m for parts in asked for m in parts if m == RAW or m not in old.modalities}
            if strange:
                raise BadInput(
                    f"items that still wait for the new space cannot be asked by {', '.join(sorted(strange))}, since "
                    "there is no bridge and the old space must read the query, too. Ask by "
                    f"{', '.join(old.modalities)}, call backfill() and finish_upgrade(), or apply a migration with a "
                    "bridge"
                )
            return compose(asked, lambda items, m: old.encode(items, m, cache=False), old.dim, weights)
        if bridge.carries == "items":
            return compose(asked, encode, self.new.dim, weights)
        carry = bridge.carry
        back = [{m: carry(np.asarray(x)[None])[0] if m == RAW else x for m, x in parts.items()} for parts in asked]
        return compose(back, lambda items, m: carry(encode(items, m), m), bridge.dims_[1], weights)

    def carry(self, vectors: Floats, modality: str) -> Floats:
        """Return old vectors of a modality, carried over."""
        assert self.migration.bridge is not None
        return self.migration.bridge.carry(vectors, modality)

    def bank(self, modality: str) -> Floats:
        """Return typical queries of a modality, as the bridged side understands them."""
        bridge = self.migration.bridge
        if bridge is None:
            return self.old().bank(modality)
        bank = self.new.bank(modality)
        return bank if bridge.carries == "items" or not len(bank) else bridge.carry(bank, modality)


class Bridged:
    """The bridged galleries of a collection; remembers what is dear to make.

    Parameters
    ----------
    gallery : callable
        Version, column, exact -> the vectors of a column as they are best searched.
    """

    def __init__(self, gallery: Callable[..., Searchable]) -> None:
        self._gallery = gallery
        self._hubs: tuple[str, HubCorrection] = ("", HubCorrection())
        self._late: tuple[Callable[[], Snapshot | None], dict[str, Gallery]] = (lambda: None, {})

    def sides(
        self,
        crossing: Crossing,
        now: Snapshot,
        asked: Sequence[Mapping[str, Any]],
        native: Floats,
        queries: Callable[[], Floats],
        modalities: Sequence[str],
        *,
        hubs: bool,
        exact: bool,
    ) -> list[Side]:
        """Return what has to be searched besides the vectors of the new space.

        Parameters
        ----------
        crossing : Crossing
            The migration.
        now : Snapshot
            The version.
        asked : sequence of mapping
            The queries, by their parts.
        native : (q, dim) float32
            The queries in the new space.
        queries : callable
            Returns them as `Crossing.queries` does; called if there is anything to ask.
        modalities : sequence of str
            Stored modalities to compare with.
        hubs, exact : bool
            As in a search.
        """
        lacking = {m: crossing.lacking(now, m) for m in modalities}
        open_ones = [m for m in modalities if lacking[m].any()]
        if not open_ones or not asked:
            return []
        Q = queries()
        found = []
        for m in open_ones:
            scales = [
                _scale(crossing.migration, parts, m, across, own, hubs)
                for parts, across, own in zip(asked, Q, native, strict=True)
            ]
            for gallery, rows in self._galleries(crossing, now, m, lacking[m], exact=exact or hubs):
                if hubs:
                    gallery = self._corrected(crossing, gallery, asked)
                found.append(Side(gallery, BRIDGED, Q, rows, scales))
        return found

    def _galleries(
        self, crossing: Crossing, now: Snapshot, modality: str, lacking: Mask, *, exact: bool
    ) -> list[tuple[Any, Mask | None]]:
        """Return the vectors that stand for items of a modality, and which items if not all that have them."""
        old = crossing.before[modality]
        if not crossing.migration.stores:
            some = _some(lacking, now.present(old.name))
            return [(self._gallery(now, old, exact=exact), some)]
        carried = crossing.carried.get(modality)
        ready = np.zeros(len(now), bool) if carried is None else now.present(carried.name)
        found: list[tuple[Any, Mask | None]] = []
        if carried is not None and (lacking & ready).any():
            found.append((self._gallery(now, carried, exact=exact), _some(lacking & ready, ready)))
        if (late := lacking & ~ready).any():
            found.append((self._carried_late(crossing, now, old, late), None))
        return found

    def _carried_late(self, crossing: Crossing, now: Snapshot, old: VectorColumn, late: Mask) -> Gallery:
        """Return old vectors that nobody has carried over yet, carried now."""
        known = self._late[1] if self._late[0]() is now else {}
        key = f"{crossing.underway.id} {old.name}"
        if key not in known:
            rows = np.flatnonzero(late)
            vectors = np.empty((len(rows), crossing.new.dim), np.float32)
            for start in range(0, len(rows), _BLOCK):
                cells = now.take(rows[start : start + _BLOCK], [old.name]).column(0).combine_chunks()
                block = cells.flatten().to_numpy(zero_copy_only=False).reshape(-1, old.dim)
                vectors[start : start + _BLOCK] = crossing.carry(block, old.modality)
            known[key] = Gallery(old.modality, rows, vectors, why="these vectors were carried over just now")
            self._late = (weakref.ref(now), known)
        found = known[key]
        return Gallery(found.modality, found.rows, found.matrix, why=found.why)

    def _corrected(self, crossing: Crossing, gallery: Any, asked: Sequence[Mapping[str, Any]]) -> Gallery:
        """Return a gallery with what is taken off against hubs."""
        if self._hubs[0] != crossing.underway.id:
            self._hubs = (crossing.underway.id, HubCorrection())
        return self._hubs[1].apply([gallery], asked, crossing.bank)[0]


def _some(wanted: Mask, there: Mask) -> Mask | None:
    """Return which items take part; None where these are all that are there, so that no search has to filter."""
    return None if np.array_equal(wanted, there) else wanted


def _scale(
    migration: Migration, parts: Mapping[str, Any], searched: str, across: Floats, native: Floats, hubs: bool
) -> Callable[[Any], Any]:
    """Return what the scores of a query become: the scale of its modality if it is one, else the common one."""
    known = list(parts)
    asks = known[0] if len(known) == 1 and known[0] != RAW else None
    scale = migration.scale(asks, searched, across, native)
    if not hubs:
        return scale
    # Half of a mean cosine was taken off: s(c) - s(r)/2 = s(c - r/2) - s(0)/2 for a line s.
    half = float(scale(0.0)) / 2
    return lambda scores: scale(scores) - half
