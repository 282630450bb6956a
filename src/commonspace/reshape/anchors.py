"""Which rows to take as anchors: at random, far from each other, or one for each cluster.

    uniform     any rows, all equally likely
    farthest    the next is the row whose nearest anchor is farthest by cosine; the first is drawn
    medoids     k-means of the directions, then of each centre the row nearest to it

Uniform anchors follow the density of the rows and cost nothing. Farthest ones reach into the corners and with them take
outliers; medoids cover the rows evenly and cost most.

Source: uniform, farthest points and k-means are compared in the appendix of Moschella et al., "Relative representations
enable zero-shot latent space communication", 2023; farthest points are those of Gonzalez, "Clustering to Minimize the
Maximum Intercluster Distance", 1985.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit

CHOICES = ("uniform", "farthest", "medoids")
ROUNDS = 20  # of k-means


def choose_anchors(X: Any, count: int, *, choice: str = "uniform", random_state: RandomState = 0) -> np.ndarray:
    """Return the positions of the rows to take as anchors.

    Parameters
    ----------
    X : (n, d) array
        Candidates; none of length zero.
    count : int
        How many, at most n.
    choice : {"uniform", "farthest", "medoids"}
    random_state : int, Generator or None

    Returns
    -------
    (count,) int64
        Different positions, in the order taken. A shorter list of `uniform` and `farthest` is the start of a longer one
        of the same seed.

    Notes
    -----
    `farthest` costs n * d * count, `medoids` some ten times as much.
    """
    check_choice("choice", choice, CHOICES)
    rows = unit(check_vectors(X, allow_zero=False))
    if check_positive("count", count) > len(rows):
        raise BadInput(f"{count} anchors cannot be chosen of {len(rows)} rows")
    rng = generator(random_state)
    if choice == "uniform":
        return rng.permutation(len(rows))[:count]
    return _farthest(rows, count, rng) if choice == "farthest" else _medoids(rows, count, rng)


def _farthest(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    taken = np.empty(count, np.int64)
    taken[0] = rng.integers(len(rows))
    nearest = np.full(len(rows), -np.inf, np.float32)  # cosine with the nearest anchor so far
    for i in range(1, count):
        np.maximum(nearest, rows @ rows[taken[i - 1]], out=nearest)
        nearest[taken[:i]] = np.inf
        taken[i] = int(nearest.argmin())
    return taken


def _medoids(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.cluster.vq import kmeans2

    start = rows[rng.permutation(len(rows))[:count]].astype(np.float64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*clusters is empty")  # such a centre stays where it began
        centres, _ = kmeans2(rows.astype(np.float64), start, iter=ROUNDS, minit="matrix", missing="warn")
    taken = np.empty(count, np.int64)
    free = np.ones(len(rows), bool)
    for i, centre in enumerate(centres):
        taken[i] = int(np.where(free, rows @ unit(centre), -np.inf).argmax())
        free[taken[i]] = False
    return taken
