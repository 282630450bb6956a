"""`soft-topk`: every positive is to be among the first k.

A differentiable stand-in for "is among the first k": with sharpness a, and for each query i the threshold t_i at which
the memberships add up to k,

    p_ij = sigmoid(a (s_ij + t_i)),    sum_j p_ij = k,    loss_i = - sum_y W_iy log p_iy,    W_iy = R_iy / sum_k R_ik

over the candidates j, with the relevance R of the batch as weights of the positives y and logits s = scale * cosine. t
is found by bisection and Newton's steps; its own dependence on s enters the gradient: with v_j = a p_j (1 - p_j),
dt/ds_j = -v_j / sum(v).

k is a number, or the number of positives of each query ("positives"), for which a perfect ranking costs nothing in the
limit. The source samples at most k positives; here all count. k is kept below the number of candidates (and at least
0.5 away from all of them), where no threshold exists.

Source: "Dual-Encoders for Extreme Multi-Label Classification" and its code.
"""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    best_is,
    candidates_of,
    positives_of,
    some,
)
from commonspace.align.objectives.decoupled_softmax import DEXML
from commonspace.core.errors import BadInput
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views

NEAR = 0.1  # alpha times the width of the interval from which Newton's steps at least square the error
NEWTON = 3


@register("soft-topk", protocol="Objective", papers=[DEXML], claim="align/decoupled_softmax")
class SoftTopK(Contrastive):
    """Membership of the first k, made differentiable.

    Parameters
    ----------
    k : int or "positives"
        How many places there are; "positives" gives each query as many as it has positives.
    alpha : float
        Sharpness of the membership in the logits.
    """

    def __init__(self, *, k: Any = "positives", alpha: float = 1.0, **temperature: Unpack[Temperature]) -> None:
        super().__init__(**temperature)
        if k != "positives":
            check_positive("k", k)
        if not alpha > 0:
            raise BadInput(f"alpha must be positive, not {alpha!r}")
        self.k = k
        self.alpha = alpha

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b)
        positive = weights > 0
        there = views.present[b]
        columns = torch.nonzero(there).squeeze(1)
        # Without a second candidate there is nothing to be kept out of the first k.
        if len(columns) < 2 or not len(rows):
            rows = rows[:0]
            return Direction(rows, logits[:0].sum(1), rows.bool(), rows)
        scores = some(rows, logits)[:, columns]
        k = positive.sum(1).to(scores.dtype) if self.k == "positives" else scores.new_full((len(rows),), self.k)
        member = log_membership(scores, k.clamp(max=len(columns) - 0.5), self.alpha)
        loss = -(weights / weights.sum(1, keepdim=True))[:, columns].mul(member).sum(1)
        return Direction(rows, loss, best_is(positive, candidates_of(views, b, some(rows, logits))), positive.sum(1))


def log_membership(scores: Tensor, k: Tensor, alpha: float) -> Tensor:
    """Return log sigmoid(alpha (s + t)) with the t of each row at which the sigmoids add up to k.

    scores : (r, n) float; k : (r,) float, above 0 and below n.
    """
    with torch.no_grad():
        t = threshold(scores, k, alpha)
        p = torch.sigmoid(alpha * (scores + t))
        v = p * (1 - p)
        share = v / v.sum(1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny)
    # A term that is zero in value and brings the gradient of t.
    moved = t - (share * (scores - scores.detach())).sum(1, keepdim=True)
    return logsigmoid(alpha * (scores + moved))


def threshold(scores: Tensor, k: Tensor, alpha: float) -> Tensor:
    """Return (r, 1) t: halvings of an interval that holds it, then Newton's steps, which never leave what is left.

    At one end of the interval all memberships are near 0, at the other all near 1.
    """
    reach = 50.0 / alpha
    low = -scores.amax(1, keepdim=True) - reach
    high = -scores.amin(1, keepdim=True) + reach
    halvings = math.ceil(math.log2(float((high - low).max()) * alpha / NEAR))
    for _ in range(halvings):
        middle = (low + high) / 2
        short = torch.sigmoid(alpha * (scores + middle)).sum(1, keepdim=True) < k[:, None]
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    t = (low + high) / 2
    for _ in range(NEWTON):
        p = torch.sigmoid(alpha * (scores + t))
        slope = (alpha * p * (1 - p)).sum(1, keepdim=True).clamp_min(torch.finfo(t.dtype).tiny)
        t = torch.minimum(torch.maximum(t + (k[:, None] - p.sum(1, keepdim=True)) / slope, low), high)
    return t
