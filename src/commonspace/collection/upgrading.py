"""From one space to another while the collection is in use: apply, finish, roll back.

Each of them changes what searches go by in one transaction of the catalogue, together with the version of the items
that belongs to it. What is long is done before that, in steps that are committed one by one, so that a call that was
killed goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.collection.building import Building
from commonspace.collection.filling import Backfilling
from commonspace.core.errors import BadInput, NotFound, SpaceMismatch
from commonspace.store import backfill as filling
from commonspace.store import folder as folders
from commonspace.store import migrating
from commonspace.store.ledger import Ledger
from commonspace.store.migrating import PREPARING, SERVING, Underway
from commonspace.store.records import column_name
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.space import Space
    from commonspace.upgrade.migration import Migration

#: How often a step is repeated for what others have written meanwhile, before it is done without them.
_ROUNDS = 5


class Upgrading(Backfilling, Building):
    """The part of `Collection` that goes from one space to another."""

    def apply(self, plan: Any, new_space: Space | None = None, *, progress: bool = True) -> dict[str, Any]:
        """Go over to a new space without encoding anything: old items are found through the plan's bridge.

        Searches go on all the time: by the old space until everything is ready, and from one moment to the next by the
        new one, in every process that has the collection open. From then on queries and new items are encoded by the
        new space; `backfill` gives old items vectors of it, `finish_upgrade` and `roll_back_upgrade` end the
        migration. A call that was killed goes on where it was when it is repeated.

        Parameters
        ----------
        plan : Plan or Migration
            What `upgrade` returned, or its ``plan.migration("ridge")`` for another way than the one it chose.
        new_space : Space, optional
            The space; may be left out if the collection has it, see `add_space`.
        progress : bool
            Show progress bars on terminals.

        Returns
        -------
        dict
            As `upgrading`.

        Raises
        ------
        SpaceMismatch
            If the migration is between other spaces.
        NotFound
            If the new space is not given and the collection does not have it.
        BadInput
            If the plan advises against it, another migration is under way, bags of vectors are stored, or the new
            space lacks a modality that items have.
        """
        self._items.check_writable()
        migration = _migration(plan)
        underway = self._state.underway
        if underway is not None and underway.id == migration.id and underway.phase == SERVING:
            return self._told()
        self._check_migration(migration, new_space)
        self._prepare(migration, new_space)
        self._carry_all(migration, progress)
        self._items.sync()  # what searches are going to rely on
        for number in range(_ROUNDS):
            if number:
                self._carry_over(None, lambda: False, False)
            with self._items.writing() as now:
                self._check_underway(migration)
                if number < _ROUNDS - 1 and self._uncarried(now, migration):
                    continue
                migrating.enter(self._catalogue.ledger, migration.id, migration.old, migration.new, SERVING)
                break
        self._known_space_id = migration.new
        return self._told()

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
        unreadable: set[Any] = set()
        for number in range(_ROUNDS):
            if underway.phase == SERVING:
                unreadable |= self._give_old(underway, progress)
            self._items.sync()
            with self._items.writing() as now:
                underway = self._underway()
                left = self._without_old(now, underway)
                waiting = self._fillable(now, underway, unreadable) if number < _ROUNDS - 1 else False
                if waiting:  # somebody has added items since
                    continue
                if left and not leave:
                    raise BadInput(
                        f"items have no vector of the space {underway.old} and cannot be given one, since what they "
                        f"are is not kept: {_counted(left)}. backfill(modality, space_id={underway.old!r}, "
                        "vectors=...) takes their vectors; leave=True goes back all the same, and they are not found "
                        "until they are upserted again"
                    )
                columns = self._catalogue.columns()
                spaces = {underway.id, *([underway.new] if drop_new else [])}
                self._end(underway, underway.old, [c.name for c in columns if c.space in spaces])
                break
        self._ended(underway, underway.old)
        return left

    # ---------------------------------------------------------------- steps of apply

    def _check_migration(self, migration: Migration, new_space: Space | None) -> None:
        """Raise unless a migration can begin here, or go on."""
        state = self._state
        if state.underway is not None and state.underway.id != migration.id:
            migrating.refuse_underway(self._catalogue, "another migration cannot begin")
        if migration.old != state.space:
            raise SpaceMismatch(
                f"the migration goes from the space {migration.old}, but {self._path} uses {state.space}: make a plan "
                "with collection.upgrade"
            )
        if new_space is None:
            if migration.new not in self._catalogue.spaces():
                raise NotFound(f"{self._path} has no space {migration.new!r} yet: give the new space with the plan")
            new_space = self._load_space(migration.new)
        if new_space.id != migration.new or new_space.dim != migration.dim:
            raise SpaceMismatch(f"the migration goes to the space {migration.new}, not to {new_space.id}")
        now = self._items.snapshot()
        columns = [c for c in self._catalogue.columns(migration.old) if c.name in now.schema.names]
        if bags := [c.modality for c in columns if c.kind == "bag"]:
            raise BadInput(
                f"the {', '.join(bags)} of items are bags of several vectors, which no bridge carries: backfill "
                f"another collection, or this one with add_space, backfill(space_id={migration.new!r}) and use_space"
            )
        for column in columns:
            if column.modality not in new_space.modalities and now.having(column.name):
                raise BadInput(
                    f"{now.having(column.name):,} items have a vector of {column.modality}, which the new space does "
                    f"not know (it has {', '.join(new_space.modalities)}): drop_vectors({column.modality!r}) first"
                )
        if migration.bridge is not None and columns:
            wanted = [columns[0].dim, migration.dim]
            if migration.bridge.dims_ != (wanted if migration.bridge.carries == "items" else wanted[::-1]):
                raise BadInput(f"the bridge goes between dimensions {migration.bridge.dims_}, not {wanted}")

    def _prepare(self, migration: Migration, new_space: Space | None) -> None:
        """Save the space and the migration, and record that it has begun."""
        if new_space is not None:
            self.add_space(new_space)
            self._spaces[new_space.id] = new_space

        def note(ledger: Ledger) -> None:
            state = migrating.state_of(self._catalogue)
            if state.underway is None and state.space == migration.old:
                migrating.enter(ledger, migration.id, migration.old, migration.new, PREPARING)

        if self._state.underway is None:
            names = [column_name(c.modality, migration.id) for c in self._catalogue.columns(migration.old)]
            stale = set(names).intersection(self._items.snapshot().schema.names)
            if stale:  # an earlier version was restored that had been carried over before
                self._items.drop_columns(sorted(stale))
            self._demand.forget()
            folders.add_space(self._path, self._catalogue, migration, note=note)
        self._check_underway(migration)

    def _carry_all(self, migration: Migration, progress: bool) -> None:
        """Write what the bridge carries over, and an index of it where there was one."""
        if not migration.stores:
            return
        self._carry_over(None, lambda: False, progress)
        from commonspace.collection.asked import Asked

        now = self._items.snapshot()
        carried = {c.modality: c for c in self._catalogue.columns(migration.id)}
        for old in self._catalogue.columns(migration.old):
            if old.modality in carried and (entries := self._segments.entries(old.name)):
                about = entries[-1].about
                asked = Asked(code=about.get("code"), degree=about.get("degree"), workload=about.get("workload"))
                try:
                    self._build(now, carried[old.modality], asked, progress)
                except BadInput:  # the code does not suit the new dimension
                    self._build(now, carried[old.modality], Asked(), progress)

    def _uncarried(self, now: Snapshot, migration: Migration) -> bool:
        """Return whether somebody has written old vectors that were not carried over."""
        if not migration.stores:
            return False
        for old in self._catalogue.columns(migration.old):
            carried, native = (now.present(column_name(old.modality, s)) for s in (migration.id, migration.new))
            if (now.present(old.name) & ~carried & ~native).any():
                return True
        return False

    def _check_underway(self, migration: Migration) -> None:
        """Raise `BadInput` if another process has begun another migration, or ended this one."""
        underway = self._state.underway
        if underway is None or underway.id != migration.id:
            raise BadInput(f"somebody else has begun or ended a migration of {self._path} meanwhile: see upgrading()")

    # ---------------------------------------------------------------- steps back

    def _give_old(self, underway: Underway, progress: bool) -> set[Any]:
        """Encode by the old space what has no vector of it; return the ids that cannot be read."""
        unreadable: set[Any] = set()
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
            column = self._catalogue.add_column(modality, old.id, old.dim)

            def turn(now: Snapshot, m: str = modality, make: filling.Encoding = make) -> Any:
                return np.flatnonzero(self._came_later(now, underway)[m] & make.possible(now))

            done = filling.backfill(self._items, column, make, passes=(turn,), progress=progress)
            unreadable |= done.skipped.keys()
        return unreadable

    def _came_later(self, now: Snapshot, underway: Underway) -> dict[str, Any]:
        """Return modality -> which items have a vector of the new space and none of the old."""
        names = {c.modality: c.name for c in self._catalogue.columns(underway.new) if c.name in now.schema.names}
        return {m: now.present(name) & ~now.present(column_name(m, underway.old)) for m, name in names.items()}

    def _fillable(self, now: Snapshot, underway: Underway, unreadable: set[Any]) -> bool:
        """Return whether there are items that the old space could still encode."""
        if underway.phase != SERVING:
            return False
        for modality, rows in self._came_later(now, underway).items():
            if rows.any() and modality in self._space_of(underway.old).modalities:
                try:
                    make = filling.Encoding(now, self._space_of(underway.old), modality)
                except NotFound:
                    continue
                waiting = np.flatnonzero(rows & make.possible(now))
                if set(now.ids.take(waiting).to_pylist()) - unreadable:
                    return True
        return False

    def _without_old(self, now: Snapshot, underway: Underway) -> dict[str, int]:
        """Return modality -> items that would not be found by the old space."""
        if underway.phase != SERVING:
            return {}
        later = self._came_later(now, underway)
        return {m: n for m, rows in later.items() if (n := int(np.count_nonzero(rows)))}

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

    def _told(self) -> dict[str, Any]:
        found = self.upgrading()
        assert found is not None
        return found


def _migration(plan: Any) -> Migration:
    """Return the migration of a plan, or the one that is given."""
    from commonspace.upgrade.migration import Migration

    if isinstance(plan, Migration):
        return plan
    if not hasattr(plan, "migration"):
        raise BadInput(f"apply takes a plan of collection.upgrade or a Migration, not a {type(plan).__name__}")
    if getattr(plan, "verdict", None) == "do not upgrade":
        raise BadInput(
            'the plan says "do not upgrade"; to do it all the same, choose an option yourself: '
            "apply(plan.migration(option), new_space), or --option on the command line"
        )
    found: Migration = plan.migration()
    return found


def _counted(left: dict[str, int]) -> str:
    return ", ".join(f"{n:,} of {m}" for m, n in left.items())
