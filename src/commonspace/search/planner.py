"""The planner: by which way the vectors of a segment are searched, from what the filter really selects.

    exact            read the selected vectors, copied together if a filter chose them, and multiply:
                     n_s (read + pack + q multiply) dim  +  q pick
    index            scan the codes of the probed cells, those that the filter leaves, then re-rank the shortlist:
                     q (one + n_p scan r)                                                         for few queries
                     start  +  n_s expand r  +  q n_p (short r + select)  +  tiles tile  +  q c hit   for many
                     + q c rerank dim

n_s vectors are selected, n_p of them lie in probed cells, q queries share the filter. The filter has been evaluated in
the store before a plan is made, so n_s is a count and not a guess. Both ways return the same scores; exact search never
misses anything, so it is taken whenever it is not dearer, and always for few vectors.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

#: Queries that are scanned one by one, without making codes ready for a product.
FEW = 8
#: Queries that a tile of rows must be spared on average; otherwise many queries look at all rows, which costs no more.
SPARED = 512
#: Nanoseconds of one core of 2023 with units for bfloat16, fitted to the processor time of searches of 2,000 to 117,000
#: vectors by 1 to 1,000 queries; only their ratios decide.
_READ = 0.16  # a number of a full vector compared where it lies
_COPY = 0.4  # a number of a full vector copied out of its place first
_PACK = 0.37  # a number of a full vector made ready for a product with several queries
_MULTIPLY = 0.013  # a product in float32, for each query after the first
_PICK = 9_000.0  # the best of a query's exact scores
_ONE = 60_000.0  # a query on its own
_SCAN = 0.13  # a number of a code, for a query on its own
_CHECK = 3.0  # a row asked whether a filter leaves it, for a query on its own
_FETCH = 60.0  # a code copied out of its place, for many queries
_START = 600_000.0  # many queries, before anything is multiplied
_EXPAND = 0.57  # a number of a code made ready for many queries
_SHORT = 0.0008  # a product of a code and a query, for many
_SELECT = 0.38  # a score written, and compared with its floor
_HIT = 50.0  # a vector of the shortlist picked from those above the floor
_RERANK = 0.2  # a number of a full vector of the shortlist, read and multiplied
_TILE = 260_000.0  # a tile multiplied with its own queries
_ROWS = 1024  # rows of a tile
_SAMPLE = 8192  # codes from which floors are guessed


@dataclass(frozen=True)
class Settings:
    """How an index is searched.

    Parameters
    ----------
    shortlist : int
        Vectors a query whose exact scores are computed.
    probe : float
        Share of the cells that a query looks at, 0 to 1; 1 looks at all, which is slower and misses least. Many
        queries at once look at what lies around their cells, too, or at all where that is no slower.
    """

    shortlist: int = 100
    probe: float = 1.0


@dataclass(frozen=True)
class Plan:
    """How one segment, or the vectors not in one yet, are searched.

    Parameters
    ----------
    way : {"exact", "index"}
        What is done.
    why : str
        In words.
    vectors : int
        Vectors there are.
    selected : int
        Vectors that the filter leaves; all of them without one.
    queries : int
        Queries that share the plan.
    exact_ms, index_ms : float
        Estimated milliseconds of either way on one core; the index's is infinite where there is none.
    probes : int or None
        Cells that a query looks at, for "index"; None for all.
    shortlist : int
        Vectors a query that are re-ranked, for "index".
    """

    way: str
    why: str
    vectors: int
    selected: int
    queries: int
    exact_ms: float = 0.0
    index_ms: float = math.inf
    probes: int | None = None
    shortlist: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; None stands for the time of an index that is not there, because JSON has no infinity."""
        return {**asdict(self), "index_ms": self.index_ms if math.isfinite(self.index_ms) else None}


def plan(
    *,
    vectors: int,
    selected: int,
    queries: int,
    dim: int,
    width: int,
    cells: int,
    k: int,
    settings: Settings,
    packed: bool = True,
) -> Plan:
    """Return how to search a segment.

    Parameters
    ----------
    vectors, selected : int
        Vectors of the segment, and those that take part.
    queries : int
        Queries that share the filter.
    dim, width : int
        Numbers in a full vector and in an expanded code.
    cells : int
        Cells of the segment.
    k : int
        Hits wanted.
    settings : Settings
        What was chosen for the index.
    packed : bool
        Whether codes can be scanned without making them ready; see `Code.packing`.
    """
    probes = max(1, round(settings.probe * cells))
    shortlist = max(k, settings.shortlist)
    alone = packed and queries <= FEW
    share = min(1.0, probes / cells)
    if not alone:
        share = 1 - (1 - share) ** (1 + _ROWS * cells / max(1, 2 * vectors))  # of the tiles, which touch several cells
        if (1 - share) * queries < SPARED:
            probes, share = cells, 1.0
    scanned, filtered = selected * share, selected < vectors
    exact = selected * (_READ + (queries > 1) * _PACK + (queries - 1) * _MULTIPLY + filtered * _COPY) * dim
    exact += queries * _PICK
    index = queries * min(shortlist, selected) * dim * _RERANK
    if alone:
        index += queries * (_ONE + filtered * vectors * share * _CHECK + scanned * width * _SCAN)
    else:
        sample = selected * min(1.0, _SAMPLE / max(1, vectors))
        index += _START + (selected + sample) * width * _EXPAND + filtered * selected * _FETCH
        index += queries * ((scanned + sample) * (width * _SHORT + _SELECT) + min(shortlist, selected) * _HIT)
        index += (share < 1) * vectors / _ROWS * _TILE
    common: dict[str, Any] = {
        "vectors": vectors, "selected": selected, "queries": queries,
        "exact_ms": exact / 1e6, "index_ms": index / 1e6,
    }  # fmt: skip
    if selected <= shortlist:
        return Plan("exact", "no more vectors are selected than would be re-ranked", **common)
    if exact <= index:
        few = "so few vectors are selected that" if selected < vectors else "without a filter,"
        return Plan("exact", f"{few} comparing all of them is no dearer", **common)
    return Plan(
        "index", "the codes are cheaper to scan than the vectors", **common,
        probes=None if probes >= cells else probes, shortlist=shortlist,
    )  # fmt: skip
