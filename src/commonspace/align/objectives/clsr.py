"""`clsr`: contrast between modalities, separation within them, and each side rebuilt from the other.

For few pairs. With logits s_ij = scale * z_a,i . z_b,j between modalities a and b, targets T from the relevance R, and
N_i what is not relevant to i:

    loss(a -> b)_i = - sum_j T_ij log softmax_j(s_i)                                      between the modalities
        + separation * log(1 + sum over n in N_i of e^(scale z_a,i . z_a,n - s_i+))        within a;  s_i+ = sum_j T_ij
        s_ij
    loss = mean over both directions + reconstruction * mean over i of |D_ab(z_a,i) - z_b,i|^2, the target without
    gradient

D_ab are small perceptrons of training alone. Separation compares i's partner with the others of i's own modality, so
that items do not crowd where the modalities meet.

The temperature may grow with what the frozen outputs hold for alike, so that near duplicates are repelled less:
s_ij / (1 + adaptivity * max(0, cos(p_i, p_j))) for j in N_i, cosines of the query's own side, centred in the batch.
That the method adapts its temperature is published; how, we could not confirm, so this form is ours and off
(``adaptivity=0``). The weights are ours too.

Source: "Contrastive Latent Space Reconstruction Learning for Audio-Text Retrieval".
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from commonspace.align.modules import PerModality
from commonspace.align.objectives.base import shared_rows, unprepared
from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    frozen_units,
    positives_of,
    soft_target_direction,
    some,
)
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "clsr",
    protocol="Objective",
    papers=[
        Paper("Contrastive Latent Space Reconstruction Learning for Audio-Text Retrieval", 2023),
    ],
)
class CLSR(Contrastive):
    """InfoNCE with separation within a modality and reconstruction of the other.

    Parameters
    ----------
    separation : float
        Weight of the part within a modality.
    reconstruction : float
        Weight of the reconstruction.
    adaptivity : float
        How much the temperature grows towards items that the frozen outputs hold for alike; 0 leaves it.
    hidden : int
        Hidden width of the decoders.
    """

    def __init__(
        self,
        *,
        separation: float = 0.5,
        reconstruction: float = 0.1,
        adaptivity: float = 0.0,
        hidden: int = 256,
        **temperature: Unpack[Temperature],
    ) -> None:
        super().__init__(**temperature)
        if min(separation, reconstruction, adaptivity) < 0:
            raise BadInput(
                "separation, reconstruction and adaptivity must not be negative, got "
                f"{separation!r}, {reconstruction!r} and {adaptivity!r}"
            )
        self.separation = separation
        self.reconstruction = reconstruction
        self.adaptivity = adaptivity
        self.hidden = hidden
        self._decoders: PerModality | None = None

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make a decoder for each ordered pair of modalities."""
        self._decoders = PerModality({_way(a, b): _decoder(dim, self.hidden) for a, b in permutations(heads, 2)})

    def forward(self, views: Views) -> Tensor:
        """Return the mean over pairs of modalities; zero for a batch without pairs."""
        loss = super().forward(views)
        rebuilt = self._rebuilt(views) if self.reconstruction else []
        if not rebuilt:
            return loss
        error = torch.stack(rebuilt).mean()
        self._diagnostics["reconstruction"] = float(error.detach())
        return loss + self.reconstruction * error

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b)
        logits = some(rows, logits)
        positive = weights > 0
        if self.adaptivity:
            logits = torch.where(positive, logits, logits / (1 + self.adaptivity * self._alike(views, a, rows)))
        targets = weights / weights.sum(1, keepdim=True)
        found = soft_target_direction(rows, logits, targets, positive, views.present[b].expand(len(rows), -1))
        if not self.separation or not len(rows):
            return found
        cost = self._crowded(views, a, rows, (targets * logits).sum(1))
        return Direction(rows, found.loss + self.separation * cost, found.hit, found.positives)

    def _crowded(self, views: Views, a: str, rows: Tensor, partner: Tensor) -> Tensor:
        """Return (r,) what it costs that others of modality a are near, set against the logits of the partners."""
        within = self.scale() * (views.z[a][rows] @ views.z[a].T)
        others = views.present[a] & (views.relevance[rows] == 0)
        others = others & (rows[:, None] != torch.arange(len(views), device=rows.device))
        crowd = within.masked_fill(~others, -torch.inf).logsumexp(1)
        alone = torch.isinf(crowd)
        return softplus(crowd.masked_fill(alone, 0) - partner).masked_fill(alone, 0)

    @torch.no_grad()
    def _alike(self, views: Views, a: str, rows: Tensor) -> Tensor:
        """Return (r, batch) how alike the frozen outputs of a hold items, 0 to 1; 0 where an item has none."""
        known = frozen_units(views, a, centred=True)
        return (known[rows] @ known.T).clamp(0, 1).masked_fill(~views.present[a], 0)

    def _rebuilt(self, views: Views) -> list[Tensor]:
        """Return the mean squared distance of each pair of modalities that share an item."""
        if self._decoders is None:
            raise unprepared(self)
        errors = []
        for a, b in views.pairs():
            rows = shared_rows(views, a, b)
            if len(rows):
                off = [
                    self._decoders.parts[_way(q, g)](views.z[q][rows]) - views.z[g][rows].detach()
                    for q, g in ((a, b), (b, a))
                ]
                errors.append(torch.stack([o.pow(2).sum(1).mean() for o in off]).mean())
        return errors


def _way(a: str, b: str) -> str:
    return f"{a} -> {b}"


def _decoder(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
