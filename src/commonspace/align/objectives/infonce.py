"""`infonce`: symmetric contrastive loss over every pair of modalities.

For query modality a and gallery modality b, with unit rows x_i and y_j, scale s = 1 / temperature and targets T:

    loss(a -> b) = - mean_i sum_j T_ij log softmax_j(s x_i . y_j)

    T_ij = (1 - smoothing) R_ij / sum_k R_ik + smoothing / number of candidates

R is the relevance of the batch over the items that have b, so one formula covers one positive (the identity), several
(items of one group) and grades. Rows without a present positive are left out. The loss of a pair is the mean of both
directions, and the loss the mean over pairs that have a row. With ``false_negatives="mask"`` only the pair itself is
positive and every other relevant item is neither positive nor negative.

Sources: the estimator is from "Representation Learning with Contrastive Predictive Coding"; the symmetric form with a
learned temperature from "Learning Transferable Visual Models From Natural Language Supervision"; label smoothing at
scale from "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision".
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
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "infonce",
    protocol="Objective",
    synonyms=("clip", "nt-xent"),
    papers=[
        Paper(
            "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision",
            2021,
            "https://arxiv.org/abs/2102.05918",
        ),
        Paper(
            "Learning Transferable Visual Models From Natural Language Supervision",
            2021,
            "https://arxiv.org/abs/2103.00020",
        ),
        Paper("Representation Learning with Contrastive Predictive Coding", 2018, "https://arxiv.org/abs/1807.03748"),
    ],
)
class InfoNCE(Contrastive):
    """Symmetric InfoNCE with relevance as soft targets.

    Parameters
    ----------
    smoothing : float
        Share of the target spread over all candidates, 0 to below 1.
    false_negatives : {"positive", "mask"}
        Whether relevant items other than the pair itself are positives, or left out of the comparison.
    """

    def __init__(
        self,
        *,
        smoothing: float = 0.0,
        false_negatives: str = "positive",
        **temperature: Unpack[Temperature],
    ) -> None:
        super().__init__(**temperature)
        check_choice("false_negatives", false_negatives, ("positive", "mask"))
        if not 0 <= smoothing < 1:
            raise BadInput(f"smoothing must be at least 0 and below 1, not {smoothing!r}")
        self.smoothing = smoothing
        self.false_negatives = false_negatives

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b, own_only=self.false_negatives == "mask")
        candidates = views.present[b].expand(len(rows), -1)
        if self.false_negatives == "mask":
            itself = rows[:, None] == torch.arange(len(views), device=rows.device)
            candidates = candidates & ((views.relevance[rows] == 0) | itself)
        targets = weights / weights.sum(1, keepdim=True)
        if self.smoothing:
            spread = candidates / candidates.sum(1, keepdim=True)
            targets = (1 - self.smoothing) * targets + self.smoothing * spread
        return soft_target_direction(rows, some(rows, logits), targets, weights > 0, candidates)
