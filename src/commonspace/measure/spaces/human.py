"""Agreement with people: ratings of pairs, choices between two, odd ones out.

    ratings          correlation of a model's scores with the mean ratings of the same pairs
    two of three     is a or b more like the reference? The model says the one of larger similarity; it earns the share
                     of people who chose that one, half of all in a tie
    odd one out      the item that is not in the most similar pair of three; the model earns the share of people who
                     chose it, ties share

Where pairs share items (words, pictures), what one item does to its pairs is not chance from pair to pair, and an
interval over pairs is too short. Give `items`: the standard error is then that of the jackknife over items, less what
it counts twice (`correlations`).

Choices have a ceiling: `best` is the share that somebody would earn who always went with the majority, `person` what a
person earns on average who is judged by the others. With few votes a majority is partly luck, so that `best` is too
high; `person` is unbiased where the number of votes is known.

Sources: "Towards Unified Benchmark and Models for Multi-Modal Perceptual Metrics" (the tasks); Zhang, Isola, Efros,
Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018 (the score of two of
three). Standard errors of pairs that share items are our addition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_share
from commonspace.measure.statistics.comparison import Comparison, holm
from commonspace.measure.statistics.correlations import (
    METHODS,
    correlation,
    fisher_interval,
    influence,
    jackknife_error,
    standard_error,
    without_items,
)
from commonspace.measure.statistics.estimates import Estimate, estimate

LEAST = 5


@dataclass(frozen=True)
class Choices:
    """How often a model chooses as people do.

    Parameters
    ----------
    accuracy : Estimate
        Mean share of people who chose what the model says.
    best : Estimate
        What going with the majority would earn.
    person : Estimate or None
        What a person earns who is judged by the others; None if the number of votes is not known.
    chance : float
        What guessing earns.
    """

    accuracy: Estimate
    best: Estimate
    person: Estimate | None
    chance: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        person = None if self.person is None else self.person.to_dict()
        return {
            "accuracy": self.accuracy.to_dict(),
            "best": self.best.to_dict(),
            "person": person,
            "chance": self.chance,
        }

    def __str__(self) -> str:
        person = "" if self.person is None else f", a person {self.person.value:.3f}"
        return f"{self.accuracy}; chance {self.chance:.3f}{person}, best {self.best.value:.3f}"


@dataclass(frozen=True)
class _Agreement:
    """A correlation, what each pair adds to it, and its values without each item (none if items are not given)."""

    figure: Estimate
    psi: np.ndarray
    without: np.ndarray


def rating_agreement(
    scores: Any,
    ratings: Any,
    *,
    method: str = "spearman",
    items: Any = None,
    groups: Any = None,
    confidence: float = 0.95,
) -> Estimate:
    """Return the correlation of a model's scores with people's ratings of the same pairs.

    Parameters
    ----------
    scores : (pairs,) array
        Larger = more alike, a cosine for example.
    ratings : (pairs,) array
        Mean rating of each pair.
    method : {"spearman", "pearson", "kendall"}
    items : (pairs, 2) array, optional
        The two items of each pair, labels of any kind; pairs that share one depend on each other.
    groups : (pairs,) array, optional
        In place of `items`: pairs of one label depend on each other.
    confidence : float
        Nominal coverage of the interval.

    Raises
    ------
    BadInput
        Arrays of different lengths, fewer than 5 pairs, NaN, or values that are all the same.
    """
    return _agreements({"scores": scores}, ratings, method, items, groups, confidence)["scores"].figure


def compare_agreement(
    models: Mapping[str, Any],
    ratings: Any,
    *,
    method: str = "spearman",
    items: Any = None,
    groups: Any = None,
    correction: str = "holm",
    confidence: float = 0.95,
) -> list[Comparison]:
    """Compare every pair of models by their agreement with the same ratings.

    Parameters
    ----------
    models : mapping of str to (pairs,) array
        Name -> scores.
    correction : {"holm", "none"}
        Of the p-values.
    confidence : float
        Nominal coverage of the intervals.

    Returns
    -------
    list of Comparison
        Differences of correlations with t intervals and t tests; models that err on the same pairs can be told apart
        where their own intervals overlap.

    Notes
    -----
    The remaining parameters are those of `rating_agreement`.
    """
    from scipy import stats

    check_choice("correction", correction, ("holm", "none"))
    if len(models) < 2:
        raise BadInput(f"a comparison needs at least two models, got {list(models)}")
    one = _agreements(models, ratings, method, items, groups, confidence)
    found = []
    for a, b in combinations(models, 2):
        difference = one[a].figure.value - one[b].figure.value
        error, units = _error(one[a].psi - one[b].psi, one[a].without - one[b].without, groups)
        law = stats.t(max(units - 1, 1))
        reach = float(law.ppf((1 + confidence) / 2)) * error
        p = float(2 * law.sf(abs(difference) / error)) if error > 1e-12 else 1.0
        n = one[a].figure.n
        found.append(Comparison(
            difference, difference - reach, difference + reach, p, n, a, b, p_value_raw=p, groups=units, test="t",
            confidence=confidence,
        ))  # fmt: skip
    if correction == "none":
        return found
    return [replace(c, p_value=float(p)) for c, p in zip(found, holm([c.p_value for c in found]), strict=True)]


def two_of_three(
    to_a: Any,
    to_b: Any,
    votes: Any,
    *,
    voters: Any = None,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Choices:
    """Return how often a model finds the same of two items nearer to a reference as people do.

    Parameters
    ----------
    to_a, to_b : (n,) arrays
        Similarity of the reference to a and to b.
    votes : (n,) array
        Share of people who chose a, from 0 to 1.
    voters : int or (n,) array, optional
        Number of people asked.
    groups : (n,) array, optional
        Questions drawn together, those of one reference for example.

    Notes
    -----
    The remaining parameters are those of `measure.bootstrap`.
    """
    a, b, chosen = (_values(v, name) for v, name in ((to_a, "to_a"), (to_b, "to_b"), (votes, "votes")))
    if len(a) != len(b):
        raise BadInput(f"to_a and to_b must be of the same questions, got {len(a)} and {len(b)}")
    return _choices(
        np.stack([a, b], axis=1), np.stack([chosen, 1 - chosen], axis=1), voters, groups=groups, resamples=resamples,
        confidence=confidence, random_state=random_state,
    )  # fmt: skip


def odd_one_out(
    similarities: Any,
    votes: Any,
    *,
    voters: Any = None,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Choices:
    """Return how often a model leaves out the same of three items as people do.

    Parameters
    ----------
    similarities : (n, 3) array
        Of the pairs (second, third), (first, third), (first, second): column k is the pair that leaves out item k.
    votes : (n, 3) array
        Share of people who left out each item; rows add up to 1. One person's choice is a row like [0, 1, 0].
    voters : int or (n,) array, optional
        Number of people asked.

    Notes
    -----
    The remaining parameters are those of `two_of_three`.
    """
    similar, shares = np.asarray(similarities, dtype=np.float64), np.asarray(votes, dtype=np.float64)
    if similar.ndim != 2 or similar.shape[1:] != (3,) or shares.shape != similar.shape:
        raise BadInput(f"similarities and votes must have shape (n, 3), not {similar.shape} and {shares.shape}")
    return _choices(
        similar, shares, voters, groups=groups, resamples=resamples, confidence=confidence, random_state=random_state
    )


def _choices(similar: np.ndarray, shares: np.ndarray, voters: Any, **options: Any) -> Choices:
    if similar.shape != shares.shape or not len(similar):
        raise BadInput(f"similarities and votes must be of the same questions, got {similar.shape} and {shares.shape}")
    if not np.isfinite(similar).all() or not np.isfinite(shares).all():
        raise BadInput("similarities or votes hold NaN or Inf: leave these questions out")
    if (shares < 0).any() or not np.allclose(shares.sum(axis=1), 1, atol=1e-6):
        raise BadInput("votes must be shares between 0 and 1 that add up to 1 for each question")
    says = similar == similar.max(axis=1, keepdims=True)
    earned = (says * shares).sum(axis=1) / says.sum(axis=1)
    bounds = (0.0, 1.0)
    person = None
    if voters is not None:
        many = np.broadcast_to(np.asarray(voters, dtype=np.float64), len(shares))
        if not (many >= 2).all():
            raise BadInput("voters must be at least 2 for each question: a single vote has no others to be judged by")
        agree = (shares * (shares * many[:, None] - 1)).sum(axis=1) / (many - 1)
        person = estimate(np.clip(agree, 0, 1), "person", bounds=bounds, **options)
    return Choices(
        accuracy=estimate(earned, "accuracy", bounds=bounds, **options),
        best=estimate(shares.max(axis=1), "best", bounds=bounds, **options),
        person=person,
        chance=1 / shares.shape[1],
    )


def _agreements(
    models: Mapping[str, Any], ratings: Any, method: str, items: Any, groups: Any, confidence: float
) -> dict[str, _Agreement]:
    """Return the correlation of each model with what its error is made of."""
    check_choice("method", method, METHODS)
    check_share("confidence", confidence)
    r = _values(ratings, "ratings")
    if items is not None and groups is not None:
        raise BadInput("give items or groups, not both")
    pairs = None if items is None else np.asarray(items)
    for name, given, shape in (("items", pairs, (len(r), 2)), ("groups", groups, (len(r),))):
        if given is not None and np.shape(given) != shape:
            raise BadInput(f"{name} must have shape {shape}, not {np.shape(given)}")
    found = {}
    for name, values in models.items():
        s = _values(values, name)
        if len(s) != len(r) or len(r) < LEAST:
            raise BadInput(f"{name} has {len(s)} scores and there are {len(r)} ratings: at least {LEAST} pairs in both")
        value, psi = correlation(s, r, method), influence(s, r, method)
        without = np.zeros(0) if pairs is None else without_items(s, r, pairs, method)
        low, high = fisher_interval(value, *_error(psi, without, groups), confidence)
        found[name] = _Agreement(Estimate(method, value, low, high, len(r), confidence), psi, without)
    return found


def _error(psi: np.ndarray, without: np.ndarray, groups: Any) -> tuple[float, int]:
    """Return the standard error and the units behind it: items where they were left out, groups or pairs otherwise."""
    return (jackknife_error(without, psi), len(without)) if len(without) else standard_error(psi, groups=groups)


def _values(values: Any, name: str) -> np.ndarray:
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1:
        raise BadInput(f"{name} must hold one number each, shape (n,), not {v.shape}")
    if not np.isfinite(v).all():
        raise BadInput(f"{name} holds NaN or Inf, first at {int((~np.isfinite(v)).argmax())}: leave these out")
    return v
