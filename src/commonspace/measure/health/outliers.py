"""Outliers: single vectors far from all others, and pairs whose two sides do not belong together.

`outliers` gives each vector the Euclidean distance of its direction to that of its k-th nearest neighbour, so that a
group of up to k outliers does not hide itself, and calls it an outlier where the log of that has a robust z (median and
MAD) above `limit`.

`pair_outliers` asks how well x_i and y_i fit, in two ways that need no labels:

    similarity   s_ij = x_i . y_j
    agreement    a_ij = mean over the k nearest x_l of x_i of  y_l . y_j,  and a' with the sides exchanged
    fit          f_ij = s_ij / sd(s) + a_ij / sd(a) + a'_ij / sd(a')        over pairs i != j, which are wrong
    place        r_ij = share of the pairs i l and l j of different items that fit better than f_ij
    rank         p_i = share of pairs i != j dealt at random with r_ij < r_ii

For a right pair p is near 0; for a wrong one it is uniform between 0 and 1. So twice the share of pairs
with p > 1/2 estimates the share of wrong pairs (`wrong`), as Storey does for p-values; it is an upper estimate, as
right pairs that the space does not understand look the same. The doubt about a pair is the share of wrong ones among
pairs of its rank, wrong / density(p), with a density that falls with p (a histogram made monotone); outliers are pairs
of a doubt above one half.

Sources: distance to the k-th neighbour Ramaswamy, Rastogi and Shim, "Efficient Algorithms for Mining Outliers from
Large Data Sets", 2000; Storey, "A Direct Approach to False Discovery Rates", 2002; the question is that of the audit in
"CleanCLIP: Mitigating Data Poisoning Attacks in Multimodal Contrastive Learning", the fit is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.health.neighbours import nearest
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.measure.statistics.jackknife import share
from commonspace.measure.statistics.robust import robust_z
from commonspace.measure.statistics.streams import Rows

_BLOCK = 512
_BINS = 20
_DEALS = 4  # times that partners are dealt out at random


@dataclass(frozen=True)
class Outliers:
    """Vectors far from all others.

    Parameters
    ----------
    share : Estimate
        Share of the rows looked at that are outliers.
    distance : Estimate
        Median distance to the k-th nearest neighbour.
    rows : tuple of int
        Outliers, farthest first.
    z : (m,) float64
        Robust z of every row looked at.
    positions : (m,) int64
        Which rows those are.
    k : int
        Neighbours.
    """

    share: Estimate
    distance: Estimate
    rows: tuple[int, ...]
    k: int
    z: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    positions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the outliers, ready for JSON."""
        figures = {"share": self.share.to_dict(), "distance": self.distance.to_dict()}
        return {**figures, "rows": list(self.rows), "k": self.k}

    def __str__(self) -> str:
        return (
            f"outliers  {self.share}\ndistance to neighbour {self.k}  {self.distance}\nfarthest rows: "
            f"{', '.join(map(str, self.rows[:10])) or 'none'}"
        )


@dataclass(frozen=True)
class PairOutliers:
    """Pairs whose sides do not belong together.

    Parameters
    ----------
    wrong : Estimate
        Share of the pairs that fit no better than pairs dealt at random.
    similarity : Estimate
        Mean cosine of the pairs.
    rows : tuple of int
        Pairs of a doubt above one half, most doubtful first.
    doubt, rank, z : (m,) float64
        How likely each pair is wrong; its rank p among other partners; the robust z of its cosine.
    positions : (m,) int64
        Which pairs those are.
    k : int
        Neighbours.
    """

    wrong: Estimate
    similarity: Estimate
    rows: tuple[int, ...]
    k: int
    doubt: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    rank: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    z: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    positions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the doubtful pairs, ready for JSON."""
        figures = {"wrong": self.wrong.to_dict(), "similarity": self.similarity.to_dict()}
        return {**figures, "rows": list(self.rows), "k": self.k}

    def __str__(self) -> str:
        return (
            f"wrong pairs  {self.wrong}\nsimilarity   {self.similarity}\nmost doubtful: "
            f"{', '.join(map(str, self.rows[:10])) or 'none'}"
        )


def outliers(
    X: Any,
    *,
    k: int = 10,
    limit: float = 5.0,
    most: int = 5000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Outliers:
    """Return the vectors that lie far from all others.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) blocks
        Vectors, compared by cosine. Rows that are zero or not finite are left out and counted as skipped.
    k : int
        Which neighbour: groups of up to k outliers are seen.
    limit : float
        Robust z beyond which a row is an outlier.
    most : int
        Rows looked at, drawn at random; their neighbours come from all rows.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the rows and of the bootstrap.

    Raises
    ------
    BadInput
        Fewer than two usable rows, or an iterator, which could be read only once.
    """
    rows, rng = Rows(X), generator(random_state)
    rows.again("it is both searched and searching")
    positions, queries = rows.sample(check_positive("most", most), rng)
    skipped = rows.skipped
    cosines, _ = nearest(queries, rows, check_positive("k", k), own=positions)
    if len(queries) < 2 or not cosines.shape[1]:
        raise BadInput(f"outliers needs at least two rows with a direction, got {len(queries)}")
    distance = np.sqrt(np.maximum(2 - 2 * cosines[:, -1].astype(np.float64), 0))
    z = robust_z(np.log(np.maximum(distance, 1e-6)), least=0.01)
    first = np.argsort(-z, kind="stable")
    draws: Any = int(random_state) if isinstance(random_state, int | np.integer) else rng
    return Outliers(
        share=share("share", int((z > limit).sum()), len(z), confidence=confidence, skipped=skipped),
        distance=estimate(distance, "distance", statistic="median", confidence=confidence, random_state=draws),
        rows=tuple(int(positions[i]) for i in first if z[i] > limit),
        k=cosines.shape[1],
        z=z,
        positions=positions,
    )


def pair_outliers(
    X: Any,
    Y: Any,
    *,
    k: int = 10,
    groups: Any = None,
    most: int = 5000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> PairOutliers:
    """Return the pairs whose two sides do not seem to belong together.

    Parameters
    ----------
    X, Y : (n, dim) arrays, memory maps, or iterables of (rows, dim) blocks
        Row i of both belongs to item i; vectors of one space. Best of items that were not trained on: a head that has
        learned a wrong pair by heart finds it right.
    k : int
        Neighbours whose partners are looked at; at most as many as there are of other labels.
    groups : (n,) array, optional
        Items of one label show the same thing: none is a better partner or a neighbour of the other, and they are drawn
        together.
    most : int
        Pairs looked at, drawn at random; time grows with the square.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the pairs and of the bootstrap.

    Raises
    ------
    BadInput
        Shapes that disagree, fewer than three usable pairs, or all of them of one label.
    """
    rows, others, rng = Rows(X), Rows(Y, "Y"), generator(random_state)
    if rows.length() != others.length() or rows.dim != others.dim:
        raise BadInput(
            "X and Y must hold the same items in one space, not shapes "
            f"{(rows.n, rows.dim)} and {(others.n, others.dim)}"
        )
    positions, x = rows.sample(check_positive("most", most), rng)
    y, good = others.take(positions)
    positions, x, y = positions[good], x[good], y[good]
    if len(x) < 3:
        raise BadInput(f"pair_outliers needs at least three pairs with a direction on both sides, got {len(x)}")
    labels = np.arange(rows.n) if groups is None else np.asarray(groups)
    if labels.shape != (rows.n,):
        raise BadInput(f"groups must hold one label for each of the {rows.n} rows, not shape {labels.shape}")
    member = np.unique(labels[positions], return_inverse=True)[1]
    others_left = len(x) - int(np.bincount(member).max())
    if not others_left:
        raise BadInput("all pairs looked at are of one label of groups: there is no other partner to compare with")
    k = min(check_positive("k", k), len(x) - 2, others_left)
    rank = _ranks(x, y, member, k, rng)
    own = (x * y).sum(axis=1, dtype=np.float64)
    draws: Any = int(random_state) if isinstance(random_state, int | np.integer) else rng
    options: dict[str, Any] = {
        "groups": member, "resamples": resamples, "confidence": confidence, "random_state": draws,
        "skipped": min(most, rows.n) - len(x),
    }  # fmt: skip
    twice = estimate(2.0 * (rank > 0.5), "wrong", bounds=(0.0, 2.0), **options)
    ends = {name: min(getattr(twice, name), 1.0) for name in ("value", "low", "high")}
    wrong = replace(twice, **ends)
    doubt = _doubt(rank, wrong.value)
    first = np.lexsort((-rank, -doubt))
    return PairOutliers(
        wrong=wrong,
        similarity=estimate(own, "similarity", **options),
        rows=tuple(int(positions[i]) for i in first if doubt[i] > 0.5),
        k=k,
        doubt=doubt,
        rank=rank,
        z=robust_z(own),
        positions=positions,
    )


def _ranks(x: np.ndarray, y: np.ndarray, member: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) the share of wrong pairs that fit better than each pair."""
    n = len(x)
    dealt = [(np.arange(n) + step) % n for step in rng.permutation(np.arange(1, n))[:_DEALS]]
    toward_y, toward_x = _gathered(x, y, member, k), _gathered(y, x, member, k)
    # All three terms of the fit are one product of long rows, each in units of its spread over dealt partners.
    s, a, b = (max(float((p * q[dealt[0]]).sum(axis=1).std()), 1e-6) for p, q in ((x, y), (toward_y, y), (x, toward_x)))
    fit = np.hstack([x / s, toward_y / a, x / b]) @ np.hstack([y, y, toward_x]).T
    met = member[:, None] != member[None, :]
    wrong = np.sort(np.concatenate([_better(fit, met, d)[met[np.arange(n), d]] for d in dealt]))
    own = _better(fit, met, np.arange(n))
    places = np.searchsorted(wrong, own, "left") + np.searchsorted(wrong, own, "right")
    ranks: np.ndarray = places / max(2 * len(wrong), 1)
    return ranks


def _gathered(x: np.ndarray, y: np.ndarray, member: np.ndarray, k: int) -> np.ndarray:
    """Return (n, dim) the mean of the partners of the k nearest neighbours of each x."""
    out = np.empty_like(y)
    for start in range(0, len(x), _BLOCK):
        s = x[start : start + _BLOCK] @ x.T
        s[member[start : start + _BLOCK, None] == member[None, :]] = -np.inf
        out[start : start + _BLOCK] = y[np.argpartition(-s, k - 1, axis=1)[:, :k]].mean(axis=1)
    return out


def _better(fit: np.ndarray, met: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Return (n,) the share of others that fit x_i or its partner better than they fit each other; ties are halves."""
    rows = np.arange(len(fit))
    value = fit[rows, partner]
    found = np.zeros(len(fit))
    for f, m, order, v in ((fit, met, rows, value), (fit.T, met.T, partner, value[np.argsort(partner)])):
        slack = 1e-5 * np.abs(v)[:, None]
        better = ((f > v[:, None] + slack) & m).sum(axis=1) + ((f > v[:, None] - slack) & m).sum(axis=1)
        found += (better / np.maximum(2 * m.sum(axis=1), 1))[order]
    return found / 2


def _doubt(rank: np.ndarray, wrong: float) -> np.ndarray:
    """Return how likely each pair is wrong: the density of wrong pairs over that of all."""
    edges = np.linspace(0, 1, _BINS + 1)
    bins = np.minimum((rank * _BINS).astype(int), _BINS - 1)
    density = np.bincount(bins, minlength=_BINS) * _BINS / len(rank)
    falling = np.maximum.accumulate(density[::-1])[::-1]
    middle = (edges[:-1] + edges[1:]) / 2
    # Beyond one half there are wrong pairs only, by the estimate itself.
    found: np.ndarray = np.where(middle > 0.5, float(wrong > 0), np.minimum(wrong / np.maximum(falling, 1e-12), 1))
    out: np.ndarray = found[bins]
    return out
