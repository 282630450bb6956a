"""`self-positioning`: the place between task vectors at which a small balanced probe set is served best.

    theta = theta_0 + g sum_i a_i T_i,      a = softmax(b)

b (one number a task) and g start at the uniform mean (b = 0, g = 1) and are learned with the ordinary objective on
probes: equally many pairs of every task, drawn from the training data. n + 1 scalars have gradients, nothing else, so
that a few hundred pairs are enough, and the sizes of the tasks' data do not matter.

The search of the space of task vectors by gradient descent is the paper's. The parametrisation by a softmax and one
length is ours (the paper's text leaves it open); so are the cosine schedule and the mean of the last quarter of the
steps.

Source: "Improving General Text Embedding Model: Tackling Task Conflict and Data Imbalance through Model Merging".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.learning import learn
from commonspace.upgrade.merging.method import Found, Merge
from commonspace.upgrade.merging.vectors import TaskVectors


@register(
    "self-positioning",
    protocol="Merge",
    papers=[
        Paper(
            "Improving General Text Embedding Model: Tackling Task Conflict and Data Imbalance through Model Merging",
            2024,
            "https://arxiv.org/abs/2410.15035",
        )
    ],
    claim="upgrade/self_positioning",
)
class SelfPositioning(Merge):
    """Weights of the task vectors and one length, learned on a small balanced probe set.

    Parameters
    ----------
    steps : int
        Steps of AdamW; each sees one batch of every task.
    lr : float
        Its rate at the start.
    """

    needs_probes: ClassVar[bool] = True

    def __init__(self, *, steps: int = 200, lr: float = 0.05) -> None:
        self.steps = steps
        self.lr = lr

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        if landscape is None:
            raise BadInput("self-positioning needs probes and an objective")
        check_positive("steps", self.steps)
        start = torch.zeros(len(vectors.tasks)), torch.ones(())

        def coefficients(b: Tensor, g: Tensor) -> Tensor:
            return vectors.everywhere(g * b.softmax(0))

        learned = learn(landscape, start, coefficients, steps=self.steps, lr=self.lr)
        c = coefficients(*learned.values)
        weights = dict(zip(vectors.tasks, c[:, 0, 0].tolist(), strict=True)) if vectors.blocks else {}
        return Found(
            lambda block: vectors.mixed(c, block),
            weights,
            scale=float(learned.values[1]),
            losses=learned.losses,
            stopped=learned.stopped,
            learned=len(vectors.tasks) + 1,
        )
