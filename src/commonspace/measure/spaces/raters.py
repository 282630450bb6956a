"""Models beside raters: group, individuals, and the noise ceiling.

R raters say how alike the items of each pair are. People differ, so no model can agree with all of them:

    group        the model against the mean of the raters (`rsa`)
    individual   the model against each rater; raters against each other; repeats of a model against each other
    ceiling      upper = mean over raters of r(rater, mean of all raters)
                 lower = mean over raters of r(rater, mean of the other raters)

r is Pearson's, of what the raters said brought to mean 0 and variance 1, or (spearman) of its ranks. The upper end is
then the most that any similarities can reach on average over these raters, for it is reached by their mean, which has
seen the rater itself. The lower end has not. The true similarities lie in between.

A model that is asked several times (seeds, temperatures) varies like people if its repeats are as unlike each other as
raters are: the difference of the two mean correlations is tested by giving raters and repeats each other's places.

Source: "Turing Representational Similarity Analysis (RSA): A Flexible Method for Measuring Alignment Between Human and
Artificial Intelligence"; the ceiling as Nili et al., "A Toolbox for Representational Similarity Analysis", 2014. The
test of variability is ours; the source compares the distributions by eye.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.spaces.rsa import RSA, rsa_many, similarities
from commonspace.measure.statistics.comparison import Comparison, compare_many
from commonspace.measure.statistics.correlations import midranks
from commonspace.measure.statistics.estimates import Estimate, draw_counts, estimate

LEAST_RATERS = 3
LEAST_COMMON = 3  # pairs that two raters must share for their correlation to count


@dataclass(frozen=True)
class Ceiling:
    """How well anything can agree with single raters.

    Parameters
    ----------
    lower, upper : Estimate
        Mean over raters of the correlation with the mean of the others, and of all; intervals over raters.
    """

    lower: Estimate
    upper: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {"lower": self.lower.to_dict(), "upper": self.upper.to_dict()}

    def __str__(self) -> str:
        return f"noise ceiling from {self.lower} to {self.upper} raters"


@dataclass(frozen=True)
class RaterStudy:
    """Models beside raters.

    Parameters
    ----------
    group : dict of str to RSA
        Model -> agreement with the mean of the raters; intervals over items, p-values corrected over models.
    individual : dict of str to Estimate
        Model -> mean correlation with single raters, to be read beside the ceiling; intervals over raters.
    ceiling : Ceiling
    between_raters : Estimate
        Mean correlation of two raters; interval over raters.
    between_repeats : dict of str to Estimate
        Model that was asked several times -> mean correlation of two of its answers.
    variability : dict of str to Comparison
        Model that was asked several times -> between_repeats - between_raters; positive where it varies less than
        people do.
    differences : tuple of Comparison
        Every pair of models on the same raters, p-values corrected by Holm's procedure.
    """

    group: dict[str, RSA]
    individual: dict[str, Estimate]
    ceiling: Ceiling
    between_raters: Estimate
    between_repeats: dict[str, Estimate]
    variability: dict[str, Comparison]
    differences: tuple[Comparison, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        by_model = ("group", "individual", "between_repeats", "variability")
        named = {f: {name: v.to_dict() for name, v in getattr(self, f).items()} for f in by_model}
        return named | {
            "ceiling": self.ceiling.to_dict(),
            "between_raters": self.between_raters.to_dict(),
            "differences": [d.to_dict() for d in self.differences],
        }

    def __str__(self) -> str:
        lines = [str(self.ceiling), f"rater with rater      {self.between_raters}"]
        for name, one in self.individual.items():
            lines.append(f"{name}: with single raters {one}; with their mean: {self.group[name]}")
            if name in self.variability:
                lines.append(f"    {self.variability[name]}")
        return "\n".join([*lines, *(str(d) for d in self.differences)])


def noise_ceiling(
    ratings: Any,
    *,
    method: str = "spearman",
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Ceiling:
    """Return how well anything can agree with single raters.

    Parameters
    ----------
    ratings : (raters, pairs) array
        NaN where a rater was not asked.
    method : {"spearman", "pearson"}

    Notes
    -----
    The remaining parameters are those of `measure.bootstrap`.
    """
    z = _standardised(_check_ratings(ratings), method)
    asked, total = np.isfinite(z), np.nansum(z, axis=0)
    many = asked.sum(axis=0)
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "random_state": random_state}
    with np.errstate(invalid="ignore", divide="ignore"):
        upper = _rowwise(z, np.broadcast_to(total / many, z.shape))
        lower = _rowwise(z, (total - np.where(asked, z, 0)) / (many - asked))
    if not (np.isfinite(lower) & np.isfinite(upper)).all():
        short = int((~np.isfinite(lower) | ~np.isfinite(upper)).argmax())
        raise BadInput(f"rater {short} shares fewer than {LEAST_COMMON} different pairs with the others: leave it out")
    return Ceiling(estimate(lower, "lower", **options), estimate(upper, "upper", **options))


def rater_study(
    models: Mapping[str, Any],
    ratings: Any,
    *,
    method: str = "spearman",
    correction: str = "bh",
    permutations: int = 999,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> RaterStudy:
    """Compare models with the ratings of several people, as a group and one by one.

    Parameters
    ----------
    models : mapping of str to array
        Name -> vectors (n, dim), compared by cosine, or what a model said when it was asked m times, (m, n, n).
    ratings : (raters, n, n) array
        How alike each rater finds two items, symmetric; NaN where a rater was not asked. Diagonals are not looked at.
    method : {"spearman", "pearson"}
    correction : {"bh", "holm", "none"}
        Of the p-values of the group level over models.
    permutations : int
        Orders tried by each test.

    Raises
    ------
    BadInput
        Fewer than three raters, a pair that nobody rated, raters with hardly a pair in common.

    Notes
    -----
    The remaining parameters are those of `rsa`. Ask no more than a few hundred items.
    """
    cube = np.asarray(ratings, dtype=np.float64)
    if cube.ndim != 3 or cube.shape[1] != cube.shape[2]:
        raise BadInput(f"ratings must have shape (raters, items, items), not {cube.shape}")
    n = cube.shape[1]
    i, j = np.triu_indices(n, 1)
    people = _standardised(_check_ratings(cube[:, i, j]), method)
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "random_state": random_state}
    answers = {name: _answers(name, v, n)[:, i, j] for name, v in models.items()}
    mean = _square(np.nanmean(people, axis=0), n)
    group = rsa_many(
        {name: _square(_standardised(a, method).mean(axis=0), n) for name, a in answers.items()}, mean,
        similarity="precomputed", method=method, correction=correction, permutations=permutations, most=n, **options,
    )  # fmt: skip
    individual = {}
    for name, a in answers.items():
        rows = np.stack([_rowwise(people, np.broadcast_to(z, people.shape)) for z in _standardised(a, method)])
        individual[name] = estimate(rows.mean(axis=0), f"{method} with raters", **options)
    repeated = {name: _standardised(a, method) for name, a in answers.items() if len(a) > 1}
    differences = []
    if len(individual) > 1:
        differences = compare_many(individual, confidence=confidence, random_state=random_state)
    return RaterStudy(
        group=group,
        individual=individual,
        ceiling=noise_ceiling(cube[:, i, j], method=method, **options),
        between_raters=_between(people, "between raters", **options),
        between_repeats={name: _between(a, "between repeats", **options) for name, a in repeated.items()},
        variability={name: _variability(name, people, a, permutations, **options) for name, a in repeated.items()},
        differences=tuple(differences),
    )


def _check_ratings(ratings: Any) -> np.ndarray:
    r = np.asarray(ratings, dtype=np.float64)
    if r.ndim != 2 or len(r) < LEAST_RATERS:
        raise BadInput(f"ratings must hold at least {LEAST_RATERS} raters, one row each, not shape {r.shape}")
    if np.isinf(r).any():
        raise BadInput("ratings hold Inf; NaN says that a rater was not asked")
    nobody = ~np.isfinite(r).any(axis=0)
    if nobody.any():
        first = int(nobody.argmax())
        raise BadInput(f"{int(nobody.sum())} pairs were rated by nobody, first at {first}: leave them out")
    return r


def _answers(name: str, values: Any, n: int) -> np.ndarray:
    """Return a model's similarities, one matrix for each time it was asked: (m, n, n)."""
    a = np.asarray(values)
    if len(a.shape) not in (2, 3) or a.shape[-2] != n or (a.ndim == 3 and a.shape[2] != n):
        raise BadInput(f"{name} must hold vectors of the {n} items or (m, {n}, {n}) answers, not shape {a.shape}")
    every = np.arange(n)
    if a.ndim == 2:
        return similarities(a, "cosine", name, every)[None]
    return np.stack([similarities(s, "precomputed", name, every) for s in a])


def _standardised(rows: np.ndarray, method: str) -> np.ndarray:
    """Return each row (or its ranks) with mean 0 and variance 1 over the pairs it has."""
    check_choice("method", method, ("spearman", "pearson"))
    out = np.full(rows.shape, np.nan)
    for r, row in enumerate(rows):
        here = np.isfinite(row)
        v = midranks(row[here]) if method == "spearman" else row[here]
        if len(v) < LEAST_COMMON or np.ptp(v) == 0:
            raise BadInput(f"rater {r} gave fewer than {LEAST_COMMON} ratings or always the same one: leave it out")
        out[r, here] = (v - v.mean()) / v.std()
    return out


def _rowwise(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of each row of a with that of b over the columns that both have; NaN if few."""
    both = np.isfinite(a) & np.isfinite(b)
    n = both.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (np.where(both, v, 0) for v in (a, b))
        x, y = (np.where(both, v - v.sum(axis=1, keepdims=True) / n[:, None], 0) for v in (x, y))
        r: np.ndarray = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.where(n >= LEAST_COMMON, r, np.nan)


def _table(z: np.ndarray) -> np.ndarray:
    """Return the correlation of every row with every row: (rows, rows), NaN where they share too little."""
    return np.stack([_rowwise(z, np.broadcast_to(row, z.shape)) for row in z])


def _between(z: np.ndarray, name: str, *, resamples: int, confidence: float, random_state: RandomState) -> Estimate:
    """Return the mean correlation of two different rows; rows are drawn, and none meets its copy."""
    table = _table(z)
    i, j = np.triu_indices(len(z), 1)
    r = table[i, j]
    here = np.isfinite(r)
    if not here.any():
        raise BadInput(f"no two raters share {LEAST_COMMON} pairs: their agreement cannot be measured")
    i, j, r = i[here], j[here], r[here]
    counts = draw_counts(generator(random_state), check_positive("resamples", resamples), len(z))
    weights = counts[:, i] * counts[:, j]
    weights = weights[weights.sum(axis=1) > 0]
    found = (weights @ r) / weights.sum(axis=1)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    return Estimate(name, float(r.mean()), float(low), float(high), len(z), confidence, seed=seed, per_query=r)


def _variability(
    name: str,
    people: np.ndarray,
    repeats: np.ndarray,
    permutations: int,
    *,
    resamples: int,
    confidence: float,
    random_state: RandomState,
) -> Comparison:
    """Return between_repeats - between_raters, with the p-value of raters and repeats trading places."""
    table = _table(np.vstack([repeats, people]))
    m, total = len(repeats), len(table)
    rng = generator(random_state)

    def difference(order: np.ndarray) -> float:
        ours, theirs = order[:m], order[m:]
        parts = [table[np.ix_(p, p)][np.triu_indices(len(p), 1)] for p in (ours, theirs)]
        return float(np.nanmean(parts[0]) - np.nanmean(parts[1]))

    seen = difference(np.arange(total))
    others = np.array([difference(rng.permutation(total)) for _ in range(permutations)])
    p = (1 + int((np.abs(others) >= abs(seen) - 1e-12).sum())) / (1 + permutations)
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "random_state": rng}
    ours, theirs = _between(repeats, "repeats", **options), _between(people, "raters", **options)
    # Repeats and raters are drawn apart, so the squares of their reaches add up.
    low = seen - float(np.hypot(ours.value - ours.low, theirs.high - theirs.value))
    high = seen + float(np.hypot(ours.high - ours.value, theirs.value - theirs.low))
    return Comparison(
        seen, low, high, p, total, f"repeats of {name}", "raters", p_value_raw=p, groups=total, confidence=confidence
    )


def _square(values: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros((n, n))
    out[np.triu_indices(n, 1)] = values
    return out + out.T
