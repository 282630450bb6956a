"""Procrustes distance: how far two spaces are apart once one has been turned onto the other as well as it goes.

With columns of mean 0, and zeros that make up for missing dimensions,

    s = |X'Y|_* / (|X|_F |Y|_F)          (nuclear over Frobenius norms: the sum of the singular values of X'Y)
    d = sqrt(2 - 2 s)                    0 for equal spaces, sqrt(2) for unrelated ones; axes and scale do not matter

The best turn is found on the rows it is judged by, so that d is too small where rows are few beside dimensions: near 0
for unrelated spaces of more dimensions than rows. That is `in_sample`. `held_out` turns by some rows and judges by the
others, and is on average too large. The truth lies between the two; with rows enough they meet. `distance` is that of
the mean of both s, and its interval goes from the low end of the one to the high end of the other: cautious, and wide
where rows are too few to tell.

s is a sum over rows for a given turn, and to first order a best turn does not change with one row, so that

    psi_i = s (x_i' R y_i / sum - |x_i|^2 / (2 sum) - |y_i|^2 / (2 sum))

is what row i adds; its spread is the standard error. Ends of the interval are taken on Fisher's scale of s.

Sources: Schönemann, "A generalized solution of the orthogonal procrustes problem", 1966; as a distance of
representations Ding, Denain and Steinhardt, "Grounding Representation Similarity Through Statistical Testing", 2021
(theirs is d^2). The held-out form and the interval are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.rotation import rotation_between
from commonspace.core.vectors import check_positive, check_share, check_vectors
from commonspace.measure.statistics.correlations import fisher_interval, standard_error
from commonspace.measure.statistics.estimates import Estimate, group_numbers


@dataclass(frozen=True)
class ProcrustesDistance:
    """How far two spaces are apart, whatever their axes and scale.

    Parameters
    ----------
    distance : Estimate
        Between the two others; its interval spans theirs.
    in_sample : Estimate
        Of the best turn on the rows that it is judged by: on average too small, with an interval that does not know it.
    held_out : Estimate
        Of turns that have not seen the rows: on average too large; may exceed sqrt(2) by chance.
    """

    distance: Estimate
    in_sample: Estimate
    held_out: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {name: getattr(self, name).to_dict() for name in ("distance", "in_sample", "held_out")}

    def __str__(self) -> str:
        ends = f"{self.in_sample.value:.3f} turned by the same rows, {self.held_out.value:.3f} by others"
        return f"{'procrustes distance':<25} {self.distance} ({ends})"


def procrustes_distance(
    X: Any,
    Y: Any,
    *,
    groups: Any = None,
    folds: int = 5,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> ProcrustesDistance:
    """Return the distance of two spaces of the same items after the best rotation, reflection and scaling.

    Parameters
    ----------
    X : (n, d_x) array
    Y : (n, d_y) array
        Row i of both belongs to the same item.
    groups : (n,) array, optional
        Rows of one label depend on each other, and are never on both sides of a fold.
    folds : int
        Parts of the rows for `held_out`.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the folds.

    Raises
    ------
    BadInput
        Different items, fewer than two for each fold, or a space whose rows are all the same.
    """
    check_share("confidence", confidence)
    x, y = (check_vectors(v, name=name).astype(np.float64) for v, name in ((X, "X"), (Y, "Y")))
    member = group_numbers(groups, len(x), "rows")
    units = int(member.max()) + 1 if len(member) else 0
    if len(x) != len(y) or check_positive("folds", folds) < 2 or units < 2 * folds:
        raise BadInput(
            f"{folds} folds (at least 2) need the same items in both, two or more a fold; got {len(x)} and {len(y)} "
            f"rows of {units} things"
        )
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    if not x.any() or not y.any():
        raise BadInput("the distance is not defined for a space whose rows are all the same")
    parts = np.array_split(generator(random_state).permutation(units), folds)
    seen = _products(x, y, np.ones(len(x), bool))
    unseen = np.zeros((3, len(x)))
    for part in parts:
        test = np.isin(member, part)
        unseen[:, test] = _products(x, y, ~test)[:, test]
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    near = _distance("procrustes_distance in sample", seen, member, confidence, None)
    far = _distance("procrustes_distance held out", unseen, member, confidence, seed)
    middle = math.sqrt((near.value**2 + far.value**2) / 2)  # d^2 is linear in s
    low, high = min(near.low, far.low), max(near.high, far.high)
    whole = Estimate("procrustes_distance", middle, low, high, len(x), confidence, seed=seed)
    return ProcrustesDistance(whole, near, far)


def _products(x: np.ndarray, y: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return x_i' R y_i, |x_i|^2 and |y_i|^2 of all rows, with means and turn of the training rows: (3, n)."""
    a, b = x - x[train].mean(axis=0), y - y[train].mean(axis=0)
    cross = a[train].T @ b[train]
    turned = a @ rotation_between(cross) if cross.any() else np.zeros_like(b)
    return np.stack([(turned * b).sum(axis=1), np.square(a).sum(axis=1), np.square(b).sum(axis=1)])


def _distance(name: str, terms: np.ndarray, member: np.ndarray, confidence: float, seed: int | None) -> Estimate:
    both, x, y = terms
    size = math.sqrt(x.sum() * y.sum())
    s = float(np.clip(both.sum() / size, -1, 1))
    psi = len(x) * (both / size - s / 2 * (x / x.sum() + y / y.sum()))
    error, units = standard_error(psi, groups=member)
    low, high = fisher_interval(s, error, units, confidence) if error > 1e-12 else (s, s)
    value, near, far = (math.sqrt(max(2 - 2 * v, 0.0)) for v in (s, high, low))
    return Estimate(name, value, near, far, len(x), confidence, seed=seed)
