"""`m2-mix`: hard negatives that lie on the way from one modality to the other.

Between the two rows a_j and b_j of an item, on the sphere, at an angle t from each other:

    n_j = (sin(c t) a_j + sin((1 - c) t) b_j) / sin t,        c ~ Beta(beta, beta), one a step

    loss(a -> b) = - mean_i sum_j P_ij log softmax_j(l_ij),   l_ij = scale * a_i . b_j   where j is relevant to i
                                                                   = scale * a_i . n_j   where it is not

P is the relevance, each row divided by its sum. Where modalities lie in two cones of the space, every b_j is far from
a_i and none is a hard negative; n_j is near, and pushing it away spreads both cones into what lies between them. To be
added to a contrastive loss: ``["infonce", "m2-mix"]``. An item that lacks one of the two is no negative here.

Source: "Geodesic Multi-Modal Mixup for Robust Fine-Tuning", with temperature and weight of its code, where each of
several positives is its own; its variants that mix within a modality are `m3co` and `bimixco`, on inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from commonspace.align.mixing import beta_draw
from commonspace.align.objectives.contrastive import BothWays, Direction, positives_of, soft_target_direction, some
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views

# Below this sine of the angle (rows that are equal, or opposite) a straight line stands for the arc.
SMALL = 1e-3


@register(
    "m2-mix",
    protocol="Objective",
    synonyms=("geodesic-mixup",),
    claim="align/mixing",
    papers=[Paper("Geodesic Multi-Modal Mixup for Robust Fine-Tuning", 2022, "https://arxiv.org/abs/2203.03897")],
)
class M2Mix(BothWays):
    """Contrast with mixtures of both modalities as negatives.

    Parameters
    ----------
    weight : float
        Factor of the loss.
    beta : float
        Parameter of the Beta distribution of the place between the modalities.
    temperature : float
        Of these logits; fixed, and softer than that of the loss beside it.
    """

    def __init__(self, *, weight: float = 0.01, beta: float = 0.5, temperature: float = 0.07) -> None:
        super().__init__()
        if not weight >= 0 or not beta > 0 or not temperature > 0:
            raise BadInput(
                "weight must be at least 0, beta and temperature positive, not "
                f"{weight!r}, {beta!r} and {temperature!r}"
            )
        self.weight = weight
        self.beta = beta
        self.temperature = temperature

    def forward(self, views: Views) -> Tensor:
        """Return the weighted mean over pairs of modalities; zero for a batch without positives."""
        loss = super().forward(views)
        self._diagnostics = {"m2-mix": loss.item()}
        return self.weight * loss

    def per_item(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: (query modality, gallery modality) -> `Direction`."""
        share = beta_draw(self.beta)
        found = {}
        for a, b in views.pairs():
            both = views.present[a] & views.present[b]
            between = geodesic(views.z[a], views.z[b], share, where=both)
            for q, g in ((a, b), (b, a)):
                found[q, g] = self._towards(views, q, g, between, both)
        return found

    def _towards(self, views: Views, q: str, g: str, between: Tensor, both: Tensor) -> Direction:
        rows, weights = positives_of(views, q, g)
        positive = weights > 0
        asking = some(rows, views.z[q])
        cosines = torch.where(positive, asking @ views.z[g].T, asking @ between.T)
        irrelevant = some(rows, views.relevance) == 0
        candidates = positive | (irrelevant & both)
        targets = weights / weights.sum(1, keepdim=True)
        return soft_target_direction(rows, cosines / self.temperature, targets, positive, candidates)


def geodesic(a: Tensor, b: Tensor, share: float, *, where: Tensor) -> Tensor:
    """Return (batch, dim) unit rows on the arcs from b (share 0) to a (share 1); zero rows but `where`."""
    one = torch.nn.functional.one_hot(torch.zeros(1, dtype=torch.int64, device=a.device), a.shape[1]).to(a.dtype)
    a, b = (torch.where(where[:, None], rows, one) for rows in (a, b))
    cosine = (a * b).sum(1, keepdim=True)
    flat = 1 - cosine.detach().square() < SMALL**2
    angle = torch.arccos(torch.where(flat, torch.zeros_like(cosine), cosine))
    arc = (torch.sin(share * angle) * a + torch.sin((1 - share) * angle) * b) / torch.sin(angle)
    line = torch.nn.functional.normalize(share * a + (1 - share) * b, dim=1)
    return torch.where(flat, line, arc) * where[:, None]
