"""A graph over the rows of a segment: a query walks from row to similar row and sees a few thousand codes, not all.

    from the entries that score best, follow the links of the best row not followed yet, as long as it is one of the
    `beam` best rows seen; the beam is then re-ranked with the full vectors

Links of row v, nearest first: u is kept unless some link w is nearer to it, alpha |u - w|^2 <= |u - v|^2. So a row
leads into every direction, and not ten times into the same one. Half of the links are chosen among the nearest rows,
which the index itself finds; the other half among rows that answered a typical query together, its best few with each
of its others. Those are what queries of another kind than the rows need: what answers a word lies scattered, and no
path of similar rows joins it. Every choice is repeated with the rows that chose v added. At last a row to which fewer
than four others lead is linked to by rows that it links to: one in 500 would be found by no walk otherwise, often one
that answers many queries.

Sources: walk and pruning, Subramanya, Devvrit, Kadekodi, Krishnaswamy and Simhadri, "DiskANN: Fast accurate
billion-point nearest neighbor search on a single node" (Vamana), 2019; links from queries, Chen, Zhang, He, Jing and
Wang, "RoarGraph: A projected bipartite graph for efficient cross-modal approximate nearest neighbor search", 2024. New
here: neighbours by the index's own scan instead of incremental insertion, a budget for each kind of links, and codes
read where they lie.

The walk and the choice of links are compiled by Numba (`walking`, `linking`). Without it nothing is linked and links
are not used.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from commonspace.core import progress as bars
from commonspace.core.errors import BadInput
from commonspace.core.protocols import Code
from commonspace.core.warning import warn
from commonspace.search.index.shortlist import Coded
from commonspace.search.index.workers import by_blocks, each, threads

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Links = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Find = Callable[[Floats, int, int, int | None], Ints]  # queries, k, shortlist, probes -> rows

DEGREE = 64  # links of a row, at most; half of them to its neighbours, half from queries
LEAST = 10_000  # rows below which a scan is as fast
UNTUNED = 300_000  # rows beyond which the usual beam misses too much, so that walks are taken only as tuned
_NEAR = 96  # nearest rows among which links are chosen
_MORE = 64  # rows beyond these whose true distance is looked at
_ASKED = 10_000  # typical queries from which links are learned
_TOP = 100  # best rows of each
_BEST = 4  # of these, each is paired with all others
_PAIRS = 256  # rows that a row is paired with, at most
_ALPHA = {"near": 1.1, "asked": 1.2}
_FEWEST = 8  # links of a row, even if pruning leaves fewer: rows that are all the same would lead nowhere
_LEADING = 4  # rows that lead to a row, at least
_SCANNED = 150_000  # rows compared with each row to find its nearest
_BLOCK = 4096
_LANES = 64
_LOADING = 500.0  # milliseconds of loading the compiled walk


@dataclass(frozen=True)
class Graph:
    """Links between the rows of a segment.

    Parameters
    ----------
    links : (n, degree) int32
        Rows that each leads to, -1 after the last.
    entries : (e,) int32
        Rows from which walks begin: of each cell the one nearest to its mean.
    """

    links: Links
    entries: Links

    def check(self, n: int) -> None:
        """Raise `ValueError` unless all links lead to one of n rows: others would be read beyond the end."""
        links, entries = self.links, self.entries
        if links.ndim != 2 or links.shape[0] != n or entries.ndim != 1 or not len(entries):
            raise ValueError(f"links of shape {links.shape} from {entries.shape} entries do not fit {n} vectors")
        if links.dtype != np.int32 or entries.dtype != np.int32 or not links.flags.c_contiguous:
            raise ValueError("its links are not 32-bit integers in rows")
        if links.min(initial=-1) < -1 or max(links.max(initial=-1), entries.max()) >= n or entries.min() < 0:
            raise ValueError("a link leads to no vector")
        if len(np.unique(entries)) < len(entries):
            raise ValueError("two walks begin in the same place")


@cache
def available() -> bool:
    """Return whether Numba is installed."""
    return importlib.util.find_spec("numba") is not None


def usual(n: int) -> int:
    """Return the degree for n vectors when nothing else is said: 0 for few, and without Numba."""
    return DEGREE if n >= LEAST and available() else 0


def check_degree(degree: Any) -> int:
    """Return a degree as an int: 0 for no links, or at least 2, because over one link a row no walk gets far."""
    if isinstance(degree, bool) or not isinstance(degree, int | np.integer) or degree < 0 or degree == 1:
        raise BadInput(f"degree must be 0 for no links, or a whole number of at least 2, not {degree!r}")
    return int(degree)


def possible(degree: int, code: Code) -> int:
    """Return how many links a vector gets of those that are asked for: none by a code that is not packed."""
    return degree if code.packing is not None else 0


class _Loaded:
    """The compiled walk, if it was worth loading yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost = 0.0
        self._module: Any = None
        self._failed = False

    def module(self) -> Any:
        """Return the module, loaded now if it was not; None if that fails."""
        with self._lock:
            if self._module is None and not self._failed:
                try:
                    from commonspace.search.index import walking

                    self._module = walking
                except Exception as e:  # a compiler has many ways to fail, and none of them is worth a search
                    self._failed = True
                    warn(
                        f"the compiled walk cannot be loaded, so links are not used and searches are slower: {e}. If "
                        "Numba has no folder to write to, name one in the environment variable NUMBA_CACHE_DIR; "
                        "build_index(degree=0) does without links"
                    )
            return self._module

    def worth(self, saved: float) -> bool:
        """Return whether to walk, which would save so many milliseconds."""
        if self._module is not None:
            return True
        if self._failed or not available():
            return False
        self._lost += saved
        return self._lost >= _LOADING and self.module() is not None


_loaded = _Loaded()


def load() -> bool:
    """Load the compiled walk now; return whether it can be used."""
    return available() and _loaded.module() is not None


def worth(saved: float) -> bool:
    """Return whether to walk where that saves so many milliseconds over a scan.

    Loading the compiled walk takes half a second, from the first time on a machine. A process that is started for one
    search shall not pay for that, and one that asks for long shall: the walk is loaded when searches have lost as
    much time by not having it. So no process loses more than twice what it would have, had it known how much it
    would be asked.
    """
    return _loaded.worth(saved)


def search(coded: Coded, graph: Graph, queries: Floats, beam: int) -> Ints:
    """Return the rows of each query's beam, (q, beam), best first by their codes; -1 where there are fewer.

    Parameters
    ----------
    coded : Coded
        The rows, by a code that is packed.
    graph : Graph
        Their links.
    queries : (q, dim) float32
        The queries.
    beam : int
        Rows to keep while walking, at least 1.

    Raises
    ------
    RuntimeError
        If the compiled walk cannot be loaded; ask `load` or `worth` first.
    """
    walking = _loaded.module()
    if walking is None:
        raise RuntimeError("the compiled walk is not there")
    bits = coded.code.packing
    asked = halves(by_blocks(coded.code.prepare, queries), bits or 8, coded.rows.shape[1])
    found = np.empty((len(queries), beam), np.int32)

    def work(at: slice) -> None:
        walking.walk(
            coded.rows, 1 if bits == 4 else 16, graph.links, graph.entries, asked[at], beam, found[at]
        )  # fmt: skip

    helpers = threads() if len(queries) > 1 else 1
    size = max(1, min(-(-len(queries) // helpers), 256))
    each(work, [slice(i, i + size) for i in range(0, len(queries), size)], helpers)
    return found.astype(np.int64)


def halves(prepared: Floats, bits: int, width: int) -> npt.NDArray[np.int8]:
    """Return what the low and the high halves of a code's bytes are multiplied with: (q, 2, m) int8.

    Each query is scaled to integers from -127 to 127 and filled up with zeros to a multiple of 64 bytes.
    """
    q, r = prepared.shape
    largest = np.abs(prepared).max(axis=1, initial=0, keepdims=True)
    numbers = np.rint(prepared * (127 / np.maximum(largest, np.float32(1e-30)))).astype(np.int8)
    out = np.zeros((q, 2, -(-width // _LANES) * _LANES), np.int8)
    if bits == 8:
        out[:, :, :r] = numbers[:, None]
    else:
        out[:, 0, : r - r // 2], out[:, 1, : r // 2] = numbers[:, ::2], numbers[:, 1::2]
    return out


def link(
    coded: Coded,
    vectors: Floats,
    find: Find,
    queries: Floats | None = None,
    *,
    degree: int = DEGREE,
    progress: bool = True,
) -> Graph:
    """Return the graph of a segment's rows.

    Parameters
    ----------
    coded : Coded
        The rows and their cells.
    vectors : (n, dim) float32
        The full vectors, in the same order.
    find : callable
        (queries, k, shortlist, probes) -> the k best rows of each, as `Segment.search` finds them by scanning.
    queries : (m, dim) float32, optional
        Typical queries. Without them all links lead to neighbours.
    degree : int
        Most links of a row, at least 2.
    progress : bool
        Show progress bars on terminals.

    Notes
    -----
    The same input gives the same graph; on another processor, whose sums round elsewhere, a few links may differ.
    """
    from commonspace.search.index import linking

    n = len(vectors)
    probes = None if n <= _SCANNED else max(1, round(len(coded.cells) * _SCANNED / n))
    few = queries is None or not len(queries)
    own = degree if few else degree - degree // 2

    def show(title: str, total: int) -> Any:
        return bars.task(title, total=total) if progress else bars.silent()

    near = np.empty((n, min(n, _NEAR + 1)), np.int32)
    with show("Finding neighbours", n) as bar:
        for i in range(0, n, _BLOCK):
            near[i : i + _BLOCK] = find(vectors[i : i + _BLOCK], near.shape[1], _NEAR + _MORE, probes)
            bar.advance(len(vectors[i : i + _BLOCK]))
    with show("Linking vectors", (2 if few else 4) * n) as bar:
        links = _chosen(vectors, near, own, _ALPHA["near"], _FEWEST, bar)
        if not few and queries is not None:
            tops = find(np.ascontiguousarray(queries[-_ASKED:], np.float32), min(n, _TOP), 2 * _TOP, None)
            pairs = np.empty((n, _PAIRS), np.int32)
            linking.asked_together(tops.astype(np.int32), _BEST, pairs)
            all_links = np.full((n, degree), -1, np.int32)
            all_links[:, :own] = links
            linking.join(_chosen(vectors, pairs, degree - own, _ALPHA["asked"], 0, bar), all_links)
            links = all_links
        linking.adopt(links, min(_LEADING, degree))
    return Graph(links, _entries(coded, vectors))


def _chosen(vectors: Floats, candidates: Links, degree: int, alpha: float, fewest: int, bar: Any) -> Links:
    """Return links chosen among candidates, then among these and the rows that have chosen a row."""
    from commonspace.search.index import linking

    fewest = min(fewest, degree)
    links = np.empty((len(vectors), degree), np.int32)
    for turn in range(2):
        given = candidates
        if turn:
            back = np.empty_like(links)
            linking.turned(links, back)
            given = np.concatenate([links, back], axis=1)

        def work(at: slice, given: Links = given) -> None:
            linking.prune(vectors, at.start, given[at], alpha, fewest, links[at])
            bar.advance(len(given[at]))

        each(work, [slice(i, i + _BLOCK) for i in range(0, len(vectors), _BLOCK)], threads())
    return links


def _entries(coded: Coded, vectors: Floats) -> Links:
    """Return the row of each cell that is nearest to its mean."""
    starts = coded.cells.starts.tolist()
    found = []
    for mean, start, stop in zip(coded.cells.means, starts[:-1], starts[1:], strict=True):
        if stop > start:
            found.append(start + int(np.argmin(np.square(vectors[start:stop] - mean).sum(axis=1))))
    return np.array(found, np.int32)
