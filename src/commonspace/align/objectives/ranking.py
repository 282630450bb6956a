"""`ranking`: bidirectional margin ranking, with weights of the directions and a choice of negatives.

    loss(a -> b) = mean over queries i of the mean over negatives n of max(0, margin - s_ip + s_in)
    loss = (w_ab loss(a -> b) + w_ba loss(b -> a)) / (w_ab + w_ba)

Which negatives of the batch count, for all directions or one by one:

    all        every candidate that is not relevant
    random     so many of them, drawn anew each step
    semihard   the best of those worse than the positive; where all are better, the worst of them
    hardest    the best of them all

Of several positives p each counts by its relevance. `all` and `random` take the mean where the literature takes the
sum, so that the loss does not grow with the batch.

Sources: the bidirectional loss and the effect of the direction from which negatives come, "Deep Learning Applied to
Image and Text Matching"; `hardest` from "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives"; `semihard`
from "FaceNet: A Unified Embedding for Face Recognition and Clustering".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from commonspace.align.objectives.contrastive import each_positive
from commonspace.align.objectives.hinge import Hinge, hardest, hinge
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive

CHOICES = ("all", "random", "semihard", "hardest")


@register(
    "ranking",
    protocol="Objective",
    synonyms=("triplet", "vse"),
    papers=[
        Paper("Deep Learning Applied to Image and Text Matching", 2016, "https://arxiv.org/abs/1601.03478"),
        Paper(
            "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives", 2017, "https://arxiv.org/abs/1707.05612"
        ),
        Paper(
            "FaceNet: A Unified Embedding for Face Recognition and Clustering",
            2015,
            "https://arxiv.org/abs/1503.03832",
        ),
    ],
)
class Ranking(Hinge):
    """Margin ranking in both directions, for one or both of them.

    Parameters
    ----------
    negatives : {"all", "random", "semihard", "hardest"} or mapping of str to one of them
        Which negatives count; as a mapping, ``"a->b"`` -> which count for queries of a over candidates of b, and
        "semihard" for directions not named.
    margin : float
        By how much, in cosine, a positive should be better than a negative.
    weights : mapping of str to float, optional
        ``"a->b"`` -> weight of that direction; 1 for those not named. 0 trains for the other direction alone.
    draws : int
        How many negatives a query gets from "random".
    """

    def __init__(
        self,
        *,
        negatives: str | Mapping[str, str] = "semihard",
        margin: float = 0.4,
        weights: Mapping[str, float] | None = None,
        draws: int = 8,
    ) -> None:
        super().__init__(margin, weights)
        for choice in [negatives] if isinstance(negatives, str) else negatives.values():
            check_choice("negatives", choice, CHOICES)
        self.negatives = negatives
        self.draws = check_positive("draws", draws)

    def named(self) -> Iterable[str]:
        """Return the directions that arguments speak of."""
        return [*super().named(), *(() if isinstance(self.negatives, str) else self.negatives)]

    def cost(self, way: str, scores: Tensor, shares: Tensor, negatives: Tensor) -> Tensor:
        """Return (r,) what the queries of one direction cost."""
        choice = self.negatives if isinstance(self.negatives, str) else self.negatives.get(way, "semihard")
        if choice == "random":
            negatives = drawn(negatives, self.draws)
        worst = hardest(scores, negatives) if choice == "hardest" else None
        loss = scores.new_zeros(len(scores))
        for positive, share in each_positive(scores, shares):
            if worst is not None:
                told = hinge(positive, worst, self.margin).squeeze(1)
            elif choice == "semihard":
                told = hinge(positive, semihard(positive, scores, negatives), self.margin).squeeze(1)
            else:
                told = (hinge(positive, scores, self.margin) * negatives).sum(1) / negatives.sum(1)
            loss = loss + share * told
        return loss


def semihard(positive: Tensor, scores: Tensor, negatives: Tensor) -> Tensor:
    """Return (r, 1) the score of the best negative worse than the positive, or of the worst of all."""
    below = hardest(scores, negatives & (scores < positive))
    found = below.isfinite()
    return below if bool(found.all()) else torch.where(found, below, -hardest(-scores, negatives))


def drawn(negatives: Tensor, draws: int) -> Tensor:
    """Return (r, batch) bool: at most so many of the negatives of each row, at random."""
    lots = torch.rand(negatives.shape, device=negatives.device).masked_fill(~negatives, -1)
    least = lots.topk(min(draws, lots.shape[1]), dim=1).values[:, -1:]
    return negatives & (lots >= least)
