"""ICNN: how well the classes of an embedding keep apart, seen from every point's nearest neighbours.

For a query x with its k nearest rows of a gallery (itself left out), distances d to them, and e the distance to the
nearest row of another class:

    same    = 1 - mean over queries, over their neighbours of the same class, of (d / e) / max(1, largest d / e); 0 if
              there are none
    other   = mean over queries, over their neighbours of another class, of d / (largest such d); 1 if there are none
    purity  = mean share of a query's neighbours that are of its class
    score   = ((same + other) / 2 + purity) / 2                                         between 0 and 1, 1 is best

`same` is high where classes are tight beside the gaps between them, `other` where what intrudes stays at the rim.
Queries without a neighbour of that kind are left out of `same` and `other`.

Source: "SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel distance-based
loss functions for few-shot image classification". Its program drops the first neighbour even between different sets,
looks for the nearest other class among k + 1 neighbours, and takes `same` as 1 where no neighbour shares the class;
here a query is left out by its place, e is exact, and no such neighbour is no merit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_positive, check_vectors

BLOCK = 1024


def icnn_score(X: Any, y: Any, *, k: int = 5, gallery: Any = None, gallery_labels: Any = None) -> float:
    """Return how well the classes of vectors keep apart.

    Parameters
    ----------
    X : (n, dim) array
        Vectors, compared by Euclidean distance; pass unit rows for cosine.
    y : (n,) array
        Their classes.
    k : int
        Neighbours of a query; at most as many as there are.
    gallery, gallery_labels : (m, dim) and (m,) arrays, optional
        Where the neighbours come from, for instance another modality; X itself otherwise, without the query.

    Returns
    -------
    float
        0 to 1. It falls with the overlap of classes and with wrong labels, but also with k beyond the size of a class:
        compare figures of one k and one set of labels only.

    Raises
    ------
    BadInput
        Shapes that disagree, or fewer than two rows to choose neighbours from.
    """
    check_positive("k", k)
    queries, labels = _checked(X, y, "X")
    if (gallery is None) != (gallery_labels is None):
        raise BadInput("gallery and gallery_labels go together: pass both or neither")
    itself = gallery is None
    rows, classes = (queries, labels) if itself else _checked(gallery, gallery_labels, "gallery")
    if rows.shape[1] != queries.shape[1]:
        raise BadInput(f"X has dimension {queries.shape[1]}, but gallery has {rows.shape[1]}")
    choice = len(rows) - itself
    if len(queries) == 0 or choice < 1:
        raise BadInput(f"there must be queries and neighbours, got {len(queries)} and {max(choice, 0)}")
    k = min(k, choice)
    near, same, rival = [], [], []
    for start in range(0, len(queries), BLOCK):
        block = slice(start, start + BLOCK)
        d = _distances(queries[block], rows)
        if itself:
            d[np.arange(len(d)), np.arange(start, start + len(d))] = np.inf
        alike = labels[block, None] == classes[None, :]
        rival.append(np.where(alike, np.inf, d).min(1))
        order = np.argpartition(d, k - 1, axis=1)[:, :k]
        near.append(np.take_along_axis(d, order, 1))
        same.append(np.take_along_axis(alike, order, 1))
    return score(np.concatenate(near), np.concatenate(same), np.concatenate(rival))


def score(near: np.ndarray, same: np.ndarray, rival: np.ndarray) -> float:
    """Return the score from (n, k) distances, (n, k) whether a neighbour shares the class, and (n,) e."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(near / rival[:, None], nan=1.0, posinf=np.finfo(float).max)  # 0 / 0 is a tie
    ratio = ratio / np.maximum(ratio.max(1, keepdims=True), 1)
    within = 1 - _mean_of_means(ratio, same) if same.any() else 0.0
    farthest = near[~same].max(initial=0)
    between = float(same.all()) if farthest == 0 else _mean_of_means(near / farthest, ~same)
    return float(((within + between) / 2 + same.mean()) / 2)


def _mean_of_means(values: np.ndarray, where: np.ndarray) -> float:
    """Return the mean over rows with something chosen of the mean of what is chosen; 0 without any."""
    counts = where.sum(1)
    sums = (values * where).sum(1)
    return float((sums[counts > 0] / counts[counts > 0]).mean()) if counts.any() else 0.0


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    found: np.ndarray = np.sqrt(np.maximum(squared, 0))
    return found


def _checked(X: Any, y: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    vectors = check_vectors(X, name=name).astype(np.float64)
    labels = np.asarray(y)
    if labels.shape != (len(vectors),):
        raise BadInput(f"{name} has {len(vectors)} rows, but its labels have shape {labels.shape}")
    return vectors, labels
