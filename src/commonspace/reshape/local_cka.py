"""Local CKA: how well do a row of one space and a row of another fit together, seen from pairs that are known?

    score(x, y) = CKA of the anchors' rows with x and y added as one more pair

With K and L the products of the anchors with each other on either side, k_x = (a_i' x)_i, K' the table with x added and
N = anchors + 1,

    hsic(K', L') = sum K' * L'  -  2 / N  (K' 1)'(L' 1)  +  1 / N^2  (1' K' 1)(1' L' 1)
    CKA          = hsic(K', L') / sqrt(hsic(K', K') hsic(L', L'))

and every term is a sum of numbers of x, numbers of y, and products of a row of x with a row of y. So all scores of n
rows with m are one matrix product of (n, anchors) with (anchors, m), and a few sums and a division for each.

Nothing is fitted. Like relative representations, of which it is the centred and normalised relative, it needs few
anchors and gains little from many. One pair is one of N, so that scores differ in late digits only: they rank, and say
nothing on their own.

Sources: Maniparambil et al., "Do Vision and Language Encoders Represent the World Similarly?", 2024; used between
shapes and texts by "Escaping Plato's Cave: Towards the Alignment of 3D and Text Latent Spaces". Written as one product
here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors
from commonspace.reshape.linear import check_pairs


def local_cka(X: Any, Y: Any, anchors: tuple[Any, Any]) -> np.ndarray:
    """Return how well each row of X fits each row of Y: (n, m) float64, higher is better.

    Parameters
    ----------
    X, Y : (n, d_x) and (m, d_y) arrays
    anchors : two arrays, (k, d_x) and (k, d_y)
        Row i of both is a known pair; at least 3. Both spaces are measured from their anchors' mean.

    Notes
    -----
    For matching one to one hand the scores to ``scipy.optimize.linear_sum_assignment(scores, maximize=True)``.
    """
    a, b = check_pairs(*anchors, least=3)
    x = check_vectors(X, dim=a.shape[1]) - a.mean(axis=0)
    y = check_vectors(Y, name="Y", dim=b.shape[1]) - b.mean(axis=0)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    for name, rows in (("X", a), ("Y", b)):
        if not rows.any():
            raise BadInput(f"all anchors of {name} are the same: they tell nothing apart")
    # Entries of a table are of the order of a squared length; at that of the anchors they are numbers around 1.
    left, right = _Side.of(x, a), _Side.of(y, b)
    scores: np.ndarray = left.with_other(right) / np.sqrt(left.with_itself()[:, None] * right.with_itself())
    return scores


class _Side:
    """The numbers of one side: its anchors' table and what each row adds to it."""

    def __init__(self, K: np.ndarray, k: np.ndarray, own: np.ndarray) -> None:
        self.K, self.k, self.own = K, k, own
        self.sums = k.sum(axis=1)

    @classmethod
    def of(cls, rows: np.ndarray, anchors: np.ndarray) -> _Side:
        size = np.square(anchors).sum(axis=1).mean()
        return cls(anchors @ anchors.T / size, rows @ anchors.T / size, np.square(rows).sum(axis=1) / size)

    # Anchors are centred, so that the rows of their table add up to zero.

    def with_other(self, other: _Side) -> np.ndarray:
        """Return hsic(K', L') of each row with each of the other side."""
        N = len(self.K) + 1
        u, v = self.sums + self.own, other.sums + other.own  # what the added row of each table adds up to
        p, q = self.sums + u, other.sums + v  # and the whole table
        products = (2 - 2 / N) * (self.k @ other.k.T) + np.outer(self.own, other.own)
        hsic: np.ndarray = (self.K * other.K).sum() + products - 2 / N * np.outer(u, v) + np.outer(p, q) / N**2
        return hsic

    def with_itself(self) -> np.ndarray:
        """Return hsic(K', K') of each row."""
        N = len(self.K) + 1
        u = self.sums + self.own
        squares = (2 - 2 / N) * np.square(self.k).sum(axis=1) + self.own**2
        hsic: np.ndarray = np.square(self.K).sum() + squares - 2 / N * u**2 + (self.sums + u) ** 2 / N**2
        return hsic
