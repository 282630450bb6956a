"""Relative representations: say of every row how similar it is to anchors that are known in both spaces.

    r(x)_j = cos(x - mean_x, a_j - mean_x),     a_1 .. a_k anchors, rows i of X and of Y that show the same thing
    r(y)_j = cos(y - mean_y, b_j - mean_y),     b_j the same anchor in the other space

Rotation, reflection and scale of a space leave every cosine as it is, and so they leave r as it is: two encoders that
differ in nothing else have the same relative space, and a head trained on one works on the other. Nothing is fitted
but the two means, so that few anchors cannot be overfitted: with a tenth of the dimensions they match far better than
Procrustes does by the same anchors. With more anchors than dimensions Procrustes is as good or better (see the claim).

With `top` only the largest entries of a row in size are kept, for storage: a sparse row of `top` numbers.

Sources: "Relative representations enable zero-shot latent space communication", which does not centre; centring takes
away a shift as well, and the crowding of cosines that a mean far from zero brings. `top`, the centring and the default
choice are ours.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.reshape.anchors import CHOICES, choose_anchors
from commonspace.reshape.linear import check_pairs


@register(
    "relative",
    protocol="Map",
    papers=[
        Paper(
            "Relative representations enable zero-shot latent space communication",
            2023,
            "https://arxiv.org/abs/2209.15430",
        )
    ],
)
class Relative(Map):
    """Re-express rows as similarities to anchors known in both spaces.

    Parameters
    ----------
    count : int, optional
        Most anchors to take of the rows given to `fit`; all by default. The relative space has so many dimensions; as
        many as the encoder has or more lose nothing.
    choice : {"uniform", "farthest", "medoids"}
        How they are chosen, see `choose_anchors`; by the rows of X. The paper takes them at random; far ones matched
        better on digits and on icon names, the more so the fewer.
    center : bool
        Measure each side from its mean first. Better for retrieval; the paper does not.
    top : int, optional
        Keep so many entries of each row, the largest in size, and set the others to zero.
    random_state : int

    Attributes
    ----------
    rows_ : (k,) int64
        Positions of the anchors among the rows of `fit`.
    anchors_x_, anchors_y_ : (k, d_x) and (k, d_y) float32
        Unit rows; the same where `fit` saw no Y.
    mean_x_, mean_y_ : (d_x,) and (d_y,) float32
        Zeros unless `center`.
    """

    def __init__(
        self,
        *,
        count: int | None = None,
        choice: str = "farthest",
        center: bool = True,
        top: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.count = count
        self.choice = choice
        self.center = center
        self.top = top
        self.random_state = random_state

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Take anchors from pairs: X (n, d_x), Y (n, d_y); without Y for other versions of one space, such as seeds.

        Means are those of all rows given, so give more than the anchors where there are more pairs.
        """
        check_choice("choice", self.choice, CHOICES)
        if self.top is not None:
            check_positive("top", self.top)
        x, y = check_pairs(X, X if Y is None else Y, least=2 if self.center else 1)
        mean_x = x.mean(axis=0) if self.center else np.zeros(x.shape[1])
        mean_y = y.mean(axis=0) if self.center else np.zeros(y.shape[1])
        x, y = unit(x - mean_x), unit(y - mean_y)
        usable = np.flatnonzero(x.any(axis=1) & y.any(axis=1))
        if not len(usable):
            raise BadInput("no row can be an anchor: all are zero, or the same, on one side")
        count = len(usable) if self.count is None else min(check_positive("count", self.count), len(usable))
        # All are all, however they are chosen.
        taken = np.arange(count) if count == len(usable) else self._choose(x[usable], count)
        self.rows_ = usable[taken]
        self.anchors_x_, self.anchors_y_ = (v[self.rows_].astype(np.float32) for v in (x, y))
        self.mean_x_, self.mean_y_ = mean_x.astype(np.float32), mean_y.astype(np.float32)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return rows of the X side as unit rows of similarities to the anchors: (n, k) float32."""
        self.check_fitted()
        rows = check_vectors(X, dim=len(self.mean_x_)) - self.mean_x_
        return self._relative(rows, self.anchors_x_)

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return rows of the Y side as unit rows of similarities to the same anchors: (n, k) float32."""
        self.check_fitted()
        rows = check_vectors(Y, name="Y", dim=len(self.mean_y_)) - self.mean_y_
        return self._relative(rows, self.anchors_y_)

    def _choose(self, x: np.ndarray, count: int) -> np.ndarray:
        return choose_anchors(x, count, choice=self.choice, random_state=self.random_state)

    def _relative(self, rows: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        cosines = unit(rows) @ anchors.T
        if self.top is not None and self.top < cosines.shape[1]:
            lesser = np.argpartition(-np.abs(cosines), self.top, axis=1)[:, self.top :]
            np.put_along_axis(cosines, lesser, 0, axis=1)
        return unit(cosines)
