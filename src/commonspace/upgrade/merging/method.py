"""`Merge`: the contract of every way to merge.

    method(vectors, landscape, rng) -> Found        how each block is made, and with what weights

A method is registered with ``protocol="Merge"``. `vectors` are the models; what it learns it learns from `landscape`,
the loss on probes, which is None without probes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.core.method import Method
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.vectors import TaskVectors

LOOKS = 8  # batches of each task over which scales are compared


@dataclass(frozen=True)
class Found:
    """What a method found.

    Parameters
    ----------
    block : function of str
        The merged block of a name; called once for each.
    weights : dict of str to float
        Task -> weight of its vector; the mean over the blocks where they differ.
    block_weights : dict of str to (dict of str to float)
        Task -> block -> weight, where they differ.
    scale : float, optional
        Factor of the whole sum, where there is one.
    losses : tuple of float
        On the probes, step by step.
    stopped : str
        Why learning ended; empty without any.
    learned : int
        Numbers that were learned.
    shares : dict of str to float, optional
        Task -> share in the mean of buffers, for ways that take means; equal ones otherwise.
    """

    block: Callable[[str], Tensor]
    weights: Mapping[str, float]
    block_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scale: float | None = None
    losses: tuple[float, ...] = ()
    stopped: str = ""
    learned: int = 0
    shares: Mapping[str, float] | None = None


class Merge(Method):
    """Base of the ways to merge."""

    needs_probes: ClassVar[bool] = False
    needs_base: ClassVar[bool] = True

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        raise NotImplementedError


def best_scale(
    scale: float | Sequence[float],
    make: Callable[[float], Callable[[str], Tensor]],
    vectors: TaskVectors,
    landscape: Landscape | None,
) -> tuple[float, tuple[float, ...]]:
    """Return the scale with the least loss on the probes, and the losses of all; a single number is taken as it is.

    Every scale is judged on the same `LOOKS` batches.
    """
    if isinstance(scale, int | float):
        return float(scale), ()
    if landscape is None:
        raise BadInput("several scales are chosen from by probes: give probes and an objective, or one scale")
    batches = [landscape.probes.draw() for _ in range(LOOKS)]
    losses = [landscape.mean_loss(vectors.whole(make(float(s))), batches) for s in scale]
    return float(scale[int(np.nanargmin(losses))]), tuple(losses)


def shares(weights: Mapping[str, float] | None, tasks: Sequence[str]) -> dict[str, float]:
    """Return the weights of the tasks, brought to a sum of 1; equal ones by default."""
    if weights is None:
        return dict.fromkeys(tasks, 1 / len(tasks))
    if set(weights) != set(tasks):
        raise BadInput(f"weights name {sorted(weights)}, the models are {sorted(tasks)}")
    total = sum(weights.values())
    if not all(np.isfinite(w) and w >= 0 for w in weights.values()) or not total > 0:
        raise BadInput(f"weights must be numbers of at least 0 with a positive sum, not {dict(weights)!r}")
    return {t: float(weights[t]) / total for t in tasks}


def check_scales(scale: float | Sequence[float]) -> None:
    """Raise `BadInput` unless a scale is a finite number or several of them."""
    values = [scale] if isinstance(scale, int | float) else list(scale)
    if not values or not all(isinstance(s, int | float) and np.isfinite(s) for s in values):
        raise BadInput(f"scale must be a number or several to choose from, not {scale!r}")
