"""`boosted`: every pair must be told apart better than a second head, trained beside it, tells it.

An anchor head a modality is trained like the target head, from another start, and thrown away at the end, so that
nothing is paid at use. With scores S of the target, A of the anchor (without gradient), D = S - A, a query i, its
partner i and candidates j:

    relative   max_j max(0, margin - (D_ii - D_ij))                      the gap to each negative is wider by the margin
    absolute   2 max(0, g margin - D_ii) + max_j max(0, (1 - g) margin + S_ij - A_ij)
                                                         partners come nearer, the nearest others go farther

    loss = objective(target) + objective(anchor) + weight * boost, the boost in both directions of all pairs

Any objective can be boosted: one by margin as in the source, or `infonce`. The anchor sees the undisturbed encoder
output (`Views.frozen`); where a batch brings none, A is S without gradient, and the boost widens the gap of every pair
alike. Of several positives each counts by its relevance.

Source: "Deep Boosting Learning: A Brand-new Cooperative Approach for Image-Text Matching".
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.modules import PerModality
from commonspace.align.objectives.base import build_objective, tell, unprepared
from commonspace.align.objectives.contrastive import each_positive
from commonspace.align.objectives.hinge import Hinge, hardest, hinge
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "boosted",
    protocol="Objective",
    synonyms=("dbl",),
    papers=[
        Paper(
            "Deep Boosting Learning: A Brand-new Cooperative Approach for Image-Text Matching",
            2024,
            "https://arxiv.org/abs/2404.18114",
        )
    ],
)
class Boosted(Hinge):
    """An objective, and the demand to beat an anchor head that is trained beside it.

    Parameters
    ----------
    objective : str, mapping, instance or list of these
        What target and anchor are trained for, each with a copy of its own.
    boost : {"relative", "absolute"}
        Whether gaps, or distances themselves, must beat the anchor's.
    margin : float
        By how much, in cosine.
    share : float
        g, 0 to 1: how much of the margin falls to the partners in "absolute".
    weight : float
        Factor of the boost.
    """

    def __init__(
        self,
        *,
        objective: Any = "infonce",
        boost: str = "relative",
        margin: float = 0.2,
        share: float = 0.5,
        weight: float = 3.0,
    ) -> None:
        super().__init__(margin)
        check_choice("boost", boost, ("relative", "absolute"))
        if not 0 <= share <= 1 or not weight >= 0:
            raise BadInput(f"share must lie in [0, 1] and weight be at least 0, not {share!r} and {weight!r}")
        self.objective = objective
        self.boost = boost
        self.share = share
        self.weight = weight
        self.target = build_objective(objective)
        self.rival = copy.deepcopy(self.target)
        self._reference: dict[str, Tensor] = {}

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make the anchor heads, which share standardisation and shape with the heads but not the start."""
        anchors = {m: copy.deepcopy(head) for m, head in heads.items()}
        for anchor in anchors.values():
            for part in anchor.modules():
                redraw: Any = getattr(part, "reset_parameters", None)
                if redraw is not None:
                    redraw()
        self.anchors = PerModality(anchors)
        tell([self.target], "prepare", heads, dim)
        tell([self.rival], "prepare", anchors, dim)

    def parts(self) -> Iterable[Any]:
        """Return the objectives of target and anchor."""
        return (self.target, self.rival)

    @property
    def wants_layers(self) -> bool:
        """Whether the target's objective wants `Views.layers`; anchors have none to show."""
        return bool(getattr(self.target, "wants_layers", False))

    def forward(self, views: Views) -> Tensor:
        """Return the losses of target and anchor and the boost."""
        if not hasattr(self, "anchors"):
            raise unprepared(self)
        seen = self._anchored(views)
        self._reference = {m: z.detach() for m, z in seen.z.items()}
        boost = super().forward(views)
        target, rival = self.target(views), self.rival(seen)
        self._diagnostics = {**self.target.diagnostics, "boost": boost.item(), "anchor": rival.item()}
        loss: Tensor = target + rival + self.weight * boost
        return loss

    def logits(self, views: Views, a: str, b: str, scale: Tensor | float) -> Tensor:
        """Return (batch, batch) by how much the target finds items more alike than the anchor does."""
        anchor: Tensor = self._reference[a] @ self._reference[b].T
        return super().logits(views, a, b, scale) - anchor

    def cost(self, way: str, scores: Tensor, shares: Tensor, negatives: Tensor) -> Tensor:
        """Return (r,) by how much the queries of one direction fail to beat the anchor."""
        worst = hardest(scores, negatives).squeeze(1)
        loss = scores.new_zeros(len(scores))
        for positive, share in each_positive(scores, shares):
            gain = positive.squeeze(1)
            if self.boost == "relative":
                told = hinge(gain, worst, self.margin)
            else:
                nearer = (self.share * self.margin - gain).clamp_min(0)
                told = 2 * nearer + ((1 - self.share) * self.margin + worst).clamp_min(0)
            loss = loss + share * told
        return loss

    def _anchored(self, views: Views) -> Views:
        """Return the batch as the anchor heads see it."""
        z = {}
        for m, rows in views.z.items():
            here = torch.nonzero(views.present[m]).squeeze(1)
            if m not in views.frozen or len(here) < 2:  # a head with batch norm needs two rows
                z[m] = rows.detach()
            else:
                units = normalize(self.anchors.parts[m](views.frozen[m][here]), dim=1)
                z[m] = torch.zeros_like(rows).index_copy(0, here, units.to(rows.dtype))
        return replace(views, z=z, layers={}, mixed={})
