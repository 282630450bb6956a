"""Re-ranking: the exact inner products of a few rows with each query, and the k best of them.

    score(q, x) = sum_j q_j x_j         over the shortlist of q only

FAISS multiplies each query with the rows that it names, without copying them together first.
"""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt

from commonspace.search.index.keys import keyed, unkeyed
from commonspace.search.index.workers import each, faiss_alone, threads

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

#: Numbers of vectors that are worth a thread of their own.
WORTH = 1 << 20
_FEW = 1000  # pairs that NumPy multiplies
_LONG = 500  # rows a query that are not all sorted
_PAIRS = 25_000  # pairs that one thread takes at once, at most


def rerank(queries: Floats, vectors: Floats, rows: Ints, k: int, *, alone: bool = False) -> tuple[Ints, Floats]:
    """Return the k best of each query's rows, best first; equal scores in the order of the rows.

    Parameters
    ----------
    queries : (q, dim) float32
        The queries.
    vectors : (n, dim) float32, C-contiguous
        The full vectors; may be a memory map, of which only these rows are read.
    rows : (q, c) int64
        The shortlist; -1 where there is none.
    k : int
        At least 1.
    alone : bool
        Whether to stay in the thread that asks, which is one of several that work.

    Returns
    -------
    rows : (q, min(k, c)) int64
        -1 where there are fewer.
    scores : (q, min(k, c)) float32
        -inf where there are fewer.
    """
    queries = np.ascontiguousarray(queries, np.float32)
    rows = np.ascontiguousarray(rows, np.int64)
    q, c = rows.shape
    best, scores = np.empty((q, min(k, c)), np.int64), np.empty((q, min(k, c)), np.float32)

    def work(at: slice) -> None:
        best[at], scores[at] = _first(_exact(queries[at], vectors, rows[at]), rows[at], k)

    workers = 1 if alone else threads()
    pairs = min(_PAIRS, max(WORTH // max(1, queries.shape[1]), -(-q * c // workers)))
    size = max(1, pairs // max(1, c))
    slices = [slice(i, i + size) for i in range(0, q, size)]
    with faiss_alone():
        each(work, slices, workers if len(slices) > 1 else 1)
    return best, scores


def _exact(queries: Floats, vectors: Floats, rows: Ints) -> Floats:
    """Return the scores of each query's rows, -inf where there is none."""
    scores = np.full(rows.shape, -np.inf, np.float32)
    q, c = rows.shape
    if rows.size <= _FEW:  # waking FAISS's threads would take longer
        for i in range(q):
            scores[i] = vectors[rows[i]] @ queries[i]
    else:
        faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]
            faiss.swig_ptr(scores),
            faiss.swig_ptr(queries),
            faiss.swig_ptr(vectors),
            faiss.swig_ptr(rows),
            queries.shape[1],
            q,
            c,
        )
    scores[rows < 0] = -np.inf
    return scores


def _first(scores: Floats, rows: Ints, k: int) -> tuple[Ints, Floats]:
    """Return the k best of each query, best first; equal scores in the order of the rows."""
    keys = keyed(scores, rows)
    if keys.shape[1] > max(_LONG, k):
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    keys.sort(axis=1)
    return unkeyed(keys[:, :k])
