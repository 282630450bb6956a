"""`equiangular`: classes are fixed vectors far from each other, and items are drawn to the one of their class.

    loss_i = - sum_c T_ic log softmax_c(z_i . b_c / temperature)

The vectors b are not trained (`commonspace.align.basis`). So nothing is stored a class, new classes take vectors that
were kept for them, and two trainings that never saw each other put a class into the same place: their spaces can be
compared. T are the classes of an item (`classes`).

Source: "Equiangular Basis Vectors".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from commonspace.align.basis import coherence, equiangular_vectors
from commonspace.align.objectives.base import unprepared
from commonspace.align.objectives.classes import ClassVectors
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_vectors, unit


@register(
    "equiangular",
    protocol="Objective",
    synonyms=("ebv",),
    papers=[Paper("Equiangular Basis Vectors", 2023, "https://arxiv.org/abs/2303.11637")],
)
class Equiangular(ClassVectors):
    """Softmax over fixed class vectors.

    Parameters
    ----------
    classes : int
        Number of vectors: groups are 0 to classes - 1. More than there are leaves room for later ones.
    temperature : float
        How sharply the classes are told apart. The source trains encoders with 0.07; light heads do better softer.
    vectors : (classes, dim) array, optional
        The vectors themselves, in place of those of `seed`.
    seed : int
        Which vectors. Spaces are comparable if their classes, dim and seed agree.
    """

    name = "equiangular"
    basis: Tensor

    def __init__(self, *, classes: int = 100, temperature: float = 0.3, vectors: Any = None, seed: int = 0) -> None:
        super().__init__(classes)
        if not temperature > 0:
            raise BadInput(f"temperature must be positive, not {temperature!r}")
        self.temperature = temperature
        self.vectors = vectors
        self.seed = seed

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make the vectors."""
        rows = made(self.classes, dim, self.seed) if self.vectors is None else unit(check_vectors(self.vectors))
        if rows.shape != (self.classes, dim):
            raise BadInput(f"vectors must have shape ({self.classes}, {dim}), not {rows.shape}")
        self.register_buffer("basis", torch.tensor(rows, dtype=torch.float32))
        self._coherence = coherence(rows)

    def class_vectors(self) -> Tensor:
        """Return (classes, dim) unit rows."""
        if not hasattr(self, "basis"):
            raise unprepared(self)
        return self.basis

    def cost(self, cosines: Tensor, targets: Tensor) -> Tensor:
        """Return (r,) cross-entropies."""
        self._diagnostics["coherence"] = self._coherence
        return -(targets * (cosines / self.temperature).log_softmax(1)).sum(1)


@lru_cache(maxsize=8)
def made(classes: int, dim: int, seed: int) -> np.ndarray:
    """Return the vectors of a seed, made once a process."""
    return equiangular_vectors(classes, dim, random_state=seed)
