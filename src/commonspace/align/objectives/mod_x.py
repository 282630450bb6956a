"""`mod-x`: train heads further on new data, and keep how alike the old heads found what does not belong together.

With x, y the unit rows of two modalities, x', y' those of the same items by the old heads (`Views.old`), s = 1 /
temperature, over the items of a batch:

    P'_i = softmax_j(s x'_i . y'_j)      P_i = softmax_j(s x_i . y_j)
    loss = objective + alpha * mean over i of [the best j of P'_i is relevant to i] KL(P'_i | P_i)

and the same for queries of the other modality; the mean of both. Rows of the contrastive matrix in which the old heads
were wrong are left out, and count as 0. Nothing of the old data is needed: what the old heads say of new items stands
for what they knew. Start from the old heads (`Reopened`). The matrices are compared, not the vectors, so that old and
new space may have any dimensions; and a turn of both modalities together costs nothing here.

Source: "Continual Vision-Language Representation Learning with Off-Diagonal Information". Its authors' code is followed
where paper and name leave it open: the diagonal is left in, the temperature of both matrices is 1, and the divergence
is of the new from the old. It sums over the rows of a batch, with alpha = 20: as much as alpha = 1000 and a mean in
batches of 50, 5600 in theirs. The mean is ours, so that batches of any size weigh alike, and so are several relevant
items, missing modalities and other objectives than InfoNCE. For small changes of the cosines a divergence grows with
the square of s: at the temperature of contrast, 0.07, alpha is to be two hundred times less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from commonspace.align.objectives.base import build_objective, tell
from commonspace.align.objectives.contrastive import (
    BothWays,
    Direction,
    best_is,
    positives_of,
    soft_target_direction,
    some,
)
from commonspace.align.objectives.earlier import check_old, known_old
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "mod-x",
    protocol="Objective",
    synonyms=("mod_x", "modx"),
    papers=[
        Paper(
            "Continual Vision-Language Representation Learning with Off-Diagonal Information",
            2023,
            "https://arxiv.org/abs/2305.07437",
        )
    ],
)
class ModX(BothWays):
    """An objective, and the contrastive matrices of the old heads kept.

    Parameters
    ----------
    objective : str, mapping, instance or list of these
        What the new data is learned by.
    alpha : float
        Weight of the divergence from the old matrices.
    temperature : float
        Of both matrices.
    only_right : bool
        Whether rows in which the old heads put something else first are left out.
    """

    def __init__(
        self, *, objective: Any = "infonce", alpha: float = 4000.0, temperature: float = 1.0, only_right: bool = True
    ) -> None:
        super().__init__()
        if not alpha >= 0 or not temperature > 0:
            raise BadInput(f"alpha must be at least 0 and temperature positive, not {alpha!r} and {temperature!r}")
        self.objective = objective
        self.alpha = alpha
        self.temperature = temperature
        self.only_right = only_right
        self.learning = build_objective(objective)

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Prepare the objective of the new data."""
        tell([self.learning], "prepare", heads, dim)

    def parts(self) -> Iterable[Any]:
        """Return the objective of the new data."""
        return (self.learning,)

    @property
    def wants_layers(self) -> bool:
        """Whether that objective wants `Views.layers`."""
        return bool(getattr(self.learning, "wants_layers", False))

    def forward(self, views: Views) -> Tensor:
        """Return the loss of the new data and the divergence from the old matrices."""
        check_old(views, "mod-x")
        kept = super().forward(views)
        noted = self._diagnostics
        loss: Tensor = self.learning(views) + self.alpha * kept
        self._diagnostics = {**self.learning.diagnostics, **noted, "divergence": kept.item()}
        return loss

    def scale(self) -> float:
        """Return 1 / temperature."""
        return 1 / self.temperature

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the divergences of the queries of modality a over the candidates of b."""
        known = {m: known_old(views, m) if m in views.old else torch.zeros_like(views.present[m]) for m in (a, b)}
        rows, weights = positives_of(replace(views, present={**views.present, **known}), a, b)
        if not len(rows):
            return Direction(rows, logits.new_zeros(0), known[a][:0], rows)
        with torch.no_grad():
            cosines = (views.old[a] @ views.old[b].T).to(logits.dtype)
            before = some(rows, (self.scale() * cosines).masked_fill(~known[b], -torch.inf))
            targets = before.softmax(1)
            right = best_is(weights > 0, before)
        candidates = known[b].expand(len(rows), -1)
        found = soft_target_direction(rows, some(rows, logits), targets, weights > 0, candidates)
        divergence = found.loss + torch.xlogy(targets, targets).sum(1)
        trusted = right if self.only_right else torch.ones_like(right)
        return replace(found, loss=torch.where(trusted, divergence, 0.0), hit=right)

    @torch.no_grad()
    def _note(self, directions: list[Direction]) -> None:
        self._diagnostics = {}
        if directions:
            self._diagnostics["old_right"] = float(torch.cat([d.hit for d in directions]).float().mean())
