"""The index of a collection: built beside it, used by every search, never needed for a right answer."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from commonspace.collection.opened import Opened
from commonspace.collection.workload import counted, leaves_of
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.protocols import Code
from commonspace.core.registry import build as make
from commonspace.core.registry import check_restorable, name_of
from commonspace.core.vectors import check_positive, check_vectors
from commonspace.search.best import Gallery, Searchable
from commonspace.search.planner import Plan, Settings
from commonspace.store import incoming
from commonspace.store.catalogue import now as stamp
from commonspace.store.records import VectorColumn
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


class Indexing(Opened):
    """The part of `Collection` that builds and describes its index."""

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
            default that of the index there is, or LeanVec with half the dimensions in 4 bits.
        cells : int, optional
            Groups of similar vectors; the square root of their number by default.
        degree : int, optional
            Links of a vector to others, 4 bytes each, over which single queries walk instead of scanning all codes; 0
            for none. They need Numba (``pip install 'commonspace[fast]'``) and a code of 4 or 8 bits. By default as in
            the index there is, or 64 for vectors enough that a walk is faster.
        queries : (m, dim) array, optional
            Typical queries, as vectors of the space; codes and links learn from them. By default 10,000 vectors of the
            other modalities and those the space was trained with.
        workload : iterable of str or None, optional
            Filters as they were asked, with their repetitions (None for a search without one): what the same ones
            select is then kept together, so that filtered searches read less of the disk. Other filters are answered
            as before. Later calls go on with it; an empty one ends it. The 128 asked most often count. A search then
            looks into all cells, whatever was tuned, until `tune` is called again.
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

        Notes
        -----
        The layout after a workload is that of "High-Throughput Vector Similarity Search in Knowledge Graphs" (2023).
        """
        self._items.check_writable()
        if code is not None:
            check_restorable("Code", make("Code", code))
        if degree is not None and degree < 0:
            raise BadInput(f"degree must be 0 for no links, or the most that a vector has, not {degree!r}")
        if cells is not None:
            check_positive("cells", cells)
        if modality is not None:
            incoming.check_modalities([modality], self.space.modalities)
        now = self._items.snapshot()
        filters = None if workload is None else counted(now, workload)
        columns = [c for c in self._catalogue.columns(self._space_id) if modality in (None, c.modality)]
        options: dict[str, Any] = {"cells": cells, "random_state": random_state, "progress": progress}
        return [
            self._build(now, column, code, degree, queries, filters, rebuild, options)
            for column in columns
            if column.name in now.schema.names
        ]

    def build_index_in_background(self, **options: Any) -> Future[list[Built]]:
        """Start `build_index` in a thread and return its future; `close` waits for it."""
        found: Future[list[Built]] = Future()

        def run() -> None:
            if found.set_running_or_notify_cancel():
                try:
                    found.set_result(self.build_index(**options, progress=False))
                except BaseException as e:
                    found.set_exception(e)

        thread = threading.Thread(target=run, name="commonspace-index", daemon=True)
        self._background.append(thread)
        thread.start()
        return found

    def drop_index(self, modality: str | None = None) -> int:
        """Remove the index of a modality, or of all; return how many segments there were."""
        self._items.check_writable()
        doomed = [e.id for c in self._columns(modality) for e in self._segments.entries(c.name)]
        self._segments.remove(doomed)
        with self._catalogue.writing() as ledger:
            ledger.remove("settings", *(c.name for c in self._columns(modality)))
        return len(doomed)

    def index(self) -> list[dict[str, Any]]:
        """Return what the index holds, a dict a segment: modality, code, vectors, live ones, bytes, what was tuned."""
        now, found = self._items.snapshot(), []
        for column in self._columns(None):
            for entry, part in self._parts(now, column):
                segment = part.segment
                found.append(
                    {
                        "modality": column.modality, "segment": entry, "code": name_of(segment.coded.code),
                        "bytes_per_vector": segment.coded.code.bytes_per_vector, "cells": len(segment.coded.cells),
                        "degree": _degree(segment),
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
        rows, matrix = now.matrix(column.name, column.dim, without=_covered(parts))
        why = "these vectors are in no segment yet" if parts else "there is no index"
        if exact:
            why = "exact search was asked for"
        elif self._segments.damaged(column.name):
            why = f"{'a part of ' if parts else ''}the index is damaged: build_index() makes it anew"
        plans: list[Plan] = []
        fresh = Gallery(column.modality, rows, matrix, why=why, plans=plans)
        if not parts:
            return fresh
        from commonspace.search.index.indexed import Indexed

        return Indexed(column.modality, parts, fresh, self._settings(column), plans)

    def _settings(self, column: VectorColumn) -> Settings:
        """Return what tuning has chosen, or settings that miss next to nothing."""
        tuned = self._tuned(column)
        if tuned is None:
            return Settings()
        return Settings(shortlist=tuned["shortlist"], probe=tuned["probe"], beam=tuned.get("beam", 0))

    def _tuned(self, column: VectorColumn) -> dict[str, Any] | None:
        rows = self._catalogue.rows("settings", '"column" = ?', (column.name,))
        found: dict[str, Any] | None = json.loads(rows[0][1]) if rows else None
        return found

    def _set(self, column: VectorColumn, tuned: Mapping[str, Any]) -> None:
        """Search a column by these settings from now on."""
        with self._catalogue.writing() as ledger:
            ledger.put("settings", (column.name, json.dumps(tuned), stamp()))

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

    # ---------------------------------------------------------------- building

    def _build(
        self,
        now: Snapshot,
        column: VectorColumn,
        code: Any,
        degree: int | None,
        queries: Any,
        workload: Mapping[str, int] | None,
        rebuild: bool,
        options: Mapping[str, Any],
    ) -> Built:
        from commonspace.search.index import graph, merging
        from commonspace.search.index.segment import build
        from commonspace.search.index.tuning import default_code

        parts = self._parts(now, column)
        entries = self._segments.entries(column.name)
        fresh = len(now.matrix(column.name, column.dim, without=_covered(part for _, part in parts))[0])
        live = [part.live for _, part in parts]
        changed = code is not None and any(not _same_code(part.segment.coded.code, code) for _, part in parts)
        moved = workload is not None and any(entry.about.get("workload", {}) != workload for entry in entries)
        workload = self._workload(column) if workload is None else workload
        if degree is not None and graph.available():
            changed = changed or any(_degree(part.segment) != degree for _, part in parts)
        chosen: list[int] | None = list(range(len(parts)))
        if not (rebuild or changed or moved or not parts):
            chosen = merging.to_merge([len(part.segment) for _, part in parts], live, fresh)
        if chosen is None or fresh + sum(live) < (1 if rebuild or moved or code is not None else SMALL):
            return self._built(now, column, 0)
        left = {id for i, (id, _) in enumerate(parts) if i not in chosen}
        rows, vectors, origin = self._gather(
            now, column, [part for i, (_, part) in enumerate(parts) if i not in chosen]
        )
        known = entries[-1].about["code"] if entries else default_code(column.dim)
        spec = known if code is None else code
        fitted: Code = make("Code", spec)
        asked = self._typical(now, column, queries)
        fitted.fit(vectors, asked)
        degree = entries[-1].about.get("degree") if degree is None and entries else degree
        linked = graph.usual(len(vectors)) if degree is None else degree

        leaves = leaves_of(now, rows, workload)

        def write(folder: Path) -> Segment:
            return build(vectors, origin, fitted, folder=folder, leaves=leaves, degree=linked, queries=asked, **options)

        about = {
            "code": {"name": name_of(fitted), **fitted.get_params()}, "vectors": len(vectors), "degree": degree,
            "files": list(origin.files), "workload": dict(workload),
        }  # fmt: skip
        if moved and (tuned := self._tuned(column)) is not None:
            self._set(column, {**tuned, "probe": 1.0})  # how many cells suffice was measured on others
        self._segments.add(column.name, now.version, write, about, left)
        return self._built(now, column, len(vectors))

    def _built(self, now: Snapshot, column: VectorColumn, written: int) -> Built:
        parts = [part for _, part in self._parts(now, column)]
        inside = sum(part.live for part in parts)
        fresh = len(now.matrix(column.name, column.dim, without=_covered(parts))[0])
        size = [part.segment.coded.code.bytes_per_vector for part in parts]
        return Built(column.modality, inside, fresh, len(parts), written, max(size, default=0))

    def _gather(self, now: Snapshot, column: VectorColumn, kept: Sequence[Part]) -> tuple[Ints, Floats, Any]:
        """Return the vectors that the kept segments do not hold: rows of their items, vectors, where each is stored."""
        from commonspace.search.index.segment import Origin

        covered = _covered(kept)
        rows, matrix = now.matrix(column.name, column.dim, without=covered)
        files = {name: at for name, at in now.files_of(column.name).items() if name not in covered}
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

    def _typical(self, now: Snapshot, column: VectorColumn, queries: Any) -> Floats | None:
        """Return typical queries: those given, or vectors of the other modalities, stored or of the training."""
        if queries is not None:
            found: Floats = check_vectors(queries, name="queries", dim=column.dim, allow_zero=False)
            if not len(found):
                raise BadInput("queries must hold at least one vector")
            return found
        samples = [self.space.bank(m) for m in self.space.modalities if m != column.modality]
        others = [c for c in self._columns(None) if c.modality != column.modality and c.name in now.schema.names]
        room = max(0, _QUERIES - sum(map(len, samples)))
        if others and room:
            samples = [now.sample(c.name, c.dim, -(-room // len(others))) for c in others] + samples
        samples = [s for s in samples if len(s)]
        return np.concatenate(samples)[-_QUERIES:] if samples else None

    def _workload(self, column: VectorColumn) -> dict[str, int]:
        """Return filter -> how often it was asked, after which the newest segment of a column was laid out."""
        entries = self._segments.entries(column.name)
        return dict(entries[-1].about.get("workload", {})) if entries else {}

    def _columns(self, modality: str | None) -> list[VectorColumn]:
        columns = self._catalogue.columns(self._space_id)
        if modality is None:
            return columns
        incoming.check_modalities([modality], self.space.modalities)
        if not (found := [c for c in columns if c.modality == modality]):
            raise NotFound(f"{self._path} has no vectors of {modality}")
        return found


def _covered(parts: Iterable[Part]) -> set[str]:
    """Return the files whose vectors segments have."""
    return {name for part in parts for name in part.files}


def _degree(segment: Segment) -> int:
    return 0 if segment.graph is None else int(segment.graph.links.shape[1])


def _same_code(code: Code, spec: Any) -> bool:
    wanted = make("Code", spec)
    return name_of(wanted) == name_of(code) and wanted.get_params() == code.get_params()
