"""`tal`: triplet alignment, which softens the hardest negative and the best positive.

For a query with scores s of positives p and negatives n:

    s+   = sum_p alpha_p s_p,   alpha_p ~ R_p exp(s_p / tau)   over the positives, without gradient
    loss = max(0, margin - s+ + tau log sum_n exp(s_n / tau))

R is the relevance. The second part is an upper bound of the hardest negative, by at most tau log N: all negatives near
the top take part, so that one wrong pair among them does not decide alone, and for tau -> 0 it is the triplet loss with
the hardest negative.

Source: "Noisy-Correspondence Learning for Text-to-Image Person Re-identification", where it is half of a system that
also sorts out wrong pairs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from commonspace.align.objectives.hinge import Hinge, hinge
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register


@register(
    "tal",
    protocol="Objective",
    papers=[
        Paper(
            "Noisy-Correspondence Learning for Text-to-Image Person Re-identification",
            2023,
            "https://arxiv.org/abs/2308.09911",
        )
    ],
)
class TAL(Hinge):
    """Triplet loss over a soft maximum of the negatives.

    Parameters
    ----------
    margin : float
        By how much, in cosine, the positives should be better than the negatives.
    tau : float
        How soft the maximum is; above 0. The source trains whole encoders with 0.015; light heads do better with more.
    weights : mapping of str to float, optional
        ``"a->b"`` -> weight of that direction; 1 for those not named.
    """

    def __init__(self, *, margin: float = 0.2, tau: float = 0.1, weights: Mapping[str, float] | None = None) -> None:
        super().__init__(margin, weights)
        if not tau > 0:
            raise BadInput(f"tau must be positive, not {tau!r}; for the limit use ranking with the hardest negatives")
        self.tau = tau

    def cost(self, way: str, scores: Tensor, shares: Tensor, negatives: Tensor) -> Tensor:
        """Return (r,) what the queries of one direction cost."""
        alpha = (scores.detach() / self.tau + shares.log()).softmax(1)
        against = self.tau * torch.logsumexp((scores / self.tau).masked_fill(~negatives, -torch.inf), 1)
        return hinge((alpha * scores).sum(1), against, self.margin)
