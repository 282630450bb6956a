"""The shared subspace of two spaces: few canonical directions, chosen on pairs held out, and a map between them.

    x, y     centred and scaled;  A, rho, B = canonical(x, y, reg), k columns each (`core.directions`)
    weights      x A rho^2                    and  y B rho^2          canonical coordinates, weak pairs faded
    procrustes   x Q_A R                      and  y Q_B              orthonormal bases of both, and a rotation
    ridge        x Q_A W                      and  y Q_B              the same, and a regression

Outside the shared directions lies what one space says and the other does not: shape and pose in one, style in the
other. Left in, it decides most of every cosine. In canonical coordinates themselves the best rotation is the identity,
since their cross products are a diagonal; in orthonormal bases the variances of the space survive, and there is
something to turn.

Which of these serves, with how many directions and how much ridge, depends on how many pairs there are. All are tried
on folds of the pairs, and the one with the highest mean reciprocal rank of held-out partners is taken, the smaller of
equal ones. That figure is the best of many and no promise: judge the map on other pairs, and ask
`measure.shared_directions` whether anything is shown to be shared at all. With fewer pairs than dimensions it often is
not, and then no choice of directions helps.

Source: "Escaping Plato's Cave: Towards the Alignment of 3D and Text Latent Spaces", which takes CCA for the subspaces
and an affine map or a match of kernels inside. The faded coordinates, the rotation in orthonormal bases and the joint
choice on held-out pairs are ours; matching by kernels is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from commonspace.core.directions import canonical
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.random import generator
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.reshape.linear import check_pairs, standardised
from commonspace.reshape.procrustes import Procrustes
from commonspace.reshape.ridge import Ridge

INSIDE = ("weights", "procrustes", "ridge")
POWER = 2.0  # of the correlations in "weights", as in `CCA`
LEAST = 10  # pairs
MOST = 4000  # pairs that the choice looks at: their scores with each other are held at once


@register(
    "shared_subspace",
    protocol="Map",
    papers=[
        Paper(
            "Escaping Plato's Cave: Towards the Alignment of 3D and Text Latent Spaces",
            2025,
            "https://arxiv.org/abs/2503.05283",
        )
    ],
)
class SharedSubspace(Map):
    """Both sides into the directions that they share, as many as serve pairs held out.

    Parameters
    ----------
    dims : sequence of int
        Numbers of directions to choose from; those beyond the data's rank count as the rank.
    reg : float or sequence of float
        Ridges to choose from, as a share of each side's mean eigenvalue.
    inside : str or sequence of str
        Maps inside the subspaces to choose from: "weights", "procrustes", "ridge".
    scaling : {"column", "block"}
        Divide each column by its own spread, or all of a side by one number.
    folds : int
        Parts that the pairs are dealt to for the choice.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    dim_, reg_, inside_ : int, float, str
        What was chosen.
    tried_ : list of [reg, inside, dim, mrr]
        All that was tried, with the mean reciprocal rank of held-out partners among those of all pairs.
    correlations_ : (dim_,) float64
        Of the pairs of directions, on the training pairs: larger than those of new pairs.
    weights_x_, weights_y_ : (d_x, dim_) and (d_y, dim_) float32
    mean_x_, mean_y_ : (d_x,) and (d_y,) float32
    """

    def __init__(
        self,
        *,
        dims: Sequence[int] = (2, 5, 10, 20, 40, 80, 160),
        reg: float | Sequence[float] = (0.01, 0.1),
        inside: str | Sequence[str] = ("weights", "procrustes"),
        scaling: str = "block",
        folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.dims = dims
        self.reg = reg
        self.inside = inside
        self.scaling = scaling
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn from pairs: X (n, d_x), Y (n, d_y), at least 10.

        Costs a CCA of (d_x, d_y) for each fold and ridge, and one product for each choice. Of more than 4,000 pairs
        a random part of so many chooses, and all of them fit.
        """
        x, y = check_pairs(X, Y, least=LEAST)
        dims, regs, inside = self._choices()
        folds = min(check_positive("folds", self.folds), len(x) // 2)
        if folds < 2:
            raise BadInput(f"the choice needs at least 2 folds, got {self.folds!r}")
        some = np.sort(generator(self.random_state).permutation(len(x))[:MOST])
        tried = _tried(x[some], y[some], (dims, regs, inside), self.scaling, folds, self.random_state)
        self.reg_, self.inside_, self.dim_, _ = max(tried, key=lambda t: (round(t[3], 9), -t[2]))
        self.tried_ = [list(t) for t in tried]
        found = _Subspace.of(x, y, self.reg_, self.scaling)
        a, b = found.maps(self.dim_, self.inside_)
        self.correlations_ = found.correlations[: self.dim_]
        self.weights_x_, self.weights_y_ = a.astype(np.float32), b.astype(np.float32)
        self.mean_x_, self.mean_y_ = found.mean_x.astype(np.float32), found.mean_y.astype(np.float32)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return rows of the X side in the shared subspace: (n, dim_) float32, centred, not of unit length."""
        self.check_fitted()
        out: np.ndarray = (check_vectors(X, dim=len(self.mean_x_)) - self.mean_x_) @ self.weights_x_
        return out

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return rows of the Y side in the shared subspace: (n, dim_) float32, centred, not of unit length."""
        self.check_fitted()
        out: np.ndarray = (check_vectors(Y, name="Y", dim=len(self.mean_y_)) - self.mean_y_) @ self.weights_y_
        return out

    def _choices(self) -> tuple[list[int], list[float], list[str]]:
        dims = sorted({check_positive("dims", d) for d in self.dims})
        regs = [float(r) for r in np.atleast_1d(np.asarray(self.reg, dtype=np.float64))]
        inside = [self.inside] if isinstance(self.inside, str) else list(self.inside)
        for name in inside:
            check_choice("inside", name, INSIDE)
        if not dims or not regs or not inside:
            raise BadInput("dims, reg and inside need at least one choice each")
        return dims, regs, inside


class _Subspace(NamedTuple):
    """The canonical directions of standardised pairs, in the units of the rows given."""

    x: np.ndarray
    y: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    spread_x: np.ndarray
    spread_y: np.ndarray
    weights_x: np.ndarray
    weights_y: np.ndarray
    correlations: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, Y: np.ndarray, reg: float, scaling: str) -> _Subspace:
        (x, mean_x, spread_x), (y, mean_y, spread_y) = (standardised(v, scaling) for v in (X, Y))
        return cls(x, y, mean_x, mean_y, spread_x, spread_y, *canonical(x, y, reg))

    def maps(self, dim: int, inside: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what centred rows of each side are multiplied by: (d_x, dim) and (d_y, dim)."""
        a, b, rho = self.weights_x[:, :dim], self.weights_y[:, :dim], self.correlations[:dim]
        if inside == "weights":
            a, b = a * rho**POWER, b * rho**POWER
        else:
            a, b = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
            if inside == "procrustes":
                a = a @ Procrustes().fit(self.x @ a, self.y @ b).rotation_
            else:
                a = a @ Ridge().fit(self.x @ a, self.y @ b).weights_
        return a / self.spread_x[:, None], b / self.spread_y[:, None]


def _tried(
    x: np.ndarray,
    y: np.ndarray,
    choices: tuple[list[int], list[float], list[str]],
    scaling: str,
    folds: int,
    seed: int,
) -> list[tuple[float, str, int, float]]:
    """Return (reg, inside, dim, mrr) of every choice."""
    dims, regs, inside = choices
    parts = np.array_split(generator(seed).permutation(len(x)), folds)
    sums: dict[tuple[float, str, int], float] = {}
    rank = min(len(x) - max(map(len, parts)) - 1, x.shape[1], y.shape[1])
    sizes = sorted({min(d, rank) for d in dims})
    for part in parts:
        kept = np.delete(np.arange(len(x)), part)
        for reg in regs:
            found = _Subspace.of(x[kept], y[kept], reg, scaling)
            all_x, all_y = x - found.mean_x, y - found.mean_y
            for name in inside:
                for dim in sizes:
                    a, b = found.maps(dim, name)
                    key = (reg, name, dim)
                    sums[key] = sums.get(key, 0.0) + _reciprocal_ranks(all_x @ a, all_y @ b, part)
    return [(reg, name, dim, total / len(x)) for (reg, name, dim), total in sums.items()]


def _reciprocal_ranks(a: np.ndarray, b: np.ndarray, asked: np.ndarray) -> float:
    """Return the sum over the pairs asked for of 1 / rank of the partner among all, the mean of both directions."""
    a, b = unit(a), unit(b)
    own = (a[asked] * b[asked]).sum(axis=1)[:, None] - 1e-9  # a tie counts as the worst, rounding does not
    there, back = (scores >= own for scores in (a[asked] @ b.T, b[asked] @ a.T))
    return float((1 / there.sum(axis=1) + 1 / back.sum(axis=1)).sum() / 2)
