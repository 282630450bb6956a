"""`fisher`: the mean of the models, each number weighted by how much it matters to its task.

    theta = sum_i w_i F_i theta_i / sum_i w_i F_i,      F_i = mean over batches of (d loss_i / d theta)^2 at theta_i

Where no task has an opinion (all F_i are 0), the plain mean. The paper takes the Fisher information of a classifier,
example by example; a contrastive loss has no likelihood of one example, so gradients here are those of whole batches.

Source: "Merging Models with Fisher-Weighted Averaging".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.upgrade.merging.landscape import Landscape, gradient_of
from commonspace.upgrade.merging.method import Found, Merge, shares
from commonspace.upgrade.merging.vectors import TaskVectors


@register(
    "fisher",
    protocol="Merge",
    papers=[Paper("Merging Models with Fisher-Weighted Averaging", 2022, "https://arxiv.org/abs/2111.09832")],
    claim="upgrade/self_positioning",
)
class Fisher(Merge):
    """Mean of the models weighted by squared gradients on the probes of their own task.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Task -> weight beside its Fisher information; equal by default.
    batches : int
        Batches of each task.
    equal : bool
        Whether each task's information is brought to a mean of 1 first, so that a task with steeper losses does not
        take all.
    """

    needs_probes: ClassVar[bool] = True
    needs_base: ClassVar[bool] = False

    def __init__(self, *, weights: Mapping[str, float] | None = None, batches: int = 16, equal: bool = True) -> None:
        self.weights = weights
        self.batches = batches
        self.equal = equal

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        if landscape is None:
            raise BadInput("fisher needs probes of every task and an objective")
        landscape.probes.check_covers(vectors.tasks, "fisher")
        check_positive("batches", self.batches)
        weights = shares(self.weights, vectors.tasks)
        above = {b: torch.zeros_like(vectors.base(b)) for b in vectors.blocks}
        below = {b: torch.zeros_like(vectors.base(b)) for b in vectors.blocks}
        for task in vectors.tasks:  # two sums are held, not the information of every task
            found = information(vectors, landscape, task, self.batches)
            mean = sum(float(f.sum()) for f in found.values()) / sum(vectors.sizes) if self.equal else 1.0
            for b, f in found.items():
                share = weights[task] * f / max(mean, 1e-30)
                above[b] += share * vectors.tuned(task, b)
                below[b] += share
        even = vectors.everywhere(torch.tensor([weights[t] for t in vectors.tasks], dtype=torch.float64))

        def block(name: str) -> Tensor:
            decided = below[name] > 0
            return torch.where(decided, above[name] / below[name].where(decided, 1), vectors.mixed(even, name))

        return Found(block, weights, shares=weights)


def information(vectors: TaskVectors, landscape: Landscape, task: str, batches: int) -> dict[str, Tensor]:
    """Return the mean squared gradient of a task's loss at its own model, block by block."""
    at = vectors.everywhere(torch.tensor([float(t == task) for t in vectors.tasks]))
    blocks = landscape.leaves(at)
    found = {b: torch.zeros_like(t) for b, t in blocks.items()}
    for _ in range(batches):
        loss = landscape.losses(blocks, {task: landscape.probes.draw()[task]})[task]
        for b, g in gradient_of(loss, blocks).items():
            found[b] += g.square() / batches
    return {b: f.detach() for b, f in found.items()}
