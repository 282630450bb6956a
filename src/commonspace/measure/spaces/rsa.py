"""Representational similarity: do two sources find the same items alike?

Each source gives a number for every pair of n items: the cosine of its vectors, or what people rated. The two lists of
n (n - 1) / 2 numbers are correlated:

    rho = Spearman(s_A, s_B)                    (or Pearson's r, or Kendall's tau-a)

so that spaces of any dimension, and people, can be compared; axes, lengths and scale do not matter. Pairs of the same
item are not independent, so nothing is drawn pair by pair:

    p           items of one source change names (Mantel's test): p = (1 + correlations as large) / (1 + orders tried)
    interval    items are drawn with replacement; a pair counts as often as both its items were drawn, and an item is
                never paired with its own copy, whose similarity of 1 nobody measured

Kendall's interval is not drawn but follows from the influence of each pair (`correlations`).

Source: "Turing Representational Similarity Analysis (RSA): A Flexible Method for Measuring Alignment Between Human and
Artificial Intelligence"; Kriegeskorte, Mur and Bandettini, "Representational similarity analysis", 2008. Leaving out
copies is ours, as are pairs that are ranked anew in each resample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share, check_vectors, unit
from commonspace.measure.statistics.corrections import CORRECTIONS, corrected
from commonspace.measure.statistics.correlations import (
    METHODS,
    correlation,
    fisher_interval,
    influence,
    midranks,
    redrawn_correlation,
    standard_error,
)
from commonspace.measure.statistics.estimates import Estimate, draw_counts

SIMILARITIES = ("cosine", "precomputed")
LEAST = 5


@dataclass(frozen=True)
class Discrepancy:
    """A pair of items that one source finds alike and the other does not.

    Parameters
    ----------
    i, j : int
        Rows of the two items.
    a, b : float
        Share of all pairs that the first and the second source find less alike than this one.
    """

    i: int
    j: int
    a: float
    b: float


@dataclass(frozen=True)
class RSA:
    """How far two sources find the same items alike.

    Parameters
    ----------
    rho : Estimate
        The correlation; its n counts items, not pairs.
    p_value : float
        Of Mantel's test, corrected where several models were compared.
    permutations : int
        Orders tried.
    p_value_raw : float
        Before correction.
    discrepant : tuple of Discrepancy
        Pairs that the sources differ on most, largest difference first.
    """

    rho: Estimate
    p_value: float
    permutations: int
    p_value_raw: float
    discrepant: tuple[Discrepancy, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self) | {"rho": self.rho.to_dict(), "discrepant": [asdict(d) for d in self.discrepant]}

    def __str__(self) -> str:
        p = "p<0.001" if self.p_value < 0.001 else f"p={self.p_value:.3f}"
        return f"{self.rho.metric + ' of similarities':<25} {self.rho} {p}"


def rsa(
    A: Any,
    B: Any,
    *,
    similarity: str | tuple[str, str] = "cosine",
    method: str = "spearman",
    alternative: str = "greater",
    permutations: int = 999,
    most: int = 300,
    top: int = 10,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> RSA:
    """Correlate the similarities that two sources give the same items.

    Parameters
    ----------
    A, B : (n, dim) arrays, or (n, n) matrices of similarities
        Row i of both belongs to the same item. A matrix is symmetric and larger where items are more alike; its
        diagonal is not looked at.
    similarity : {"cosine", "precomputed"} or a pair of them
        Whether A and B hold vectors or matrices; a pair says it of each.
    method : {"spearman", "pearson", "kendall"}
        Kendall's tau-a is slow: at most 200 items.
    alternative : {"greater", "two-sided"}
        What the test looks for.
    permutations : int
        Orders of the items that the test tries.
    most : int
        Items used, drawn at random; time and memory grow with the square.
    top : int
        Pairs listed that the sources differ on most.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the interval.
    random_state : int, Generator or None
        Seed of the items used, the test and the bootstrap.

    Raises
    ------
    BadInput
        Different items, fewer than 5, rows of length zero, a matrix that is not symmetric or not complete, or a source
        that finds all pairs equally alike.
    """
    return rsa_many(
        {"A": A}, B, similarity=similarity, method=method, alternative=alternative, permutations=permutations,
        most=most, top=top, resamples=resamples, confidence=confidence, random_state=random_state,
    )["A"]  # fmt: skip


def rsa_many(
    models: Mapping[str, Any],
    reference: Any,
    *,
    similarity: str | tuple[str, str] = "cosine",
    method: str = "spearman",
    alternative: str = "greater",
    correction: str = "bh",
    permutations: int = 999,
    most: int = 300,
    top: int = 10,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> dict[str, RSA]:
    """Correlate the similarities of every model with those of one reference, on the same items and draws.

    Parameters
    ----------
    models : mapping of str to array
        Name -> what `rsa` takes as A.
    reference : array
        What `rsa` takes as B, people for example.
    similarity : str or pair of str
        Of a pair the first is said of all models.
    correction : {"bh", "holm", "none"}
        Of the p-values: Benjamini and Hochberg bound the share of false finds, Holm the chance of any.

    Returns
    -------
    dict of str to RSA

    Notes
    -----
    The remaining parameters are those of `rsa`.
    """
    check_choice("method", method, METHODS)
    check_choice("alternative", alternative, ("greater", "two-sided"))
    check_choice("correction", correction, CORRECTIONS)
    check_share("confidence", confidence)
    kinds = (similarity, similarity) if isinstance(similarity, str) else similarity
    rng = generator(random_state)
    n = len(reference)
    sizes = {name: len(v) for name, v in models.items()}
    if not models or set(sizes.values()) != {n} or n < LEAST:
        raise BadInput(f"representational similarity needs the same items in all, at least {LEAST}; got {sizes}, {n}")
    kept = np.sort(rng.permutation(n)[: check_positive("most", most)])
    b = similarities(reference, kinds[1], "the reference", kept)
    i, j = np.triu_indices(len(kept), 1)
    orders = [rng.permutation(len(kept)) for _ in range(check_positive("permutations", permutations))]
    counts = draw_counts(rng, check_positive("resamples", resamples), len(kept))
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    found = {}
    for name, vectors in models.items():
        a = similarities(vectors, kinds[0], name, kept)
        x, y = a[i, j], b[i, j]
        value = correlation(x, y, method)
        low, high = _interval(a, b, method, counts, confidence)
        rho = Estimate(method, value, low, high, n=len(kept), confidence=confidence, seed=seed)
        p = _mantel(a, b, method, alternative, orders)
        found[name] = RSA(rho, p, permutations, p, _discrepancies(x, y, kept[i], kept[j], top))
    p_values = corrected([r.p_value_raw for r in found.values()], correction)
    return {name: replace(r, p_value=float(p)) for (name, r), p in zip(found.items(), p_values, strict=True)}


def similarities(values: Any, kind: str, name: str, kept: np.ndarray) -> np.ndarray:
    """Return the similarities of the items at `kept`, all against all: (kept, kept) float64."""
    check_choice("similarity", kind, SIMILARITIES)
    if kind == "cosine":
        z = unit(check_vectors(values, name=name, allow_zero=False)[kept]).astype(np.float64)
        cosines: np.ndarray = np.round(z @ z.T, 6)  # equal but for the last bits, they would be ranked by rounding
        return cosines
    s = np.asarray(values, dtype=np.float64)
    if s.ndim != 2 or s.shape[0] != s.shape[1]:
        raise BadInput(f"{name} must be a matrix of similarities, all items against all, not of shape {s.shape}")
    s = s[np.ix_(kept, kept)]
    off = ~np.eye(len(s), dtype=bool)
    if not np.isfinite(s[off]).all():
        raise BadInput(
            f"{name} lacks the similarity of some pairs: leave out their items, or give the pairs that are there to "
            "rating_agreement"
        )
    if not np.allclose(s[off], s.T[off]):
        raise BadInput(f"{name} is not symmetric: give the mean of both directions")
    chosen: np.ndarray = s
    return chosen


def _interval(a: np.ndarray, b: np.ndarray, method: str, counts: np.ndarray, confidence: float) -> tuple[float, float]:
    if method == "kendall":
        i, j = np.triu_indices(len(a), 1)
        x, y = a[i, j], b[i, j]
        error, units = standard_error(influence(x, y, method), np.stack([i, j], axis=1))
        return fisher_interval(correlation(x, y, method), error, units, confidence)
    found = redrawn_correlation(a, b, counts, method)
    found = found[np.isfinite(found)]  # of few items a draw may hold two different ones only
    if not len(found):
        return -1.0, 1.0
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _mantel(a: np.ndarray, b: np.ndarray, method: str, alternative: str, orders: list[np.ndarray]) -> float:
    """Return the share of orders of the items under which the sources agree at least as much as they do."""
    i, j = np.triu_indices(len(a), 1)
    if method == "kendall":
        x, y = a[i, j], b
        agree = np.array([correlation(x, y[o[i], o[j]], method) for o in [np.arange(len(a)), *orders]])
    else:
        s, t = (_standard(v, i, j, ranked=method == "spearman") for v in (a, b))
        agree = np.array([np.vdot(s, t[np.ix_(o, o)]) for o in [np.arange(len(a)), *orders]])
    if alternative == "two-sided":
        agree = np.abs(agree)
    slack = 1e-9 * np.abs(agree).max()  # equal sums may differ in their last bits
    return float((agree >= agree[0] - slack).mean())


def _standard(s: np.ndarray, i: np.ndarray, j: np.ndarray, ranked: bool) -> np.ndarray:
    """Return the similarities, or their ranks, with mean 0 over pairs and 0 on the diagonal."""
    v = midranks(s[i, j]) if ranked else s[i, j]
    out = np.zeros_like(s)
    out[i, j] = out[j, i] = v - v.mean()
    return out


def _discrepancies(x: np.ndarray, y: np.ndarray, i: np.ndarray, j: np.ndarray, top: int) -> tuple[Discrepancy, ...]:
    a, b = ((midranks(v) - 1) / (len(v) - 1) for v in (x, y))
    first = np.argsort(-np.abs(a - b), kind="stable")[:top]
    return tuple(Discrepancy(int(i[p]), int(j[p]), float(a[p]), float(b[p])) for p in first)
