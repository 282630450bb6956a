"""`sdm`: similarity distribution matching, for pairs that carry an identity.

Where many images and texts show one entity, all pairs within it are right. For a query i, with p its softmax over the
candidates j and q its share of the relevance R,

    p_ij = softmax_j(scale * z_i . z_j),    q_ij = R_ij / sum_k R_ik,    loss_i = sum_j p_ij log( p_ij / (q_ij + e) )

This is the divergence the other way round than in a cross-entropy: KL(p || q) asks that all of p lies where q is, and
leaves probability on anything irrelevant costly (a factor of -log e); it asks less that every positive is reached.
Where p_ij is nearly 0 so is its gradient: a partner that is far away is not drawn nearer. The source starts from
encoders that are aligned already, at a fixed temperature of 0.02. Heads that start from nothing are lost there, so the
default is 1, where every candidate keeps a share of p; lower it to go on from heads that are trained.

Source: "Cross-Modal Implicit Relation Reasoning and Aligning for Text-to-Image Person Retrieval", of which this is the
matching loss alone, as the code of "Noisy-Correspondence Learning for Text-to-Image Person Re-identification" has it;
it adds both directions, which are averaged here. The masked-token part needs tokens and their encoders, and is not
built.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from commonspace.align.objectives.contrastive import Contrastive, Direction, ScaleBounds, best_is, positives_of, some
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "sdm",
    protocol="Objective",
    synonyms=("irra",),
    papers=[
        Paper(
            "Cross-Modal Implicit Relation Reasoning and Aligning for Text-to-Image Person Retrieval",
            2023,
            "https://arxiv.org/abs/2303.12501",
        )
    ],
)
class SDM(Contrastive):
    """Divergence of the softmax of similarities from the distribution of relevance.

    Parameters
    ----------
    epsilon : float
        e above: what probability on the irrelevant costs, as -log e.
    """

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        learn_temperature: bool = False,
        epsilon: float = 1e-8,
        **bounds: Unpack[ScaleBounds],
    ) -> None:
        super().__init__(temperature=temperature, learn_temperature=learn_temperature, **bounds)
        if not 0 < epsilon < 1:
            raise BadInput(f"epsilon must lie between 0 and 1, not {epsilon!r}")
        self.epsilon = epsilon

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b)
        masked = some(rows, logits).masked_fill(~views.present[b], -torch.inf)
        log_p = masked.log_softmax(1).masked_fill(~views.present[b], 0)
        q = weights / weights.sum(1, keepdim=True)
        p = log_p.exp() * views.present[b]
        loss = (p * (log_p - (q + self.epsilon).log())).sum(1)
        return Direction(rows, loss, best_is(weights > 0, masked), (weights > 0).sum(1))
