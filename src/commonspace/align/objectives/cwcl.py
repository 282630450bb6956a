"""`cwcl`: a frozen encoder's own similarities say how much each item of the batch is a positive.

Where one side already knows what is alike (sentence vectors of names), its similarities are graded labels for free. For
a query i of the teaching modality, with frozen outputs p, and candidates j of the other modality b:

    w_ij = exp((cos(p_i, p_j) - 1) / h)   kernel of bandwidth h
         = (1 + cos(p_i, p_j)) / 2        linear, as published

    loss_i = - sum_j T_ij log softmax_j(scale * z_i . z_j),        T_ij = w_ij / sum_k w_ik

`power` sharpens w further, `top` keeps the best m of each query. An item that the batch's relevance R calls relevant
counts at least as much as that: w_ij = max(w_ij, R_ij / max_k R_ik). The published weights are nearly equal in a batch
of some hundreds, so that all candidates are positives; it was made for batches of thousands. The kernel is our default,
on outputs that are centred in the batch.

A candidate whose frozen output is not known (it lacks the teaching modality) counts by R alone. With a
`teacher`, the direction in which the other side asks is InfoNCE on R, because that side's similarities are not to be
trusted. The frozen outputs are `Views.frozen`; where a batch brings none, the rows of the space stand in for them,
without gradient.

Source: "CWCL: Cross-Modal Transfer with Continuously Weighted Contrastive Loss"; no code
of the authors is public, so that the linear form could not be held against it.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    frozen_units,
    positives_of,
    soft_target_direction,
    some,
)
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views


@register(
    "cwcl",
    protocol="Objective",
    papers=[
        Paper(
            "CWCL: Cross-Modal Transfer with Continuously Weighted Contrastive Loss",
            2023,
            "https://arxiv.org/abs/2309.14580",
        )
    ],
)
class CWCL(Contrastive):
    """Contrast against the similarities that a frozen encoder sees.

    Parameters
    ----------
    teacher : str, optional
        The modality whose frozen outputs are trusted; by default each modality is trusted where it asks.
    weighting : {"linear", "kernel"}
        How a cosine becomes a weight; "linear" is as published.
    bandwidth : float
        h of the kernel.
    power : float
        Exponent of the weights; larger is sharper.
    top : int, optional
        Weights kept for each query besides those of relevant items.
    centred : bool
        Whether the batch's mean is taken from the frozen outputs first; without it, encoders whose outputs are all
        positive hold everything for alike.
    """

    def __init__(
        self,
        *,
        teacher: str | None = None,
        weighting: str = "kernel",
        bandwidth: float = 0.1,
        power: float = 1.0,
        top: int | None = None,
        centred: bool = True,
        **temperature: Unpack[Temperature],
    ) -> None:
        super().__init__(**temperature)
        check_choice("weighting", weighting, ("linear", "kernel"))
        if not bandwidth > 0 or not power > 0:
            raise BadInput(f"bandwidth and power must be positive, not {bandwidth!r} and {power!r}")
        if top is not None:
            check_positive("top", top)
        self.teacher = teacher
        self.weighting = weighting
        self.bandwidth = bandwidth
        self.power = power
        self.top = top
        self.centred = centred

    def forward(self, views: Views) -> Tensor:
        """Return the mean over pairs of modalities; zero for a batch without positives.

        Raises
        ------
        BadInput
            If the teacher is none of the modalities.
        """
        if self.teacher is not None and self.teacher not in views.z:
            raise BadInput(f"the teacher {self.teacher!r} is none of the modalities {', '.join(views.modalities)}")
        return super().forward(views)

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b)
        positive = weights > 0
        if self.teacher in (None, a):
            weights = self._graded(views, a, b, rows, weights)
        targets = weights / weights.sum(1, keepdim=True)
        candidates = views.present[b].expand(len(rows), -1)
        return soft_target_direction(rows, some(rows, logits), targets, positive, candidates)

    @torch.no_grad()
    def _graded(self, views: Views, a: str, b: str, rows: Tensor, weights: Tensor) -> Tensor:
        """Return (r, batch) weights of the candidates of b, by relevance and by what the encoder of a sees."""
        given = weights / weights.amax(1, keepdim=True) if len(rows) else weights
        known = frozen_units(views, a, centred=self.centred)
        cosine = (known[rows] @ known.T).clamp(-1, 1)
        seen = (1 + cosine) / 2 if self.weighting == "linear" else ((cosine - 1) / self.bandwidth).exp()
        seen = seen.pow(self.power).masked_fill(~(views.present[a] & views.present[b]), 0)
        if self.top is not None and self.top < seen.shape[1]:
            least = seen.topk(self.top, dim=1).values[:, -1:]
            seen = seen.masked_fill(seen < least, 0)
        return torch.maximum(given, seen)
