"""Drift: do two samples of one modality come from the same distribution?

For samples x_1..n and y_1..m of unit rows, with the Gaussian kernel k(a, b) = exp(-|a - b|^2 / (2 h^2)), h^2 half the
median squared distance of the pooled rows:

    mmd       mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)     squared, unbiased
    p_value   share of dealings of all rows to the two samples that look as different (permutation test)
    auc       of a logistic regression that tells x from y on rows it has not seen; 0.5 is chance
    shift     |mean x - mean y| over the root mean square distance of rows from their own mean, unbiased

The test looks at three mmd, each in units of its spread over the dealings, and takes the largest, of the dealings too,
so that no correction is due: of the kernel above, of one of half its width, which sees clusters that grow or shrink,
and of rows whitened by the pooled covariance (plus a twentieth of the mean variance), which sees changes in directions
of little variance. The p-value answers whether there is drift, auc and shift how much: with many rows any trifle is
significant. Where row i of both is the same item (`same_items`), dealing exchanges the two versions of an item, and x_i
never meets y_i.

Intervals: grouped jackknife over rows for mmd and shift; for auc the variance of placements (DeLong, DeLong and
Clarke-Pearson, 1988), times 1 + folds / (folds - 1), because the folds share what they learn from (Nadeau and Bengio,
"Inference for the Generalization Error", 2003): without that, intervals of no drift would miss 0.5 in a quarter of the
cases.

Sources: the maximum over kernels Schrab, Kim, Albert, Laurent, Guedj and Gretton, "MMD Aggregated Two-Sample Test",
2023, there with weights, here with equal ones; Gretton, Borgwardt, Rasch, Schoelkopf and Smola, "A Kernel Two-Sample
Test", 2012; Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.vectors import check_positive
from commonspace.measure.health.streams import Rows
from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.jackknife import PARTS, jackknifed

FOLDS = 5
_RIDGE = 0.05
LEVEL = 0.05


@dataclass(frozen=True)
class Drift:
    """The difference between two samples of one modality.

    Parameters
    ----------
    mmd, auc, shift : Estimate
        As defined above.
    p_value : float
        Of the hypothesis that both come from one distribution.
    n, m : int
        Rows used of each.
    same_items : bool
        Whether row i of both is the same item.
    """

    mmd: Estimate
    auc: Estimate
    shift: Estimate
    p_value: float
    n: int
    m: int
    same_items: bool

    @property
    def drifted(self) -> bool:
        """Whether the two differ beyond chance."""
        return self.p_value < LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, ready for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in ("mmd", "auc", "shift")}
        plain = {name: getattr(self, name) for name in ("p_value", "n", "m", "same_items", "drifted")}
        return {**figures, **plain}

    def __str__(self) -> str:
        p = "p<0.001" if self.p_value < 0.001 else f"p={self.p_value:.3f}"
        verdict = "drift" if self.drifted else "no drift shown"
        return f"mmd    {self.mmd} {p}: {verdict}\nauc    {self.auc}\nshift  {self.shift}"


def drift(
    X: Any,
    Y: Any,
    *,
    same_items: bool = False,
    most: int = 1000,
    permutations: int = 999,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Drift:
    """Return whether two samples of one modality differ, and by how much.

    Parameters
    ----------
    X, Y : (n, dim) and (m, dim) arrays, memory maps, or iterables of (rows, dim) blocks
        Vectors of one space; compared by direction. Rows that are zero or not finite are left out.
    same_items : bool
        Row i of both is the same item, in two versions.
    most : int
        Rows used of each; time and memory grow with the square.
    permutations : int
        Dealings of the permutation test.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of rows, dealings and folds.

    Raises
    ------
    BadInput
        Dimensions (or, with `same_items`, numbers of rows) that disagree, or fewer than 10 usable rows in one.
    """
    check_positive("most", most)
    check_positive("permutations", permutations)
    rng = generator(random_state)
    x, y = _pair(Rows(X), Rows(Y, "Y"), same_items, most, rng)
    if min(len(x), len(y)) < 2 * FOLDS:
        raise BadInput(f"drift needs at least {2 * FOLDS} rows with a direction in each, got {len(x)} and {len(y)}")
    n, m = len(x), len(y)
    z = np.concatenate([x, y]).astype(np.float64)
    products = z @ z.T
    squared = np.maximum(2 - 2 * products, 0)
    scale = float(np.median(squared[np.triu_indices(n + m, 1)]))
    kernel = np.exp(-squared / max(scale, 1e-12))
    side = np.repeat([0, 1], [n, m])
    item = np.tile(np.arange(n), 2) if same_items else np.arange(n + m)
    part = (rng.permutation(item.max() + 1) % PARTS)[item]
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    options: dict[str, Any] = {"confidence": confidence, "seed": seed, "corrected": False}
    whole, without = _jackknife(kernel, side, item, part)
    spread, less_spread = (np.maximum(1 - v, 1e-12) for v in _jackknife(products, side, item, part, within=True))
    apart, less_apart = (np.maximum(v, 0) for v in _jackknife(products, side, item, part))
    return Drift(
        mmd=jackknifed("mmd", float(whole), without, n + m, **options),
        auc=_told_apart(z, side, item, confidence, seed, rng),
        shift=jackknifed(
            "shift", float(np.sqrt(apart / spread)), np.sqrt(less_apart / less_spread), n + m,
            bounds=(0.0, np.inf), **options,
        ),
        p_value=_p_value(_kernels(z, kernel), side, item, same_items, permutations, rng),
        n=n, m=m, same_items=same_items,
    )  # fmt: skip


def _pair(
    rows: Rows, others: Rows, same_items: bool, most: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit rows to compare."""
    if same_items and rows.length() != others.length():
        raise BadInput(f"X and Y must hold the same items, not {rows.n} and {others.n} rows")
    positions, x = rows.sample(most, rng)
    if same_items:
        y, good = others.take(positions)
        x, y = x[good], y[good]
    else:
        _, y = others.sample(most, rng)
    if x.shape[1] != y.shape[1]:
        raise BadInput(
            f"X has dimension {x.shape[1]} and Y has {y.shape[1]}: drift needs one space; `moved` compares the "
            "neighbours of the same items in two"
        )
    return x, y


def _jackknife(
    kernel: np.ndarray, side: np.ndarray, item: np.ndarray, part: np.ndarray, *, within: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over different items, of all rows and without each part.

    `within` asks for the mean of the first two instead.
    """
    cell = part * 2 + side
    cells = PARTS * 2
    member = np.zeros((len(cell), cells))
    member[np.arange(len(cell)), cell] = 1
    sums, pairs = member.T @ kernel @ member, np.outer(member.sum(0), member.sum(0))
    # The same item never meets itself: neither row with itself, nor the two versions of an item.
    for a, b in _meetings(item):
        np.subtract.at(sums, (cell[a], cell[b]), kernel[a, b])
        np.subtract.at(pairs, (cell[a], cell[b]), 1)
    of = np.arange(cells)

    def figure(left: np.ndarray) -> float:
        inside = np.ix_(left & (of % 2 == 0), left & (of % 2 == 0))
        other = np.ix_(left & (of % 2 == 1), left & (of % 2 == 1))
        across = np.ix_(left & (of % 2 == 0), left & (of % 2 == 1))
        x, y, xy = (sums[i].sum() / max(pairs[i].sum(), 1) for i in (inside, other, across))
        return float((x + y) / 2 if within else x + y - 2 * xy)

    every = np.ones(cells, bool)
    return np.asarray(figure(every)), np.array([figure(of // 2 != b) for b in np.unique(part)])


def _meetings(item: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of row numbers that are the same item: each with itself, and two versions both ways."""
    rows = np.arange(len(item))
    if item[-1] == len(item) - 1:
        return [(rows, rows)]
    half = len(item) // 2
    return [(rows, rows), (rows, np.roll(rows, half))]


def _kernels(z: np.ndarray, kernel: np.ndarray) -> list[np.ndarray]:
    """Return the kernels of the test: the one of the figure, a narrower one, and one of whitened rows."""
    centred = z - z.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(z))
    white = centred @ vectors / np.sqrt(np.maximum(values, 0) + _RIDGE * max(float(values.mean()), 1e-12))
    lengths = np.square(white).sum(axis=1)
    squared = np.maximum(lengths[:, None] + lengths[None, :] - 2 * white @ white.T, 0)
    scale = max(float(np.median(squared[np.triu_indices(len(z), 1)])), 1e-12)
    return [kernel, kernel**4, np.exp(-squared / scale)]


def _p_value(
    kernels: list[np.ndarray], side: np.ndarray, item: np.ndarray, same_items: bool, permutations: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """Return the share of dealings, the one seen among them, whose largest standardised mmd is as large."""
    n, total = int((side == 0).sum()), len(side)
    m = total - n
    sides = np.empty((permutations + 1, total))
    sides[0] = side
    if same_items:
        flips = rng.integers(0, 2, (permutations, n))
        sides[1:] = np.hstack([flips, 1 - flips])
    else:
        sides[1:] = rng.permuted(np.tile(side, (permutations, 1)), axis=1)
    largest = np.full(len(sides), -np.inf)
    for kernel in kernels:
        clean = kernel.copy()
        for a, b in _meetings(item):
            clean[a, b] = 0
        ky = sides @ clean
        kx = clean.sum(axis=0) - ky
        yy, xy, xx = (sides * ky).sum(axis=1), (sides * kx).sum(axis=1), ((1 - sides) * kx).sum(axis=1)
        found = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m - (n if same_items else 0))
        largest = np.maximum(largest, (found - found.mean()) / max(float(found.std()), 1e-300))
    return float((largest >= largest[0] - 1e-9).mean())


def _told_apart(
    z: np.ndarray, side: np.ndarray, item: np.ndarray, confidence: float, seed: int | None, rng: np.random.Generator
) -> Estimate:
    """Return the AUC of telling the samples apart on folds that were not learned from."""
    from scipy import stats
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, StratifiedKFold

    same = item[-1] != len(item) - 1
    kind: Any = GroupKFold if same else StratifiedKFold
    folds = kind(FOLDS, shuffle=True, random_state=seed_of(rng))
    # Unit rows have entries of 1 / sqrt(dim), which the penalty of a regression would take for no signal.
    rows = z * np.sqrt(z.shape[1])
    placed = np.empty(len(z))
    for train, test in folds.split(rows, side, item if same else None):
        scores = LogisticRegression(max_iter=1000).fit(rows[train], side[train]).decision_function(rows[test])
        x, y = scores[side[test] == 0], scores[side[test] == 1]
        above = (y[:, None] > x[None, :]) + 0.5 * (y[:, None] == x[None, :])
        placed[test[side[test] == 0]], placed[test[side[test] == 1]] = above.mean(axis=0), above.mean(axis=1)
    x, y = placed[side == 0], placed[side == 1]
    auc = float(y.mean())
    # The two versions of an item are placed by one deal of the dice, so that their placements are added up first.
    variance = (x + y).var(ddof=1) / len(x) if same else x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y)
    variance *= 1 + FOLDS / (FOLDS - 1)  # folds are not independent: see above
    half = float(stats.norm.ppf((1 + confidence) / 2)) * float(np.sqrt(variance))
    # No number of rows told right proves that all would be.
    sure = math.pow((1 - confidence) / 2, 1 / min(len(x), len(y)))
    low, high = max(auc - half, 0.0), min(auc + half, 1.0)
    return Estimate("auc", auc, min(low, sure), high, n=len(z), confidence=confidence, seed=seed)
