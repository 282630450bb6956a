"""Reduced-rank regression: predict the vectors of Y from those of X through few numbers.

    min |Y - X B|^2 + alpha |B|^2  over B of rank at most r,  rows centred

    W = (X'X + alpha I)^(-1) X'Y,      V_r = first r eigenvectors of W'(X'X + alpha I) W,      B = W V_r V_r'

So r * (d_x + d_y) numbers say what d_x * d_y do in ridge regression, and a row costs as many multiplications. Where the
two sides share few directions the others are noise, and leaving them out predicts better.

The rank is found by cross-validation. With W and V from the other parts the held-out error is a sum over directions, so
that all ranks cost what one does:

    |Y - X W V_r V_r'|^2 = |Y|^2 - sum_{j <= r} (2 p_j't_j - |p_j|^2),      p_j = X W v_j,   t_j = Y v_j

Taken is the smallest rank whose error is within `slack` standard errors of the smallest one (over rows): what lies
beyond it costs space and cannot be shown to help.

Sources: Izenman, "Reduced-rank regression for the multivariate linear model", 1975, of which this is the case of equal
weights; Mukherjee and Zhu, "Reduced rank ridge regression and its kernel extensions", 2011, for the penalty. The rule
of one standard error is that of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.random import generator
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_vectors
from commonspace.reshape.linear import check_pairs
from commonspace.reshape.ridge import ALPHAS, Ridge


@register(
    "reduced-rank",
    protocol="Map",
    synonyms=("rrr",),
    papers=[
        Paper(
            "Reduced-rank regression for the multivariate linear model",
            1975,
            "https://doi.org/10.1016/0047-259X(75)90042-1",
        ),
        Paper("Reduced rank ridge regression and its kernel extensions", 2011, "https://doi.org/10.1002/sam.10138"),
    ],
    claim="reshape/reduced_rank",
)
class ReducedRank(Map):
    """Linear prediction of Y from X by a product of two thin matrices.

    Parameters
    ----------
    rank : int, optional
        How many numbers a row passes through; cross-validation picks by default.
    alpha : float or sequence of float
        Penalty on the squared weights, as for `Ridge`, which picks one of several.
    folds : int
        Parts of the cross-validation, at least 2; fewer pairs than parts are their own parts.
    slack : float
        Standard errors that a smaller rank may be worse by; 0 takes the rank of the smallest error.
    center : bool
        Measure both sides from their means, as for `Ridge`.
    random_state : int
        Seed of the cut into parts.

    Attributes
    ----------
    rank_ : int
    alpha_ : float
    left_, right_ : (d_x, rank) and (rank, d_y) float32
        Their product is B.
    mean_x_, mean_y_ : (d_x,) and (d_y,) float32
    """

    def __init__(
        self,
        *,
        rank: int | None = None,
        alpha: float | Sequence[float] = ALPHAS,
        folds: int = 5,
        slack: float = 1.0,
        center: bool = False,
        random_state: int = 0,
    ) -> None:
        self.rank = rank
        self.alpha = alpha
        self.folds = folds
        self.slack = slack
        self.center = center
        self.random_state = random_state

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn from pairs: X (n, d_x), Y (n, d_y). Costs `folds` + 1 ridge regressions and eigenproblems of d_y."""
        if check_positive("folds", self.folds) < 2:
            raise BadInput("cross-validation needs at least 2 folds")
        if not self.slack >= 0:
            raise BadInput(f"slack must be a number of at least 0, not {self.slack!r}")
        x, y = check_pairs(X, Y)
        ridge, weights, V = _directions(x, y, self.alpha)
        most = min(x.shape[1], y.shape[1])
        rank = self._choose(x, y, most) if self.rank is None else min(check_positive("rank", self.rank), most)
        self.rank_, self.alpha_ = rank, ridge.alpha_
        self.left_ = (weights @ V[:, :rank]).astype(np.float32)
        self.right_ = np.ascontiguousarray(V[:, :rank].T, np.float32)
        self.mean_x_, self.mean_y_ = ridge.mean_x_, ridge.mean_y_
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the predicted vectors of the Y side: (n, d_y) float32, not of unit length."""
        self.check_fitted()
        out: np.ndarray = (check_vectors(X, dim=len(self.left_)) - self.mean_x_) @ self.left_ @ self.right_
        return out if self.center else out + self.mean_y_

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return Y as it is, or measured from the mean of the training rows if `center`."""
        self.check_fitted()
        return check_vectors(Y, name="Y", dim=len(self.mean_y_)) - self.mean_y_ if self.center else Y

    def _choose(self, x: np.ndarray, y: np.ndarray, most: int) -> int:
        """Return the smallest rank that cross-validation cannot tell from the best."""
        if len(x) < 3:  # nothing can be held out and a map still be learned
            return 1
        parts = np.array_split(generator(self.random_state).permutation(len(x)), min(self.folds, len(x)))
        errors = np.concatenate([_held_out(x, y, part, self.alpha) for part in parts])[:, :most]
        means = errors.mean(axis=0)
        best = int(means.argmin())
        # Of the difference to the best, row by row: the error itself varies far more than what a rank changes in it.
        behind = errors - errors[:, [best]]
        allowed = self.slack * behind.std(axis=0, ddof=1) / np.sqrt(len(x))
        return 1 + int(np.argmax(behind.mean(axis=0) <= allowed))


def _directions(x: np.ndarray, y: np.ndarray, alpha: float | Sequence[float]) -> tuple[Ridge, np.ndarray, np.ndarray]:
    """Return the ridge regression, its weights, and the directions of Y that it explains, most first."""
    ridge = Ridge(alpha=alpha).fit(x, y)
    weights = ridge.weights_.astype(np.float64)
    fitted = (x - x.mean(axis=0)) @ weights
    _, V = np.linalg.eigh(fitted.T @ fitted + ridge.alpha_ * weights.T @ weights)
    return ridge, weights, V[:, ::-1]


def _held_out(x: np.ndarray, y: np.ndarray, part: np.ndarray, alpha: float | Sequence[float]) -> np.ndarray:
    """Return the squared errors of the rows of a part by rank: (len(part), d_y), from rank 1 on."""
    rest = np.setdiff1d(np.arange(len(x)), part)
    ridge, weights, V = _directions(x[rest], y[rest], alpha)
    predicted = (x[part] - ridge.mean_x_) @ weights @ V
    away = y[part] - ridge.mean_y_
    found: np.ndarray = np.square(away).sum(axis=1, keepdims=True) - np.cumsum(
        2 * predicted * (away @ V) - np.square(predicted), axis=1
    )
    return found
