"""What a score of the old space is worth in the new one: cut-offs and calibrators of a collection that goes over.

The same queries are asked of the old vectors and of what answers now, both sides of a migration with their scales. On
both sides the items are those that have an old vector, so that what differs is the space and not the gallery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.collection.planning import listed
from commonspace.collection.searching import Searching
from commonspace.collection.spacing import Spacing
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState
from commonspace.core.tables import read_table
from commonspace.core.vectors import check_positive
from commonspace.encode.columns import items_of
from commonspace.search.best import best_items
from commonspace.search.csls import HUBS
from commonspace.search.query import parts_of
from commonspace.store import incoming
from commonspace.store.migrating import PREPARING, State
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.measure.metrics.calibration import Calibration
    from commonspace.upgrade.calibrators import Calibrator
    from commonspace.upgrade.cutoffs import Cutoff


@dataclass(frozen=True)
class Asked:
    """Answers to the same queries, before and now: of each its score, its query, and whether it is right."""

    scores: tuple[np.ndarray, np.ndarray]
    query: tuple[np.ndarray, np.ndarray]
    right: tuple[np.ndarray, np.ndarray] | None
    doubts: tuple[str, ...]


class Scores(Searching, Spacing):
    """The part of `Collection` that carries what depends on scores from one space to another."""

    def migrate_cutoff(
        self,
        cutoff: float,
        queries: Any,
        *,
        k: int = 10,
        where: str | None = None,
        against: str | Sequence[str] | None = None,
        weights: Mapping[str, float] | None = None,
        hubs: str | None = None,
        relevant: str = "relevant",
        precision: float | None = None,
        space_id: str | None = None,
        resamples: int = 1000,
        confidence: float = 0.95,
        random_state: RandomState = 0,
    ) -> Cutoff:
        """Return the score that takes the place of a cut-off which was chosen on searches of the old space.

        Ask as the application does: with its `k`, filter, weights and so on. While a migration is under way new scores
        are those of searches now, through the bridge where an item still needs it; call it again after the backfill,
        and before `finish_upgrade` drops the old vectors.

        Parameters
        ----------
        cutoff : float
            Hits of at least this score were used.
        queries : sequence of str, or table-like
            Typical queries: texts, or a table with columns named like modalities. If it has the column `relevant` they
            are judged: it holds the ids of the items that are right for each, one or a list, and an empty cell says
            that none is. What passes is then as often right as before; else as many answers pass as before.
        k, where, against, weights, hubs
            As in `search`.
        relevant : str
            That column.
        precision : float, optional
            The precision to keep; by default what the old cut-off reached. Needs judged queries.
        space_id : str, optional
            The space that the cut-off was chosen in; by default the one that the migration under way comes from.
        resamples, confidence, random_state
            Of the interval, see `commonspace.upgrade.migrate_cutoff`.

        Returns
        -------
        Cutoff
            ``float(it)`` is the new cut-off; ``print`` it for its interval, what passes before and now, and doubts.

        Raises
        ------
        NotFound
            If there are no vectors of the old space any more, no such column, or none of the relevant ids is stored.
        BadInput
            If no migration is under way and no space is named, `apply` is not done, or the answers tell nothing: fewer
            than 20, all or none of which pass the cut-off.
        """
        from commonspace.upgrade.cutoffs import migrate_cutoff

        asked = self._before_and_now(queries, k, where, against, weights, hubs, relevant, space_id)
        found = migrate_cutoff(
            cutoff, *asked.scores, asked.right, precision=precision, groups=asked.query, resamples=resamples,
            confidence=confidence, random_state=random_state,
        )  # fmt: skip
        return replace(found, doubts=(*found.doubts, *asked.doubts))

    def migrate_calibrator(
        self,
        old: Calibration | Calibrator,
        queries: Any,
        *,
        k: int = 10,
        where: str | None = None,
        against: str | Sequence[str] | None = None,
        weights: Mapping[str, float] | None = None,
        hubs: str | None = None,
        relevant: str = "relevant",
        space_id: str | None = None,
        resamples: int = 1000,
        confidence: float = 0.95,
        random_state: RandomState = 0,
    ) -> Calibrator:
        """Return probabilities of being right for scores of searches now, from those that were fitted on old ones.

        Parameters
        ----------
        old : Calibration or Calibrator
            What `commonspace.measure.calibration` gave for scores of the old space.
        queries, k, where, against, weights, hubs, relevant, space_id
            As in `migrate_cutoff`; with judged queries the probabilities are fitted anew.
        resamples, confidence, random_state
            Of the intervals.

        Raises
        ------
        NotFound, BadInput
            As `migrate_cutoff`.
        """
        from commonspace.upgrade.calibrators import migrate_calibrator

        asked = self._before_and_now(queries, k, where, against, weights, hubs, relevant, space_id)
        right, query = (None, None) if asked.right is None else (asked.right[1], asked.query[1])
        found = migrate_calibrator(
            old, *asked.scores, right, groups=query, resamples=resamples, confidence=confidence,
            random_state=random_state,
        )  # fmt: skip
        return replace(found, doubts=(*found.doubts, *asked.doubts))

    def _before_and_now(
        self,
        queries: Any,
        k: int,
        where: str | None,
        against: str | Sequence[str] | None,
        weights: Mapping[str, float] | None,
        hubs: str | None,
        relevant: str,
        space_id: str | None,
    ) -> Asked:
        """Return the answers of the old space and of searches now, among the items that have an old vector."""
        check_choice("hubs", hubs, HUBS)
        check_positive("k", k)
        state, now = self._moment()
        before = State(self._came_from(state, space_id))
        old, new = self._space_of(before.space), self._space_of(state.space)
        both = [m for m in old.modalities if m in new.modalities]
        chosen = [against] if isinstance(against, str) else list(against or new.modalities)
        incoming.check_modalities(chosen, new.modalities)
        parts, answers = _asked(queries, relevant, both, new)
        right = None if answers is None else _right(now, answers)
        there = self._with_vector(now, before.space, chosen)
        if not there.any():
            raise NotFound(
                f"{self._path} has no vectors of {', '.join(chosen)} in the space {before.space} any more: without "
                "them nothing tells what its scores were"
            )
        doubts = self._left_out(self._with_vector(now, state.space, chosen) & ~there, before.space)
        if where is not None:
            there[np.setdiff1d(np.arange(len(now)), now.where(where))] = False
            if not there.any():
                raise NotFound(
                    f"no item with a vector of {', '.join(chosen)} in the space {before.space} matches where={where!r}"
                )
        mask = None if there.all() else there
        scores, member, judged = [], [], []
        for one in (before, state):
            Q, native, bridged = self._asked_of(one, now, parts, chosen, weights, hubs=hubs is not None, exact=False)
            found = best_items(Q, [*native, *bridged], k, mask=mask)
            scores.append(np.array([hit.score for hits in found for hit in hits]))
            member.append(np.repeat(np.arange(len(found)), [len(hits) for hits in found]))
            if right is not None:
                judged.append(np.array([hit.row in right[i] for i, hits in enumerate(found) for hit in hits], bool))
        return Asked(
            (scores[0], scores[1]), (member[0], member[1]), None if right is None else (judged[0], judged[1]),
            doubts,
        )  # fmt: skip

    def _came_from(self, state: State, space_id: str | None) -> str:
        """Return the space that scores come from."""
        if space_id is not None:
            self._known_space(space_id)
            if space_id == state.space:
                raise BadInput(f"searches are of the space {space_id} already: its scores mean what they meant")
            return space_id
        if state.underway is None:
            others = [s for s in self._catalogue.spaces() if s != state.space]
            raise BadInput(
                f"no migration of {self._path} is under way: say with space_id= which space the scores come from; "
                f"besides the one in use there is {', '.join(others) or 'none'}"
            )
        if state.underway.phase == PREPARING:
            raise BadInput(f"{self._path} still uses the space {state.space}: call apply again, which goes on, first")
        return state.underway.old

    def _with_vector(self, now: Snapshot, space: str, modalities: Sequence[str]) -> np.ndarray:
        """Return which items have a vector of a space in one of some modalities."""
        rows = np.zeros(len(now), bool)
        for column in self._catalogue.columns(space):
            if column.modality in modalities:
                rows |= now.present(column.name)
        return rows

    @staticmethod
    def _left_out(later: np.ndarray, old: str) -> tuple[str, ...]:
        """Return what to say of items that the old space cannot find."""
        n = int(np.count_nonzero(later))
        return (
            (f"items that came or changed since have no vector of the space {old} and take no part: {n:,}",)
            if n
            else ()
        )


def _asked(
    queries: Any, relevant: str, modalities: Sequence[str], space: Any
) -> tuple[list[dict[str, Any]], list[list[Any]] | None]:
    """Return queries as modality -> item, and the ids that are right for each where they are judged."""
    if isinstance(queries, Sequence) and not queries:
        raise BadInput("there are no queries: give a few hundred typical ones")
    if isinstance(queries, Sequence) and not isinstance(queries, str) and all(isinstance(q, str) for q in queries):
        return [parts_of(q, modalities) for q in queries], None
    table = read_table(queries)
    if not len(table):
        raise BadInput("the queries are an empty table: give a few hundred typical ones")
    columns = {m: items_of(table, m, None, space.kind_of(m)) for m in modalities if m in table}
    if not columns:
        raise NotFound(
            f"the queries have no column of a modality that both spaces know, {', '.join(modalities)}; their "
            f"columns: {', '.join(table.columns)}"
        )
    parts = [{m: cells[i] for m, cells in columns.items() if cells[i] is not None} for i in range(len(table))]
    if empty := [i for i, one in enumerate(parts) if not one]:
        raise BadInput(
            f"query {empty[0]} asks nothing: {', '.join(columns)} {'is' if len(columns) == 1 else 'are'} empty"
        )
    if relevant not in table:
        if relevant != "relevant":
            raise NotFound(f"the queries have no column {relevant!r}; they have {', '.join(table.columns)}")
        return parts, None
    return parts, [listed(cell) for cell in table[relevant]]


def _right(now: Snapshot, answers: Sequence[Sequence[Any]]) -> list[set[int]]:
    """Return the rows of the items that are right for each query."""
    named = list(dict.fromkeys(id for row in answers for id in row))
    if not named:
        raise BadInput("no item is right for any of the queries: leave the column out, or name what is right")
    rows = now.positions(now.as_ids(named))
    if not (rows >= 0).any():
        raise NotFound(f"none of the {len(named)} ids that are right is stored, the first being {named[0]!r}")
    place = dict(zip(named, rows.tolist(), strict=True))
    return [{place[id] for id in row if place[id] >= 0} for row in answers]
