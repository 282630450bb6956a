"""What can be done about a new space, measured on items of the collection or on a table of probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.collection.searching import Searching
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.random import RandomState, generator
from commonspace.core.tables import Table, read_table
from commonspace.core.vectors import check_positive
from commonspace.core.warning import warn
from commonspace.encode.columns import items_of

if TYPE_CHECKING:
    from commonspace.collection.probing import Encoded, Speed
    from commonspace.space import Space
    from commonspace.upgrade.plan import Plan


class Planning(Searching):
    """The part of `Collection` that plans what to do about a new space."""

    def upgrade(
        self,
        new_space: Space,
        *,
        probes: Any = None,
        columns: Mapping[str, str] | None = None,
        group: str | Sequence[Any] | None = None,
        queries: Any = None,
        relevant: str = "relevant",
        on_error: str = "skip",
        cache: Any = True,
        random_state: RandomState = 0,
        progress: bool = True,
        **options: Any,
    ) -> Plan:
        """Measure what a new space would bring, what each way to it keeps and costs, and say which to take, or none.

        Nothing is changed: `apply` carries a plan out. ``print`` the plan for its table.

        Parameters
        ----------
        new_space : Space
            The space that may replace the collection's own.
        probes : table-like or int, optional
            Items to measure on. A number: so many of the collection's, drawn at random from those whose items are
            kept or are fields; their old vectors are there, and only the new space has to encode them; 2,000 by
            default. A table: a row is a thing seen in several modalities, and both spaces encode it.
        columns : mapping of str to str, optional
            Modality -> column of the table, by default that of its name.
        group : str or sequence, optional
            Field (or column of the table): rows of one label show the same thing. By default each item of the
            collection is a thing, and rows of a table are by their first modality.
        queries : table-like, optional
            Questions, in columns named like modalities, and in the column `relevant` the ids of the items that are
            right, one or a list. Those items are drawn first. Without queries the items of one modality ask for those
            of another.
        relevant : str
            That column.
        on_error : "raise" or "skip"
            What to do with items that cannot be encoded.
        cache : Cache or bool
            Where encodings are kept, see `Space.encode`.
        random_state : int, Generator or None
            Seed of the drawing, and of the plan.
        progress : bool
            Show progress bars on terminals.
        **options
            Passed to `commonspace.upgrade.plan.plan_upgrade`: ``bridges``, ``keep``, ``metric``, ``shares`` ...

        Raises
        ------
        BadInput
            If it is the collection's space, another migration is under way, or the probes are too few.
        NotFound
            If no items are kept and no table is given; a column that the table lacks.

        Warns
        -----
        RuntimeWarning
            If a modality that both spaces know and items have is not among the probes.
        """
        from commonspace.collection import probing
        from commonspace.upgrade.plan import plan_upgrade

        state, now = self._moment()
        if state.underway is not None:
            raise BadInput(
                f"{self._path} is on its way to the space {state.underway.new} already: finish_upgrade() or "
                "roll_back_upgrade() first"
            )
        if new_space.id == state.space:
            raise BadInput(f"the new space is the one that {self._path} has: there is nothing to upgrade")
        old, speed, rng = self._space_of(state.space), probing.Speed(), generator(random_state)
        asked, answers = self._queries(queries, relevant, old, new_space, on_error, cache)
        names = {c.modality: c.name for c in self._catalogue.columns(state.space) if c.name in now.schema.names}
        if probes is None or (isinstance(probes, int | np.integer) and not isinstance(probes, bool)):
            n = probing.USUAL if probes is None else check_positive("probes", probes)
            if group is not None and not isinstance(group, str):
                raise BadInput("group names a field of the collection; labels of your own come with a table of probes")
            if columns:
                raise BadInput(
                    "columns are those of a table of probes, but items of the collection are drawn: give probes, a "
                    "table of items, or leave columns out"
                )
            wanted = list(dict.fromkeys(id for row in answers for id in row))
            found, labels, ids = probing.probes_of_items(
                now, names, old, new_space, speed, n=n, group=group, wanted=wanted, rng=rng, on_error=on_error,
                cache=cache,
            )  # fmt: skip
        else:
            table = read_table(probes)
            found, labels, rows = probing.probes_of_table(
                table, old, new_space, speed, columns=columns, group=group, on_error=on_error, cache=cache
            )
            if queries is not None and self.id_name not in table:
                raise NotFound(f"queries name items by id, but the probes have no column {self.id_name!r}")
            ids = list(table[self.id_name]) if self.id_name in table else rows.tolist()
        _check_right(answers, ids)
        counts = {m: now.having(name) for m, name in names.items()}
        if unseen := [m for m, n in counts.items() if n and m in new_space.modalities and m not in found]:
            warn(
                f"no probe has {', '.join(unseen)}, so that nothing the plan says was measured on it, though "
                f"{sum(counts[m] for m in unseen):,} vectors of it would be served the same way: give a table of probes"
            )
        return plan_upgrade(
            probing.join(found, labels, ids, asked, answers),
            corpus=speed.corpus({m: n for m, n in counts.items() if n} or {m: len(e.old) for m, e in found.items()}),
            old=state.space, new=new_space.id, random_state=rng, progress=progress, **options,
        )  # fmt: skip

    def _queries(
        self, queries: Any, relevant: str, old: Space, new: Space, on_error: str, cache: Any
    ) -> tuple[dict[str, Encoded], list[list[Any]]]:
        """Return modality -> queries in both spaces, and the ids that are right for each row of the table."""
        from commonspace.collection import probing

        if queries is None:
            return {}, []
        table: Table = read_table(queries)
        if not len(table):
            raise BadInput("the queries are an empty table: give some, or leave queries out")
        answers = [listed(cell) for cell in table[relevant]]
        found = {}
        for m in old.modalities:
            if m in new.modalities and m in table:
                cells = items_of(table, m, None, new.kind_of(m))
                where = np.array([i for i, x in enumerate(cells) if x is not None], np.int64)
                if len(where):
                    unmeasured: Speed = probing.Speed()
                    one = probing.encode_both(
                        old, new, [cells[i] for i in where], m, unmeasured, on_error=on_error, cache=cache
                    )
                    found[m] = probing.Encoded(one.old, one.new, where[one.places])
        if not found:
            both = [m for m in old.modalities if m in new.modalities]
            raise NotFound(
                f"the queries have no column of a modality that both spaces know, {', '.join(both)}, with an item in "
                f"it; their columns: {', '.join(table.columns)}"
            )
        return found, answers


def _check_right(answers: Sequence[Sequence[Any]], ids: Sequence[Any]) -> None:
    """Raise `NotFound` if ids are named as right, but none is among the probes: they would count for nothing."""
    named = list(dict.fromkeys(id for row in answers for id in row))
    if named and not set(named) & set(ids):
        raise NotFound(
            f"none of the {len(named)} ids that are right for the queries is among the probes, the first being "
            f"{named[0]!r}: name items that are measured on, or leave queries out"
        )


def listed(cell: Any) -> list[Any]:
    """Return one id, several or none as a list."""
    if cell is None:
        return []
    if isinstance(cell, np.ndarray):
        return list(cell.tolist())
    return list(cell) if isinstance(cell, list | tuple | set) else [cell]
