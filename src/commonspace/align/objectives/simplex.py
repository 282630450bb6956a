"""`simplex`: classes are the fixed corners of a simplex, and new vectors stay where the old ones of the item were.

    CE   = - sum_c T_ic log softmax_c(z_i . s_c / temperature)           T are the classes of an item (`classes`)
    HOC  = mean over both directions of  - log  e^(mu g_i . o_i) / (e^(mu g_i . o_i) + sum over j of other classes
           e^(mu g_i . o_j))                                             over new modalities a and old modalities b
    loss = share * CE + (1 - share) * HOC;    CE alone where there is no earlier space

s are the corners (`basis.simplex_vectors`): K classes that are given places beforehand, though most are not there yet,
so that no class has to move when another one comes. That makes versions comparable in the mean; HOC, with the frozen
old vectors o and g the first d_old numbers of z, makes them so item by item, which a fixed classifier alone does not.
Items of the same class are no negatives of one another.

Source: "Stationary Representations: Optimally Approximating Compatibility and Implications for Improved Model
Replacements". There K is 1024, share 0.1 and mu 10; features of the classifier are not brought to length one, so that
it needs no temperature; and the released code asks in one direction, leaves the positive out of the sum, and gives
items of the same class the logit 0, where they are left out here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from commonspace.align.basis import simplex_vectors
from commonspace.align.objectives.base import unprepared
from commonspace.align.objectives.classes import ClassVectors
from commonspace.align.objectives.contrastive import Direction, soft_target_direction
from commonspace.align.objectives.earlier import PAIRS, known_old, meetings, old_units, prefix_units
from commonspace.align.objectives.equiangular import made
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "simplex",
    protocol="Objective",
    synonyms=("d-simplex", "hoc"),
    papers=[
        Paper(
            "Stationary Representations: Optimally Approximating Compatibility and Implications for Improved Model "
            "Replacements",
            2024,
            "https://arxiv.org/abs/2405.02581",
        )
    ],
)
class Simplex(ClassVectors):
    """Softmax over the corners of a simplex, with higher-order compatibility where there is an earlier space.

    Parameters
    ----------
    classes : int
        Number of corners: groups are 0 to classes - 1, and every version of a space must have as many. Where the
        dimension is below classes - 1 there is no such simplex, and `basis.equiangular_vectors` take its place.
    temperature : float
        How sharply the classes are told apart.
    share : float
        Weight of the classes, 0 to 1; the rest is that of higher-order compatibility.
    mu : float
        How sharply old vectors of items are told apart: the inverse of a temperature.
    pairs : {"all", "across", "within"}
        Which new modality meets which old one: each meets each, only others, or only its own.
    """

    name = "simplex"
    compares_prefixes = True
    corners: Tensor

    def __init__(
        self,
        *,
        classes: int = 100,
        temperature: float = 0.3,
        share: float = 0.1,
        mu: float = 10.0,
        pairs: str = "all",
    ) -> None:
        super().__init__(classes)
        if not temperature > 0 or not mu > 0:
            raise BadInput(f"temperature and mu must be positive, not {temperature!r} and {mu!r}")
        if not 0 <= share <= 1:
            raise BadInput(f"share must lie between 0 and 1, not {share!r}")
        check_choice("pairs", pairs, PAIRS)
        self.temperature = temperature
        self.share = share
        self.mu = mu
        self.pairs = pairs

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Place the classes."""
        few = dim < self.classes - 1
        rows = made(self.classes, dim, seed=0) if few else simplex_vectors(self.classes, dim)
        self.register_buffer("corners", torch.tensor(rows, dtype=torch.float32))

    def class_vectors(self) -> Tensor:
        """Return (classes, dim) unit rows."""
        if not hasattr(self, "corners"):
            raise unprepared(self)
        return self.corners

    def cost(self, cosines: Tensor, targets: Tensor) -> Tensor:
        """Return (r,) cross-entropies."""
        return -(targets * (cosines / self.temperature).log_softmax(1)).sum(1)

    def forward(self, views: Views) -> Tensor:
        """Return the mean over the items of all modalities, and over new and old ones that meet."""
        loss = super().forward(views)
        found = [d.loss.mean() for d in self.higher_order(views).values() if len(d.rows)] if views.old else []
        if not found:
            return loss
        higher_order = torch.stack(found).mean()
        self._diagnostics |= {"classes": loss.item(), "higher order": higher_order.item()}
        return self.share * loss + (1 - self.share) * higher_order

    def higher_order(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: ("new a", "old b") and the other way round -> `Direction`."""
        found = {}
        for a, b in meetings(views, self.pairs):
            logits = self.mu * prefix_units(views, a) @ old_units(views, b).T
            new, old = views.present[a], known_old(views, b)
            found[f"new {a}", f"old {b}"] = _itself(logits, views.relevance, new, old)
            found[f"old {b}", f"new {a}"] = _itself(logits.T, views.relevance, old, new)
        return found


def _itself(logits: Tensor, relevance: Tensor, queries: Tensor, gallery: Tensor) -> Direction:
    """Return the losses of finding oneself among the items of other classes: (batch,) masks of who is there."""
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    candidates = gallery & ((relevance == 0) | itself)
    rows = torch.nonzero(queries & gallery & (candidates.sum(1) > 1)).squeeze(1)
    own = itself[rows]
    return soft_target_direction(rows, logits[rows], own.to(logits.dtype), own, candidates[rows])
