"""`decoupled-softmax`: the positives of an item do not compete with each other.

In a softmax over all candidates an item with many labels can never give all of them probability one, and the more it
has the harder each is pushed down by the others. Here each positive y of query i has its own softmax, over itself and
what is not relevant to i (N_i), with logits s:

    loss_i = - sum_y W_iy log [ e^s_iy / (e^s_iy + sum over n in N_i of e^s_in) ],        W_iy = R_iy / sum_k R_ik

R is the relevance of the batch, so grades weigh the positives. With one positive an item it is InfoNCE.
Source: "Dual-Encoders for Extreme Multi-Label Classification" and its code.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from commonspace.align.objectives.contrastive import Contrastive, Direction, best_is, candidates_of, positives_of, some
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views

DEXML = Paper("Dual-Encoders for Extreme Multi-Label Classification", 2023, "https://arxiv.org/abs/2310.10636")


@register("decoupled-softmax", protocol="Objective", papers=[DEXML])
class DecoupledSoftmax(Contrastive):
    """A softmax for each positive, over itself and the negatives."""

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b)
        logits = some(rows, logits)
        positive = weights > 0
        negative = views.present[b] & ~positive
        # - log(e^s / (e^s + e^rest)) = softplus(rest - s); a row without negatives has rest = -inf and costs nothing.
        rest = logits.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)
        cost = softplus((rest - logits).masked_fill(~positive | torch.isinf(rest), -torch.inf))
        loss = (weights / weights.sum(1, keepdim=True) * cost).sum(1)
        return Direction(rows, loss, best_is(positive, candidates_of(views, b, logits)), positive.sum(1))
