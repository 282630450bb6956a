"""`tcl`: items are told apart across modalities and within each, against a slowly moving copy of the heads.

With x the rows of the heads in training, x' those of the slow copy, s = 1 / temperature, and candidates that are the
batch and a queue of the copy's rows of earlier batches:

    loss(a -> b)_i = - sum_j T_ij log softmax_j(s x_a,i . x'_b,j)

    loss = cross * mean of loss(a -> b) over ordered pairs of different modalities  (cross-modal alignment)
         + within * mean of loss(a -> a) over modalities                            (intra-modal contrast)

    T = (1 - distillation) * relevance as shares + distillation * softmax_j(s x'_a,i . x'_b,j)

Within a modality an item must find its own undisturbed view (`Views.frozen` through the copy, without dropout and
augmentation) and those of relevant items; where a batch brings no frozen outputs, the copy's row is the item's own
without gradient. What is queued and of the query's own group is left out, neither right nor wrong. The copy moves after
every step: x' <- decay x' + (1 - decay) x, faster at the start.

The source has a third contrast, of a whole with its parts (patches, tokens), and a fusion network. Heads on one vector
an item have no parts to contrast and nothing to fuse, so neither is here. Its queue holds 65,536 rows, which is more
than most sets that heads are trained on; without distillation and with an empty queue, the cross-modal part is
`infonce` against the copy.

Source: "Vision-Language Pre-Training with Triple Contrastive Learning"; the soft targets are those of "Align before
Fuse: Vision and Language Representation Learning with Momentum Distillation".
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from commonspace.align.objectives.base import unprepared, zero_of
from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    positives_of,
    soft_target_direction,
    some,
)
from commonspace.align.objectives.slow_copy import SlowCopy
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "tcl",
    protocol="Objective",
    papers=[
        Paper(
            "Vision-Language Pre-Training with Triple Contrastive Learning", 2022, "https://arxiv.org/abs/2202.10401"
        ),
        Paper(
            "Align before Fuse: Vision and Language Representation Learning with Momentum Distillation",
            2021,
            "https://arxiv.org/abs/2107.07651",
        ),
    ],
)
class TCL(Contrastive):
    """Cross-modal and intra-modal contrast with momentum heads.

    Parameters
    ----------
    cross, within : float
        Weights of the two contrasts, at least 0; 0 switches one off.
    queue : int
        Rows of earlier batches to tell items from, a modality.
    decay : float
        Weight of the past in the slow copy at a step, 0 to below 1.
    distillation : float
        Share of the target that the slow copy's own scores make up, 0 to 1. Softens pairs that may be wrong.
    """

    def __init__(
        self,
        *,
        cross: float = 1.0,
        within: float = 1.0,
        queue: int = 512,
        decay: float = 0.995,
        distillation: float = 0.0,
        **temperature: Unpack[Temperature],
    ) -> None:
        super().__init__(**temperature)
        if not min(cross, within) >= 0 or not max(cross, within) > 0:
            raise BadInput(f"cross and within must be at least 0 and not both 0, got {cross!r} and {within!r}")
        if not queue >= 0 or not 0 <= decay < 1 or not 0 <= distillation <= 1:
            raise BadInput(
                "queue must be at least 0, decay in [0, 1) and distillation in [0, 1], got "
                f"{queue!r}, {decay!r} and {distillation!r}"
            )
        self.cross = cross
        self.within = within
        self.queue = queue
        self.decay = decay
        self.distillation = distillation
        self._queued: dict[str, tuple[Tensor, Tensor]] = {}
        self._fresh: dict[str, tuple[Tensor, Tensor]] = {}

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make a copy of the heads to move slowly."""
        self.slow = SlowCopy(heads, decay=self.decay)

    def after_step(self) -> None:
        """Move the copy towards the heads, and queue its rows of the batch."""
        self.slow.follow()
        for m, (rows, groups) in self._fresh.items():
            if m in self._queued:
                rows, groups = (torch.cat(both) for both in zip((rows, groups), self._queued[m], strict=True))
            self._queued[m] = rows[: self.queue], groups[: self.queue]
        self._fresh = {}

    def forward(self, views: Views) -> Tensor:
        """Return the sum of both contrasts; zero for a batch without positives."""
        if not hasattr(self, "slow"):
            raise unprepared(self)
        slow = self._slow_rows(views)
        scale = self.scale()
        ways = [*permutations(views.z, 2)] if self.cross else []
        ways += [(m, m) for m in views.z] if self.within else []
        found = {way: self._way(views, slow, *way, scale) for way in ways}
        found = {way: d for way, d in found.items() if len(d.rows)}
        self._note(list(found.values()))
        self._fresh = self._to_queue(views, slow) if self.queue else {}
        parts = []
        for name, weight in (("cross", self.cross), ("within", self.within)):
            losses = {way: d.loss.mean() for way, d in found.items() if (way[0] == way[1]) == (name == "within")}
            if losses:
                # Directions of a pair of modalities first, so that a pair of which one is empty counts whole.
                pairs: dict[frozenset[str], list[Tensor]] = {}
                for way, loss in losses.items():
                    pairs.setdefault(frozenset(way), []).append(loss)
                mean = torch.stack([torch.stack(both).mean() for both in pairs.values()]).mean()
                self._diagnostics[name] = float(mean.detach())
                parts.append(weight * mean)
        return torch.stack(parts).sum() if parts else zero_of(views)

    def _way(self, views: Views, slow: Mapping[str, Tensor], a: str, b: str, scale: Tensor | float) -> Direction:
        """Return the losses of the queries of modality a over the slow rows of b, of this batch and queued."""
        rows, weights = positives_of(views, a, b)
        targets = weights / weights.sum(1, keepdim=True)
        candidates = views.present[b].expand(len(rows), -1)
        gallery = slow[b]
        if b in self._queued:
            older, groups = self._queued[b]
            gallery = torch.cat([gallery, older.to(gallery.dtype)])
            targets = pad(targets, (0, len(older)))
            candidates = torch.cat([candidates, self._others(views, rows, groups)], 1)
        logits = scale * (some(rows, views.z[a]) @ gallery.T)
        positive = targets > 0
        if self.distillation:
            with torch.no_grad():
                seen = (scale * (some(rows, slow[a]) @ gallery.T)).masked_fill(~candidates, -torch.inf).softmax(1)
                targets = (1 - self.distillation) * targets + self.distillation * seen
        return soft_target_direction(rows, logits, targets, positive, candidates)

    @staticmethod
    def _others(views: Views, rows: Tensor, groups: Tensor) -> Tensor:
        """Return (r, queued) which queued rows are of another group than the query."""
        if views.groups is None:
            return torch.ones(len(rows), len(groups), dtype=torch.bool, device=groups.device)
        apart: Tensor = views.groups[rows][:, None] != groups[None, :]
        return apart

    @torch.no_grad()
    def _slow_rows(self, views: Views) -> dict[str, Tensor]:
        """Return the slow copy's unit rows of every modality; those of absent items are zero."""
        everyone = torch.arange(len(views), device=views.relevance.device)
        found = {m: self.slow.units(views, m, everyone) for m in views.z}
        return {m: torch.where(views.present[m][:, None], rows, 0) for m, rows in found.items()}

    @staticmethod
    def _to_queue(views: Views, slow: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the rows of present items with their groups; of an unknown group, one that is no item's."""
        groups = torch.full_like(views.relevance[0], -1).long() if views.groups is None else views.groups
        return {m: (slow[m][here], groups[here]) for m, here in views.present.items() if bool(here.any())}
