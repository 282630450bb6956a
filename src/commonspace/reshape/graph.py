"""Graphs of linked rows as users have them: edge lists, sparse matrices, one of either for each relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.core.errors import BadInput

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def read_graph(graph: Any, n: int, weights: Mapping[str, float] | None = None) -> csr_array:
    """Return how strongly each two of n rows are linked: (n, n), symmetric, no row linked to itself.

    Parameters
    ----------
    graph : (m, 2) integer array, (n, n) scipy sparse matrix, or mapping of str to either
        Links between positions of rows. An edge counts once, however often and in whichever direction it is listed; the
        entries of a matrix are strengths, of which the larger counts where both directions differ. Relations add up.
    weights : mapping of str to float, optional
        Strength of each relation; 1 for those not named. Only for a mapping.

    Raises
    ------
    BadInput
        Rows that do not exist, strengths that are negative or not finite, a weight for a relation that is not there.
    """
    from scipy.sparse import csr_array

    if not isinstance(graph, Mapping):
        if weights:
            raise BadInput("weights of relations need a graph with relations: {name: edges, ...}")
        return _links(graph, n, "graph")
    strengths = dict(weights or {})
    if unknown := sorted(set(strengths) - set(graph)):
        raise BadInput(f"weights name the relation {unknown[0]!r}, but the graph has {', '.join(map(repr, graph))}")
    total = csr_array((n, n))
    for name, edges in graph.items():
        strength = float(strengths.get(name, 1.0))
        if not (np.isfinite(strength) and strength >= 0):
            raise BadInput(f"the weight of {name!r} must be a number of at least 0, not {strength!r}")
        total = total + strength * _links(edges, n, f"graph[{name!r}]")
    total.eliminate_zeros()
    return total


def _links(edges: Any, n: int, name: str) -> csr_array:
    from scipy.sparse import csr_array, issparse

    if issparse(edges):
        matrix = csr_array(edges, dtype=np.float64)
        if matrix.shape != (n, n):
            raise BadInput(
                f"{name} must be of shape ({n}, {n}), one row and column for each vector, not {matrix.shape}"
            )
        matrix.sum_duplicates()
        if not (np.isfinite(matrix.data) & (matrix.data >= 0)).all():
            raise BadInput(f"{name} holds strengths that are negative, NaN or Inf: links pull, and only so much")
    else:
        pairs = np.asarray(edges)
        if not pairs.size:
            pairs = np.zeros((0, 2), np.int64)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise BadInput(
                f"{name} must be an (m, 2) integer array of linked rows or an (n, n) scipy sparse matrix, not "
                f"{pairs.dtype} of shape {pairs.shape}"
            )
        if len(pairs) and (pairs.min() < 0 or pairs.max() >= n):
            wrong = pairs[((pairs < 0) | (pairs >= n)).any(axis=1)][0].tolist()
            raise BadInput(f"{name} links rows {wrong}, but there are rows 0 to {n - 1}")
        matrix = csr_array((np.ones(len(pairs)), pairs.T), shape=(n, n))
        matrix.sum_duplicates()
        matrix.data[:] = 1
    matrix = csr_array(matrix.maximum(matrix.T))
    matrix.setdiag(0)
    matrix.eliminate_zeros()
    return matrix
