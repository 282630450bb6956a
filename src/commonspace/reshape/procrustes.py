"""Orthogonal Procrustes: the rotation (with reflection) that brings X closest to Y.

    R = argmin |X R - Y|_F over R with orthonormal rows or columns  =  U V',   U S V' = SVD of X'Y
    scale = sum(S) / |X|_F^2

Lengths and angles survive, so a rotated space is as good as it was before, and d (d - 1) / 2 free numbers instead of
d^2 make it hard to overfit: the map of choice where two spaces are the same up to their axes and pairs are few. If
d_x < d_y, X is placed isometrically in the space of Y; if d_x > d_y, it is what remains in d_y coordinates of a
rotation to Y padded with zeros.

Directions that no pair touches have no best image. There R is the orthogonal map nearest to the identity (see
`core.rotation`, which finds R).

Source: Schönemann, "A generalized solution of the orthogonal procrustes problem", 1966.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.core.rotation import rotation_between
from commonspace.core.vectors import check_vectors
from commonspace.reshape.linear import check_pairs


@register(
    "procrustes",
    protocol="Map",
    papers=[
        Paper(
            "A generalized solution of the orthogonal procrustes problem",
            1966,
            "https://doi.org/10.1007/BF02289451",
        )
    ],
)
class Procrustes(Map):
    """Rotate X onto Y, keeping lengths and angles.

    Parameters
    ----------
    scale : bool
        Also learn one common factor for all lengths; cosine does not see it.
    center : bool
        Measure both sides from their means: `transform` returns (x - mean_x) R and `transform_target` y - mean_y.
        Better for retrieval where rows crowd around a mean; by default the map is a pure rotation, unit rows stay
        unit rows and Y stays as it is.

    Attributes
    ----------
    rotation_ : (d_x, d_y) float32
    scale_ : float
    mean_x_, mean_y_ : (d_x,) and (d_y,) float32
        Zeros unless `center`.
    """

    def __init__(self, *, scale: bool = False, center: bool = False) -> None:
        self.scale = scale
        self.center = center

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn from pairs: X (n, d_x), Y (n, d_y). Costs O(n d_x d_y) and one SVD of (d_x, d_y)."""
        x, y = check_pairs(X, Y, least=2 if self.center else 1)
        mean_x = x.mean(axis=0) if self.center else np.zeros(x.shape[1])
        mean_y = y.mean(axis=0) if self.center else np.zeros(y.shape[1])
        x, y = x - mean_x, y - mean_y
        cross = x.T @ y
        if not cross.any():
            raise BadInput("Procrustes needs rows that differ from zero (with center=True: from each other)")
        rotation = rotation_between(cross)
        self.rotation_ = rotation.astype(np.float32)
        self.scale_ = float((rotation * cross).sum() / np.square(x).sum()) if self.scale else 1.0
        self.mean_x_, self.mean_y_ = mean_x.astype(np.float32), mean_y.astype(np.float32)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the rotated rows: (n, d_y) float32; as long as they were unless `scale`, `center` or d_x > d_y."""
        self.check_fitted()
        rows = check_vectors(X, dim=len(self.rotation_)) - self.mean_x_
        out: np.ndarray = self.scale_ * (rows @ self.rotation_)
        return out

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return Y as it is, or measured from the mean of the training rows if `center`."""
        self.check_fitted()
        return check_vectors(Y, name="Y", dim=len(self.mean_y_)) - self.mean_y_ if self.center else Y
