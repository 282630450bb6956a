"""`siamlip`: each modality predicts the other's projection, whose gradient is stopped.

With projection v_m = g_m(z_m) and prediction p_m = q_m(v_m), over the items that have both modalities:

    loss(a, b) = mean over both directions of  2 - 2 cos(p_a, stop(v_b))

It has no negatives; the predictor and the stopped gradient keep it from collapsing. To be added to a contrastive loss.
Source: "Improved baselines for vision-language pre-training" (after SimSiam).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from commonspace.align.modules import PerModality, perceptron
from commonspace.align.objectives.base import IMPROVED_BASELINES, PairExtra
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "siamlip",
    protocol="Objective",
    claim="align/strong_recipe",
    papers=[
        IMPROVED_BASELINES,
        Paper("Exploring Simple Siamese Representation Learning", 2020, "https://arxiv.org/abs/2011.10566"),
    ],
)
class SiamLIP(PairExtra):
    """Prediction of the other modality with a stopped gradient.

    Parameters
    ----------
    weight : float
        Factor of the loss.
    hidden, width : int
        Hidden and output width of the projectors; predictors have a quarter of the hidden width.
    """

    name = "siamlip"

    def __init__(self, *, weight: float = 1.0, hidden: int = 512, width: int = 128) -> None:
        super().__init__()
        self.weight = weight
        self.hidden = hidden
        self.width = width

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make a projector and a predictor for each modality."""
        super().prepare(heads, dim)
        bottleneck = max(1, self.hidden // 4)
        self.projectors = PerModality({m: perceptron(dim, self.hidden, self.width) for m in heads})
        self.predictors = PerModality({m: perceptron(self.width, bottleneck, self.width) for m in heads})

    def targets(self, views: Views, rows: Tensor, projected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what is to be predicted, without gradient: modality -> (rows, width)."""
        return {m: v.detach() for m, v in projected.items()}

    def of_pair(self, views: Views, a: str, b: str, rows: Tensor) -> Tensor:
        """Return the mean of both directions."""
        projected = {m: self.projectors.parts[m](views.z[m][rows]) for m in (a, b)}
        target = self.targets(views, rows, projected)
        forth = cosine_similarity(self.predictors.parts[a](projected[a]), target[b]).mean()
        back = cosine_similarity(self.predictors.parts[b](projected[b]), target[a]).mean()
        return 2 - forth - back
