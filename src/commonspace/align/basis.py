"""Fixed unit vectors, each as far from all others as they can be: targets of classes that need no training.

    coherence   = max |b_i . b_j| over i != j          what `equiangular_vectors` makes small
    Welch bound = sqrt((n - dim) / (dim (n - 1)))      no n vectors in dim dimensions have less, for n > dim

Up to dim vectors are orthogonal and dim + 1 form a simplex, both exactly. More are found by descent: every vector is
repelled by the nearest others, or by their opposites, with weights softmax(p |b_i . b_j|) whose sharpness p grows while
the steps shrink, so that in the end it is the largest cosine that falls. The source minimises the excess over a
threshold instead; where the threshold is out of reach that lets vectors fall together. Reached: 1.00 times the bound
for 6 in 3 and 28 in 7 dimensions, where equiangular lines exist; 1.2 times for 200 in 64, where random vectors have 5.

Source: "Equiangular Basis Vectors".
"""

from __future__ import annotations

import math

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, unit

SHARPNESS = (20.0, 500.0)
STEP = (0.5, 0.005)


def welch_bound(n: int, dim: int) -> float:
    """Return the coherence that n unit vectors in dim dimensions cannot go below."""
    check_positive("n", n)
    check_positive("dim", dim)
    return math.sqrt((n - dim) / (dim * (n - 1))) if n > dim else 0.0


def coherence(vectors: np.ndarray) -> float:
    """Return the largest |cosine| of two of the unit rows; 0 for fewer than two."""
    cosines = np.abs(vectors @ vectors.T)
    np.fill_diagonal(cosines, 0)
    return float(cosines.max(initial=0))


def equiangular_vectors(n: int, dim: int, *, steps: int = 500, random_state: RandomState = 0) -> np.ndarray:
    """Return n unit vectors whose pairwise cosines are near zero, or as near as so many allow.

    Parameters
    ----------
    n, dim : int
        How many, in how many dimensions. Time and memory grow as n squared: 200 take a second, 1,000 half a minute.
    steps : int
        Steps of descent, where they cannot be written down.
    random_state : int, Generator or None
        Seed. The same seed gives the same vectors up to rounding, which differs between machines: keep the array where
        spaces of several machines must agree.

    Returns
    -------
    (n, dim) float64 array
        Unit rows.
    """
    check_positive("n", n)
    check_positive("dim", dim)
    check_positive("steps", steps)
    start = generator(random_state).normal(size=(n, dim))
    if n <= dim:
        return np.ascontiguousarray(np.linalg.qr(start.T)[0].T)
    if n == dim + 1:
        corners = np.linalg.svd(np.eye(n) - 1 / n)[0][:, :dim]  # the plane across the diagonal of the cube
        return np.asarray(unit(corners))
    vectors = np.asarray(unit(start))
    for step in range(steps):
        sharpness, length = (low * (high / low) ** (step / steps) for low, high in (SHARPNESS, STEP))
        vectors = np.asarray(unit(vectors - length * _repulsion(vectors, sharpness)))
    return vectors


def simplex_vectors(n: int, dim: int) -> np.ndarray:
    """Return the n corners of a regular simplex in dim >= n - 1 dimensions, the same on every machine.

    Any two have the cosine -1 / (n - 1), the least that n can all have with one another. With d = n - 1 they are the
    rows of I_d and one row whose entries are (1 - sqrt(1 + d)) / d, less their mean, of length one; any further columns
    are zero.

    Returns
    -------
    (n, dim) float64 array
        Unit rows.
    """
    d = check_positive("n", n) - 1
    if check_positive("dim", dim) < max(d, 1):
        raise BadInput(f"a simplex of {n} corners needs {d} dimensions, not {dim}: take fewer, or equiangular vectors")
    corners = np.vstack([np.eye(d), np.full((1, d), (1 - math.sqrt(1 + d)) / max(d, 1))])
    out = np.zeros((n, dim))
    out[:, :d] = unit(corners - corners.mean(axis=0))
    return out


def _repulsion(vectors: np.ndarray, sharpness: float) -> np.ndarray:
    """Return (n, dim) the direction in which the largest cosines of every vector grow."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, 0)
    near = np.abs(cosines)
    weights = np.exp(sharpness * (near - near.max(1, keepdims=True)))
    np.fill_diagonal(weights, 0)
    weights /= weights.sum(1, keepdims=True)
    pushed: np.ndarray = (np.sign(cosines) * (weights + weights.T) / 2) @ vectors
    return pushed
