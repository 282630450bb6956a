"""`hcl`: contrastive loss whose negatives count the more, the nearer they are to the query, less false ones among them.

For a query with logit s_p of its positive, N negatives with logits s_n, temperature t and factors w_n of mean one:

    w_n  = exp(beta s_n) / mean_m exp(beta s_m)
    N_g  = max( (sum_n w_n exp(s_n) - N tau exp(s_p)) / (1 - tau),  N exp(-1 / t) )
    loss = - log( exp(s_p) / (exp(s_p) + N_g) )

beta is the hardness: 0 counts all negatives alike. tau is the share of the negatives that are suspected to be positives
that nobody labelled; their expected part is taken off, down to the least that N negatives can sum to. For beta = tau =
0 and one positive this is `infonce`. Each of several positives is told from the negatives alone, weighted by its
relevance, and tau takes off their mean. All in logarithms, because exp of a scale of 100 overflows:

    log sum_n w_n exp(s_n) = logsumexp((1 + beta) s) - logsumexp(beta s) + log N

Sources: "Contrastive Learning with Hard Negative Samples"; the correction from "Debiased Contrastive Learning"; between
modalities in "Multimodal Contrastive Learning with Hard Negative Sampling for Human Activity Recognition".
"""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor
from torch.nn.functional import softplus

from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    best_is,
    candidates_of,
    each_positive,
    positives_and_negatives,
    some,
)
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "hcl",
    protocol="Objective",
    synonyms=("hard-infonce",),
    papers=[
        Paper(
            "Multimodal Contrastive Learning with Hard Negative Sampling for Human Activity Recognition",
            2023,
            "https://arxiv.org/abs/2309.01262",
        ),
        Paper("Contrastive Learning with Hard Negative Samples", 2020, "https://arxiv.org/abs/2010.04592"),
        Paper("Debiased Contrastive Learning", 2020, "https://arxiv.org/abs/2007.00224"),
    ],
)
class HCL(Contrastive):
    """InfoNCE with weight on hard negatives and less on false ones.

    Parameters
    ----------
    hardness : float
        beta, at least 0: how much more a near negative counts.
    false_share : float
        tau, 0 to below 1: the share of the negatives suspected to be positives.
    """

    def __init__(self, *, hardness: float = 0.25, false_share: float = 0.0, **temperature: Unpack[Temperature]) -> None:
        super().__init__(**temperature)
        if not hardness >= 0 or not 0 <= false_share < 1:
            raise BadInput(
                f"hardness must be at least 0 and false_share in [0, 1), not {hardness!r} and {false_share!r}"
            )
        self.hardness = hardness
        self.false_share = false_share

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, shares, negatives = positives_and_negatives(views, a, b)
        logits = some(rows, logits)
        against = self._log_negatives(logits, shares, negatives)[:, None]
        loss = logits.new_zeros(len(rows))
        for positive, share in each_positive(logits, shares):
            loss = loss + share * softplus(against - positive).squeeze(1)  # log(exp(s_p) + N_g) - s_p
        return Direction(rows, loss, best_is(shares > 0, candidates_of(views, b, logits)), (shares > 0).sum(1))

    def _log_negatives(self, logits: Tensor, shares: Tensor, negatives: Tensor) -> Tensor:
        """Return (r,) log N_g."""
        s = logits.masked_fill(~negatives, -torch.inf)
        log_n = negatives.sum(1).to(s.dtype).log()
        total = torch.logsumexp((1 + self.hardness) * s, 1)
        total = total - (torch.logsumexp(self.hardness * s, 1) - log_n if self.hardness else 0)
        if not self.false_share:
            return total
        false = torch.logsumexp(logits + shares.log(), 1) + log_n + math.log(self.false_share)
        kept = -torch.expm1(false - total)  # share of the sum that remains; none or less where false outweighs it
        least = log_n - self.log_scale.exp()
        tiny = torch.finfo(kept.dtype).tiny
        rest = total + kept.clamp_min(tiny).log() - math.log(1 - self.false_share)
        return torch.maximum(torch.where(kept > tiny, rest, least), least)
