"""Vectors for items that lack them: in the foreground or in the background, the most wanted first."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from commonspace.collection.spacing import Spacing
from commonspace.collection.underway import Migrating
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.method import check_choice
from commonspace.store import backfill as filling
from commonspace.store import incoming
from commonspace.store.backfill import Backfilled, Source
from commonspace.store.migrating import Underway, check_underway
from commonspace.store.records import VectorColumn, column_name
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.space import Space

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_STEP = 512  # items made at once: what is lost where the work is broken off, and the time until it stops


class Filling(Future[Backfilled]):
    """A backfill in the background: a future that tells how far it is and can be stopped.

    Attributes
    ----------
    seen : int
        Rows that were looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.asked_to_stop = threading.Event()

    def stop(self) -> Backfilled:
        """Ask it to stop, and return what was done; what was made is stored, and the next call goes on."""
        self.asked_to_stop.set()
        return self.result()


class Backfilling(Migrating, Spacing):
    """The part of `Collection` that fills in vectors."""

    def backfill(
        self,
        modality: str | None = None,
        *,
        space: Space | None = None,
        space_id: str | None = None,
        column: str | None = None,
        vectors: Source | None = None,
        on_error: str = "raise",
        first: str | Mapping[Any, float] | Iterable[Any] | None = "asked",
        share: float | None = None,
        progress: bool = True,
    ) -> Backfilled:
        """Give items that lack a vector one: of another space, after damage, or after they were added without.

        Bytes are written for the new vectors only. What is done is committed fragment by fragment (up to a quarter of
        a million items), and encodings are cached, so that a call after a kill goes on where it stopped. While a
        migration is under way, each item goes from its bridge to its own vector with the commit of its fragment.

        Parameters
        ----------
        modality : str, optional
            The modality; by default all of the space's that there is something to make from. Needed with `column` or
            `vectors` if the space has several.
        space : Space, optional
            The space; it is saved in the collection if it is new there.
        space_id : str, optional
            Or the id of one that is saved. By default the current space. That of a migration under way carries over
            what its bridge can.
        column : str, optional
            Field that holds the items. By default the items kept by ``add(..., keep=...)``, or else the field of the
            modality's name.
        vectors : callable, optional
            Function from a list of ids to their vectors, (n, dim) or a list with None, instead of encoding.
        on_error : "raise" or "skip"
            What to do with items that cannot be encoded; skipped ones stay without a vector and are reported.
        first : "asked", mapping of id to number, or iterable of ids, optional
            The items whose turn comes first: those that searches have found most often since the migration began
            (if there is one), those of the largest numbers, or those named, in their order. Their fragments are
            written twice, once for them and once for the others; None writes all of them once.
        share : float, optional
            Stop when that share of the items that have the modality, above 0 and at most 1, have a vector.
        progress : bool
            Show a progress bar on terminals.

        Raises
        ------
        NotFound
            If there is no such space, or nothing to encode a named modality from.
        BadInput
            If `column` or `vectors` do not say of which modality; an argument out of its range; if somebody else
            ends the migration meanwhile (what was committed before stays).
        BadItems
            If an item cannot be encoded; what was done until then stays.
        """
        asked = self._to_fill(modality, space, space_id, column, vectors, on_error, first, share)
        return asked(lambda: False, progress, lambda n: None)

    def backfill_in_background(
        self,
        modality: str | None = None,
        *,
        space: Space | None = None,
        space_id: str | None = None,
        column: str | None = None,
        vectors: Source | None = None,
        on_error: str = "skip",
        first: str | Mapping[Any, float] | Iterable[Any] | None = "asked",
        share: float | None = None,
    ) -> Filling:
        """Start `backfill` in a thread and return its future, which has `seen` and `stop()`.

        The arguments are those of `backfill` and are checked before this call returns. `close`, and with it the end of
        a ``with`` block, be it by Ctrl-C, stops it and stores what it has made.

        Warns
        -----
        RuntimeWarning
            If it fails, because nobody may ask the future, which raises the error.
        """
        asked = self._to_fill(modality, space, space_id, column, vectors, on_error, first, share)
        found = Filling()

        def advance(n: int) -> None:
            found.seen += n

        def stopped() -> bool:
            return found.asked_to_stop.is_set() or self._closing.is_set()

        self._start(
            found, lambda: asked(stopped, False, advance), f"the backfill of {self._path} in the background ended "
            "early", "backfill() goes on from there",
        )  # fmt: skip
        return found

    def _to_fill(
        self,
        modality: str | None,
        space: Space | None,
        space_id: str | None,
        column: str | None,
        vectors: Source | None,
        on_error: str,
        first: Any,
        share: float | None,
    ) -> Callable[[Callable[[], bool], bool, Callable[[int], None]], Backfilled]:
        """Return what carries out `backfill`, its arguments checked."""
        self._items.check_writable()
        check_choice("on_error", on_error, ("raise", "skip"))
        if share is not None and not 0 < share <= 1:
            raise BadInput(f"share must be above 0 and at most 1, not {share!r}")
        underway = self._state.underway
        if underway is not None and space_id == underway.id:
            return lambda stopped, progress, advance: self._carry_over(modality, stopped, progress, advance)
        if space is not None:
            self.add_space(space)
        else:
            space = self._load_space(self._space_id if space_id is None else space_id)
        if modality is not None:
            incoming.check_modalities([modality], space.modalities)
        elif len(space.modalities) > 1 and (column is not None or vectors is not None):
            raise BadInput(
                f"{'column' if vectors is None else 'vectors'}=... is of one modality: say of which of "
                f"{', '.join(space.modalities)}, as in backfill({space.modalities[0]!r}, ...)"
            )
        order = self._order(first)
        options: dict[str, Any] = {"column": column, "vectors": vectors, "on_error": on_error}

        def run(stopped: Callable[[], bool], progress: bool, advance: Callable[[int], None]) -> Backfilled:
            parts = []
            for name in space.modalities if modality is None else [modality]:
                try:
                    make = filling.Encoding(self._items.snapshot(), space, name, **options, batch=_STEP)
                except NotFound:
                    if modality is not None and self._items.snapshot().version:
                        raise
                    continue
                parts.append(self._fill(space, name, make, order, share, underway, stopped, progress, advance))
            return self._joined(parts)

        return run

    def _fill(
        self,
        space: Space,
        modality: str,
        make: filling.Encoding,
        order: pa.Array,
        share: float | None,
        underway: Underway | None,
        stopped: Callable[[], bool],
        progress: bool,
        advance: Callable[[int], None],
    ) -> Backfilled:
        """Fill in one modality."""
        column, check = self._to_write(modality, space.id, space.dim, underway)

        def lacking(now: Snapshot) -> Mask:
            return ~now.present(column.name) & make.possible(now)

        def early(now: Snapshot) -> Ints:
            rows = now.positions(order)
            rows = rows[rows >= 0]
            return rows[lacking(now)[rows]][: self._wanted(now, column, lacking(now), share)]

        def late(now: Snapshot) -> Ints | None:
            if share is None:
                return None
            return np.flatnonzero(lacking(now))[: self._wanted(now, column, lacking(now), share)]

        def passes() -> Iterator[filling.Turn]:
            if len(order):
                yield early
            yield late
            failed = 0
            while share is not None and len(make.failed) > failed:  # others have the turn of those that failed
                failed = len(make.failed)
                yield late

        return filling.backfill(
            self._items, column, make, passes=passes(), check=check, stopped=stopped,
            progress=progress, advance=advance,
        )  # fmt: skip

    def _to_write(
        self, modality: str, space: str, dim: int, underway: Underway | None
    ) -> tuple[VectorColumn, Callable[[], None]]:
        """Return a column to be filled, and what raises `Over` once a migration that wants it has ended."""

        def check() -> None:
            if underway is not None and space in (underway.id, underway.old, underway.new):
                check_underway(self._catalogue, underway)

        with self._catalogue.writing():
            check()
            return self._catalogue.add_column(modality, space, dim), check

    def _wanted(self, now: Snapshot, column: VectorColumn, lacking: Mask, share: float | None) -> int:
        """Return how many more items shall have a vector of a column."""
        have = now.present(column.name)
        every = have | lacking
        for other in self._catalogue.columns():
            if other.modality == column.modality:
                every = every | now.present(other.name)
        most = math.ceil((1.0 if share is None else share) * int(np.count_nonzero(every)))
        return max(0, most - int(np.count_nonzero(have)))

    def _order(self, first: Any) -> pa.Array:
        """Return the ids whose turn comes first, in order."""
        underway = self._state.serving
        if isinstance(first, str):
            check_choice("first", first, ("asked",))
            first = {} if underway is None else self._demand.total(underway.id)
        if first is None:
            first = []
        if isinstance(first, Mapping):
            first = [id for id, n in sorted(first.items(), key=lambda one: -one[1]) if n > 0]
        named = list(dict.fromkeys(first))
        return self._items.snapshot().as_ids(named) if named else pa.array([], pa.string())

    def _carry_over(
        self,
        modality: str | None,
        stopped: Callable[[], bool],
        progress: bool,
        advance: Callable[[int], None] = lambda n: None,
    ) -> Backfilled:
        """Write what the bridge makes of old vectors, where neither it nor a vector of the new space is there."""
        underway = self._state.underway
        if underway is None or not (migration := self._migration_of(underway)).stores:
            return Backfilled(0)
        parts = []
        for old in self._catalogue.columns(underway.old):
            if modality not in (None, old.modality) or old.name not in self._items.snapshot().schema.names:
                continue
            column, check = self._to_write(old.modality, underway.id, migration.dim, underway)
            native = column_name(old.modality, underway.new)
            assert migration.bridge is not None
            make = filling.Converting(old.name, old.dim, partial(migration.bridge.carry, modality=old.modality))

            def turn(now: Snapshot, old: str = old.name, native: str = native) -> Ints:
                return np.flatnonzero(now.present(old) & ~now.present(native))

            done = filling.backfill(
                self._items, column, make, passes=(turn,), check=check, stopped=stopped, progress=progress,
                advance=advance,
            )  # fmt: skip
            parts.append(done)
        return self._joined(parts)

    def _joined(self, parts: Iterable[Backfilled]) -> Backfilled:
        """Return what was done in all, and what is left to the bridge."""
        parts = list(parts)
        underway = self._state.serving
        left = {} if underway is None else self._waiting(self._items.snapshot(), underway)
        return Backfilled(
            sum(part.n for part in parts),
            {id: why for part in parts for id, why in part.skipped.items()},
            left,
            sum(part.bytes for part in parts),
            any(part.stopped for part in parts),
        )
