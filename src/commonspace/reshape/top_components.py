"""All-but-the-top: take off the mean and the few directions in which rows vary most.

    x -> x - mean_x,   then   x -> x - U U' x,     U (dim, count) the first principal directions

In vectors learned from what often occurs together, a few directions carry how common a thing is or what kind of file
it came from, and they dominate every cosine. The rest of the space is left as it is, other than by whitening.

Two sides of one space lose their own means and the same directions, those of both centred sides together.

Source: "All-but-the-Top: Simple and Effective Postprocessing for Word Representations", whose advice for the count,
about dim / 100, is the default. Own means for two sides are ours.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from commonspace.core.directions import principal
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_vectors


@register(
    "all-but-the-top",
    protocol="Map",
    papers=[
        Paper(
            "All-but-the-Top: Simple and Effective Postprocessing for Word Representations",
            2018,
            "https://arxiv.org/abs/1702.01417",
        )
    ],
    claim="judge/remedies",
)
class AllButTheTop(Map):
    """Take off the mean and the strongest principal directions.

    Parameters
    ----------
    count : int, optional
        Directions to take off; by default a hundredth of the dimension, at least 1.

    Attributes
    ----------
    mean_x_, mean_y_ : (dim,) float32
    top_ : (dim, count) float32
        Orthonormal columns.
    """

    def __init__(self, *, count: int | None = None) -> None:
        self.count = count

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn from X (n, dim) and, if given, Y (m, dim) of the same space; rows need not be pairs."""
        x = check_vectors(X).astype(np.float64)
        sides = [x] if Y is None else [x, check_vectors(Y, name="Y", dim=x.shape[1]).astype(np.float64)]
        if min(map(len, sides)) < 2:
            raise BadInput("the directions in which rows vary need at least two rows of each side")
        count = max(1, x.shape[1] // 100) if self.count is None else check_positive("count", self.count)
        if count >= x.shape[1]:
            raise BadInput(f"of {x.shape[1]} dimensions {count} cannot be taken off")
        means = [s.mean(axis=0) for s in sides]
        directions, _ = principal(np.concatenate([s - m for s, m in zip(sides, means, strict=True)]))
        self.top_ = directions[:, :count].astype(np.float32)
        self.mean_x_, self.mean_y_ = means[0].astype(np.float32), means[-1].astype(np.float32)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return (n, dim) float32 rows without those directions, not of unit length."""
        self.check_fitted()
        return self._without(check_vectors(X, dim=len(self.top_)) - self.mean_x_)

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return the rows of Y, measured from their own mean if `fit` saw some, without the same directions."""
        self.check_fitted()
        return self._without(check_vectors(Y, name="Y", dim=len(self.top_)) - self.mean_y_)

    def _without(self, rows: np.ndarray) -> np.ndarray:
        out: np.ndarray = rows - (rows @ self.top_) @ self.top_.T
        return out
