"""`cleanclip`: contrast between modalities and within each, which loosens links that a few poisoned pairs have planted.

With z_m what the heads see in this step (augmented, through dropout) and z'_m their view of the same items undisturbed:

    loss = across * infonce(z_a, z_b over all pairs of modalities) + within * mean over modalities of infonce(z_m, z'_m)

A trigger in an image tells its text and nothing else of it. The second part asks of a vector that it tells its own
item from all others, for which a trigger that many items share is of no use, and augmentation of either side that
destroys the trigger now and then asks that its place be told without it. Within a modality only the item itself is
right; other relevant items are left out of the comparison, as are those of `infonce(false_negatives="mask")`. Without
augmentation, variants or dropout both views are the same, and the second part only spreads vectors out.

For fine-tuning heads that were trained on doubtful pairs, on pairs that are trusted or were filtered (see
`commonspace.align.hygiene.poison`); much shorter and slower than training. ``within=0`` is `infonce`.

Source: "CleanCLIP: Mitigating Data Poisoning Attacks in Multimodal Contrastive Learning", which augments both views;
here one is the encoder's undisturbed output (`Views.frozen`). Where a batch brings none, it is z_m itself without
gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.objectives.base import unprepared, zero_of
from commonspace.align.objectives.contrastive import Temperature, soft_target_direction
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "cleanclip",
    protocol="Objective",
    papers=[
        Paper(
            "CleanCLIP: Mitigating Data Poisoning Attacks in Multimodal Contrastive Learning",
            2023,
            "https://arxiv.org/abs/2303.03323",
        )
    ],
)
class CleanCLIP(InfoNCE):
    """InfoNCE between modalities and, of two views of an item, within each.

    Parameters
    ----------
    across, within : float
        Weights of the two parts, of one temperature; neither negative.
    """

    def __init__(self, *, across: float = 1.0, within: float = 1.0, **temperature: Unpack[Temperature]) -> None:
        super().__init__(**temperature)
        if not (across >= 0 and within >= 0 and across + within > 0):
            raise BadInput(f"across and within must not be negative nor both 0, got {across!r} and {within!r}")
        self.across = across
        self.within = within

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Note the heads, for the view of undisturbed items."""
        # A tuple hides the heads from torch: they are trained with the heads, not as part of this objective.
        self._online = (dict(heads),)

    def forward(self, views: Views) -> Tensor:
        """Return the weighted sum; zero for a batch without positives."""
        if not hasattr(self, "_online"):
            raise unprepared(self)
        between = super().forward(views)
        if not self._diagnostics or "accuracy" not in self._diagnostics:
            return zero_of(views)
        if not self.within:
            return self.across * between
        inside = torch.stack([self._own(views, m) for m in views.modalities if bool(views.present[m].any())]).mean()
        self._diagnostics |= {"within": inside.item()}
        return self.across * between + self.within * inside

    def _own(self, views: Views, m: str) -> Tensor:
        """Return how badly the two views of the items of a modality find each other, both directions."""
        rows = torch.nonzero(views.present[m]).squeeze(1)
        seen = views.z[m][rows]
        clean = normalize(self._online[0][m](views.frozen[m][rows]), dim=1) if m in views.frozen else seen.detach()
        logits = self.scale() * (seen @ clean.T)
        itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        candidates = (views.relevance[rows][:, rows] == 0) | itself
        every = torch.arange(len(rows), device=rows.device)
        ways = (logits, logits.T)
        found = [soft_target_direction(every, way, itself.to(way.dtype), itself, candidates) for way in ways]
        return torch.stack([way.loss.mean() for way in found]).mean()
