"""`ties`: task vectors trimmed, brought to one sign, and averaged where they agree with it.

    trim    of each T_i keep the share `keep` of numbers with the largest size, over the whole model
    elect   the sign of sum_i T_i, number by number
    merge   the mean of those T_i that are not trimmed and have that sign
    theta = theta_0 + scale * merged

Source: "TIES-Merging: Resolving Interference When Merging Models".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.method import Found, Merge, best_scale, check_scales
from commonspace.upgrade.merging.vectors import TaskVectors


@register(
    "ties",
    protocol="Merge",
    papers=[
        Paper("TIES-Merging: Resolving Interference When Merging Models", 2023, "https://arxiv.org/abs/2306.01708")
    ],
    claim="upgrade/atlas",
)
class Ties(Merge):
    """Trim, elect a sign, average what agrees.

    Parameters
    ----------
    keep : float
        Share of each task vector that is kept, above 0 and at most 1.
    scale : float or sequence of float
        Factor of the merged vector, or several to choose from by the probes.
    """

    def __init__(self, *, keep: float = 0.2, scale: float | Sequence[float] = 1.0) -> None:
        self.keep = keep
        self.scale = scale

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        if not 0 < self.keep <= 1:
            raise BadInput(f"keep must lie above 0 and be at most 1, not {self.keep!r}")
        check_scales(self.scale)
        limits = [smallest_kept(vectors, task, self.keep) for task in vectors.tasks]

        def make(scale: float) -> Callable[[str], Tensor]:
            def block(name: str) -> Tensor:
                rows = torch.stack([vectors.vector(t, name) for t in vectors.tasks])
                return vectors.base(name) + scale * agreed(rows, limits)

            return block

        scale, losses = best_scale(self.scale, make, vectors, landscape)
        return Found(make(scale), dict.fromkeys(vectors.tasks, scale), scale=scale, losses=losses)


def smallest_kept(vectors: TaskVectors, task: str, keep: float) -> float:
    """Return the size of the smallest number of a task vector that is kept. Memory: the sizes of one vector."""
    sizes = torch.cat([vectors.vector(task, b).abs().flatten() for b in vectors.blocks])
    dropped = len(sizes) - max(1, round(keep * len(sizes)))
    return float(sizes.kthvalue(dropped + 1).values)


def agreed(rows: Tensor, limits: Sequence[float]) -> Tensor:
    """Return the merged vector of one block: rows (k, ...), limits (k,) -> (...)."""
    shape = (-1,) + (1,) * (rows.ndim - 1)
    trimmed = torch.where(rows.abs() >= torch.tensor(limits, device=rows.device).view(shape), rows, 0)
    agrees = (trimmed.sign() == trimmed.sum(0).sign()) & (trimmed != 0)
    return (trimmed * agrees).sum(0) / agrees.sum(0).clamp_min(1)
