"""Which dimensions of two encoders say the same: one to one, a few together, or only as a whole space?

A and B hold the units (columns) of two encoders on the same items. Everything is chosen on one half of the items and
judged on the other, so that what was picked for being large is not also reported as such:

    C            correlations of every unit of A with every unit of B
    one to one   pairs without repetition with the largest sum of |C| (Hungarian method)
    best         every unit of B takes the best of A; more than one to one where units were split or merged
    sparse       every unit of B from 1, 3 and 10 units of A: R^2 over units of variance 1; the units are those that
                 the LASSO takes first, their weights least squares
    whole        every unit of B from all units of A by ridge regression: R^2
    clusters     groups of units of both that hang together (`unit_clusters`)
    alone        units whose largest |C| is not above the 95 % point of the largest of all |C| with items shuffled

Two trained encoders typically share subspaces rather than axes: `whole` is high and `sparse[1]` is not.

Source: "Convergent Learning: Do different neural networks learn the same representations?". Judging on other items, the
least squares after the LASSO, |C| in place of C (an axis of a space may point either way) and the rule for units that
stand alone are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.vectors import check_positive, check_share, check_vectors
from commonspace.measure.spaces.unit_clusters import Cluster, cluster_units
from commonspace.measure.statistics.estimates import Estimate, draw_counts

LEAST = 20
ALPHAS = tuple(float(a) for a in np.logspace(-2, 5, 8))
CLOSE = 0.5


@dataclass(frozen=True)
class UnitPair:
    """Units `a` of A and `b` of B that were matched, and their correlation r on other items."""

    a: int
    b: int
    r: float


@dataclass(frozen=True)
class UnitMatches:
    """What the units of two encoders have in common.

    Parameters
    ----------
    one_to_one, best : Estimate
        Mean |r| of matched units, without and with repetition; 0 where nothing is shared.
    close : Estimate
        Share of the pairs of one_to_one with r above 0.5.
    chance, p_value : float
        Mean |r| that one_to_one reaches on the items it was chosen on if they are shuffled, and the share of shuffles
        that reach what the true order does.
    sparse : dict of int to Estimate
        Number of units of A -> R^2 of the units of B, each of variance 1.
    whole : Estimate
        The same from all units of A.
    pairs : tuple of UnitPair
        One to one, largest r first.
    clusters : tuple of Cluster
        Groups of units of both sides that hang together.
    alone_a, alone_b : tuple of int
        Units that nothing on the other side matches beyond chance.
    """

    one_to_one: Estimate
    best: Estimate
    close: Estimate
    chance: float
    p_value: float
    sparse: dict[int, Estimate]
    whole: Estimate
    pairs: tuple[UnitPair, ...]
    clusters: tuple[Cluster, ...]
    alone_a: tuple[int, ...]
    alone_b: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in ("one_to_one", "best", "close", "whole")}
        return {
            **figures,
            "chance": self.chance,
            "p_value": self.p_value,
            "sparse": {str(k): e.to_dict() for k, e in self.sparse.items()},
            "pairs": [[p.a, p.b, p.r] for p in self.pairs],
            "clusters": [c.to_dict() for c in self.clusters],
            "alone_a": list(self.alone_a),
            "alone_b": list(self.alone_b),
        }

    def __str__(self) -> str:
        rows = [
            ("units one to one, |r|", f"{self.one_to_one} (p={self.p_value:.3f})"),
            ("units, best match, |r|", self.best),
            (f"pairs with |r| > {CLOSE}", self.close),
            *((f"R2 of a unit from {k}", e) for k, e in self.sparse.items()),
            ("R2 of a unit from all", self.whole),
        ]
        alone = f"alone: {len(self.alone_a)} units of A, {len(self.alone_b)} of B"
        return "\n".join([*(f"{name:<25} {e}" for name, e in rows), f"{len(self.clusters)} clusters; {alone}"])


def match_units(
    A: Any,
    B: Any,
    *,
    inputs: tuple[int, ...] = (1, 3, 10),
    clusters: int | None = None,
    groups: Any = None,
    most: int = 4000,
    most_units: int = 64,
    permutations: int = 99,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> UnitMatches:
    """Match the units of two encoders.

    Parameters
    ----------
    A : (n, d_a) array
    B : (n, d_b) array
        Row i of both belongs to the same item. Give raw outputs; a rotation changes everything here.
    inputs : tuple of int
        Numbers of units of A that may predict a unit of B.
    clusters : int, optional
        Number of clusters; by default where the singular values of the graph drop most.
    groups : (n,) array, optional
        Rows of one label stay in one half and are drawn together.
    most : int
        Items used, drawn at random.
    most_units : int
        Units of B that are predicted, drawn at random; the LASSO of each costs a path.
    permutations : int
        Shuffles of the items for chance.
    resamples : int
        Resamples of the judging items.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of everything drawn.

    Raises
    ------
    BadInput
        Different items, fewer than 20 (or groups), or a side without a unit that varies.
    """
    check_share("confidence", confidence)
    a, b = (check_vectors(v, name=name) for v, name in ((A, "A"), (B, "B")))
    labels = np.arange(len(a)) if groups is None else np.asarray(groups)
    if len(a) != len(b) or labels.shape != (len(a),):
        raise BadInput(
            f"units are matched on the same items, with one label for each; got {len(a)} and {len(b)} rows, labels of "
            f"shape {labels.shape}"
        )
    rng = generator(random_state)
    kept = np.sort(rng.permutation(len(a))[: check_positive("most", most)])
    member = np.unique(labels[kept], return_inverse=True)[1]
    units = int(member.max()) + 1 if len(member) else 0
    if units < LEAST:
        raise BadInput(f"matching needs at least {LEAST} different things, got {units}")
    learn = np.isin(member, rng.permutation(units)[: units // 2])
    a, b = (_standardised(v[kept].astype(np.float64), learn) for v in (a, b))
    weights = _weights(member[~learn], check_positive("resamples", resamples), rng)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None

    def figure(name: str, drawn: np.ndarray) -> Estimate:
        """Return a figure from its value on all judging items, followed by those on each resample of them."""
        low, high = np.nanquantile(drawn[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
        return Estimate(name, float(drawn[0]), float(low), float(high), int((~learn).sum()), confidence, seed=seed)

    learned = _unit_columns(a[learn]), _unit_columns(b[learn])
    found = learned[0].T @ learned[1]
    one, best = _assigned(np.abs(found)), (np.abs(found).argmax(axis=0), np.arange(found.shape[1]))
    r, r_best = (
        _correlations(a[~learn][:, i], b[~learn][:, j] * np.sign(found[i, j]), weights) for i, j in (one, best)
    )
    chance, threshold, p = _shuffled(*learned, check_positive("permutations", permutations), rng)
    predicted = _predictions(a, b, learn, inputs, most_units, weights, rng)
    order = np.argsort(-r[0], kind="stable")
    strong = np.where(np.abs(found) > threshold, np.abs(found), 0)
    return UnitMatches(
        one_to_one=figure("mean |r|, one to one", r.mean(axis=1)),
        best=figure("mean |r|, best", r_best.mean(axis=1)),
        close=figure(f"share of r > {CLOSE}", (r > CLOSE).mean(axis=1)),
        chance=chance,
        p_value=p,
        sparse={k: figure(f"R2 from {k}", predicted[k]) for k in inputs},
        whole=figure("R2 from all", predicted[0]),
        pairs=tuple(UnitPair(int(one[0][k]), int(one[1][k]), float(r[0, k])) for k in order),
        clusters=cluster_units(strong, a[~learn], b[~learn], number=clusters, confidence=confidence),
        alone_a=tuple(int(i) for i in np.flatnonzero(~strong.any(axis=1))),
        alone_b=tuple(int(i) for i in np.flatnonzero(~strong.any(axis=0))),
    )


def _standardised(v: np.ndarray, learn: np.ndarray) -> np.ndarray:
    """Return columns with mean 0 over the learning rows and variance 1; those that do not vary there become 0.

    The variance is that of all rows: a unit that is nearly silent in one half would outweigh all others in the other.
    """
    varies = v[learn].std(axis=0) > 1e-6 * np.abs(v).max(axis=0, initial=0)
    if not varies.any():
        raise BadInput("no unit of one of the sides varies over the items: there is nothing to match")
    return np.where(varies, (v - v[learn].mean(axis=0)) / np.where(varies, v.std(axis=0), 1), 0)


def _unit_columns(v: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(v, axis=0)
    return v / np.where(length > 0, length, 1)


def _assigned(strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(strength, maximize=True)
    return rows, columns


def _weights(member: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each judging row counts: once in the first row, as drawn in the others; (1 + resamples, n)."""
    at = np.unique(member, return_inverse=True)[1]
    counts = draw_counts(rng, resamples, int(at.max()) + 1)[:, at]
    return np.vstack([np.ones(len(at)), counts])


def _correlations(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the correlation of column k of x and column k of y for each row of weights; 0 where one is constant."""
    total = weights.sum(axis=1, keepdims=True)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    both = weights @ (x * y) / total - mean_x * mean_y
    size = (weights @ (x * x) / total - mean_x**2) * (weights @ (y * y) / total - mean_y**2)
    return np.where(size > 1e-12, both / np.sqrt(np.maximum(size, 1e-12)), 0)


def _shuffled(a: np.ndarray, b: np.ndarray, permutations: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the matched mean |r| of shuffled items, the 95 % point of their largest |r|, and the p-value."""

    def look(order: np.ndarray) -> tuple[float, float]:
        strength = np.abs(a.T @ b[order])
        return float(strength[_assigned(strength)].mean()), float(strength.max())

    seen = look(np.arange(len(a)))[0]
    means, largest = np.array([look(rng.permutation(len(a))) for _ in range(permutations)]).T
    p = (1 + int((means >= seen).sum())) / (1 + permutations)
    return float(means.mean()), float(np.quantile(largest, 0.95)), p


def _predictions(
    a: np.ndarray,
    b: np.ndarray,
    learn: np.ndarray,
    inputs: tuple[int, ...],
    most_units: int,
    weights: np.ndarray,
    rng: np.random.Generator,
) -> Mapping[int, np.ndarray]:
    """Return number of inputs (0: all) -> R^2 over units of b for each row of weights."""
    from sklearn.linear_model import RidgeCV

    living = np.flatnonzero(b[learn].any(axis=0))
    chosen = np.sort(rng.permutation(living)[: check_positive("most_units", most_units)])
    targets = b[:, chosen]
    model = RidgeCV(alphas=ALPHAS).fit(a[learn], targets[learn])
    guesses = {0: model.predict(a[~learn]).reshape(-1, len(chosen))}
    gram, towards = a[learn].T @ a[learn], a[learn].T @ targets[learn]
    paths = [_first_units(gram, t, int(learn.sum()), max(inputs), seed_of(rng)) for t in towards.T]
    for k in inputs:
        guess = np.zeros_like(guesses[0])
        for t, path in enumerate(paths):
            used = path[min(k, len(path) - 1)]
            fit = np.linalg.lstsq(gram[np.ix_(used, used)], towards[used, t], rcond=None)[0]
            guess[:, t] = a[~learn][:, used] @ fit
        guesses[check_positive("inputs", k)] = guess
    truth, total = targets[~learn], weights.sum(axis=1, keepdims=True)
    spread = weights @ truth**2 - (weights @ truth) ** 2 / total
    whole = np.maximum(spread.sum(axis=1), 1e-12)
    return {k: 1 - (weights @ (truth - g) ** 2).sum(axis=1) / whole for k, g in guesses.items()}


def _first_units(gram: np.ndarray, towards: np.ndarray, n: int, most: int, seed: int) -> list[np.ndarray]:
    """Return, for 0, 1, ... units, the units that the LASSO uses at the lightest penalty at which it uses no more."""
    from sklearn.linear_model import lars_path_gram

    coefs = lars_path_gram(towards, gram, n_samples=n, max_iter=3 * most, method="lasso")[2]
    used = coefs != 0
    many = used.sum(axis=0)
    steps = [int(np.flatnonzero(many <= k)[-1]) for k in range(min(most, int(many.max())) + 1)]
    return [np.flatnonzero(used[:, s]) for s in steps]
