"""`progressive-softening`: as training goes on, near misses are punished less.

Some "negatives" of a batch are as good as the pair itself, and towards the end the head knows which. A share a of the
target moves from the positives to the candidates that nobody called relevant, in proportion to what the head itself
gives them:

    T_ij = (1 - a) R_ij / sum_k R_ik             for relevant j
         = a softmax over irrelevant j of s_ij   for the others, without gradient;      s = scale * cosine
    loss_i = - sum_j T_ij log softmax_j(s_i),        a = softening * min(1, done / ramp)

with `done` the share of training done. At the start, and with ``softening=0``, it is InfoNCE.

Source: "LightCLIP: Learning Multi-Level Interaction for Lightweight Vision-Language Models", of which this is the
loss between items; neither its schedule nor its share could be confirmed, linear ramp and 0.2 are ours. Its matching
of words and patches is not built.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    positives_of,
    soft_target_direction,
    some,
)
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "progressive-softening",
    protocol="Objective",
    synonyms=("lightclip",),
    papers=[
        Paper(
            "LightCLIP: Learning Multi-Level Interaction for Lightweight Vision-Language Models",
            2023,
            "https://arxiv.org/abs/2312.00674",
        )
    ],
)
class ProgressiveSoftening(Contrastive):
    """InfoNCE whose targets are softened towards the head's own ranking as training goes on.

    Parameters
    ----------
    softening : float
        Share of the target that the irrelevant candidates have in the end, 0 to below 1.
    ramp : float
        Share of training after which it is reached, above 0 to 1.
    """

    def __init__(self, *, softening: float = 0.2, ramp: float = 1.0, **temperature: Unpack[Temperature]) -> None:
        super().__init__(**temperature)
        if not 0 <= softening < 1 or not 0 < ramp <= 1:
            raise BadInput(f"softening must be in [0, 1) and ramp in (0, 1], got {softening!r} and {ramp!r}")
        self.softening = softening
        self.ramp = ramp
        self._share = 0.0

    def before_step(self, done: float) -> None:
        """Set this step's share."""
        super().before_step(done)
        self._share = self.softening * min(1.0, done / self.ramp)

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b)
        logits = some(rows, logits)
        candidates = views.present[b].expand(len(rows), -1)
        targets = weights / weights.sum(1, keepdim=True)
        if self._share:
            targets = self._softened(targets, logits.detach(), candidates & (weights == 0))
        return soft_target_direction(rows, logits, targets, weights > 0, candidates)

    def _softened(self, targets: Tensor, logits: Tensor, others: Tensor) -> Tensor:
        """Return targets of which a share has gone to the others; a row without any keeps all of it."""
        some_other = others.any(1, keepdim=True)
        spread = logits.masked_fill(~others & some_other, -torch.inf).softmax(1)
        return torch.where(some_other, (1 - self._share) * targets + self._share * spread, targets)
