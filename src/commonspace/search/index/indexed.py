"""`Indexed`: the vectors of one modality in segments, and those that no segment holds yet.

    answer = best of (each segment by its plan, the fresh vectors exactly)

A segment names its vectors by where they were stored. `see` says which item each belongs to in the version that is
read now, and -1 for vectors that were deleted or replaced since: those take no part. What was added since is in no
segment and is compared exactly. So a search sees what the version holds, however old the segments are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from commonspace.search.best import Gallery, enough_items
from commonspace.search.exact import top_k
from commonspace.search.index import graph, selected
from commonspace.search.index.segment import Segment
from commonspace.search.planner import Plan, Settings, plan
from commonspace.store.reading import Stretch

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LENGTH = 1.001  # of unit rows, rounding allowed for
_SPARSE = 8  # vectors for each one selected, beyond which they are looked up by their items


@dataclass(frozen=True)
class Part:
    """A segment as one version sees it.

    Parameters
    ----------
    segment : Segment
        The vectors.
    rows : (n,) int64
        The item that each belongs to; -1 for vectors that the version does not have.
    files : frozenset of str
        Files of the item table all of whose vectors the segment has, as far as the version has them.
    """

    segment: Segment
    rows: Ints
    files: frozenset[str]

    @cached_property
    def there(self) -> Mask:
        """Which vectors the version has."""
        return self.rows >= 0

    @cached_property
    def live(self) -> int:
        """Vectors that the version has."""
        return int(np.count_nonzero(self.there))

    @cached_property
    def bags(self) -> bool:
        """Whether an item has several vectors."""
        return len(np.unique(self.rows[self.there])) < self.live

    def keep(self, mask: Mask | None) -> Mask | None:
        """Return which vectors take part, if those of some items do; None for all."""
        if mask is None:
            return None if self.live == len(self.rows) else self.there
        return mask[self.rows] if self.live == len(self.rows) else mask[self.rows] & self.there

    def places(self, mask: Mask | None) -> Ints | None:
        """Return the vectors that take part, ascending; None for all."""
        if mask is not None and not self.bags:
            items = np.flatnonzero(mask[: len(self._place_of)])
            if _SPARSE * len(items) < len(self.rows):  # so few that going through all vectors takes longer
                found = self._place_of[items]
                return np.sort(found[found >= 0]).astype(np.int64)
        keep = self.keep(mask)
        return None if keep is None else np.flatnonzero(keep)

    @cached_property
    def _place_of(self) -> npt.NDArray[np.int32]:
        """Item -> its vector; -1 for items without one."""
        there = np.flatnonzero(self.there)
        out = np.full(self.rows.max(initial=-1) + 1, -1, np.int32)
        out[self.rows[there]] = there
        return out


@dataclass(frozen=True)
class Indexed:
    """The vectors of one modality, most of them in segments.

    Parameters
    ----------
    modality : str
        Its name.
    parts : sequence of Part
        The segments.
    fresh : Gallery
        The vectors that are in none.
    settings : Settings
        How the segments are searched.
    plans : list of Plan
        What the searches of this object did, in order.
    side : str
        See `Searchable`.
    """

    modality: str
    parts: Sequence[Part]
    fresh: Gallery
    settings: Settings = field(default_factory=Settings)
    plans: list[Plan] = field(default_factory=list)
    side: str = ""

    def best(self, queries: Floats, k: int, mask: Mask | None) -> tuple[Ints, Floats]:
        """Return rows and scores of vectors among which are the k best items of each query; see `Searchable`.

        Among the vectors of segments it may miss some of the best, as rarely as the settings say; it never returns
        fewer items than there are.
        """
        found = [self._best_of(part, queries, k, mask) for part in self.parts]
        if len(self.fresh.rows):
            found.append(self.fresh.best(queries, k, mask))
        if not found:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        if len(found) == 1:
            return found[0]
        rows, scores = (np.concatenate(side, axis=1) for side in zip(*found, strict=True))
        order = np.lexsort((rows, -scores), axis=1)
        return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)

    def _best_of(self, part: Part, queries: Floats, k: int, mask: Mask | None) -> tuple[Ints, Floats]:
        """Return rows and scores of the best vectors of a segment."""
        places = part.places(mask)
        rows = part.rows if places is None else part.rows[places]
        if len(rows) == 0:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        coded = part.segment.coded
        links = part.segment.graph
        known: dict[str, Any] = {
            "vectors": len(part.rows), "selected": len(rows), "queries": len(queries), "dim": part.segment.dim,
            "width": part.segment.width, "cells": len(coded.cells), "k": k,
            "settings": self.settings, "packed": coded.code.packing is not None,
        }  # fmt: skip
        chosen = plan(**known, degree=0 if links is None else links.links.shape[1])
        if chosen.way == "graph" and not graph.worth(min(chosen.index_ms, chosen.exact_ms) - chosen.graph_ms):
            chosen = plan(**known)
            chosen = replace(chosen, why=f"{chosen.why}, until walking is worth being loaded")
        self.plans.append(chosen)

        def exactly(vectors: int) -> tuple[Ints, Floats]:
            if places is None:
                at, scores = top_k(queries, part.segment.vectors, vectors, max_length=_LENGTH)
            else:
                at, scores = selected.search(queries, part.segment.vectors, places, vectors)
            return part.rows[at], scores

        def by_index(vectors: int) -> tuple[Ints, Floats]:
            keep = None if places is None else part.keep(mask)
            search = self._walk if chosen.way == "graph" and vectors <= chosen.beam else self._scan
            at, scores = search(part.segment, queries, vectors, chosen, keep, len(rows))
            return np.where(at < 0, -1, part.rows[at]), scores

        ask = exactly if chosen.way == "exact" else by_index
        return enough_items(ask, k, rows) if part.bags else ask(k)

    @classmethod
    def _walk(
        cls, segment: Segment, queries: Floats, k: int, chosen: Plan, keep: Mask | None, selected: int
    ) -> tuple[Ints, Floats]:
        """Return places and scores of the k best vectors; scans for queries near which the filter leaves few."""
        wanted = max(k, chosen.beam * selected // (2 * len(segment)))
        places, scores = segment.walk(queries, wanted, beam=chosen.beam, keep=keep)
        short = np.flatnonzero((places >= 0).sum(axis=1) < min(wanted, selected))
        places, scores = places[:, :k], scores[:, :k]
        if len(short):
            places[short], scores[short] = cls._scan(segment, queries[short], k, chosen, keep, selected)
        return places, scores

    @staticmethod
    def _scan(
        segment: Segment, queries: Floats, k: int, chosen: Plan, keep: Mask | None, selected: int
    ) -> tuple[Ints, Floats]:
        """Return places and scores of the k best vectors; looks into all cells for queries whose own hold fewer."""
        places, scores = segment.search(queries, k, shortlisted=chosen.shortlist, probes=chosen.probes, keep=keep)
        short = np.flatnonzero((places >= 0).sum(axis=1) < min(k, selected))
        if len(short) and chosen.probes is not None:
            places[short], scores[short] = segment.search(
                queries[short], k, shortlisted=chosen.shortlist, probes=None, keep=keep
            )
        return places, scores


def see(segment: Segment, files: Mapping[str, Stretch]) -> Part:
    """Return a segment as a version sees it.

    Parameters
    ----------
    segment : Segment
        The vectors.
    files : mapping of str to Stretch
        The rows of each file that holds the column in that version.
    """
    origin = segment.origin
    table_sizes = [files[name].size if name in files else 0 for name in origin.files]
    base = np.concatenate([[0], np.cumsum(table_sizes)])
    table = np.full(base[-1] + 1, -1, np.int64)  # the last stands for files that the version does not have
    whole = set()
    for i, name in enumerate(origin.files):
        if name not in files:
            continue
        stretch = files[name]
        mine = table[base[i] : base[i + 1]]
        mine[stretch.places] = stretch.first + np.arange(len(stretch.places))
        if (mine[origin.gone[origin.gone[:, 0] == i, 1]] >= 0).any():
            mine[:] = -1
        else:
            whole.add(name)
    there = np.array(table_sizes, np.int64)[origin.file] > origin.place
    rows: Ints = table[np.where(there, base[origin.file] + origin.place, base[-1])]
    return Part(segment, rows, frozenset(whole))
