"""`mcip`: items of one modality find each other without leaving the place where texts find them.

Every item i of a modality asks the other items of its own modality, and the captions: the rows of all other modalities,
which are not moved by this loss. With angles theta to the candidates, scale s, margin m, over a set of candidates C:

    ask(C)_i = - sum over positives p of T_ip log( e^(s cos(theta_ip + m)) / (e^(s cos(theta_ip + m)) + sum over
               negatives n of e^(s cos theta_in)) )
    loss_i   = ask(own modality) + joint * ask(own modality and captions)

Positives are what is relevant to i within its modality (other drawings of the concept), and among the captions;
besides them the `captions` nearest to i's own caption by the frozen encoder (`Views.frozen`, else the rows as they are)
count as its captions too, each with a relevance of `share` times their cosine. T are shares of the relevance. The
first part draws items of a concept together; in the second they compete with captions for the same place, which keeps
them where they are found by text. To be added to a contrastive loss, which moves the captions.

Source: "Optimizing CLIP Models for Image Retrieval with Maintained Joint-Embedding Alignment", whose
multi-caption-image pairing has texts frozen by an earlier training as captions and learned class centres with an
additive angular margin beside them. Here captions learn at the same time by the contrastive loss, and the other items
of a class in the batch stand for its centre: heads are trained from nothing, on classes of few items. How many captions
and how large a margin the source takes could not be confirmed; the defaults are ours. Its other way, drawing items
together first and then training texts towards what was frozen, is in the claim and not here: on light heads it costs
more than half of the search by text.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from commonspace.align.objectives.base import ObjectiveModule, zero_of
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views

# The angle of equal vectors has no gradient.
NEAREST = 1 - 1e-6


@register(
    "mcip",
    protocol="Objective",
    papers=[
        Paper(
            "Optimizing CLIP Models for Image Retrieval with Maintained Joint-Embedding Alignment",
            2024,
            "https://arxiv.org/abs/2409.01936",
        )
    ],
)
class MCIP(ObjectiveModule):
    """Search within a modality that keeps to its captions; to be added to a contrastive loss.

    Parameters
    ----------
    items : str, optional
        The modality whose items should find each other; all of them by default.
    weight : float
        Factor of the loss.
    temperature : float
        1 / s.
    margin : float
        m, an angle in radians by which a positive should be nearer than it is.
    captions : int
        Further captions of an item.
    share : float
        Their relevance at cosine one, beside one for an item's own.
    joint : float
        Weight of asking items and captions in one softmax; 0 leaves captions out.
    """

    def __init__(
        self,
        *,
        items: str | None = None,
        weight: float = 1.0,
        temperature: float = 0.1,
        margin: float = 0.0,
        captions: int = 0,
        share: float = 0.5,
        joint: float = 1.0,
    ) -> None:
        super().__init__()
        if not temperature > 0 or not 0 <= margin <= math.pi:
            raise BadInput(f"temperature must be positive and margin in [0, pi], not {temperature!r} and {margin!r}")
        if not min(weight, joint, captions, share) >= 0:
            raise BadInput(
                "weight, joint, captions and share must be at least 0, not "
                f"{weight!r}, {joint!r}, {captions!r} and {share!r}"
            )
        self.items = items
        self.weight = weight
        self.temperature = temperature
        self.margin = margin
        self.captions = captions
        self.share = share
        self.joint = joint

    def forward(self, views: Views) -> Tensor:
        """Return the mean over modalities; zero for a batch in which nothing has a positive and a negative."""
        if self.items is not None and self.items not in views.z:
            raise BadInput(f"mcip is to train {self.items!r}, but the modalities are {views.modalities}")
        found = [self._of(views, m) for m in views.z if self.items in (None, m)]
        losses = [loss for loss in found if loss is not None]
        if not losses:
            return zero_of(views)
        loss = torch.stack(losses).mean()
        self._diagnostics = {"mcip": float(loss.detach())}
        return self.weight * loss

    def _of(self, views: Views, m: str) -> Tensor | None:
        """Return the mean loss of the items of one modality, or None if none takes part."""
        others = [b for b in views.z if b != m]
        z = views.z[m]
        itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
        own = z, views.relevance.to(z.dtype).masked_fill(itself, 0), ~itself & views.present[m]
        found = [(1.0, self._ask(views, m, *own))]
        if self.joint:
            captions = [
                (views.z[b].detach(), self._captions(views, b), views.present[b].expand(len(z), -1)) for b in others
            ]
            gallery, weights, here = zip(own, *captions, strict=True)
            found.append(
                (self.joint, self._ask(views, m, torch.cat(gallery), torch.cat(weights, 1), torch.cat(here, 1)))
            )
        losses = [weight * loss for weight, loss in found if loss is not None]
        return torch.stack(losses).sum() if losses else None

    def _ask(self, views: Views, m: str, gallery: Tensor, weights: Tensor, here: Tensor) -> Tensor | None:
        """Return the mean cost of asking a gallery (k, dim), given (batch, k) relevance and what is a candidate."""
        weights = weights * here
        negatives = here & (weights == 0)
        rows = torch.nonzero(views.present[m] & (weights > 0).any(1) & negatives.any(1)).squeeze(1)
        if not len(rows):
            return None
        cosines = views.z[m][rows] @ gallery.T
        against = (cosines / self.temperature).masked_fill(~negatives[rows], -torch.inf).logsumexp(1, keepdim=True)
        targets = weights[rows] / weights[rows].sum(1, keepdim=True)
        costs = softplus(against - self._with_margin(cosines) / self.temperature)
        loss: Tensor = (targets * costs).sum(1).mean()
        return loss

    def _with_margin(self, cosines: Tensor) -> Tensor:
        """Return the cosines of angles that are larger by the margin, up to the opposite direction."""
        if not self.margin:
            return cosines
        return torch.cos((torch.acos(cosines.clamp(-NEAREST, NEAREST)) + self.margin).clamp_max(math.pi))

    @torch.no_grad()
    def _captions(self, views: Views, b: str) -> Tensor:
        """Return (batch, batch) how much a row of modality b is a caption of an item: relevance, and nearness to it."""
        z = views.z[b]
        relevance: Tensor = views.relevance.to(z.dtype)
        k = min(self.captions, len(z))
        if not k or not self.share:
            return relevance
        here = views.present[b]
        known = views.frozen.get(b, z).to(z.dtype).masked_fill(~here[:, None], 0)
        centre = known.sum(0) / here.sum().clamp_min(1)
        known = normalize(known - centre, dim=1)
        free = here & here[:, None] & (relevance == 0)
        nearest = (known @ known.T).masked_fill(~free, -torch.inf).topk(k, dim=1)
        return relevance.scatter_add(1, nearest.indices, self.share * nearest.values.clamp_min(0))
