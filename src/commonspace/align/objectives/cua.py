"""`cua`: draws partners together and spreads items evenly, within modalities and across them.

With unit rows x of modality a and y of modality b, and t = 2:

    alignment(a, b)       mean |x_i - y_i|^2
    uniformity(a)         log mean over j != k of exp(-t |x_j - x_k|^2)
    cross-uniformity(a, b)  log mean over j != k of exp(-t |x_j - y_k|^2)

    loss = weight * (alignment * mean of the first over pairs of modalities
                     + uniformity * mean of the second over modalities
                     + cross_uniformity * mean of the third over pairs)

A contrastive loss alone is content with two modalities that lie in two cones apart, as long as partners are nearest; a
distance that all pairs share costs it nothing. These terms charge for it. To be added to a contrastive loss: with
``cross_uniformity=0`` that is the source's CUA, with 1 its CUAXU.

Relevance is the source's identity taken further: an item is drawn to everything relevant to it, by its share, and is
kept apart from what is not relevant to it alone. Uniformity is over all items that have a modality, with a partner or
not.

Source: "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap"; the terms are those of Wang and
Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere", 2020.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from commonspace.align.objectives.base import ObjectiveModule, zero_of
from commonspace.align.objectives.contrastive import positives_of, some
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views

# t of the Gaussian kernel: of unit rows, exp(-t |x - y|^2) = exp(2 t (cos - 1)).
SHARPNESS = 2.0


@register(
    "cua",
    protocol="Objective",
    synonyms=("cuaxu",),
    papers=[
        Paper(
            "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
            2024,
            "https://arxiv.org/abs/2405.18570",
        )
    ],
)
class CUA(ObjectiveModule):
    """Alignment, uniformity and cross-modal uniformity, to be added to a contrastive loss.

    Parameters
    ----------
    weight : float
        Factor of the whole.
    alignment, uniformity, cross_uniformity : float
        Factors of the terms, at least 0.
    """

    def __init__(
        self,
        *,
        weight: float = 1.0,
        alignment: float = 1.0,
        uniformity: float = 1.0,
        cross_uniformity: float = 1.0,
    ) -> None:
        super().__init__()
        if not min(weight, alignment, uniformity, cross_uniformity) >= 0:
            raise BadInput(
                "weight, alignment, uniformity and cross_uniformity must be at least 0, got "
                f"{weight!r}, {alignment!r}, {uniformity!r} and {cross_uniformity!r}"
            )
        self.weight = weight
        self.alignment = alignment
        self.uniformity = uniformity
        self.cross_uniformity = cross_uniformity

    def forward(self, views: Views) -> Tensor:
        """Return the weighted sum of the three; zero for a batch without two items."""
        pairs = list(views.pairs())
        terms = {
            "alignment": [self._alignment(views, a, b) for a, b in pairs] if self.alignment else [],
            "uniformity": [self._uniformity(views, m, m) for m in views.z] if self.uniformity else [],
            "cross_uniformity": [self._uniformity(views, a, b) for a, b in pairs] if self.cross_uniformity else [],
        }
        found = {name: [v for v in values if v is not None] for name, values in terms.items()}
        means = {name: torch.stack(values).mean() for name, values in found.items() if values}
        self._diagnostics = {name: float(v.detach()) for name, v in means.items()}
        parts = [getattr(self, name) * v for name, v in means.items()]
        return self.weight * torch.stack(parts).sum() if parts else zero_of(views)

    def _alignment(self, views: Views, a: str, b: str) -> Tensor | None:
        """Return the mean over both directions of the squared distance to what is relevant, or None without any."""
        ways = []
        cosines = views.z[a] @ views.z[b].T
        for q, g, table in ((a, b, cosines), (b, a, cosines.T)):
            rows, weights = positives_of(views, q, g)
            if len(rows):
                shares = weights / weights.sum(1, keepdim=True)
                ways.append((2 - 2 * (shares * some(rows, table)).sum(1)).mean())
        return torch.stack(ways).mean() if ways else None

    def _uniformity(self, views: Views, a: str, b: str) -> Tensor | None:
        """Return the log of the mean kernel between items that are not relevant to each other, or None without any."""
        related = views.relevance > 0
        apart = ~(related | related.T) & views.present[a][:, None] & views.present[b][None, :]
        apart = apart & ~torch.eye(len(views), dtype=torch.bool, device=apart.device)
        count = int(apart.sum())
        if not count:
            return None
        exponents = 2 * SHARPNESS * (views.z[a] @ views.z[b].T - 1)
        log_sum: Tensor = exponents.masked_fill(~apart, -torch.inf).flatten().logsumexp(0)
        return log_sum - math.log(count)
