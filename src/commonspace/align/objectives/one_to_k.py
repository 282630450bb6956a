"""`one-to-k`: all views of an item are found at once, none of them before the others.

An item has several views (languages, paraphrases, modalities). Pairwise losses look for one view at a time, so that the
views meet through a pivot and drift apart. Here the candidates of a query x_i of modality a are the items of all other
modalities m together, with logits s_im,j = scale * x_i . z_m,j and targets from the relevance R of the batch:

    loss(a) = - mean_i sum_m,j T_im,j log softmax_m,j(s_i)        T_im,j = R_ij / sum over present m', k of R_ik

so that every view of the item has the same share of the target. The loss is the mean over the modalities that ask. With
an `anchor` (an image with captions in K languages) the anchor asks all others together, the others ask the anchor
alone, and the loss is

    loss(anchor) / 2 + mean over m of loss(m) / 2

which is the form of the source. With two modalities both forms are InfoNCE.

Source: "Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive Learning" and its
code; its sum over the K positives is a mean here, so that the loss does not grow with K.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from commonspace.align.objectives.base import zero_of
from commonspace.align.objectives.contrastive import Contrastive, Direction, Temperature, soft_target_direction, some
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "one-to-k",
    protocol="Objective",
    synonyms=("1-to-k", "ccrk"),
    papers=[
        Paper(
            "Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive Learning",
            2024,
            "https://arxiv.org/abs/2406.18254",
        )
    ],
)
class OneToK(Contrastive):
    """Contrast of each item with all views of all items at once.

    Parameters
    ----------
    anchor : str, optional
        The modality that asks all others together and is what they ask for; by default every modality asks all others.
    """

    def __init__(self, *, anchor: str | None = None, **temperature: Unpack[Temperature]) -> None:
        super().__init__(**temperature)
        self.anchor = anchor

    def pools(self, views: Views) -> dict[str, list[str]]:
        """Return query modality -> the modalities that it is compared with.

        Raises
        ------
        BadInput
            If the anchor is none of the modalities.
        """
        names = views.modalities
        if self.anchor is None:
            return {a: [m for m in names if m != a] for a in names}
        if self.anchor not in names:
            raise BadInput(f"the anchor {self.anchor!r} is none of the modalities {', '.join(names)}")
        others = [m for m in names if m != self.anchor]
        return {self.anchor: others} | {m: [self.anchor] for m in others}

    def per_item(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: (query modality, its pool joined by "+") -> `Direction`."""
        scale = self.scale()
        pools = {a: pool for a, pool in self.pools(views).items() if pool}
        return {(a, "+".join(pool)): self._asked(views, a, pool, scale) for a, pool in pools.items()}

    def forward(self, views: Views) -> Tensor:
        """Return the mean over the modalities that ask; zero for a batch without positives."""
        found = {a: d for (a, _), d in self.per_item(views).items() if len(d.rows)}
        self._note(list(found.values()))
        losses = {a: d.loss.mean() for a, d in found.items()}
        if not losses:
            return zero_of(views)
        if self.anchor is None:
            return torch.stack(list(losses.values())).mean()
        others = [loss for a, loss in losses.items() if a != self.anchor]
        ways = [losses[self.anchor]] if self.anchor in losses else []
        return torch.stack([*ways, torch.stack(others).mean()] if others else ways).mean()

    def _asked(self, views: Views, a: str, pool: list[str], scale: Tensor) -> Direction:
        """Return the losses of the queries of one modality over the items of its whole pool."""
        relevance = views.relevance.to(views.z[a].dtype)
        weights = torch.cat([relevance * views.present[m] for m in pool], 1)
        rows = torch.nonzero(views.present[a] & (weights.sum(1) > 0)).squeeze(1)
        weights = some(rows, weights)
        logits = scale * (some(rows, views.z[a]) @ torch.cat([views.z[m] for m in pool]).T)
        candidates = torch.cat([views.present[m] for m in pool]).expand(len(rows), -1)
        return soft_target_direction(rows, logits, weights / weights.sum(1, keepdim=True), weights > 0, candidates)
