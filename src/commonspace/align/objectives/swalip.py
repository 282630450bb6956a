"""`swalip`: each modality predicts the other's cluster assignment.

With unit projections v_m and unit prototypes C, scores p_m = v_m C', and over the items that have both modalities:

    loss(a, b) = mean over both directions of  - mean_i sum_k Q_b[i, k] log softmax_k(p_a[i] / temperature)
    Q_b = Sinkhorn(p_b / epsilon), without gradient: every item is shared out over the prototypes, and every
          prototype gets the same share of the batch

The equal shares keep it from collapsing. To be added to a contrastive loss.
Source: "Improved baselines for vision-language pre-training" (after SwAV).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.modules import PerModality, perceptron
from commonspace.align.objectives.base import IMPROVED_BASELINES, PairExtra
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "swalip",
    protocol="Objective",
    claim="align/strong_recipe",
    papers=[
        IMPROVED_BASELINES,
        Paper(
            "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments",
            2020,
            "https://arxiv.org/abs/2006.09882",
        ),
    ],
)
class SwALIP(PairExtra):
    """Swapped prediction of cluster assignments.

    Parameters
    ----------
    weight : float
        Factor of the loss.
    prototypes : int
        Number of clusters, shared by all modalities.
    temperature : float
        Of the predicted assignment.
    epsilon : float
        Of the target assignment; smaller is harder.
    iterations : int
        Of Sinkhorn's normalisation.
    hidden, width : int
        Hidden and output width of the projectors.
    """

    name = "swalip"

    def __init__(
        self,
        *,
        weight: float = 0.2,
        prototypes: int = 256,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.prototypes = prototypes
        self.temperature = temperature
        self.epsilon = epsilon
        self.iterations = iterations
        self.hidden = hidden
        self.width = width

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make a projector for each modality and the prototypes."""
        super().prepare(heads, dim)
        self.projectors = PerModality({m: perceptron(dim, self.hidden, self.width) for m in heads})
        self.centres = nn.Parameter(torch.randn(self.prototypes, self.width))

    def of_pair(self, views: Views, a: str, b: str, rows: Tensor) -> Tensor:
        """Return the mean of both directions."""
        centres = normalize(self.centres, dim=1)
        scores = {m: normalize(self.projectors.parts[m](views.z[m][rows]), dim=1) @ centres.T for m in (a, b)}
        target = {m: sinkhorn(s / self.epsilon, self.iterations) for m, s in scores.items()}
        forth = -(target[b] * (scores[a] / self.temperature).log_softmax(1)).sum(1).mean()
        back = -(target[a] * (scores[b] / self.temperature).log_softmax(1)).sum(1).mean()
        return (forth + back) / 2


@torch.no_grad()
def sinkhorn(scores: Tensor, iterations: int) -> Tensor:
    """Return assignments of items to prototypes: scores (n, k) -> (n, k), rows sum to 1, columns nearly to n / k.

    In logarithms, so that no scale of the scores over- or underflows.
    """
    log_q = scores
    for _ in range(iterations):
        log_q = log_q - log_q.logsumexp(0, keepdim=True)
        log_q = log_q - log_q.logsumexp(1, keepdim=True)
    return log_q.softmax(1)
