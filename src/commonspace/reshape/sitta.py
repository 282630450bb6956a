"""A closed-form bridge from one frozen space into another, by words that both know or by few pairs (SITTA).

    A = (X - mean_x) / spread_x,   B = (Y - mean_y) / spread_y,    row i of both the same word, or the same pair
    W = argmin |A W - B|    over rotations ("procrustes"), or with a ridge penalty ("ridge")
    x -> (x - mean) / spread_x W,       y -> (y - mean_y) / spread_y

Lexical matching takes the words that two text encoders share (`shared_vocabulary`) and needs no pairs of the kind that
is to cross: an item of any kind that lies in the first space goes over by what was learned from words. A rotation suits
words, which are many and unlike in how they vary; least squares suit pairs of what is to cross.

Items of another kind than the words crowd around a mean of their own. `items` gives `fit` some of them, and `transform`
measures from their mean: then the gap between kinds does not cross with them.

What comes over is compared by cosine; `search.name_items` lists the words nearest to it.

Source: "SITTA: A Semantic Image-Text Alignment for Image Captioning", which centres and scales columns, has both
solvers, and hands the words found to a language model. One number for the spread of a side (`scaling="block"`) where
the ratio of the columns is the signal, the mean of `items`, and the penalty by cross-validation are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.core.vectors import check_vectors
from commonspace.reshape.linear import check_pairs, standardised
from commonspace.reshape.procrustes import Procrustes
from commonspace.reshape.ridge import ALPHAS, Ridge

SOLVERS = ("procrustes", "ridge")


@register(
    "sitta",
    protocol="Map",
    papers=[
        Paper("SITTA: A Semantic Image-Text Alignment for Image Captioning", 2023, "https://arxiv.org/abs/2307.05591")
    ],
)
class Sitta(Map):
    """Bridge into another space by shared words or few pairs: centre, scale, rotate or regress.

    Parameters
    ----------
    solver : {"procrustes", "ridge"}
    scaling : {"column", "block"}
        Divide each column by its own spread (sentence vectors), or all of a side by one number (LSA, principal
        components).
    alpha : float or sequence of float
        Penalties that "ridge" chooses from, see `Ridge`.

    Attributes
    ----------
    weights_ : (d_x, d_y) float32
    mean_x_, mean_y_ : (d_x,) and (d_y,) float32
        `mean_x_` is that of `items` where `fit` saw some.
    spread_x_, spread_y_ : (d_x,) and (d_y,) float32
    """

    def __init__(
        self, *, solver: str = "procrustes", scaling: str = "column", alpha: float | Sequence[float] = ALPHAS
    ) -> None:
        self.solver = solver
        self.scaling = scaling
        self.alpha = alpha

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None, *, items: Any = None) -> Self:
        """Learn from pairs: X (n, d_x), Y (n, d_y), rows of the same word or the same thing.

        Parameters
        ----------
        X, Y : arrays
        items : (m, d_x) array, optional
            Some of what is to cross, where that is not of the kind of X: images, where X are words.
        """
        check_choice("solver", self.solver, SOLVERS)
        x, y = check_pairs(X, Y)
        a, mean_x, spread_x = standardised(x, self.scaling)
        b, mean_y, spread_y = standardised(y, self.scaling)
        for name, rows in (("X", a), ("Y", b)):
            if not rows.any():
                raise BadInput(f"all rows of {name} are the same: nothing can be learned from them")
        if self.solver == "procrustes":
            self.weights_ = Procrustes().fit(a, b).rotation_
        else:
            self.weights_ = Ridge(alpha=self.alpha).fit(a, b).weights_
        if items is not None:
            crossing = check_vectors(items, name="items", dim=x.shape[1])
            if not len(crossing):
                raise BadInput("items must hold rows to take a mean of, or be left out")
            mean_x = crossing.mean(axis=0, dtype=np.float64)
        self.mean_x_, self.mean_y_ = mean_x.astype(np.float32), mean_y.astype(np.float32)
        self.spread_x_, self.spread_y_ = spread_x.astype(np.float32), spread_y.astype(np.float32)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return items of the X side on the other: (n, d_y) float32, centred, not of unit length."""
        self.check_fitted()
        rows = (check_vectors(X, dim=len(self.mean_x_)) - self.mean_x_) / self.spread_x_
        out: np.ndarray = rows @ self.weights_
        return out

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return rows of the Y side as they are compared: (n, d_y) float32, centred and scaled."""
        self.check_fitted()
        out: np.ndarray = (check_vectors(Y, name="Y", dim=len(self.mean_y_)) - self.mean_y_) / self.spread_y_
        return out
