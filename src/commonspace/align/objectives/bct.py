"""`bct`: new vectors must find old ones and be found by them, as if both came from one space.

With g the first d_old numbers of a new vector, of length one, and o the frozen vector of an item in the earlier space,
for every new modality a and old modality b (the same one among them):

    loss(a, b) = mean over both directions of InfoNCE over  <g_a, o_b> / temperature,    targets by relevance

The loss is the mean over pairs of a new and an old modality; only the new side moves. It stands beside an objective for
the new space itself, ``["infonce", "bct"]``, and new queries then search an old gallery by their first d_old numbers.

Sources: "Towards Backward-Compatible Representation Learning", whose influence loss asks the old classifier about new
vectors; without classes the old vectors of the batch stand in for it, as in "Binary Embedding-based Retrieval at
Tencent". Both have one modality and as many dimensions as before; a prefix of a longer vector is ours here, after the
extra dimensions of later work.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from commonspace.align.objectives.base import zero_of
from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    soft_target_direction,
    some,
)
from commonspace.align.objectives.earlier import PAIRS, check_old, known_old, meetings, old_units, prefix_units
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views

PAPER = Paper("Towards Backward-Compatible Representation Learning", 2020, "https://arxiv.org/abs/2003.11942")


@register(
    "bct",
    protocol="Objective",
    synonyms=("backward-compatible",),
    papers=[PAPER, Paper("Binary Embedding-based Retrieval at Tencent", 2023, "https://arxiv.org/abs/2302.08714")],
)
class BCT(Contrastive):
    """InfoNCE between new and frozen old vectors, to be added to an objective for the new space.

    Parameters
    ----------
    weight : float
        Factor of the loss: more finds more in the old gallery and costs more among new vectors.
    pairs : {"all", "across", "within"}
        Which new modality meets which old one: each meets each, only others, or only its own.
    """

    compares_prefixes = True

    def __init__(self, *, weight: float = 0.5, pairs: str = "all", **temperature: Unpack[Temperature]) -> None:
        super().__init__(**temperature)
        if not weight >= 0:
            raise BadInput(f"weight must be at least 0, not {weight!r}")
        check_choice("pairs", pairs, PAIRS)
        self.weight = weight
        self.pairs = pairs

    def per_item(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: ("new a", "old b") and the other way round -> `Direction`."""
        check_old(views, "bct")
        scale = self.scale()
        found = {}
        for a, b in meetings(views, self.pairs):
            logits = scale * prefix_units(views, a) @ old_units(views, b).T
            new, old = views.present[a], known_old(views, b)
            found[f"new {a}", f"old {b}"] = _asked(logits, views.relevance, new, old)
            found[f"old {b}", f"new {a}"] = _asked(logits.T, views.relevance, old, new)
        return found

    def forward(self, views: Views) -> Tensor:
        """Return the weighted mean over directions; zero for a batch in which no new vector meets an old one."""
        directions = [d for d in self.per_item(views).values() if len(d.rows)]
        self._note(directions)
        self._diagnostics = {f"old {name}": value for name, value in self._diagnostics.items()}
        if not directions:
            return zero_of(views)
        return self.weight * torch.stack([d.loss.mean() for d in directions]).mean() + zero_of(views)


def _asked(logits: Tensor, relevance: Tensor, queries: Tensor, gallery: Tensor) -> Direction:
    """Return the losses of the queries that have something relevant in the gallery: (batch,) masks of both."""
    weights = relevance.to(logits.dtype) * gallery
    rows = torch.nonzero(queries & (weights.sum(1) > 0)).squeeze(1)
    weights = some(rows, weights)
    targets = weights / weights.sum(1, keepdim=True)
    return soft_target_direction(rows, some(rows, logits), targets, weights > 0, gallery.expand(len(rows), -1))
