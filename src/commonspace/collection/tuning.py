"""Tuning the index of a collection to a wanted recall, on one's own queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from commonspace.collection.asked import Asked, learnable
from commonspace.collection.building import Building
from commonspace.collection.workload import leaves_of
from commonspace.core.errors import BadInput
from commonspace.core.warning import warn

if TYPE_CHECKING:
    from commonspace.search.index.tuning import Tuned

_TUNABLE = 1_000  # vectors below which there is nothing to tune


class Tuning(Building):
    """The part of `Collection` that measures how to search it."""

    def tune(
        self,
        modality: str | None = None,
        *,
        target_recall: float = 0.95,
        memory: float | None = None,
        queries: Any = None,
        k: int = 10,
        codes: Sequence[Any] | None = None,
        batch: int = 1,
        random_state: int = 0,
        progress: bool = True,
    ) -> Tuned:
        """Measure codes and settings on one's own queries, build the index with the best, and search so from now on.

        The fastest setting is taken whose recall reaches the target with the lower end of its 95 % interval, on
        queries that no code has learned from. The recall that is reported and kept in the catalogue was measured on
        queries that had no part in the choice either. ``print`` the result for the table, ``plot`` it for a picture.

        All vectors of the modality are read into memory, because the true hits are found among all of them and every
        code is tried on all; of other modalities at most 10,000 are read, to serve as queries.

        Parameters
        ----------
        modality : str, optional
            The one to tune; needed if there are several.
        target_recall : float
            Share of the true k best that a search shall find, above 0 and below 1.
        memory : float, optional
            Most bytes a vector, of code and links.
        queries : sequence or (m, dim) array, optional
            Typical queries, 60 or more: what `search` takes as its first argument, or vectors of the space. By default
            vectors of the other modalities and those the space was trained with.
        k : int
            Hits a query.
        codes : sequence, optional
            Codes to try, as `build_index` takes them; LeanVec of several sizes and scalar codes by default.
        batch : int
            Queries that come at once: 1 tunes for latency, more for throughput.
        random_state : int
            Seed.
        progress : bool
            Show progress bars on terminals.

        Raises
        ------
        BadInput
            No or an unknown modality, too few vectors or queries, a target or memory that cannot be met.

        Warns
        -----
        RuntimeWarning
            If nothing reached the target; the setting of highest recall was taken.
        """
        from commonspace.search.index.tuning import tune_index

        self._items.check_writable()
        given = None if queries is None else learnable(queries, self.space)
        columns = self._columns(modality)
        if len(columns) != 1:
            raise BadInput(
                f"name the modality to tune: {', '.join(c.modality for c in columns) or 'there is none yet'}"
            )
        (column,) = columns
        now = self._items.snapshot()
        rows, matrix = now.matrix(column.name, column.dim)
        if len(matrix) < _TUNABLE:
            raise BadInput(
                f"{len(matrix)} vectors of {column.modality} are searched exactly in no time: tune from {_TUNABLE}"
            )
        asked = self._typical(now, column) if given is None else given
        if asked is None:
            raise BadInput("there are no other modalities to take queries from: pass queries")
        tuned = tune_index(
            matrix, asked, target_recall=target_recall, memory=memory, k=k, codes=codes, batch=batch,
            leaves=leaves_of(now, rows, self._workload(column)), random_state=random_state, progress=progress,
        )  # fmt: skip
        self._carry_out(
            Asked(
                modality=column.modality, code=tuned.chosen.code, queries=asked, random_state=random_state,
                degree=tuned.chosen.degree,  # links that no search follows cost memory
                tuned=tuned.to_dict(),
            ),
            progress=progress,
        )  # fmt: skip
        if tuned.chosen.low < target_recall:
            warn(
                f"no setting reached a recall of {target_recall} for certain; the best has {tuned.recall.value:.4f} "
                f"[{tuned.recall.low:.4f}, {tuned.recall.high:.4f}] and was taken. Allow more memory, or more queries "
                "for a narrower interval"
            )
        return tuned
