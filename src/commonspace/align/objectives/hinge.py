"""What losses by margin share: a hinge between a positive and a negative, in both directions.

    hinge = max(0, margin - s_p + s_n)          scores s are cosines: there is no temperature

For every query with a positive p and a negative n among the candidates. A negative that is worse than the positive by
the margin or more costs nothing and teaches nothing; which of the others count is what these losses differ in. Of
several positives each counts by its relevance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import permutations

import torch
from torch import Tensor

from commonspace.align.objectives.contrastive import (
    BothWays,
    Direction,
    best_is,
    candidates_of,
    positives_and_negatives,
    some,
)
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


class Hinge(BothWays):
    """Base of losses by margin; subclasses say in `cost` what a query costs.

    Parameters
    ----------
    margin : float
        By how much, in cosine, a positive should be better than a negative.
    weights : mapping of str to float, optional
        ``"a->b"`` -> weight of the queries of a over the candidates of b; 1 for directions not named.
    """

    def __init__(self, margin: float, weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        if not margin >= 0:
            raise BadInput(f"margin must be at least 0, not {margin!r}")
        if any(not w >= 0 for w in (weights or {}).values()):
            raise BadInput(f"weights of directions must be at least 0, not {dict(weights or {})}")
        self.margin = margin
        self.weights = weights

    def named(self) -> Iterable[str]:
        """Return the directions that arguments speak of."""
        return self.weights or ()

    def forward(self, views: Views) -> Tensor:
        """Return the mean over pairs of modalities; zero for a batch without positives.

        Raises
        ------
        BadInput
            If an argument speaks of a direction that there is not.
        """
        known = [f"{a}->{b}" for a, b in permutations(views.z, 2)]
        for way in self.named():
            if way not in known:
                raise BadInput(f"there is no direction {way!r}; there is {', '.join(known)}")
        return super().forward(views)

    def cost(self, way: str, scores: Tensor, shares: Tensor, negatives: Tensor) -> Tensor:
        """Return (r,) what the queries of one direction cost.

        Parameters
        ----------
        way : str
            The direction, ``"a->b"``.
        scores : (r, batch) float
            How alike queries and candidates are; finite for what is no candidate.
        shares : (r, batch) float
            Relevance of the candidates; every row sums to one.
        negatives : (r, batch) bool
            Candidates that are not relevant; at least one a row.
        """
        raise NotImplementedError

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the costs of the queries of modality a over the candidates of b."""
        rows, shares, negatives = positives_and_negatives(views, a, b)
        scores = some(rows, logits)
        loss = self.cost(f"{a}->{b}", scores, shares, negatives)
        return Direction(rows, loss, best_is(shares > 0, candidates_of(views, b, scores)), (shares > 0).sum(1))

    def weight_of(self, a: str, b: str) -> float:
        """Return the weight of queries of a over candidates of b."""
        return (self.weights or {}).get(f"{a}->{b}", 1.0)

    @torch.no_grad()
    def _note(self, directions: list[Direction]) -> None:
        super()._note(directions)
        if directions:
            self._diagnostics["failing"] = float(torch.cat([d.loss for d in directions]).gt(0).float().mean())


def hinge(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Return by how much a positive fails to be better than a negative by the margin."""
    return (margin - positive + negative).clamp_min(0)


def hardest(scores: Tensor, among: Tensor) -> Tensor:
    """Return (r, 1) the highest score among the candidates chosen; -inf where none is."""
    return scores.masked_fill(~among, -torch.inf).amax(1, keepdim=True)
