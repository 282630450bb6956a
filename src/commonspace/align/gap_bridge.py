"""`GapBridge`: train a head on vectors of one modality and use it on another, where pairs do not coincide.

In a common space the text of a thing lies near its image and not on it: the two clouds are apart by an offset, and each
pair by something of its own. A head that is trained on texts alone has never seen either. A bridge moves and blurs what
it is trained on; what it is used on stays as it is. With t a text's vector and i its image's:

    t' = normalise(A(t) + e)
    A(t) = t                                shift "none"
           t + mean(i) - mean(t)            "mean"
           mean(i) + (t - mean(t)) W        "linear": ridge regression of i on t
    e ~ N(0, w^2 I)                         noise w: a number, or "isotropic": the w that pairs show
        N(0, Cov(i - A(t)))                 "covariance"

Noise makes the head smooth over the ball in which a partner may lie. Pairs are needed without labels, and should not be
those that the space was trained on, whose two sides lie closer than those of new ones. Without pairs a number for the
noise is all there is, and for the shift "mean" the two sides need not correspond.

Source: "I Can't Believe There's No Images! Learning Visual Tasks Using only Language Supervision" (CLOSE), which draws
its structured noise around the mean shift; that the parts combine freely, the linear shift with the covariance that it
leaves over, is ours, as is `choose_bridge`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from commonspace.core.directions import principal
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.protocols import Map
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.reshape.ridge import Ridge

SHIFTS = ("none", "mean", "linear")
NOISES = ("isotropic", "covariance")


class GapBridge(Map):
    """Move and blur vectors of one modality until they could be vectors of another.

    Parameters
    ----------
    shift : {"none", "mean", "linear"}
        What is done to every vector alike.
    noise : float or {"isotropic", "covariance"}
        Standard deviation of the noise in each coordinate (0: none; the source has 0.08 for spaces of 512 numbers), or
        what pairs show: the same in every direction, or in each what it is there.
    scale : float
        Factor on the noise that pairs show.
    random_state : int
        Seed; the same rows get the same noise.

    Attributes
    ----------
    dim_ : int
        Dimension of the space.
    offset_ : (dim,) float32
        What the shift adds (after the weights, if it is linear).
    weights_ : (dim, dim) float32
        Of the linear shift.
    noise_ : (r, dim) float32
        Noise is a combination of these rows by standard normal numbers; no row for none.
    """

    def __init__(
        self,
        *,
        shift: str = "mean",
        noise: float | str = "covariance",
        scale: float = 1.0,
        random_state: int = 0,
    ) -> None:
        check_choice("shift", shift, SHIFTS)
        if isinstance(noise, str):
            check_choice("noise", noise, NOISES)
        elif not isinstance(noise, int | float | np.number) or not 0 <= noise < np.inf:
            raise BadInput(f"noise must be a number of at least 0 or one of {', '.join(NOISES)}, not {noise!r}")
        if not 0 <= scale < np.inf:
            raise BadInput(f"scale must be a number of at least 0, not {scale!r}")
        self.shift = shift
        self.noise = noise
        self.scale = scale
        self.random_state = random_state

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn from pairs.

        Parameters
        ----------
        X : (n, dim) array
            Vectors of the modality that heads are trained on.
        Y : (n, dim) array, optional
            Vectors of the same things in the modality that heads are used on. Needed row by row for the linear shift
            and for noise that pairs show; for the mean shift any vectors of the modality do, for neither none.

        Raises
        ------
        BadInput
            Y is missing or does not correspond where it must; too few pairs.
        SpaceMismatch
            Other dimensions.
        """
        x = check_vectors(X, name="X").astype(np.float64)
        self.dim_ = x.shape[1]
        y = None if Y is None else check_vectors(Y, name="Y", dim=self.dim_).astype(np.float64)
        self._check_pairs(x, y)
        self.offset_ = np.zeros(self.dim_, np.float32)
        if y is not None and self.shift == "mean":
            self.offset_ = (y.mean(axis=0) - x.mean(axis=0)).astype(np.float32)
        if y is not None and self.shift == "linear":
            found = Ridge().fit(x, y)
            self.weights_ = found.weights_
            self.offset_ = found.mean_y_ - found.mean_x_ @ found.weights_
        self.noise_ = self._noise(x, y)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the rows on the other side, each with noise of its own: (n, dim) float32, unit rows."""
        return self.draws(X, 1)

    def draws(self, X: np.ndarray, copies: int) -> np.ndarray:
        """Return the rows `copies` times, with other noise each time: (copies * n, dim) float32, unit rows.

        Row i of X is row i, n + i, 2 n + i ...: ``np.tile(labels, copies)`` goes with them. Without noise one copy says
        it all. Heads that learn in epochs should get a fresh draw each epoch instead: slices of this one will do.
        """
        self.check_fitted()
        check_positive("copies", copies)
        x = check_vectors(X, dim=self.dim_)
        moved = (x @ self.weights_ if self.shift == "linear" else x) + self.offset_
        moved = np.tile(moved, (copies, 1))
        if len(self.noise_):
            draw = generator(self.random_state).standard_normal((len(moved), len(self.noise_)), dtype=np.float32)
            moved = moved + draw @ self.noise_
        return unit(moved)

    def _check_pairs(self, x: np.ndarray, y: np.ndarray | None) -> None:
        named = [f"shift={self.shift!r}"] if self.shift == "linear" else []
        named += [f"noise={self.noise!r}"] if isinstance(self.noise, str) else []
        if y is None and (named or self.shift == "mean"):
            raise BadInput(
                f"{' and '.join(named) or 'a mean shift'} is learned from the other modality: fit(X, Y); without "
                'any of its vectors take shift="none" and a number for the noise'
            )
        if y is not None and named and len(x) != len(y):
            raise BadInput(
                f"{' and '.join(named)} needs pairs, but X has {len(x)} rows and Y {len(y)}: row i of both must belong "
                "together"
            )
        if y is not None and min(len(x), len(y)) < (2 if named else 1):
            raise BadInput(f"at least {2 if named else 1} pairs are needed, got {min(len(x), len(y))}")

    def _noise(self, x: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        """Return the rows that noise is made of."""
        if isinstance(self.noise, str):
            assert y is not None
            left = y - ((x @ self.weights_ if self.shift == "linear" else x) + self.offset_)
            if self.noise == "covariance":
                directions, energy = principal(left - left.mean(axis=0))
                spread = np.sqrt(energy / (len(left) - 1))
                return np.asarray(self.scale * spread[:, None] * directions.T, np.float32)
            width = self.scale * float(np.sqrt(np.mean(np.square(left))))
        else:
            width = self.noise
        return np.asarray(width * np.eye(self.dim_ if width else 0, self.dim_), np.float32)


BRIDGES: dict[str, GapBridge] = {
    "none": GapBridge(shift="none", noise=0.0),
    "mean": GapBridge(shift="mean", noise=0.0),
    "noise": GapBridge(shift="none", noise="isotropic"),
    "mean + noise": GapBridge(shift="mean", noise="isotropic"),
    "covariance": GapBridge(shift="mean", noise="covariance"),
    "linear": GapBridge(shift="linear", noise=0.0),
    "linear + covariance": GapBridge(shift="linear", noise="covariance"),
}


@dataclass(frozen=True)
class BridgeChoice:
    """The bridge that served a head best on the pairs held out.

    Parameters
    ----------
    name : str
        Its name among those tried.
    bridge : GapBridge
        It, fitted on all pairs.
    scores : dict of str to float
        Name -> the head's score on held-out vectors of the other modality, the mean over folds.
    """

    name: str
    bridge: GapBridge
    scores: dict[str, float]


def choose_bridge(
    estimator: Any,
    X: np.ndarray,
    y: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    labels: np.ndarray,
    *,
    bridges: Mapping[str, GapBridge] = BRIDGES,
    folds: int = 3,
    copies: int = 8,
    random_state: RandomState = 0,
) -> BridgeChoice:
    """Return the bridge with which a head trained on one modality does best on a few labelled pairs of both.

    Parameters
    ----------
    estimator : object with fit(X, y) and score(X, y), as scikit-learn's
        The head; copies of it are trained, it stays as it is.
    X, y : (n, dim) and (n,) arrays
        What it is trained on, of the one modality.
    pairs : two (m, dim) arrays
        Both sides of the pairs.
    labels : (m,) array
        Labels of the pairs.
    bridges : mapping of str to GapBridge
        What to try; of equal scores the first wins.
    folds : int
        Parts that pairs are cut into: a bridge learns from all but one, the head it helps is scored on that one.
    copies : int
        Draws of the noise that the head is trained on.
    random_state : int, Generator or None
        Seed of the cut.

    Raises
    ------
    BadInput
        Fewer than two pairs a fold, nothing to try, or labels that do not match.
    """
    first, second = (check_vectors(p, name="pairs") for p in pairs)
    truth, y = np.asarray(labels), np.asarray(y)
    if check_positive("folds", folds) < 2 or len(first) < 2 * folds:
        raise BadInput(
            f"{len(first)} pairs cannot be cut into {folds} folds: at least 2 folds of at least 2 are needed"
        )
    if not len(first) == len(second) == len(truth) or len(X) != len(y) or not bridges:
        raise BadInput(
            f"a bridge to try, a label a row and a row on both sides of a pair are needed; got {len(bridges)} bridges, "
            f"{len(X)} rows with {len(y)} labels, pairs of {len(first)} and {len(second)} rows with {len(truth)} labels"
        )
    parts = np.array_split(generator(random_state).permutation(len(first)), folds)
    scores = {}
    for name, bridge in bridges.items():
        found = []
        for part in parts:
            learn = np.setdiff1d(np.arange(len(first)), part)
            times = copies if bridge.noise != 0 else 1
            rows = copy.deepcopy(bridge).fit(first[learn], second[learn]).draws(X, times)
            head = copy.deepcopy(estimator).fit(rows, np.tile(y, times))
            found.append(float(head.score(second[part], truth[part])))
        scores[name] = float(np.mean(found))
    best = max(scores, key=scores.__getitem__)
    return BridgeChoice(best, copy.deepcopy(bridges[best]).fit(first, second), scores)
