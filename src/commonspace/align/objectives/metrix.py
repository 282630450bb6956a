"""`metrix`: losses over pairs whose examples are mixed together with their labels.

For a query with scores s of positives p (graded r, the best 1) and of negatives n, one of two losses over pairs:

    contrastive        sum_p r_p (1 - s_p) / sum_p r_p + mean_n max(0, s_n - margin)
    multi-similarity   log(1 + sum_p r_p exp(-alpha (s_p - margin))) / alpha
                       + log(1 + sum_n exp(beta (s_n - margin))) / beta

To which the same loss of mixtures v is added, weight times. A mixture of share c of one row and 1 - c of another,
brought back to the sphere, is c of a positive and 1 - c of a negative: its term as a positive counts c times, its term
as a negative 1 - c times. Each step draws c ~ Beta(mixup, mixup), and what is mixed with the query's `hard` nearest
negatives: its positives, or the query itself.

Source: "It Takes Two to Tango: Mixup for Deep Metric Learning", at the level of embeddings; margins are cosines here,
and one share serves a step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from commonspace.align.mixing import beta_draw
from commonspace.align.objectives.contrastive import (
    BothWays,
    Direction,
    best_is,
    candidates_of,
    positives_and_negatives,
    some,
)
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views

# The least that the squared length of a mixture counts as; two opposite rows mixed half and half have none.
TINY = 1e-6


@register(
    "metrix",
    protocol="Objective",
    papers=[Paper("It Takes Two to Tango: Mixup for Deep Metric Learning", 2021, "https://arxiv.org/abs/2106.04990")],
)
class Metrix(BothWays):
    """A loss over pairs, on clean and on mixed examples.

    Parameters
    ----------
    loss : {"multi-similarity", "contrastive"}
        Which loss over pairs.
    weight : float
        Factor of the mixed examples; 0 leaves them out.
    mixup : float
        Parameter of the Beta distribution.
    hard : int
        How many of a query's nearest negatives are mixed; at most as many as there are.
    margin : float
        The cosine above which a negative is too near; in "multi-similarity" positives below it are too far, too.
    alpha, beta : float
        How sharply "multi-similarity" looks at the worst positives and negatives.
    """

    def __init__(
        self,
        *,
        loss: str = "multi-similarity",
        weight: float = 0.4,
        mixup: float = 2.0,
        hard: int = 3,
        margin: float = 0.5,
        alpha: float = 2.0,
        beta: float = 20.0,
    ) -> None:
        super().__init__()
        check_choice("loss", loss, ("multi-similarity", "contrastive"))
        if not weight >= 0 or not mixup > 0 or not alpha > 0 or not beta > 0:
            raise BadInput(
                "weight must be at least 0, mixup, alpha and beta positive, not "
                f"{weight!r}, {mixup!r}, {alpha!r} and {beta!r}"
            )
        self.loss = loss
        self.weight = weight
        self.mixup = mixup
        self.hard = check_positive("hard", hard)
        self.margin = margin
        self.alpha = alpha
        self.beta = beta
        self._share = 0.5
        self._with_query = False

    def per_item(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: (query modality, gallery modality) -> `Direction`."""
        self._share = beta_draw(self.mixup)
        self._with_query = bool(torch.rand(()) < 0.5)
        return super().per_item(views)

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, shares, negatives = positives_and_negatives(views, a, b)
        scores = some(rows, logits)
        grades = shares / shares.amax(1, keepdim=True) if len(rows) else shares
        loss = self._pairs(scores, grades, negatives.to(scores.dtype))
        if self.weight and len(rows):
            loss = loss + self.weight * self._mixed(views.z[b], scores, grades, negatives)
        return Direction(rows, loss, best_is(shares > 0, candidates_of(views, b, scores)), (shares > 0).sum(1))

    def _mixed(self, z: Tensor, scores: Tensor, grades: Tensor, negatives: Tensor) -> Tensor:
        """Return (r,) losses of the mixtures of every query; z (batch, dim) are the candidates' rows."""
        near, n = scores.masked_fill(~negatives, -torch.inf).topk(min(self.hard, scores.shape[1]), dim=1)
        told = near.isfinite()
        near = scores.gather(1, n)
        if self._with_query:
            first, inner, weights = torch.ones_like(near), near, told.to(near.dtype)
        else:
            grade, p = grades.topk(int((grades > 0).sum(1).max()), dim=1)
            first = scores.gather(1, p)[:, :, None].expand(-1, -1, n.shape[1]).flatten(1)
            inner = torch.einsum("rpd,rnd->rpn", z[p], z[n]).flatten(1)
            near = near[:, None].expand(-1, p.shape[1], -1).flatten(1)
            weights = (grade[:, :, None] * told[:, None]).flatten(1)
        c = self._share
        length = (c**2 + (1 - c) ** 2 + 2 * c * (1 - c) * inner).clamp_min(TINY).sqrt()
        return self._pairs((c * first + (1 - c) * near) / length, weights * c, weights * (1 - c), whole=weights)

    def _pairs(self, scores: Tensor, positive: Tensor, negative: Tensor, whole: Tensor | None = None) -> Tensor:
        """Return (r,) losses of pairs that are positive and negative by weight; `whole` is what weights are shares of.

        All are (r, pairs); every row has a positive and a negative.
        """
        if self.loss == "contrastive":
            far, near = 1 - scores, (scores - self.margin).clamp_min(0)
            of = [(w if whole is None else whole).sum(1) for w in (positive, negative)]
            return (positive * far).sum(1) / of[0] + (negative * near).sum(1) / of[1]
        off = scores - self.margin
        far = softplus(torch.logsumexp(positive.log() - self.alpha * off, 1)) / self.alpha
        return far + softplus(torch.logsumexp(negative.log() + self.beta * off, 1)) / self.beta
