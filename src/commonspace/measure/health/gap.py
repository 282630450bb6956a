"""The contrastive gap: how far apart two modalities lie in one space, and how each fills its part of it.

For pairs of unit rows x_i, y_i, with means over j != k (items of one group never meet):

    distance            |mean x - mean y|, from  |.|^2 = mean (x_j - y_j) . (x_k - y_k)
    separability        accuracy of a logistic regression that tells x from y on pairs it has not seen; 0.5 is chance
    alignment           mean |x_i - y_i|^2
    uniformity of x     log mean exp(-2 |x_j - x_k|^2)          0 if all is in one place, about -4 if spread evenly
    cross-uniformity    log mean exp(-2 |x_j - y_k|^2)

The plain norm of the difference of means is never zero, and the less so the fewer the pairs; without the terms j = k
the square is unbiased, and a negative one counts as no distance. Intervals are bootstraps over pairs (or groups) of the
same means.

Sources: the terms and the two figures of a gap are those of "It's Not a Modality Gap: Characterizing and Addressing the
Contrastive Gap"; uniformity and alignment as Wang and Isola, "Understanding Contrastive Representation Learning through
Alignment and Uniformity on the Hypersphere", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.statistics.estimates import Estimate, draw_counts, estimate
from commonspace.measure.statistics.pair_means import pair_means, summed, summed_pairs
from commonspace.measure.statistics.streams import Rows

FOLDS = 5


@dataclass(frozen=True)
class Gap:
    """The gap between two modalities; every field is an `Estimate`.

    Parameters
    ----------
    distance, separability, alignment, uniformity_x, uniformity_y, cross_uniformity : Estimate
        As defined above.
    """

    distance: Estimate
    separability: Estimate
    alignment: Estimate
    uniformity_x: Estimate
    uniformity_y: Estimate
    cross_uniformity: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {f.name: getattr(self, f.name).to_dict() for f in fields(self)}

    def __str__(self) -> str:
        return "\n".join(f"{f.name.replace('_', ' '):<17} {getattr(self, f.name)}" for f in fields(self))


def contrastive_gap(
    X: Any,
    Y: Any,
    *,
    groups: Any = None,
    most: int = 2000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Gap:
    """Return how far apart two modalities of one space lie.

    Parameters
    ----------
    X, Y : (n, dim) arrays, memory maps, or iterables of (rows, dim) blocks
        Row i of both belongs to the same item; brought to unit length. Best of items that were not trained on.
        Only the rows used are read of an array or a memory map.
    groups : (n,) array, optional
        Rows of one label show the same thing: they never count as two, and are drawn together.
    most : int
        Rows used; more would change the third digit. Time and memory grow with the square.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the rows, the folds and the bootstrap.

    Raises
    ------
    BadInput
        Shapes that disagree, rows of length zero, or fewer than 10 things.
    """
    rows = Rows(X), Rows(Y, "Y")
    shapes = [(r.length(), r.dim) for r in rows]
    if shapes[0] != shapes[1]:
        raise BadInput(f"X and Y must hold the same items in one space, not shapes {shapes[0]} and {shapes[1]}")
    n = rows[0].n
    labels = np.arange(n) if groups is None else np.asarray(groups)
    if labels.shape != (n,):
        raise BadInput(f"groups must hold one label for each of the {n} rows, not shape {labels.shape}")
    rng = generator(random_state)
    kept = np.sort(rng.permutation(n)[: check_positive("most", most)])
    x, y = (_directions(r, kept) for r in rows)
    member = np.unique(labels[kept], return_inverse=True)[1]
    sizes = np.bincount(member).astype(np.float64)
    if len(sizes) < 2 * FOLDS:
        raise BadInput(f"a gap needs at least {2 * FOLDS} different things, got {len(sizes)}")
    counts = draw_counts(rng, check_positive("resamples", resamples), len(sizes))

    def between(name: str, table: np.ndarray, finish: Any) -> Estimate:
        """Return a figure over pairs of different things, from the (groups, groups) sums of what is averaged."""
        value, *found = finish(pair_means(table, sizes, np.vstack([np.ones(len(sizes)), counts])))
        low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Estimate(name, float(value), float(low), float(high), n=len(kept), confidence=confidence, seed=seed)

    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    draws = rng if seed is None else seed
    options: dict[str, Any] = {
        "groups": member, "resamples": resamples, "confidence": confidence, "random_state": draws,
    }  # fmt: skip
    apart = summed((x - y).astype(np.float64), member)
    return Gap(
        distance=between("distance", apart @ apart.T, lambda m: np.sqrt(np.maximum(m, 0))),
        separability=estimate(_told_apart(x, y, member, rng), "separability", bounds=(0.0, 1.0), **options),
        alignment=estimate(np.square(x - y).sum(axis=1), "alignment", bounds=(0.0, 4.0), **options),
        uniformity_x=between("uniformity_x", _kernel(x, x, member), np.log),
        uniformity_y=between("uniformity_y", _kernel(y, y, member), np.log),
        cross_uniformity=between("cross_uniformity", _kernel(x, y, member), np.log),
    )


def _directions(rows: Rows, kept: np.ndarray) -> np.ndarray:
    """Return the unit rows at these positions, all of which must have a direction."""
    units, good = rows.take(kept)
    if not good.all():
        raise BadInput(
            f"{rows.name} holds {int((~good).sum())} rows that are zero, NaN or Inf among the {len(kept)} looked at, "
            f"first row {int(kept[~good][0])}: such rows have no direction; remove them from both"
        )
    return units


def _kernel(a: np.ndarray, b: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Return exp(-2 |a_j - b_k|^2) summed over the rows of each pair of groups."""
    return summed_pairs(np.exp(4.0 * (a @ b.T) - 4.0), member)


def _told_apart(x: np.ndarray, y: np.ndarray, member: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) the share of each pair's two vectors that is told right by a model that has not seen the group."""
    from sklearn.linear_model import LogisticRegression

    right = np.empty(len(x))
    # Unit rows have entries of 1 / sqrt(dim), which the penalty of a regression would take for no signal.
    rows = np.concatenate([x, y]) * np.sqrt(x.shape[1])
    side = np.repeat([0, 1], len(x))
    for fold in np.array_split(rng.permutation(member.max() + 1), FOLDS):
        test = np.isin(member, fold)
        both = np.tile(test, 2)
        model = LogisticRegression(max_iter=1000).fit(rows[~both], side[~both])
        right[test] = (model.predict(rows[both]) == side[both]).reshape(2, -1).mean(axis=0)
    return right
