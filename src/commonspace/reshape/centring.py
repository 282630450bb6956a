"""Centring: take the mean off, of each side its own.

    x -> x - mean_x,    y -> y - mean_y

Rows of most encoders crowd around their mean, so that every cosine is high and differs little; and the two sides of a
common space crowd around different means, which is the gap between modalities. Both go with the means. Rows are
compared by cosine afterwards; the mean must come from rows like those to be searched.

Sources: the constant shift that separates modalities is described by Liang, Zhang, Kwon, Yeung and Zou, "Mind the Gap",
2022; centring before comparing is as old as correlation.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.core.vectors import check_vectors


@register(
    "centring",
    protocol="Map",
    synonyms=("centering",),
    papers=[
        Paper(
            "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning",
            2022,
            "https://arxiv.org/abs/2203.02053",
        )
    ],
    claim="judge/remedies",
)
class Centring(Map):
    """Take off the mean, of each side its own.

    Attributes
    ----------
    mean_x_, mean_y_ : (dim,) float32
        `mean_y_` is that of X where `fit` saw no Y.
    """

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn the means of X (n, dim) and, if given, of Y (m, dim); rows need not be pairs."""
        x = _rows(X, "X")
        self.mean_x_ = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.mean_y_ = self.mean_x_
        if Y is not None:
            self.mean_y_ = _rows(Y, "Y", x.shape[1]).mean(axis=0, dtype=np.float64).astype(np.float32)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return (n, dim) float32 rows measured from the mean of X, not of unit length."""
        self.check_fitted()
        out: np.ndarray = check_vectors(X, dim=len(self.mean_x_)) - self.mean_x_
        return out

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return (m, dim) float32 rows measured from the mean of Y."""
        self.check_fitted()
        out: np.ndarray = check_vectors(Y, name="Y", dim=len(self.mean_y_)) - self.mean_y_
        return out


def _rows(X: np.ndarray, name: str, dim: int | None = None) -> np.ndarray:
    x = check_vectors(X, name=name, dim=dim)
    if not len(x):
        raise BadInput(f"{name} must hold rows to take a mean of")
    return x
