"""Learning a handful of scalars: AdamW with a cosine schedule, and the mean of the last quarter as the result.

The mean takes out the noise of small batches, which for so few numbers is all that would be left of it. Ctrl-C ends
learning; what was learned until then is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from commonspace.core.progress import task as shown
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.vectors import Partition

TAIL = 0.25  # share of the steps, at the end, whose mean is the result


@dataclass(frozen=True)
class Learned:
    """How learning went.

    Parameters
    ----------
    values : tuple of tensors
        The mean of the scalars over the last quarter of the steps done.
    losses : tuple of float
        Mean loss over the tasks at each step.
    stopped : {"steps", "interrupt"}
        Why it ended.
    """

    values: tuple[Tensor, ...]
    losses: tuple[float, ...] = field(repr=False)
    stopped: str = "steps"


def learn(
    landscape: Landscape,
    scalars: Sequence[Tensor],
    coefficients: Callable[..., Tensor],
    *,
    steps: int,
    lr: float,
    weight_decay: float = 0.0,
    partition: Partition | None = None,
) -> Learned:
    """Learn scalars whose function are the coefficients of the task vectors.

    Parameters
    ----------
    landscape : Landscape
    scalars : sequence of tensors
        Where to start.
    coefficients : function
        From the scalars to the coefficients (k, blocks, parts).
    steps, lr, weight_decay
        Of AdamW; the rate falls to zero by a cosine.
    partition : Partition, optional
        Of the blocks.
    """
    free = [s.detach().clone().double().requires_grad_() for s in scalars]
    optimiser = torch.optim.AdamW(free, lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: 0.5 * (1 + math.cos(math.pi * t / steps)))
    seen: list[tuple[Tensor, ...]] = []
    losses: list[float] = []
    stopped = "steps"
    try:
        with shown("Learning the weights of a merge", steps) as bar:
            for _ in range(steps):
                made = coefficients(*free)
                by_task, slope = landscape.slope(made.detach(), landscape.probes.draw(), partition)
                optimiser.zero_grad()
                torch.autograd.backward(made, slope.to(made.dtype))
                torch.nn.utils.clip_grad_norm_(free, 1.0)
                optimiser.step()
                schedule.step()
                losses.append(sum(by_task.values()) / len(by_task))
                seen.append(tuple(f.detach().clone() for f in free))
                bar.advance(note=f"loss {losses[-1]:.3f}")
    except KeyboardInterrupt:
        stopped = "interrupt"
    if not seen:
        return Learned(tuple(f.detach() for f in free), (), stopped)
    last = seen[-max(1, round(TAIL * len(seen))) :]
    values = tuple(torch.stack(rows).mean(0) for rows in zip(*last, strict=True))
    return Learned(values, tuple(losses), stopped)
