"""The planner: by which way the vectors of a segment are searched, from what the filter really selects.

    exact            read all vectors and multiply:
                     n (read + pack + q multiply) dim  +  q pick                     without a filter
                     or only the selected ones, where they lie or copied together:
                     q n_s look dim                                                  for few queries
                     n_s (copy dim + q (product dim + score))                        for many
    graph            walk from row to similar row, then re-rank those of the beam that are selected:
                     call + q (cells enter + b (degree follow + b insert) + beam rerank dim),   b = beam n / n_s
    index            scan the codes of the probed cells, those that the filter leaves, then re-rank the shortlist:
                     q (one + n_p scan r  [+ rows checked and cells run through, with a filter])  for few queries
                     start + (n_s + s) expand r + q ((n_p + s) (short r + select) + c hit) + tiles tile
                                          [+ n_s fetch, with a filter]                            for many
                     + q c rerank dim  [+ n keep, with a filter],            s rows are sampled first

n_s vectors are selected, n_p of them lie in probed cells, q queries share the filter. The filter has been evaluated in
the store before a plan is made, so n_s is a count and not a guess. All ways return the same scores. Exact search never
misses anything, so it is taken whenever it is not dearer, and always for few vectors; a scan misses less than a walk,
so a walk is taken where it is much cheaper, and never where a filter leaves few of the rows that it leads over.
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
_PACK = 0.37  # a number of a full vector made ready for a product with several queries
_MULTIPLY = 0.013  # a product in float32, for each query after the first
_PICK = 9_000.0  # the best of a query's exact scores
_LOOK = 0.12  # a number of a selected vector compared where it lies, for a query on its own
_COPY = 0.5  # a number of a selected vector copied out of its place and rounded, for many
_PRODUCT = 0.0012  # a product of such numbers
_SCORE = 0.9  # a score of such vectors looked at
_ONE = 60_000.0  # a query on its own
_SCAN = 0.13  # a number of a code, for a query on its own
_CHECK = 3.0  # a row asked whether a filter leaves it, for a query on its own
_RUN = 5_000.0  # a cell scanned with a filter, for a query on its own
_KEEP = 1.5  # a row told whether a filter leaves it, once for all queries
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
_CALL = 50_000.0  # a call of the compiled walk, and what Python does around it
_ENTER = 15.0  # a row from which a walk may begin
_FOLLOW = 6.0  # a link, of which half are followed to a row not seen before
_INSERT = 0.3  # a row moved to make room in the beam
_WORTH = 0.7  # of the time of a scan, that a walk may take at most
_LEAVES = 0.3  # share of the vectors that a filter must leave for a walk


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
    beam : int
        Vectors a query that a walk over the graph keeps and re-ranks; 0 never walks.
    """

    shortlist: int = 100
    probe: float = 1.0
    beam: int = 256


@dataclass(frozen=True)
class Plan:
    """How one segment, or the vectors not in one yet, are searched.

    Parameters
    ----------
    way : {"exact", "index", "graph"}
        What is done.
    why : str
        In words.
    vectors : int
        Vectors there are.
    selected : int
        Vectors that the filter leaves; all of them without one.
    queries : int
        Queries that share the plan.
    exact_ms, index_ms, graph_ms : float
        Estimated milliseconds of each way; infinite where there is none.
    probes : int or None
        Cells that a query looks at, for "index"; None for all.
    shortlist : int
        Vectors a query that are re-ranked, for "index".
    beam : int
        Vectors a query that are kept while walking, for "graph"; those that the filter leaves are re-ranked.
    """

    way: str
    why: str
    vectors: int
    selected: int
    queries: int
    exact_ms: float = 0.0
    index_ms: float = math.inf
    graph_ms: float = math.inf
    probes: int | None = None
    shortlist: int = 0
    beam: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; None stands for the time of a way that is not there, because JSON has no infinity."""
        return {name: None if value == math.inf else value for name, value in asdict(self).items()}


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
    degree: int = 0,
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
    degree : int
        Links of a row; 0 where there are none or they cannot be walked.
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
    exact = _exact(vectors, selected, queries, dim)
    index = queries * min(shortlist, selected) * dim * _RERANK + filtered * vectors * _KEEP
    if alone:
        checks = filtered * (vectors * share * _CHECK + (share < 1) * probes * _RUN)
        index += queries * (_ONE + checks + scanned * width * _SCAN)
    else:
        sample = selected * min(1.0, _SAMPLE / max(1, vectors))
        index += _START + (selected + sample) * width * _EXPAND + filtered * selected * _FETCH
        index += queries * ((scanned + sample) * (width * _SHORT + _SELECT) + min(shortlist, selected) * _HIT)
        index += (share < 1) * vectors / _ROWS * _TILE
    beam = math.ceil(max(k, settings.beam) * vectors / max(1, selected))
    graph = _walk(queries, cells, degree, beam, max(k, settings.beam), dim) if degree and settings.beam else math.inf
    if selected < _LEAVES * vectors:
        graph = math.inf
    common: dict[str, Any] = {
        "vectors": vectors, "selected": selected, "queries": queries,
        "exact_ms": exact / 1e6, "index_ms": index / 1e6, "graph_ms": graph / 1e6,
    }  # fmt: skip
    if selected <= shortlist:
        return Plan("exact", "no more vectors are selected than would be re-ranked", **common)
    scan: dict[str, Any] = {"probes": None if probes >= cells else probes, "shortlist": shortlist}
    if graph < _WORTH * min(exact, index):
        return Plan("graph", "links lead to the best past nearly all others", **common, **scan, beam=beam)
    if exact <= index:
        few = "so few vectors are selected that" if filtered else "without a filter,"
        return Plan("exact", f"{few} comparing all of them is no dearer", **common)
    return Plan("index", "the codes are cheaper to scan than the vectors", **common, **scan)


def _exact(vectors: int, selected: int, queries: int, dim: int) -> float:
    """Return nanoseconds of comparing the selected vectors in full."""
    if selected == vectors:
        return selected * (_READ + (queries > 1) * _PACK + (queries - 1) * _MULTIPLY) * dim + queries * _PICK
    if queries <= FEW:
        return queries * selected * _LOOK * dim
    return selected * (_COPY * dim + queries * (_PRODUCT * dim + _SCORE))


def _walk(queries: int, cells: int, degree: int, beam: int, reranked: int, dim: int) -> float:
    """Return the nanoseconds of walks."""
    one = cells * _ENTER + beam * (degree * _FOLLOW + beam * _INSERT)
    return _CALL + queries * (one + reranked * dim * _RERANK)
