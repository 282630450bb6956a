"""From one space to another while the collection is in use: apply; finish and roll back are in `ending`.

Each of them changes what searches go by in one transaction of the catalogue, together with the version of the items
that belongs to it. What is long is done before that, in steps that are committed one by one, so that a call that was
killed goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commonspace.collection.building import Building
from commonspace.collection.ending import Ending
from commonspace.core.errors import BadInput, NotFound, SpaceMismatch
from commonspace.store import folder as folders
from commonspace.store import migrating
from commonspace.store.ledger import Ledger
from commonspace.store.migrating import PREPARING, SERVING
from commonspace.store.records import column_name
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.space import Space
    from commonspace.upgrade.migration import Migration

#: How often a step is repeated for what others have written meanwhile, before it is done without them.
_ROUNDS = 5


class Upgrading(Ending, Building):
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
            state = self._state
            if state.underway is not None or state.space != migration.old:
                self._check_underway(migration)  # of two at one instant the other leaves nothing behind
            else:
                names = [column_name(c.modality, migration.id) for c in self._catalogue.columns(migration.old)]
                stale = set(names).intersection(self._items.snapshot().schema.names)
                if stale:  # an earlier version was restored that had been carried over before
                    self._items.drop_columns(sorted(stale))
                self._demand.forget()
                migrating.enter(ledger, migration.id, migration.old, migration.new, PREPARING)

        if self._state.underway is None:
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
            how = f"begun another migration of {self._path}" if underway else f"ended the migration of {self._path}"
            raise BadInput(f"somebody else has {how} meanwhile, so that this one is not carried out: see upgrading()")

    def _told(self) -> dict[str, Any]:
        found = self.upgrading()
        if found is None:
            raise BadInput(f"somebody else has ended the migration of {self._path} meanwhile: see upgrading()")
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
