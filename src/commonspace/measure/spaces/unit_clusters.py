"""Groups of units of two encoders that hang together: spectral clustering of the graph between them.

The units of both sides are the nodes, W = |C| the weights of the edges between the sides. With D_a, D_b the sums of the
rows and columns of W,

    D_a^-1/2 W D_b^-1/2 = U S V'

has as many singular values of 1 as there are parts without an edge between them, and values near 1 for parts that hang
together loosely. The first k columns of U and V are the coordinates of the units; k is where S drops most. Units are
given to clusters by a pivoted QR decomposition of the coordinates, which needs no random start.

Sources: "Convergent Learning: Do different neural networks learn the same representations?" (the question); Dhillon,
"Co-clustering documents and words using bipartite spectral graph partitioning", 2001; Damle, Minden and Ying, "Simple,
direct and efficient multi-way spectral clustering", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.measure.spaces.cka import estimate_cka
from commonspace.measure.statistics.estimates import Estimate


@dataclass(frozen=True)
class Cluster:
    """Units of both sides that hang together.

    Parameters
    ----------
    a, b : tuple of int
        Units of the first and the second side.
    cka : Estimate
        How alike they are as spaces, on items that the cluster was not chosen on.
    """

    a: tuple[int, ...]
    b: tuple[int, ...]
    cka: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {"a": list(self.a), "b": list(self.b), "cka": self.cka.to_dict()}


def cluster_units(
    strength: np.ndarray, a: np.ndarray, b: np.ndarray, *, number: int | None = None, confidence: float = 0.95
) -> tuple[Cluster, ...]:
    """Return the clusters, largest first.

    Parameters
    ----------
    strength : (d_a, d_b) array
        Weights of the edges, at least 0; units without an edge belong to no cluster.
    a, b : (n, d_a) and (n, d_b) arrays
        Units on the items that judge.
    number : int, optional
        Clusters sought.
    """
    rows, columns = np.flatnonzero(strength.any(axis=1)), np.flatnonzero(strength.any(axis=0))
    if not len(rows):
        return ()
    w = strength[np.ix_(rows, columns)]
    U, S, Vt = np.linalg.svd(w / np.sqrt(np.outer(w.sum(axis=1), w.sum(axis=0))), full_matrices=False)
    if number is None:
        number = int(np.argmax(S - np.append(S[1:], 0))) + 1
    if not 1 <= number <= len(S):
        raise BadInput(f"clusters must lie between 1 and the {len(S)} units that match anything, not {number}")
    labels = _assigned(np.vstack([U[:, :number], Vt[:number].T]))
    found = []
    for c in range(number):
        mine, theirs = rows[labels[: len(rows)] == c], columns[labels[len(rows) :] == c]
        if len(mine) and len(theirs) and a[:, mine].any() and b[:, theirs].any():
            alike = estimate_cka(a[:, mine], b[:, theirs], confidence=confidence)
            found.append(Cluster(tuple(int(i) for i in mine), tuple(int(i) for i in theirs), alike))
    return tuple(sorted(found, key=lambda c: -len(c.a) - len(c.b)))


def _assigned(coordinates: np.ndarray) -> np.ndarray:
    """Return the cluster of each row of coordinates, one cluster a column."""
    from scipy.linalg import qr

    k = coordinates.shape[1]
    first = qr(coordinates.T, pivoting=True)[2][:k]
    u, _, vt = np.linalg.svd(coordinates[first].T)
    labels: np.ndarray = np.abs(coordinates @ (u @ vt)).argmax(axis=1)
    return labels
