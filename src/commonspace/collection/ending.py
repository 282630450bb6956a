"""The end of a migration: there is only the new space, or only the old one again."""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.collection.filling import Backfilling
from commonspace.core.errors import BadInput, NotFound
from commonspace.store import backfill as filling
from commonspace.store import migrating
from commonspace.store.ledger import Ledger
from commonspace.store.migrating import SERVING, Underway
from commonspace.store.records import column_name
from commonspace.store.snapshot import Snapshot

#: Modality -> id of an item that a space could not read -> why.
Unreadable = dict[str, dict[Any, str]]
#: How often items that somebody adds meanwhile are given old vectors, before going back is given up.
_ROUNDS = 5


class Ending(Backfilling):
    """The part of `Collection` that ends a migration."""

    def finish_upgrade(self, *, drop_old: bool = False, leave: bool = False) -> dict[str, int]:
        """End the migration: from now on there is only the new space.

        What the bridge has carried over is dropped. Files go with the next `clean_up`.

        Parameters
        ----------
        drop_old : bool
            Drop the vectors of the old space, too. Without it `use_space` leads back for the items that have them.
        leave : bool
            Finish although items have no vector of the new space; they are not found any more.

        Returns
        -------
        dict
            Modality -> items that are left without a vector.

        Raises
        ------
        BadInput
            If there is no migration to finish, or items still need the bridge.
        """
        self._items.check_writable()
        self._items.sync()
        with self._items.writing() as now:
            underway = self._underway()
            if underway.phase != SERVING:
                raise BadInput(
                    f"{self._path} still uses the space {underway.old}: call apply again, which goes on where it was, "
                    "or roll_back_upgrade()"
                )
            left = self._waiting(now, underway)
            if left and not leave:
                raise BadInput(
                    f"items have no vector of the new space yet and would not be found any more: {_counted(left)}. "
                    "backfill() encodes those that are kept or are fields; backfill(modality, vectors=...) "
                    "takes vectors of the others; upsert gives an item anew; leave=True finishes without them"
                )
            spaces = {underway.id, *([underway.old] if drop_old else [])}
            self._end(underway, underway.new, [c.name for c in self._catalogue.columns() if c.space in spaces])
        self._ended(underway, underway.new)
        return left

    def roll_back_upgrade(
        self, *, drop_new: bool = False, leave: bool = False, progress: bool = True
    ) -> dict[str, int]:
        """Give the migration up: the old space encodes queries and new items again, in every process.

        Old vectors are all there. Items that came or changed meanwhile have none, and get them first, from what is kept
        of them.

        Parameters
        ----------
        drop_new : bool
            Drop the vectors of the new space, too; otherwise they wait for another migration.
        leave : bool
            Go back although items cannot be given a vector of the old space; they are not found any more.
        progress : bool
            Show progress bars on terminals.

        Returns
        -------
        dict
            Modality -> items that are left without a vector.

        Raises
        ------
        BadInput
            If there is no migration, or items cannot be encoded by the old space.
        """
        self._items.check_writable()
        underway = self._underway()
        unreadable: Unreadable = {}
        for number in range(_ROUNDS):
            if underway.phase == SERVING:
                self._give_old(underway, unreadable, progress)
            self._items.sync()
            with self._items.writing() as now:
                migrating.check_underway(self._catalogue, underway)
                underway = self._underway()
                left = self._without_old(now, underway)
                waiting = self._fillable(now, underway, unreadable)
                if waiting and number < _ROUNDS - 1:  # somebody has added items since
                    continue
                if left and not leave:
                    raise BadInput(
                        f"items have no vector of the space {underway.old} and cannot be given one: "
                        f"{self._why(left, underway, unreadable, waiting)}. "
                        f"backfill(modality, space_id={underway.old!r}, vectors=...) takes their vectors; leave=True "
                        "goes back all the same, and they are not found until they are upserted again"
                    )
                columns = self._catalogue.columns()
                spaces = {underway.id, *([underway.new] if drop_new else [])}
                self._end(underway, underway.old, [c.name for c in columns if c.space in spaces])
                break
        self._ended(underway, underway.old)
        return left

    # ---------------------------------------------------------------- steps back

    def _give_old(self, underway: Underway, unreadable: Unreadable, progress: bool) -> None:
        """Encode by the old space what has no vector of it, and note what cannot be read."""
        for modality, rows in self._came_later(self._items.snapshot(), underway).items():
            if not rows.any():
                continue
            old = self._space_of(underway.old)
            if modality not in old.modalities:
                continue
            try:
                make = filling.Encoding(self._items.snapshot(), old, modality, on_error="skip")
            except NotFound:
                continue
            column, check = self._to_write(modality, old.id, old.dim, underway)

            def turn(now: Snapshot, m: str = modality, make: filling.Encoding = make) -> Any:
                return np.flatnonzero(self._came_later(now, underway)[m] & make.possible(now))

            done = filling.backfill(self._items, column, make, passes=(turn,), check=check, progress=progress)
            unreadable.setdefault(modality, {}).update(done.skipped)

    def _came_later(self, now: Snapshot, underway: Underway) -> dict[str, Any]:
        """Return modality -> which items have a vector of the new space and none of the old."""
        names = {c.modality: c.name for c in self._catalogue.columns(underway.new) if c.name in now.schema.names}
        return {m: now.present(name) & ~now.present(column_name(m, underway.old)) for m, name in names.items()}

    def _fillable(self, now: Snapshot, underway: Underway, unreadable: Unreadable) -> dict[str, int]:
        """Return modality -> items that the old space could still encode, where there are any."""
        if underway.phase != SERVING:
            return {}
        found = {}
        for modality, rows in self._came_later(now, underway).items():
            if rows.any() and modality in self._space_of(underway.old).modalities:
                try:
                    make = filling.Encoding(now, self._space_of(underway.old), modality)
                except NotFound:
                    continue
                kept = now.ids.take(np.flatnonzero(rows & make.possible(now))).to_pylist()
                if n := len(set(kept).difference(unreadable.get(modality, ()))):
                    found[modality] = n
        return found

    def _without_old(self, now: Snapshot, underway: Underway) -> dict[str, int]:
        """Return modality -> items that would not be found by the old space."""
        if underway.phase != SERVING:
            return {}
        later = self._came_later(now, underway)
        return {m: n for m, rows in later.items() if (n := int(np.count_nonzero(rows)))}

    def _why(self, left: dict[str, int], underway: Underway, unreadable: Unreadable, waiting: dict[str, int]) -> str:
        """Return how many items of each modality have no old vector, and why each of them has none."""
        known, now, found = self._space_of(underway.old).modalities, self._items.snapshot(), []
        for m, n in left.items():
            if m not in known:
                found.append(f"{n:,} of {m} (that space does not know {m})")
                continue
            tried = unreadable.get(m, {})
            rows = now.positions(now.as_ids(list(tried))) if tried else np.empty(0, np.int64)
            still = [
                id for id, row in zip(tried, rows, strict=True) if row >= 0 and self._came_later(now, underway)[m][row]
            ]
            late = waiting.get(m, 0)
            if still:
                more = f" and {len(still) - 1:,} more" if len(still) > 1 else ""
                found.append(f"{len(still):,} of {m} (cannot be read: {still[0]!r}, {tried[still[0]]}{more})")
            if late:
                found.append(f"{late:,} of {m} (came while others got theirs: call it again)")
            if rest := n - len(still) - late:
                found.append(f"{rest:,} of {m} (not kept)")
        return ", ".join(found)

    # ---------------------------------------------------------------- the end

    def _underway(self) -> Underway:
        underway = self._state.underway
        if underway is None:
            raise BadInput(f"no migration of {self._path} is under way: collection.upgrade(new_space) plans one")
        return underway

    def _end(self, underway: Underway, space: str, dropped: list[str]) -> None:
        """Drop columns and the record of the migration, in the one transaction that is open."""

        def note(ledger: Ledger) -> None:
            migrating.leave(ledger, underway, space)
            gone = [row[0] for row in ledger.rows("segments") if row[1] in dropped]
            ledger.remove("segments", *gone)  # their folders go with the next clean-up
            ledger.remove("settings", *dropped)

        self._items.drop_columns(dropped, note=note)

    def _ended(self, underway: Underway, space: str) -> None:
        """Remove what nothing refers to any more."""
        self._known_space_id = space
        self._demand.forget()
        migrating.remove_saved(self._path, underway.id)


def _counted(left: dict[str, int]) -> str:
    return ", ".join(f"{n:,} of {m}" for m, n in left.items())
