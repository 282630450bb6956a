"""`task-arithmetic`: the sum of the task vectors, scaled by one number.

    theta = theta_0 + g sum_i T_i

g is a number, or the one of several with the least loss on the probes.

Source: "Editing Models with Task Arithmetic".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.method import Found, Merge, best_scale, check_scales
from commonspace.upgrade.merging.vectors import TaskVectors


@register(
    "task-arithmetic",
    protocol="Merge",
    papers=[Paper("Editing Models with Task Arithmetic", 2023, "https://arxiv.org/abs/2212.04089")],
    claim="upgrade/atlas",
)
class TaskArithmetic(Merge):
    """Scaled sum of the task vectors.

    Parameters
    ----------
    scale : float or sequence of float
        g, or several to choose from by the probes. Below 0 a task is unlearned.
    """

    def __init__(self, *, scale: float | Sequence[float] = 0.4) -> None:
        self.scale = scale

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        check_scales(self.scale)

        def make(scale: float) -> Callable[[str], Tensor]:
            c = vectors.everywhere(torch.full((len(vectors.tasks),), scale, dtype=torch.float64))
            return lambda block: vectors.mixed(c, block)

        scale, losses = best_scale(self.scale, make, vectors, landscape)
        return Found(make(scale), dict.fromkeys(vectors.tasks, scale), scale=scale, losses=losses)
