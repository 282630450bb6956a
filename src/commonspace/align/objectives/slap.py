"""`slap`: pairs are drawn together without a single negative, by predicting what a slow copy of the heads sees.

With z_m the unit rows of modality m, q_m = predictor_m(z_m), z'_m those of a slow copy of the heads (`slow_copy`) and
d(q, z') = 2 - 2 cos(q, z'), over the items that have both modalities:

    loss(a, b) =      across  * mean of  [ d(q_a, z'_b) + d(q_b, z'_a) ] / 2
               + (1 - across) * mean of  [ d(q_a, z'_a) + d(q_b, z'_b) ] / 2

What keeps vectors from becoming all alike is the predictor and the copy, and the second line, in which a modality
predicts itself; without it the two modalities may agree on a point. No item is compared with another, so that the
loss of a batch is the mean of the losses of its items: batches may be as small as memory wants. It stands for itself;
it need not be added to a contrastive loss.

Source: "SLAP: Siamese Language-Audio Pretraining Without Negative Samples for Music Understanding". There a projector
is trained on the encoder and z is its output: here that is the head, and its dropout and the recipe's augmentation
are the difference between the two views; the predictor has no dropout of its own, so that a loss is repeatable.
Search is by z.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from commonspace.align.modules import PerModality
from commonspace.align.objectives.base import PairExtra
from commonspace.align.objectives.slow_copy import SlowCopy
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views
from commonspace.core.warning import warn

# Vectors of fewer directions than this, after a fifth of training, tell hardly anything apart.
FEWEST_DIRECTIONS = 2.0
EARLIEST = 0.2


@register(
    "slap",
    protocol="Objective",
    papers=[
        Paper(
            "SLAP: Siamese Language-Audio Pretraining Without Negative Samples for Music Understanding",
            2025,
            "https://arxiv.org/abs/2506.17815",
        )
    ],
)
class SLAP(PairExtra):
    """Prediction of a slow copy's view, across modalities and within each.

    Parameters
    ----------
    weight : float
        Factor of the loss, for use beside others.
    across : float
        Share of the prediction of the other modality, 0 to 1. The source finds collapse outside 0.2 to 0.7.
    hidden : int
        Width of the predictors.
    decay : float
        Weight of the past in the moving average at a step.
    """

    name = "slap"

    def __init__(self, *, weight: float = 1.0, across: float = 0.5, hidden: int = 512, decay: float = 0.95) -> None:
        super().__init__()
        if not 0 <= across <= 1:
            raise BadInput(f"across must lie between 0 and 1, not {across!r}")
        self.weight = weight
        self.across = across
        self.hidden = check_positive("hidden", hidden)
        self.decay = decay
        self._done = 0.0
        self._warned = False

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make a predictor for each modality, and the copy of the heads."""
        super().prepare(heads, dim)
        networks = {
            m: nn.Sequential(nn.Linear(dim, self.hidden), nn.ReLU(), nn.Linear(self.hidden, dim)) for m in heads
        }
        self.predictors = PerModality(networks)
        self.slow = SlowCopy(heads, decay=self.decay)

    def before_step(self, done: float) -> None:
        """Note how far training is."""
        super().before_step(done)
        self._done = done

    def after_step(self) -> None:
        """Move the copy towards the heads."""
        super().after_step()
        self.slow.follow()

    def of_pair(self, views: Views, a: str, b: str, rows: Tensor) -> Tensor:
        """Return the loss of one pair of modalities over the items at `rows`."""
        q = {m: self.predictors.parts[m](views.z[m][rows]) for m in (a, b)}
        target = {m: self.slow.units(views, m, rows) for m in (a, b)}

        def apart(m: str, other: str) -> Tensor:
            return 2 - 2 * cosine_similarity(q[m], target[other]).mean()

        across = (apart(a, b) + apart(b, a)) / 2
        within = (apart(a, a) + apart(b, b)) / 2
        return self.across * across + (1 - self.across) * within

    def forward(self, views: Views) -> Tensor:
        """Return the loss, and look whether vectors still differ."""
        loss = super().forward(views)
        found = [directions(views.z[m][there]) for m, there in views.present.items() if int(there.sum()) > 1]
        if self._diagnostics and found:
            self._diagnostics["directions"] = min(found)
            if min(found) < FEWEST_DIRECTIONS and self._done > EARLIEST and not self._warned:
                self._warned = True
                warn(
                    f"slap: after {self._done:.0%} of training the vectors of a modality vary in {min(found):.1f} "
                    "directions only: they have collapsed and find nothing. Bring `across` to 0.5, lower lr, or add "
                    '"infonce"'
                )
        return loss


@torch.no_grad()
def directions(z: Tensor) -> float:
    """Return in how many directions rows vary, (sum of variances)^2 / sum of variances^2 along the principal ones.

    z : (n, dim) with n >= 2; 0 if all rows are equal.
    """
    centred = (z - z.mean(0)).double()
    covariance = centred.T @ centred if z.shape[1] <= len(z) else centred @ centred.T
    total = float(covariance.diagonal().sum())
    return total**2 / float(covariance.square().sum()) if total > 1e-9 * len(z) else 0.0
