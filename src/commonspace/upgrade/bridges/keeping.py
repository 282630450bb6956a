"""What a bridge is chosen by: the neighbours it keeps.

A bridge is to serve searches as a full re-embed would, so that the truth needs no labels: the k items that lie nearest
in the new space. With ask and y the vectors of query and items in the new space, and the same across the bridge,

    kept(query) = |top_k(ask'y) and top_k(across the bridge)| / k

Every item of every modality asks once, and never finds itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

NEIGHBOURS = 10
# Rows of a modality that trials learn from and are judged on: a standard error of half a point at most.
ROWS = 1000
FOLDS = 3
# Below this a modality's rows are too few to be cut into folds and learned from.
FEWEST = 20

Vectors = Mapping[str, np.ndarray]
Trial = TypeVar("Trial")


def neighbours_kept(asks: np.ndarray, searched: np.ndarray, truth: tuple[np.ndarray, np.ndarray], alike: bool) -> float:
    """Return the share of nearest neighbours that are still among the nearest across a bridge.

    Parameters
    ----------
    asks, searched : (q, d) and (n, d) arrays
        Queries and items as they meet across the bridge.
    truth : two arrays, (q, d_new) and (n, d_new)
        The same in the new space.
    alike : bool
        Whether row i of both is the same vector, which is then no neighbour of itself.
    """
    n = len(searched)
    k = max(1, min(NEIGHBOURS, (n - 1) // 4))
    if n <= k:
        return 0.0
    wanted, found = (_nearest(q @ x.T, k, alike) for q, x in (truth, (asks, searched)))
    return float((wanted & found).sum() / (k * len(asks)))


def _nearest(scores: np.ndarray, k: int, alike: bool) -> np.ndarray:
    """Return (q, n) bool: which k items score highest."""
    if alike:
        np.fill_diagonal(scores, -np.inf)
    near = np.zeros(scores.shape, bool)
    np.put_along_axis(near, np.argpartition(-scores, k - 1, axis=1)[:, :k], True, axis=1)
    return near


def sample(source: Vectors, target: Vectors, rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """Return at most `ROWS` rows of each modality, drawn at random."""
    rows = {m: rng.permutation(len(x))[:ROWS] for m, x in source.items()}
    return {m: source[m][r] for m, r in rows.items()}, {m: target[m][r] for m, r in rows.items()}


def cross_fitted(
    learn: Callable[[Vectors, Vectors], Callable[[np.ndarray, str], np.ndarray]],
    source: Vectors,
    target: Vectors,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return modality -> its rows where they land, each by what was learned from the other folds."""
    folds = {m: rng.permutation(len(x)) % FOLDS for m, x in source.items()}
    landed = {m: np.zeros((len(y), y.shape[1]), np.float32) for m, y in target.items()}
    for fold in range(FOLDS):
        rest = {m: f != fold for m, f in folds.items()}
        cross = learn({m: source[m][r] for m, r in rest.items()}, {m: target[m][r] for m, r in rest.items()})
        for m, r in rest.items():
            if not r.all():
                landed[m][~r] = cross(source[m][~r], m)
    return landed


def kept_by_modality(landed: Vectors, source: Vectors, target: Vectors, forward: bool) -> dict[str, float]:
    """Return modality -> neighbours kept where its rows cross, the mean over the modalities that they meet."""
    found = {}
    for m in landed:
        if forward:  # the old items of m are searched by the new vectors of each modality
            each = [neighbours_kept(target[a], landed[m], (target[a], target[m]), a == m) for a in target]
        else:  # new queries of m search the old items of each modality
            each = [neighbours_kept(landed[m], target[c], (source[m], source[c]), m == c) for c in source]
        found[m] = float(np.mean(each))
    return found
