"""The planner: by which way the vectors of a segment are searched, from what the filter really selects.

    exact            read all vectors and multiply:
                     n (read + q multiply) dim                                       without a filter
                     or only the selected ones, where they lie or copied together:
                     q n_s look dim                                                  for few queries
                     n_s (copy dim + q (product dim + pick))                         for many
    index            scan the codes of the probed cells, those that the filter leaves, then re-rank the shortlist:
                     q n_p scan r  +  q c rerank dim                                              for few queries
                     n_p (expand r + q (short r + select))  +  runs task  +  q c rerank dim       for many

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
#: Nanoseconds of two cores of 2023 with units for bfloat16, fitted to searches of 5,000 to 117,000 vectors by 1 to 500
#: queries; only their ratios decide.
_READ = 0.07  # a number of a full vector compared where it lies
_LOOK = 0.12  # a number of a selected vector compared where it lies, for a query on its own
_COPY = 0.5  # a number of a selected vector copied out of its place and rounded, for many
_PRODUCT = 0.0012  # a product of such numbers
_PICK = 0.9  # a score of such vectors looked at
_MULTIPLY = 0.0085  # a product in float32, for each query after the first
_SCAN = 0.14  # a number of a code, for a query on its own
_KEEP = 1.5  # a row told whether a filter leaves it, once for all queries
_CHECK = 2.5  # a row asked whether a filter leaves it, for a query on its own
_RUN = 5_000.0  # a cell scanned with a filter, for a query on its own
_EXPAND = 1.15  # a number of a code made ready for many queries
_SHORT = 0.004  # a product of a code and a query, for many
_SELECT = 0.4  # a score compared with its floor
_RERANK = 0.4  # a number of a full vector of the shortlist, read and multiplied
_TASK = 60_000.0  # a run of rows handed to the product
_SAMPLE = 8192  # codes from which floors are guessed


@dataclass(frozen=True)
class Settings:
    """How an index is searched.

    Parameters
    ----------
    shortlist : int
        Vectors a query whose exact scores are computed.
    probe : float
        Share of the cells that a query looks at, 0 to 1; 1 looks at all, which is slower and misses least.
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
    share = min(1.0, probes / cells)
    filtered = selected < vectors
    exact = _exact(vectors, selected, queries, dim)
    scanned = selected * share
    index = queries * min(shortlist, selected) * dim * _RERANK + (vectors * _KEEP if filtered else 0.0)
    if packed and queries <= FEW:
        checks = vectors * share * _CHECK + (probes * _RUN if share < 1 else 0.0)
        index += queries * (checks if filtered else 0.0) + queries * scanned * width * _SCAN
    else:
        runs = cells * (1 - (1 - share) ** queries) if share < 1 else max(1, vectors * min(queries, 1024) / 2**20)
        made = min(selected, scanned * queries) + min(_SAMPLE, selected)
        index += made * width * _EXPAND + scanned * queries * (width * _SHORT + _SELECT) + runs * _TASK
    common: dict[str, Any] = {
        "vectors": vectors, "selected": selected, "queries": queries,
        "exact_ms": exact / 1e6, "index_ms": index / 1e6,
    }  # fmt: skip
    if selected <= shortlist:
        return Plan("exact", "no more vectors are selected than would be re-ranked", **common)
    if exact <= index:
        few = "so few vectors are selected that" if filtered else "without a filter,"
        return Plan("exact", f"{few} comparing all of them is no dearer", **common)
    return Plan(
        "index", "the codes are cheaper to scan than the vectors", **common,
        probes=None if probes >= cells else probes, shortlist=shortlist,
    )  # fmt: skip


def _exact(vectors: int, selected: int, queries: int, dim: int) -> float:
    """Return nanoseconds of comparing the selected vectors in full."""
    if selected == vectors:
        return selected * (_READ + (queries - 1) * _MULTIPLY) * dim
    if queries <= FEW:
        return queries * selected * _LOOK * dim
    return selected * (_COPY * dim + queries * (_PRODUCT * dim + _PICK))
