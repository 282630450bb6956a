"""`icnn`: classes keep apart as the ICNN score sees it, and items are nearer to their prototype than to any other.

    loss = weight * ( - log score + proto_triplet * mean_i max(0, d(z_i, own prototype) - min d(z_i, other) + margin) )

The score (`commonspace.measure.health.icnn`) is taken three times for a pair of modalities, for items of a among those
of b, of b among those of a, and of both among both; the loss is the mean. Which neighbours are nearest is chosen anew
each step and not trained through; their distances are. What is relevant shares a class. The prototype of an item in a
modality is the mean of what is relevant to it there, by grade; the other prototypes are those of items that are not
relevant to it. Needs groups of several items. To be added to a contrastive loss: ``["infonce", "icnn"]``.

Source: "SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel distance-based
loss functions for few-shot image classification".
"""

from __future__ import annotations

import torch
from torch import Tensor

from commonspace.align.objectives.base import ObjectiveModule, zero_of
from commonspace.align.objectives.hinge import hinge
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views

# Added to squared distances, whose root has no derivative at zero; and the least a score counts as.
TINY = 1e-12
LEAST = 1e-6


@register(
    "icnn",
    protocol="Objective",
    papers=[
        Paper(
            "SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel "
            "distance-based loss functions for few-shot image classification",
            2023,
            "https://arxiv.org/abs/2305.09062",
        )
    ],
)
class ICNN(ObjectiveModule):
    """Class separability from nearest neighbours, with a triplet over prototypes.

    Parameters
    ----------
    weight : float
        Factor of the loss.
    k : int
        Neighbours of an item; at most as many as there are.
    proto_triplet : float
        Factor of the triplet over prototypes beside the score; 0 leaves it out.
    margin : float
        Of that triplet, as a Euclidean distance.
    """

    def __init__(self, *, weight: float = 3.0, k: int = 5, proto_triplet: float = 1.0, margin: float = 0.5) -> None:
        super().__init__()
        if not weight >= 0 or not proto_triplet >= 0 or not margin >= 0:
            raise BadInput(
                f"weight, proto_triplet and margin must be at least 0, not {weight!r}, {proto_triplet!r}, {margin!r}"
            )
        self.weight = weight
        self.k = check_positive("k", k)
        self.proto_triplet = proto_triplet
        self.margin = margin

    def forward(self, views: Views) -> Tensor:
        """Return the mean over pairs of modalities; zero for a batch without neighbours."""
        scores, triplets = [], []
        for a, b in views.pairs():
            sides = [(a, b), (b, a)]
            scores += [self._score(views, (q,), (g,)) for q, g in sides] + [self._score(views, (a, b), (a, b))]
            triplets += [triplet(views, q, g, self.margin) for q, g in sides]
        found = [s for s in scores if s is not None]
        told = torch.cat(triplets) if triplets else torch.zeros(0)
        self._diagnostics = {}
        loss = zero_of(views)
        if found:
            stack = torch.stack(found)
            self._diagnostics["icnn"] = float(stack.detach().mean())
            loss = loss - stack.clamp_min(LEAST).log().mean()
        if len(told):
            loss = loss + self.proto_triplet * told.mean()
        return self.weight * loss

    def _score(self, views: Views, queries: tuple[str, ...], gallery: tuple[str, ...]) -> Tensor | None:
        """Return the score of the items of some modalities among those of others; None where there is no neighbour."""
        q = torch.cat([torch.nonzero(views.present[m]).squeeze(1) for m in queries])
        g = torch.cat([torch.nonzero(views.present[m]).squeeze(1) for m in gallery])
        itself = queries == gallery
        k = min(self.k, len(g) - itself)
        if len(q) == 0 or k < 1:
            return None
        d = distances(
            torch.cat([views.z[m][views.present[m]] for m in queries]),
            torch.cat([views.z[m][views.present[m]] for m in gallery]),
        )
        if itself:
            d = d.masked_fill(torch.eye(len(q), dtype=torch.bool, device=d.device), torch.inf)
        alike = views.relevance[q][:, g] > 0
        return score(d, alike, k)


def score(d: Tensor, alike: Tensor, k: int) -> Tensor:
    """Return the ICNN score from (n, m) distances and whether a row of the gallery shares the class of a query."""
    rival = d.masked_fill(alike, torch.inf).amin(1, keepdim=True)
    near, order = d.topk(k, dim=1, largest=False)
    same = alike.gather(1, order)
    ratio = near / rival
    ratio = ratio / ratio.amax(1, keepdim=True).clamp_min(1)
    within = 1 - mean_of_means(ratio, same) if bool(same.any()) else d.new_zeros(())
    intruders = near.masked_fill(same, 0)
    between = d.new_ones(()) if bool(same.all()) else mean_of_means(intruders / intruders.max(), ~same)
    return ((within + between) / 2 + same.to(d.dtype).mean()) / 2


def mean_of_means(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean over rows with something chosen of the mean of what is chosen."""
    counts = where.sum(1)
    some = counts > 0
    means: Tensor = (values * where).sum(1)[some] / counts[some]
    return means.mean()


def triplet(views: Views, a: str, b: str, margin: float) -> Tensor:
    """Return (r,) by how much items of a fail to be nearer to their prototype in b than to any other."""
    weights = views.relevance.to(views.z[a].dtype) * views.present[b]
    described = weights.sum(1) > 0
    others = (views.relevance == 0) & described
    rows = torch.nonzero(views.present[a] & described & others.any(1)).squeeze(1)
    if not len(rows):
        return torch.zeros(0, dtype=weights.dtype, device=weights.device)
    present = torch.where(views.present[b][:, None], views.z[b], torch.zeros_like(views.z[b]))
    prototypes = weights @ present / weights.sum(1, keepdim=True).clamp_min(TINY)
    d = distances(views.z[a][rows], prototypes)
    own = d.gather(1, rows[:, None]).squeeze(1)
    nearest = d.masked_fill(~others[rows], torch.inf).amin(1)
    return hinge(-own, -nearest, margin)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return (n, m) Euclidean distances."""
    squared = a.square().sum(1)[:, None] + b.square().sum(1)[None, :] - 2 * a @ b.T
    found: Tensor = (squared.clamp_min(0) + TINY).sqrt()
    return found
