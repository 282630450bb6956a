"""Predict human similarity from several sources at once, and say how many ratings that takes.

Each of m sources (an image encoder, a text encoder of captions, tags) gives a similarity for every pair of items. For
rated pairs, with z the similarities brought to mean 0 and variance 1 on the training pairs,

    ridge    rating ~ w . z                           weights by ridge regression
    blocks   similarity = (1 - alpha) z_1 + alpha z_2 of two sources, alpha from 0 to 1 by the training pairs; the
             cosine of the blocks [sqrt(1 - alpha) v_1 ; sqrt(alpha) v_2] of unit vectors is of this form

Predictions are for items that the weights have not seen: items fall into folds, and a pair of folds (f, g) is predicted
by pairs that have no item in f or g. What the prediction adds is tested against every single source on the same pairs.

`cost` repeats that with no more than so many training ratings, drawn at random, for n items have n (n - 1) / 2 pairs
and vectors cost nothing.

Source: "Words are all you need? Language as an approximation for human similarity judgments". Folds that separate items
on both sides and the cost in ratings are ours; the source stacks features, we stack similarities, which needs two
weights in place of one for each dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.spaces.human import compare_agreement, rating_agreement
from commonspace.measure.statistics.comparison import Comparison, holm
from commonspace.measure.statistics.correlations import midranks
from commonspace.measure.statistics.estimates import Estimate

STACKED = "stacked"
GRID = np.linspace(0, 1, 21)
LEAST_TRAIN = 10


@dataclass(frozen=True)
class Stacked:
    """Agreement with people of several sources, and of all together.

    Parameters
    ----------
    single : dict of str to Estimate
        Source -> its own agreement.
    stacked : Estimate
        Agreement of the predictions from all, for unseen items.
    gains : tuple of Comparison
        stacked against each source on the same pairs, p-values corrected by Holm's procedure.
    cost : dict of int to Estimate
        Training ratings -> agreement of the predictions.
    weights : dict of str to float
        Mean weight of each source over the folds, on standardised similarities.
    predictions : (pairs,) float64
        For every pair, from items that are not in it.
    """

    single: dict[str, Estimate]
    stacked: Estimate
    gains: tuple[Comparison, ...]
    cost: dict[int, Estimate]
    weights: dict[str, float]
    predictions: np.ndarray = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the predictions, ready for JSON."""
        return {
            "single": {name: e.to_dict() for name, e in self.single.items()},
            "stacked": self.stacked.to_dict(),
            "gains": [g.to_dict() for g in self.gains],
            "cost": {str(n): e.to_dict() for n, e in self.cost.items()},
            "weights": self.weights,
        }

    def __str__(self) -> str:
        lines = [f"{name}: {e} (weight {self.weights[name]:+.2f})" for name, e in self.single.items()]
        lines += [f"{STACKED}: {self.stacked}", *map(str, self.gains)]
        return "\n".join([*lines, *(f"from {n} ratings: {e}" for n, e in self.cost.items())])


def stack_similarities(
    sources: Mapping[str, Any],
    ratings: Any,
    items: Any,
    *,
    how: str = "ridge",
    method: str = "spearman",
    folds: int = 5,
    budgets: tuple[int, ...] = (),
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Stacked:
    """Predict ratings of pairs from several similarities, for items that are not trained on.

    Parameters
    ----------
    sources : mapping of str to (pairs,) array
        Name -> similarity of each pair.
    ratings : (pairs,) array
        Mean rating of each pair.
    items : (pairs, 2) array
        The two items of each pair, labels of any kind.
    how : {"ridge", "blocks"}
        As defined above; "blocks" takes two sources.
    method : {"spearman", "pearson", "kendall"}
        Correlation that agreement is measured by.
    folds : int
        Parts of the items; of more folds more pairs are left to train on, (1 - 2 / folds)^2 of them.
    budgets : tuple of int
        Numbers of training ratings to try.
    confidence : float
        Nominal coverage of the intervals; they say how agreement would vary with other items.
    random_state : int, Generator or None
        Seed of the folds and of the ratings drawn.

    Raises
    ------
    BadInput
        Fewer than two sources, shapes that disagree, or too few pairs to train on beside those left out.
    """
    check_choice("how", how, ("ridge", "blocks"))
    rated, pairs = np.asarray(ratings, dtype=np.float64), np.asarray(items)
    columns = [np.asarray(v, dtype=np.float64) for v in sources.values()]
    table = np.stack(columns, axis=1) if columns else np.zeros((0, 0))
    if table.shape[1:2] < (2,) or (how == "blocks" and table.shape[1] != 2):
        raise BadInput(f"stacking takes two sources or more ({how!r}: two or any number), got {list(sources)}")
    if STACKED in sources:
        raise BadInput(f"no source may be called {STACKED!r}: that is the name of the prediction")
    if rated.shape != (len(table),) or pairs.shape != (len(table), 2):
        raise BadInput(
            f"{len(table)} pairs need as many ratings, and items (pairs, 2), got {rated.shape} and {pairs.shape}"
        )
    if not np.isfinite(table).all() or not np.isfinite(rated).all():
        raise BadInput("similarities or ratings hold NaN or Inf: leave these pairs out")
    rng = generator(random_state)
    named = np.unique(pairs, return_inverse=True)[1].reshape(-1, 2)
    fold = rng.permutation(np.arange(named.max() + 1) % check_positive("folds", folds))[named]
    predictions, weights = _predicted(table, rated, fold, folds, how, None, rng)
    options: dict[str, Any] = {"method": method, "items": pairs, "confidence": confidence}
    compared = compare_agreement({STACKED: predictions, **sources}, rated, **options, correction="none")
    gains = [c for c in compared if c.a == STACKED]
    cost = {}
    for budget in budgets:
        drawn = _predicted(table, rated, fold, folds, how, check_positive("budgets", budget), rng)[0]
        cost[budget] = rating_agreement(drawn, rated, **options)
    return Stacked(
        single={name: rating_agreement(v, rated, **options) for name, v in sources.items()},
        stacked=rating_agreement(predictions, rated, **options),
        gains=_corrected(gains),
        cost=cost,
        weights={name: float(w) for name, w in zip(sources, weights, strict=True)},
        predictions=predictions,
    )


def _corrected(gains: list[Comparison]) -> tuple[Comparison, ...]:
    corrected = holm([g.p_value_raw for g in gains])
    return tuple(replace(g, p_value=float(p)) for g, p in zip(gains, corrected, strict=True))


def _predicted(
    table: np.ndarray,
    rated: np.ndarray,
    fold: np.ndarray,
    folds: int,
    how: str,
    budget: int | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the prediction for every pair, and the mean weights."""
    out, weights = np.empty(len(table)), []
    low, high = fold.min(axis=1), fold.max(axis=1)
    for f, g in combinations_with_replacement(range(folds), 2):
        test = (low == f) & (high == g)
        if not test.any():
            continue
        train = np.flatnonzero(~np.isin(fold, (f, g)).any(axis=1))
        if budget is not None:
            train = rng.permutation(train)[:budget]
        if len(train) < LEAST_TRAIN:
            raise BadInput(
                f"{len(train)} ratings are left to train on beside folds {f} and {g}, at least {LEAST_TRAIN} are "
                "needed: more pairs, more folds or a larger budget"
            )
        mean, spread = table[train].mean(axis=0), table[train].std(axis=0)
        z = (table - mean) / np.where(spread > 0, spread, 1)
        w = _ridge(z[train], rated[train]) if how == "ridge" else _blend(z[train], rated[train])
        # No constant: the levels of folds differ by chance, which would be ranked as a difference between pairs.
        out[test] = table[test] @ np.where(spread > 0, w / np.where(spread > 0, spread, 1), 0)
        weights.append(w)
    return out, np.mean(weights, axis=0)


def _ridge(z: np.ndarray, rated: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import RidgeCV

    w: np.ndarray = RidgeCV(alphas=np.logspace(-1, 4, 6)).fit(z, rated).coef_
    return w


def _blend(z: np.ndarray, rated: np.ndarray) -> np.ndarray:
    """Return the weights (1 - alpha, alpha) whose blend ranks the training pairs best, on the scale of the ratings."""
    ranks = midranks(rated)
    shares = np.stack([1 - GRID, GRID], axis=1)
    found = [np.corrcoef(midranks(z @ s), ranks)[0, 1] for s in shares]
    best = shares[int(np.argmax(found))]
    scaled: np.ndarray = best * float(rated.std() / max((z @ best).std(), 1e-12))
    return scaled
