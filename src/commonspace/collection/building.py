"""Building the index of a collection: fresh vectors become a segment, while others read and write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from commonspace.collection.asked import Asked, learnable
from commonspace.collection.indexing import Indexing, covered, degree_of
from commonspace.collection.workload import alike, counted, leaves_of
from commonspace.core.digest import digest
from commonspace.core.protocols import Code
from commonspace.core.registry import build as make
from commonspace.core.registry import check_restorable, name_of
from commonspace.core.vectors import check_positive
from commonspace.core.warning import warn
from commonspace.store import incoming
from commonspace.store.ledger import Ledger
from commonspace.store.records import VectorColumn
from commonspace.store.segments import Entry
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.search.index.indexed import Part
    from commonspace.search.index.segment import Segment

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_QUERIES = 10_000  # typical queries that a code is fitted with
#: Vectors of a modality below which exact search is as fast as any.
SMALL = 5_000


@dataclass(frozen=True)
class Built:
    """What `build_index` did with one modality.

    Parameters
    ----------
    modality : str
        Its name.
    vectors : int
        Vectors in segments now.
    fresh : int
        Vectors in none, which are compared exactly.
    segments : int
        Segments there are.
    written : int
        Vectors written to a new segment; 0 if the index was up to date.
    bytes_per_vector : float
        Size of a code.
    """

    modality: str
    vectors: int
    fresh: int
    segments: int
    written: int
    bytes_per_vector: float


class Building(Indexing):
    """The part of `Collection` that builds its index."""

    def build_index(
        self,
        modality: str | None = None,
        *,
        code: str | Mapping[str, Any] | Code | None = None,
        cells: int | None = None,
        degree: int | None = None,
        queries: Any = None,
        workload: Iterable[str | None] | None = None,
        rebuild: bool = False,
        random_state: int = 0,
        progress: bool = True,
    ) -> list[Built]:
        """Bring the index up to date, so that searches scan short codes and compare full vectors only at the end.

        Searches use the index from the moment it is entered, in every process. Readers and writers go on meanwhile.
        What is added later is found at once, by exact comparison, and what is deleted is never returned; this call,
        repeated now and then, takes up what has come. An interrupt leaves the index as it was.

        Parameters
        ----------
        modality : str, optional
            One of the space's; all by default.
        code : str, mapping or Code, optional
            The short form: a name of `commonspace methods --family compress`, a name with arguments, or a code. By
            default that of the index there is, or LeanVec with half the dimensions in 4 bits. What `tune` has chosen
            for another code or other links is dropped.
        cells : int, optional
            Groups of similar vectors; the square root of their number by default.
        degree : int, optional
            Links of a vector to others, 4 bytes each, over which single queries walk instead of scanning all codes; 0
            for none. They need Numba (``pip install 'commonspace[fast]'``) and a code of 4 or 8 bits. By default as in
            the index there is, or 64 for vectors enough that a walk is faster. One alone is refused.
        queries : sequence or (m, dim) array, optional
            Typical queries, from which codes and links learn: what `search` takes as its first argument, or vectors of
            the space. An index that has learned from others is built anew. They are not kept: give them to later
            builds, too. By default 10,000 vectors of the other modalities and those the space was trained with.
        workload : iterable of str or None, optional
            Filters as they were asked, with their repetitions (None for a search without one): what the same ones
            select is then kept together, so that filtered searches read less of the disk. Other filters are answered
            as before. Later calls go on with it, also if they are given one of nearly the same shares, such as a log
            that has grown; an empty one ends it. The 128 asked most often count. A search then looks into all cells,
            whatever was tuned, until `tune` is called again.
        rebuild : bool
            Build everything anew, whatever is there.
        random_state : int
            Seed.
        progress : bool
            Show progress bars on terminals.

        Raises
        ------
        BadInput
            An unknown modality, too few vectors for the code, a code of a class that is not registered, a filter that
            cannot be evaluated, or a collection opened at an earlier version.

        Warns
        -----
        RuntimeWarning
            If what `tune` has chosen is dropped.

        Notes
        -----
        The layout after a workload is that of "High-Throughput Vector Similarity Search in Knowledge Graphs" (2023).
        """
        asked = self._asked(modality, code, cells, degree, queries, workload, rebuild, random_state)
        return self._carry_out(asked, progress=progress)

    def build_index_in_background(
        self,
        modality: str | None = None,
        *,
        code: str | Mapping[str, Any] | Code | None = None,
        cells: int | None = None,
        degree: int | None = None,
        queries: Any = None,
        workload: Iterable[str | None] | None = None,
        rebuild: bool = False,
        random_state: int = 0,
    ) -> Future[list[Built]]:
        """Start `build_index` in a thread and return its future; `close` waits for it.

        The arguments are those of `build_index`, and are checked, and queries encoded, before this call returns.

        Warns
        -----
        RuntimeWarning
            If the build fails, because nobody may ask the future, which raises the error.
        """
        asked = self._asked(modality, code, cells, degree, queries, workload, rebuild, random_state)
        found: Future[list[Built]] = Future()
        self._start(
            found, lambda: self._carry_out(asked, progress=False), f"the index of {self._path} was not built in the "
            "background", "build_index() tries again",
        )  # fmt: skip
        return found

    def _asked(
        self,
        modality: str | None,
        code: Any,
        cells: int | None,
        degree: int | None,
        queries: Any,
        workload: Iterable[str | None] | None,
        rebuild: bool,
        random_state: int,
    ) -> Asked:
        """Return the arguments of `build_index`, checked before any work."""
        from commonspace.search.index.graph import check_degree

        self._items.check_writable()
        if code is not None:
            check_restorable("Code", make("Code", code))
        if degree is not None:
            degree = check_degree(degree)
        if cells is not None:
            check_positive("cells", cells)
        if modality is not None:
            incoming.check_modalities([modality], self.space.modalities)
        filters = None if workload is None else counted(self._items.snapshot(), workload)
        asked = None if queries is None else learnable(queries, self.space)
        return Asked(modality, code, cells, degree, asked, filters, rebuild, random_state)

    def _carry_out(self, asked: Asked, *, progress: bool) -> list[Built]:
        """Build the index of each modality that is asked for."""
        now = self._items.snapshot()
        there = [*self._catalogue.columns(self._space_id), *self._bridged_columns()]
        columns = [c for c in there if asked.modality in (None, c.modality) and c.name in now.schema.names]
        return [self._build(now, column, asked, progress) for column in columns]

    def _build(self, now: Snapshot, column: VectorColumn, asked: Asked, progress: bool) -> Built:
        """Build the index of a column, if there is anything to do; see `build_index`."""
        from commonspace.search.index import graph, merging
        from commonspace.search.index.segment import build
        from commonspace.search.index.tuning import default_code

        parts = self._parts(now, column)
        entries = self._segments.entries(column.name)
        fresh = len(now.matrix(column.name, column.dim, without=covered(part for _, part in parts))[0])
        live = [part.live for _, part in parts]
        anew, moved = self._differs(parts, entries, asked)
        damaged = self._segments.damaged(column.name)  # what they held was worth a segment once
        if damaged and not fresh:
            self._segments.remove(damaged)  # and is in others or deleted by now
        chosen: list[int] | None = list(range(len(parts)))
        if not (anew or not parts):
            sizes = [len(part.segment) for _, part in parts]
            chosen = merging.to_merge(sizes, live, fresh, least=1 if damaged else None)
        least = 1 if anew or damaged or asked.code is not None else SMALL
        if chosen is None or fresh + sum(live) < least:
            if asked.tuned is not None:
                self._set(column, asked.tuned)
            return self._built(now, column, 0)
        left = [(id, part) for i, (id, part) in enumerate(parts) if i not in chosen]
        rows, vectors, origin = self._gather(now, column, [part for _, part in left])
        known = entries[-1].about if entries else {}
        code: Code = make("Code", known.get("code", default_code(column.dim)) if asked.code is None else asked.code)
        queries = self._typical(now, column) if asked.queries is None else asked.queries
        code.fit(vectors, queries)
        degree = known.get("degree") if asked.degree is None else asked.degree
        linked = graph.usual(len(vectors)) if degree is None else degree
        workload = asked.workload if anew or not entries else None  # segments beside each other have the same
        if workload is None:
            workload = known.get("workload", {})
        leaves = leaves_of(now, rows, workload)

        def write(folder: Path) -> Segment:
            return build(
                vectors, origin, code, folder=folder, leaves=leaves, degree=linked, queries=queries,
                cells=asked.cells, random_state=asked.random_state, progress=progress,
            )  # fmt: skip

        about = {
            "code": {"name": name_of(code), **code.get_params()}, "vectors": len(vectors), "degree": degree,
            "files": list(origin.files), "workload": dict(workload),
            "queries": None if queries is None else digest(queries),
        }  # fmt: skip
        forgotten: list[str] = []

        def also(ledger: Ledger) -> None:
            forgotten[:] = self._settle(ledger, column, asked.tuned, code, linked, moved)

        self._segments.add(column.name, now.version, write, about, [id for id, _ in left], also)
        if forgotten:
            warn(
                f"searches of {column.modality} were tuned with {forgotten[0]} and now have {_words(code, linked)}, so "
                "what tuning chose is dropped: call tune() to measure again"
            )
        return self._built(now, column, len(vectors))

    def _differs(self, parts: Sequence[tuple[str, Part]], entries: Sequence[Entry], asked: Asked) -> tuple[bool, bool]:
        """Return whether everything has to be built anew, and whether because of another workload."""
        from commonspace.search.index import graph

        moved = asked.workload is not None and not all(
            alike(e.about.get("workload", {}), asked.workload) for e in entries
        )
        anew = asked.rebuild or moved
        if asked.queries is not None:
            learned = digest(asked.queries)
            anew = anew or any(e.about.get("queries") != learned for e in entries)
        if asked.code is not None:
            anew = anew or any(not _same_code(part.segment.coded.code, asked.code) for _, part in parts)
        if asked.degree is not None and graph.load():
            segments = [part.segment for _, part in parts]
            anew = anew or any(degree_of(s) != graph.possible(asked.degree, s.coded.code) for s in segments)
        return anew, moved

    def _settle(
        self,
        ledger: Ledger,
        column: VectorColumn,
        tuned: Mapping[str, Any] | None,
        code: Code,
        degree: int,
        moved: bool,
    ) -> list[str]:
        """Say how a new segment is searched, in the transaction that enters it; return in words what is dropped.

        What tuning has chosen holds for the code and links that it was measured with, and for no other.
        """
        if tuned is not None:
            ledger.put("settings", self._setting(column, tuned))
        elif (known := self._tuned(column)) is not None:
            links = known.get("degree", degree)  # an early release did not write it down
            if not _same_code(code, known["code"]) or links != degree:
                ledger.remove("settings", column.name)
                return [_words(make("Code", known["code"]), links)]
            if moved:  # how many cells suffice was measured on others
                ledger.put("settings", self._setting(column, {**known, "probe": 1.0}))
        return []

    def _built(self, now: Snapshot, column: VectorColumn, written: int) -> Built:
        parts = [part for _, part in self._parts(now, column)]
        inside = sum(part.live for part in parts)
        fresh = len(now.matrix(column.name, column.dim, without=covered(parts))[0])
        size = [part.segment.coded.code.bytes_per_vector for part in parts]
        return Built(self._label(column), inside, fresh, len(parts), written, max(size, default=0))

    def _gather(self, now: Snapshot, column: VectorColumn, kept: Sequence[Part]) -> tuple[Ints, Floats, Any]:
        """Return the vectors that the kept segments do not hold: rows of their items, vectors, where each is stored."""
        from commonspace.search.index.segment import Origin

        held = covered(kept)
        rows, matrix = now.matrix(column.name, column.dim, without=held)
        files = {name: at for name, at in now.files_of(column.name).items() if name not in held}
        stretches = list(files.values())
        ends = np.array([at.first + len(at.places) for at in stretches], np.int64)
        order = np.argsort(ends, kind="stable")
        file = order[np.searchsorted(ends[order], rows, side="right")].astype(np.int32)
        place = np.empty(len(rows), np.int32)
        gone = [np.empty((0, 2), np.int32)]
        for i, at in enumerate(stretches):
            mine = file == i
            place[mine] = at.places[rows[mine] - at.first]
            lost = np.setdiff1d(np.arange(at.size), at.places, assume_unique=True)
            gone.append(np.stack([np.full(len(lost), i), lost], axis=1).astype(np.int32))
        return rows, matrix, Origin(tuple(files), file, place, np.concatenate(gone))

    def _typical(self, now: Snapshot, column: VectorColumn) -> Floats | None:
        """Return vectors of the other modalities, stored or of the training, to serve as typical queries."""
        underway, asks = self._state.underway, column.space
        if underway is not None and column.space == underway.id:
            asks = underway.new  # what was carried over is asked by queries of the new space
        space = self._space_of(asks)
        samples = [space.bank(m) for m in space.modalities if m != column.modality]
        known = [c for c in self._catalogue.columns() if c.space in (asks, column.space)]
        others = [c for c in known if c.modality != column.modality and c.name in now.schema.names]
        room = max(0, _QUERIES - sum(map(len, samples)))
        if others and room:
            samples = [now.sample(c.name, c.dim, -(-room // len(others))) for c in others] + samples
        samples = [s for s in samples if len(s)]
        return np.concatenate(samples)[-_QUERIES:] if samples else None


def _same_code(code: Code, spec: Any) -> bool:
    wanted = make("Code", spec)
    return name_of(wanted) == name_of(code) and wanted.get_params() == code.get_params()


def _words(code: Code, degree: int) -> str:
    return f"{code} and {f'{degree} links' if degree else 'no links'}"
