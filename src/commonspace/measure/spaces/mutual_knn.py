"""Mutual k-nearest neighbours: do two spaces put the same items next to each other?

    overlap_i = |N_k^X(i) and N_k^Y(i)| / k        the mean over items is the alignment
    chance    = k / m                              where i could have m neighbours
    above     = (overlap - chance) / (1 - chance)

Only the neighbourhood counts, so spaces that agree near by and differ far away are alike here and unlike by CKA. Equal
distances are put in a random order, in each space by itself: ties must not look like agreement. Figures depend on the
number of items and on k, so compare those of one set only; the interval speaks of other sets of as many items.

Items are neighbours of each other, so their overlaps move together: a bootstrap of the overlaps gives intervals that
are too short, leaving out one item at a time gives some that are too long. Two halves of the items share nothing, and
half of the squared difference of their figures is the variance of a figure of half the items, hence

    se^2 = mean over random halves of (alignment in one - alignment in the other)^2 / 4

Source: Huh, Cheung, Wang and Isola, "The Platonic Representation Hypothesis", 2024. Random ties, the chance level and
the interval are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share, check_vectors, unit
from commonspace.measure.statistics.estimates import Estimate, estimate

SPLITS = 20
_BATCH = 1024


@dataclass(frozen=True)
class MutualKNN:
    """Share of nearest neighbours that two spaces have in common.

    Parameters
    ----------
    overlap : Estimate
        The share.
    above_chance : Estimate
        0 for unrelated spaces, 1 for the same neighbours.
    chance : float
        The overlap of unrelated spaces, exactly.
    k : int
        Neighbours looked at.
    """

    overlap: Estimate
    above_chance: Estimate
    chance: float
    k: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in ("overlap", "above_chance")}
        return {**figures, "chance": self.chance, "k": self.k}

    def __str__(self) -> str:
        return f"{f'same {self.k} nearest':<25} {self.overlap}, chance {self.chance:.3f}"


def mutual_knn(
    X: Any,
    Y: Any,
    k: int = 10,
    *,
    groups: Any = None,
    most: int = 3000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> MutualKNN:
    """Return how many of its k nearest neighbours (by cosine) an item has in both spaces.

    Parameters
    ----------
    X : (n, d_x) array
    Y : (n, d_y) array
        Row i of both belongs to the same item.
    k : int
        Neighbours looked at.
    groups : (n,) array, optional
        Rows of one label show the same thing: they are not neighbours of each other, and stay in one half.
    most : int
        Items used, drawn at random; time grows with the square.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the items used, the order of ties and the halves.

    Raises
    ------
    BadInput
        Different items, rows of length zero, or no more than k possible neighbours of some item.
    """
    check_share("confidence", confidence)
    x, y = (check_vectors(v, name=name, allow_zero=False) for v, name in ((X, "X"), (Y, "Y")))
    labels = np.arange(len(x)) if groups is None else np.asarray(groups)
    if len(x) != len(y) or labels.shape != (len(x),):
        raise BadInput(
            f"mutual neighbours need the same items in both, and one label for each; got {len(x)} and {len(y)} rows, "
            f"labels of shape {labels.shape}"
        )
    rng = generator(random_state)
    kept = np.sort(rng.permutation(len(x))[: check_positive("most", most)])
    member = np.unique(labels[kept], return_inverse=True)[1]
    possible = len(kept) - np.bincount(member)[member] if len(kept) else np.zeros(1)
    if possible.min() <= check_positive("k", k):
        raise BadInput(f"k={k} neighbours need more than {k} items of other labels; one has {int(possible.min())}")
    depth = min(4 * k + 10, int(possible.min()))  # in half of the items the neighbours are about half as many
    near_x, near_y = (_neighbours(unit(v[kept]), depth, member, rng) for v in (x, y))
    shared = _shared(near_x[:, :k], near_y[:, :k])
    error, units = _spread_of_halves(near_x, near_y, k, member, rng), int(member.max()) + 1
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    value, chance = float(shared.mean() / k), float((k / possible).mean())
    low, high = _interval(shared / k, error, units, confidence)
    name = f"mutual_knn@{k}"
    overlap = Estimate(name, value, low, high, len(kept), confidence, seed=seed, per_query=shared / k)
    a, b, c = (float((v - chance) / (1 - chance)) for v in (value, low, high))
    return MutualKNN(overlap, Estimate(f"{name} above chance", a, b, c, len(kept), confidence, seed=seed), chance, k)


def _neighbours(z: np.ndarray, k: int, member: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the k nearest rows of other labels to each row, nearest first, ties in random order: (n, k) int64."""
    found = np.empty((len(z), k), dtype=np.int64)
    for start in range(0, len(z), _BATCH):
        at = slice(start, start + _BATCH)
        near = np.round((z[at] @ z.T).astype(np.float64), 6)  # cosines that differ by rounding are equal
        near += 4e-7 * rng.random(near.shape)
        near[member[at, None] == member] = -np.inf
        first = np.argpartition(-near, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(near, first, axis=1), axis=1)
        found[at] = np.take_along_axis(first, order, axis=1)
    return found


def _shared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how many entries of each row of x the row of y has too; -1 is no entry: (n,) int64."""
    held: np.ndarray = ((x[:, :, None] == y[:, None, :]).any(axis=2) & (x >= 0)).sum(axis=1)
    return held


def _spread_of_halves(
    near_x: np.ndarray, near_y: np.ndarray, k: int, member: np.ndarray, rng: np.random.Generator
) -> float:
    """Return the standard error of the mean overlap, from the differences of random halves of the things."""

    def first(near: np.ndarray, half: np.ndarray) -> np.ndarray:
        inside = half[near]
        return np.where(inside & (np.cumsum(inside, axis=1) <= k), near, -1)

    squares = []
    things = int(member.max()) + 1
    for _ in range(SPLITS):
        one = np.isin(member, rng.permutation(things)[: things // 2])
        means = [_shared(first(near_x[h], h), first(near_y[h], h)).mean() / k for h in (one, ~one)]
        squares.append((means[0] - means[1]) ** 2 / 4)
    return float(np.sqrt(np.mean(squares)))


def _interval(overlap: np.ndarray, error: float, units: int, confidence: float) -> tuple[float, float]:
    from scipy import stats

    if overlap.min() == overlap.max() and overlap[0] in (0, 1):  # nothing to spread: that of a proportion
        e = estimate(overlap[:units], bounds=(0.0, 1.0), resamples=1, confidence=confidence)
        return e.low, e.high
    reach = float(stats.t.ppf((1 + confidence) / 2, max(units - 1, 1))) * error
    return max(float(overlap.mean()) - reach, 0.0), min(float(overlap.mean()) + reach, 1.0)
