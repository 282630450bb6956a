"""`byolip`: each modality predicts the other's projection by a slowly moving copy of heads and projectors.

    loss(a, b) = mean over both directions of  2 - 2 cos(q_a(g_a(z_a)), g'_b(z'_b))
    z'_b = head'_b(x_b),   head', g' <- decay head', g' + (1 - decay) head, g   after every step

The target sees the undisturbed encoder output x_b (`Views.frozen`); where a batch brings none, z'_b is z_b without
gradient. To be added to a contrastive loss.
Source: "Improved baselines for vision-language pre-training" (after BYOL).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from commonspace.align.objectives.base import IMPROVED_BASELINES
from commonspace.align.objectives.siamlip import SiamLIP
from commonspace.align.objectives.slow_copy import SlowCopy
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "byolip",
    protocol="Objective",
    claim="align/strong_recipe",
    papers=[
        IMPROVED_BASELINES,
        Paper(
            "Bootstrap your own latent: A new approach to self-supervised Learning",
            2020,
            "https://arxiv.org/abs/2006.07733",
        ),
    ],
)
class BYOLIP(SiamLIP):
    """Prediction of a moving average's view of the other modality.

    Parameters
    ----------
    weight : float
        Factor of the loss.
    hidden, width : int
        Hidden and output width of the projectors; predictors have a quarter of the hidden width.
    decay : float
        Weight of the past in the moving average at a step.
    """

    name = "byolip"

    def __init__(self, *, weight: float = 1.0, hidden: int = 512, width: int = 128, decay: float = 0.99) -> None:
        super().__init__(weight=weight, hidden=hidden, width=width)
        self.decay = decay

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make projectors and predictors, and a copy of heads and projectors to move slowly."""
        super().prepare(heads, dim)
        self.slow = SlowCopy(heads, self.projectors.parts, decay=self.decay)

    @property
    def target(self) -> Any:
        """The copy."""
        return self.slow.target

    def after_step(self) -> None:
        """Move the copy towards the heads."""
        self.slow.follow()

    def targets(self, views: Views, rows: Tensor, projected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the slow copy's projections."""
        return {m: self.slow.projected(views, m, rows) for m in projected}
