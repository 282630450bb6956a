"""`barlip`: the cross-correlation of the two modalities' projections is drawn to the identity.

With projections v_m = g_m(z_m), standardised over the items that have both modalities, and C = v_a' v_b / n:

    loss(a, b) = sum_i (1 - C_ii)^2 + redundancy * sum_{i != j} C_ij^2

The first sum wants each feature to agree across modalities, the second wants different features to say different
things. To be added to a contrastive loss.
Source: "Improved baselines for vision-language pre-training" (after Barlow Twins).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from commonspace.align.modules import PerModality, perceptron
from commonspace.align.objectives.base import IMPROVED_BASELINES, PairExtra
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views

EPS = 1e-5


@register(
    "barlip",
    protocol="Objective",
    claim="align/strong_recipe",
    papers=[
        IMPROVED_BASELINES,
        Paper(
            "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", 2021, "https://arxiv.org/abs/2103.03230"
        ),
    ],
)
class BarLIP(PairExtra):
    """Cross-correlation towards the identity.

    Parameters
    ----------
    weight : float
        Factor of the loss; small, because the loss is a sum over features.
    redundancy : float
        Weight of the off-diagonal terms.
    hidden, width : int
        Hidden and output width of the projectors.
    """

    name = "barlip"

    def __init__(self, *, weight: float = 0.025, redundancy: float = 5e-3, hidden: int = 512, width: int = 256) -> None:
        super().__init__()
        self.weight = weight
        self.redundancy = redundancy
        self.hidden = hidden
        self.width = width

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make a projector for each modality."""
        super().prepare(heads, dim)
        self.projectors = PerModality({m: perceptron(dim, self.hidden, self.width) for m in heads})

    def of_pair(self, views: Views, a: str, b: str, rows: Tensor) -> Tensor:
        """Return the distance of the cross-correlation from the identity."""
        v_a, v_b = (_standardised(self.projectors.parts[m](views.z[m][rows])) for m in (a, b))
        correlation = v_a.T @ v_b / len(rows)
        diagonal = torch.diagonal(correlation)
        off = correlation.pow(2).sum() - diagonal.pow(2).sum()
        out: Tensor = (1 - diagonal).pow(2).sum() + self.redundancy * off
        return out


def _standardised(v: Tensor) -> Tensor:
    centred = v - v.mean(0)
    return centred / torch.sqrt(centred.pow(2).mean(0) + EPS)
