"""`madacos`: softmax over learned class vectors, whose scale and margin follow the batch and need no tuning.

With m the median over the items of the cosine with their own class, and B the sum over the other classes c of
exp(s cos_c) for the item at that median:

    s      = max(32, log(10^7 (1 - a) / a) / (1 - m))       a median item moved onto its class vector would be certain
    margin = max(0, m - log(B a / (1 - a)) / s)             with the margin, the median item has probability a
    loss_i = - sum_c T_ic log( e^(s (cos_ic - margin)) / (e^(s (cos_ic - margin)) + sum over other classes e^(s cos)) )

s and margin are measured, not trained through: as the median item improves, both grow, and the task stays as hard as a
says. T are the classes of an item (`classes`).

Source: "Coarse-to-Fine: Learning Compact Discriminative Representation for Single-Stage Image Retrieval".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from commonspace.align.objectives.base import unprepared
from commonspace.align.objectives.classes import ClassVectors
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register

LEAST_SCALE = 32.0
CERTAIN = 1e7
# A median cosine of one would make the scale infinite.
LEAST_GAP = 1e-4


@register(
    "madacos",
    protocol="Objective",
    papers=[
        Paper(
            "Coarse-to-Fine: Learning Compact Discriminative Representation for Single-Stage Image Retrieval",
            2023,
            "https://arxiv.org/abs/2308.04008",
        )
    ],
)
class MadaCos(ClassVectors):
    """Adaptive-margin softmax over learned class vectors.

    Parameters
    ----------
    classes : int
        Number of classes: groups are 0 to classes - 1.
    alpha : float
        a, between 0 and 1: the probability that the median item is left with. Lower is harder.
    """

    name = "madacos"

    def __init__(self, *, classes: int = 100, alpha: float = 0.1) -> None:
        super().__init__(classes)
        if not 0 < alpha < 1:
            raise BadInput(f"alpha must lie between 0 and 1, not {alpha!r}")
        self.alpha = alpha

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make the class vectors."""
        self.weight = nn.Parameter(torch.empty(self.classes, dim).uniform_(-1, 1) / math.sqrt(dim))

    def class_vectors(self) -> Tensor:
        """Return (classes, dim) unit rows."""
        if not hasattr(self, "weight"):
            raise unprepared(self)
        return normalize(self.weight, dim=1)

    def cost(self, cosines: Tensor, targets: Tensor) -> Tensor:
        """Return (r,) what every item costs."""
        others = cosines.masked_fill(targets > 0, -torch.inf)
        scale, margin = self._measured((targets * cosines).sum(1).detach(), others.detach())
        self._diagnostics |= {"scale": float(scale), "margin": float(margin)}
        against = torch.logsumexp(scale * others, 1, keepdim=True)
        return (targets * softplus(against - scale * (cosines - margin))).sum(1)

    def _measured(self, own: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and margin from the items' cosines with their own and the other classes."""
        median = own.median()
        scale = math.log(CERTAIN * (1 - self.alpha) / self.alpha) / (1 - median).clamp_min(LEAST_GAP)
        scale = scale.clamp_min(LEAST_SCALE)
        # Items that share the median cosine share the say, or the order of the batch would choose among them.
        log_b = torch.logsumexp(scale * others[own == median], 1).mean()
        margin = median - (log_b + math.log(self.alpha / (1 - self.alpha))) / scale
        return scale, margin.clamp_min(0)
