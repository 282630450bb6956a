"""Our own engine, behind the interface of the peers, and the plain NumPy that needs no library at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from bench.search.peers.base import Peer, folder_bytes


class Ours(Peer):
    """commonspace: one segment of codes in memory, the full vectors on disk, and exact search of what came since.

    It is asked as a collection asks it, planner included; only the item table is left out, since the peers have none.
    """

    package: ClassVar[str] = "commonspace"
    distribution: ClassVar[str] = "commonspace"
    filters: ClassVar[bool] = True
    changes: ClassVar[bool] = True

    def __init__(self, *, threads: int, folder: Path, code: dict[str, Any] | None = None, degree: int = 0) -> None:
        super().__init__(threads=threads, folder=folder)
        self.code, self.degree = code, degree

    def build(self, X: np.ndarray, fields: dict[str, np.ndarray], queries: np.ndarray) -> None:
        self.X, self.fields, self.n = X, fields, len(X)
        self.queries = queries
        self.fresh = np.empty(0, np.int64)
        self._index(np.arange(len(X)))

    def _index(self, ids: np.ndarray) -> None:
        from commonspace.core.registry import build as make
        from commonspace.search.index.segment import Origin, Segment, build
        from commonspace.search.index.tuning import default_code

        place = self.folder / str(len(list(self.folder.iterdir())))
        place.mkdir()
        spec = default_code(self.X.shape[1]) if self.code is None else self.code
        code = make("Code", spec).fit(self.X[ids], self.queries)
        origin = Origin(("",), np.zeros(len(ids), np.int32), ids.astype(np.int32), np.empty((0, 2), np.int32))
        build(
            self.X[ids], origin, code, folder=place, degree=self.degree, queries=self.queries, progress=False
        )  # fmt: skip
        segment = Segment.load(place)
        # In memory of its own, where the comparison counts it; mapped, the system would count it as cache.
        coded = replace(segment.coded, rows=np.array(segment.coded.rows))
        links = segment.graph and replace(segment.graph, links=np.array(segment.graph.links))
        self.segment = Segment(coded, segment.vectors, segment.origin, links)
        self.rows = np.array(segment.origin.place, np.int64)
        self.X = np.empty((0, self.X.shape[1]), np.float32)  # what the caller holds is not ours

    def _best(
        self, Q: np.ndarray, k: int, mask: np.ndarray | None, probe: float, shortlist: float, beam: float = 0
    ) -> np.ndarray:
        from commonspace.search.best import Gallery
        from commonspace.search.index.indexed import Indexed, Part
        from commonspace.search.planner import Settings

        part = self.__dict__.setdefault("part", Part(self.segment, self.rows, frozenset()))
        fresh = Gallery("", self.fresh, self.__dict__.get("new", self.X[:0]))
        indexed = Indexed("", [part], fresh, Settings(shortlist=int(shortlist), probe=probe, beam=int(beam)))
        rows, _ = indexed.best(Q, k, mask)
        self.way = indexed.plans[0].way if indexed.plans else None
        rows = rows[:, :k]
        return rows if rows.shape[1] == k else np.pad(rows, ((0, 0), (0, k - rows.shape[1])), constant_values=-1)

    def search(self, Q: np.ndarray, k: int, *, setting: tuple[float, ...] = (1.0, 100)) -> np.ndarray:
        return self._best(Q, k, None, *setting)

    def how(self) -> str | None:
        return self.way

    def search_filtered(
        self, Q: np.ndarray, k: int, name: str, *, setting: tuple[float, ...] = (1.0, 100)
    ) -> np.ndarray:
        return self._best(Q, k, self.fields[name], *setting)

    def delete(self, ids: np.ndarray) -> None:
        self.rows = np.where(np.isin(self.rows, ids), -1, self.rows)
        keep = ~np.isin(self.fresh, ids)
        self.fresh, self.new = self.fresh[keep], self.__dict__.get("new", self.X[:0])[keep]
        self.__dict__.pop("part", None)

    def upsert(self, ids: np.ndarray, X: np.ndarray) -> None:
        self.delete(ids)
        fresh, new = np.concatenate([self.fresh, ids]), np.concatenate([self.new, X])
        order = np.argsort(fresh)
        self.fresh, self.new = fresh[order], new[order]

    def settle(self) -> None:
        there = self.rows >= 0
        ids = np.concatenate([self.rows[there], self.fresh])
        X = np.concatenate([self.segment.vectors[there], self.new])
        self.__dict__.pop("part", None)
        self.X = np.empty((ids.max() + 1, X.shape[1]), np.float32)
        self.X[ids] = X
        self.fresh, self.new = self.fresh[:0], self.new[:0]
        self._index(np.sort(ids))

    def size(self) -> int:
        return folder_bytes(self.folder)


class NumPy(Peer):
    """What one writes by hand: one matrix product, `argpartition`, in tiles of queries."""

    filters: ClassVar[bool] = True
    changes: ClassVar[bool] = True

    def build(self, X: np.ndarray, fields: dict[str, np.ndarray], queries: np.ndarray) -> None:
        self.X, self.fields, self.alive = np.array(X), fields, np.ones(len(X), bool)

    def _best(self, Q: np.ndarray, rows: np.ndarray | None, k: int) -> np.ndarray:
        X = self.X if rows is None else self.X[rows]
        out = []
        for start in range(0, len(Q), 256):
            scores = Q[start : start + 256] @ X.T
            h = min(k, scores.shape[1])
            best = np.argpartition(-scores, h - 1, axis=1)[:, :h]
            order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
            best = np.take_along_axis(best, order, 1)
            best = best if rows is None else rows[best]
            out.append(np.pad(best, ((0, 0), (0, k - h)), constant_values=-1))
        return np.concatenate(out)

    def search(self, Q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        return self._best(Q, None if self.alive.all() else np.flatnonzero(self.alive), k)

    def search_filtered(self, Q: np.ndarray, k: int, name: str, **knob: Any) -> np.ndarray:
        return self._best(Q, np.flatnonzero(self.fields[name] & self.alive), k)

    def delete(self, ids: np.ndarray) -> None:
        self.alive[ids] = False

    def upsert(self, ids: np.ndarray, X: np.ndarray) -> None:
        self.X[ids] = X
        self.alive[ids] = True

    def size(self) -> int:
        return int(self.X.nbytes)
