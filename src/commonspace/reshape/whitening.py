"""Whitening: no direction of the space weighs more than another.

    x -> (x - mean_x) V diag((e + s)^(-power / 2)) V',     C = V diag(e) V' the covariance, s = shrinkage * mean(e)

Directions that vary much decide every cosine, whether they matter or not. With power 1 all get the same variance; with
a power in between the strong ones keep some of their lead. Directions in which the rows do not vary are left out: what
is there is rounding, and would be blown up. The map is symmetric (V on both ends), so that a row moves as little as it
can; dropping directions with `dim` keeps the strongest and leaves rows in the axes of V.

Two sides of one space must be stretched alike, or their cosines mean nothing: each loses its own mean, and C is the
mean of both covariances about those means.

Sources: "Whitening Sentence Representations for Better Semantics and Faster Retrieval", which whitens fully;
the symmetric form is that of Bell and Sejnowski, "The 'independent components' of natural scenes are edge filters",
1997. The power and the shrinkage, a ridge on C, are ours: with few rows the smallest variances are underestimated.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from commonspace.core.directions import ROUNDING
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_vectors


@register(
    "whitening",
    protocol="Map",
    papers=[
        Paper(
            "Whitening Sentence Representations for Better Semantics and Faster Retrieval",
            2021,
            "https://arxiv.org/abs/2103.15316",
        )
    ],
    claim="judge/remedies",
)
class Whitening(Map):
    """Bring every direction of the space to the same variance.

    Parameters
    ----------
    power : float
        0 only centres, 1 whitens fully.
    shrinkage : float
        What is added to every variance, in units of their mean; at least 0.
    dim : int, optional
        Keep so many directions, the strongest; all by default.

    Attributes
    ----------
    mean_x_, mean_y_ : (d,) float32
    weights_ : (d, d) or (d, dim) float32
    """

    def __init__(self, *, power: float = 1.0, shrinkage: float = 0.1, dim: int | None = None) -> None:
        self.power = power
        self.shrinkage = shrinkage
        self.dim = dim

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn from X (n, d) and, if given, Y (m, d) of the same space; rows need not be pairs.

        Costs O((n + m) d^2) and one eigenproblem of size d.
        """
        if not 0 <= self.power <= 1:
            raise BadInput(f"power must lie between 0 and 1, not {self.power!r}")
        if not self.shrinkage >= 0:
            raise BadInput(f"shrinkage must be a number of at least 0, not {self.shrinkage!r}")
        x = check_vectors(X)
        sides = [x] if Y is None else [x, check_vectors(Y, name="Y", dim=x.shape[1])]
        if min(map(len, sides)) < 2:
            raise BadInput("whitening needs at least two rows of each side")
        means = [s.mean(axis=0, dtype=np.float64) for s in sides]
        energy, V = np.linalg.eigh(np.mean([_covariance(s, m) for s, m in zip(sides, means, strict=True)], axis=0))
        kept = np.flatnonzero(energy > ROUNDING * energy.max())[::-1]
        if not len(kept) or energy.max() <= 0:
            raise BadInput("all rows are the same: there is nothing to whiten")
        kept = kept[: None if self.dim is None else check_positive("dim", self.dim)]
        V, energy = V[:, kept], energy[kept]
        scaled = V * (energy + self.shrinkage * energy.mean()) ** (-self.power / 2)
        self.weights_ = (scaled if self.dim is not None else scaled @ V.T).astype(np.float32)
        self.mean_x_, self.mean_y_ = means[0].astype(np.float32), means[-1].astype(np.float32)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the whitened rows of X, float32, not of unit length."""
        self.check_fitted()
        out: np.ndarray = (check_vectors(X, dim=len(self.weights_)) - self.mean_x_) @ self.weights_
        return out

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return the whitened rows of Y, measured from their own mean if `fit` saw some."""
        self.check_fitted()
        out: np.ndarray = (check_vectors(Y, name="Y", dim=len(self.weights_)) - self.mean_y_) @ self.weights_
        return out


def _covariance(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    centred = x - mean
    found: np.ndarray = centred.T @ centred / len(x)
    return found
