"""`slerp`: along the arc between task vectors instead of the chord, so that the length is kept.

    T = sin((1 - t) W) / sin W  T_a  +  sin(t W) / sin W  T_b,      W the angle between T_a and T_b over all blocks

and theta = theta_0 + T. Several vectors are taken one after the other, each with its share of what was taken so far;
the result then depends on their order, but little. Everything follows from the inner products of the vectors.

Sources: Shoemake, "Animating rotation with quaternion curves", 1985; between task vectors, measured from the base and
not from the origin, as in "Improving General Text Embedding Model: Tackling Task Conflict and Data Imbalance through
Model Merging".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.method import Found, Merge, shares
from commonspace.upgrade.merging.vectors import TaskVectors

STRAIGHT = 1e-4  # sine of the angle below which the arc is the chord


@register(
    "slerp",
    protocol="Merge",
    papers=[Paper("Animating rotation with quaternion curves", 1985, "https://doi.org/10.1145/325165.325242")],
    claim="upgrade/self_positioning",
)
class Slerp(Merge):
    """Spherical mean of the task vectors.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Task -> weight; equal by default.
    """

    def __init__(self, *, weights: Mapping[str, float] | None = None) -> None:
        self.weights = weights

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        given = shares(self.weights, vectors.tasks)
        found = arc(vectors.gram(), [given[t] for t in vectors.tasks])
        c = vectors.everywhere(torch.from_numpy(found))
        return Found(lambda block: vectors.mixed(c, block), dict(zip(vectors.tasks, found.tolist(), strict=True)))


def arc(gram: np.ndarray, weights: list[float]) -> np.ndarray:
    """Return the coefficients (k,) of the spherical mean of vectors with these inner products (k, k)."""
    found: np.ndarray = np.eye(len(weights))[0]
    taken = weights[0]
    for i in range(1, len(weights)):
        taken += weights[i]
        t = weights[i] / taken if taken > 0 else 0.0
        other = np.eye(len(weights))[i]
        lengths = math.sqrt(max(found @ gram @ found, 0) * gram[i, i])
        cosine = float(found @ gram @ other) / lengths if lengths > 0 else 1.0
        angle = math.acos(min(1.0, max(-1.0, cosine)))
        if math.sin(angle) < STRAIGHT:
            found = (1 - t) * found + t * other
        else:
            found = (math.sin((1 - t) * angle) * found + math.sin(t * angle) * other) / math.sin(angle)
    return found
