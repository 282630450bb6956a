"""Recall of a search that may miss: the share of the k best that it found, where all that tie with the k-th count.

    recall(q) = min(k, |{x found : score(q, x) >= score of the k-th best}|) / k

Equal things have equal vectors. A search that finds the other one of two is not wrong, and counting it as a miss would
blame a collection's duplicates on its index.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from commonspace.search.exact import top_k

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

_EQUAL = 1e-6  # relative difference of scores that rounding explains


def kth_best(queries: Floats, vectors: Floats, k: int) -> Floats:
    """Return (q,), the score of the k-th best of all vectors with each query; of the last if there are fewer."""
    return top_k(queries, vectors, k)[1][:, -1]


def among_best(found: Ints, queries: Floats, vectors: Floats, kth: Floats) -> npt.NDArray[np.bool_]:
    """Return (q, c), which of the rows found score as high as the k-th best.

    Parameters
    ----------
    found : (q, c) int64
        Rows, none twice for a query; -1 for none.
    queries : (q, dim) float32
        The queries.
    vectors : (n, dim) float32
        What was searched.
    kth : (q,) float32
        As `kth_best` returns it.
    """
    best = np.empty(found.shape, bool)
    for i, (rows, q, least) in enumerate(zip(found, queries.astype(np.float64), kth.astype(np.float64), strict=True)):
        best[i] = (rows >= 0) & (vectors[rows].astype(np.float64) @ q >= least - _EQUAL * abs(least))
    return best


def recall(best: npt.NDArray[np.bool_], k: int) -> npt.NDArray[np.float64]:
    """Return (q,), the share of k best that was found, as `among_best` tells; k at most the number of vectors."""
    found: npt.NDArray[np.float64] = np.minimum(best.sum(axis=1), k) / k
    return found
