"""`atlas`: one learned coefficient for each task vector and each block of parameters.

    theta_b = theta_0b + sum_i c_ib T_ib            b: a weight matrix or a bias, each with coefficients of its own

Only the coefficients have gradients: tasks x blocks scalars, from 0, that is from the base. With `parts` = K > 1 the
numbers of each block are dealt at random into K parts with a coefficient each (aTLAS x K), a fine-tuning of any size
between the coefficients of a merge and all weights. The objective decides the use: InfoNCE on few shots of the tasks
merges them; on few shots of a new task it transfers to it; entropy or pseudo-labels of unlabelled rows adapt it at
test time.

Coefficients per block from zero, random parts, AdamW with a rate of 0.1 for few shots, gradients clipped to length 1
and a cosine schedule are the paper's. The mean of the last quarter of the steps is ours (the authors keep the best
epoch by a validation set); weight decay is off here, because it pulls to the base what the probes are to decide. `keep`
is the paper's way to spare memory: only the blocks of task vectors along which the loss is steepest at the base take
part.

Source: "Knowledge Composition using Task Vectors with Learned Anisotropic Scaling".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.random import seed_of
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.learning import learn
from commonspace.upgrade.merging.method import LOOKS, Found, Merge
from commonspace.upgrade.merging.vectors import Partition, TaskVectors

STARTS = ("base", "uniform")
MOST_PARTS = 256


@register(
    "atlas",
    protocol="Merge",
    papers=[
        Paper(
            "Knowledge Composition using Task Vectors with Learned Anisotropic Scaling",
            2024,
            "https://arxiv.org/abs/2407.02880",
        )
    ],
    claim="upgrade/atlas",
)
class Atlas(Merge):
    """A learned coefficient for every task vector and block of parameters.

    Parameters
    ----------
    parts : int
        Random parts of each block with a coefficient each, at most 256.
    steps : int
        Steps of AdamW; each sees one batch of every probe.
    lr, weight_decay : float
        Its rate at the start, and how much it pulls coefficients to 0.
    start : {"base", "uniform"}
        Coefficients at the start: 0, or 1 / tasks.
    keep : float
        Share of the (task, block) pairs that take part, above 0 and at most 1.
    """

    needs_probes: ClassVar[bool] = True

    def __init__(
        self,
        *,
        parts: int = 1,
        steps: int = 200,
        lr: float = 0.1,
        weight_decay: float = 0.0,
        start: str = "base",
        keep: float = 1.0,
    ) -> None:
        self.parts = parts
        self.steps = steps
        self.lr = lr
        self.weight_decay = weight_decay
        self.start = start
        self.keep = keep

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        if landscape is None:
            raise BadInput("atlas needs probes and an objective")
        check_positive("steps", self.steps)
        check_choice("start", self.start, STARTS)
        if check_positive("parts", self.parts) > MOST_PARTS:
            raise BadInput(f"parts must be at most {MOST_PARTS}, not {self.parts}")
        if not 0 < self.keep <= 1:
            raise BadInput(f"keep must lie above 0 and be at most 1, not {self.keep!r}")
        partition = Partition(self.parts, seed_of(rng)) if self.parts > 1 else None
        shape = len(vectors.tasks), len(vectors.blocks), self.parts
        takes_part = torch.ones(shape[:2]) if self.keep == 1 else steepest(landscape, self.keep)
        first = torch.full(shape, 0.0 if self.start == "base" else 1 / len(vectors.tasks))

        def coefficients(c: Tensor) -> Tensor:
            return c * takes_part[:, :, None]

        learned = learn(
            landscape, [first], coefficients, steps=self.steps, lr=self.lr, weight_decay=self.weight_decay,
            partition=partition,
        )  # fmt: skip
        c = coefficients(*learned.values)
        by_block = {
            task: dict(zip(vectors.blocks, c[i].mean(1).tolist(), strict=True)) for i, task in enumerate(vectors.tasks)
        }
        sizes = torch.tensor(vectors.sizes, dtype=torch.float64)
        means = (c.mean(2) * sizes).sum(1) / sizes.sum().clamp_min(1)
        return Found(
            lambda block: vectors.mixed(c, block, partition),
            dict(zip(vectors.tasks, means.tolist(), strict=True)),
            by_block,
            losses=learned.losses,
            stopped=learned.stopped,
            learned=int(takes_part.sum()) * self.parts,
        )


def steepest(landscape: Landscape, keep: float) -> Tensor:
    """Return (k, blocks) 1 for the share of pairs along which the loss changes most at the base, 0 for others."""
    vectors = landscape.vectors
    at = vectors.everywhere(torch.zeros(len(vectors.tasks)))
    slopes = torch.stack([landscape.slope(at, landscape.probes.draw())[1] for _ in range(LOOKS)]).mean(0)[:, :, 0].abs()
    kept = max(1, round(keep * slopes.numel()))
    chosen = torch.zeros(slopes.numel())
    chosen[slopes.flatten().topk(kept).indices] = 1
    return chosen.view(slopes.shape)
