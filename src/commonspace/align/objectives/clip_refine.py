"""`clip-refine`: a light pass over trained heads that draws both modalities to one reference and keeps what they know.

With f_m(x) the output of a head before it is brought to length one, f'_m that of a frozen copy of the heads as they
came, both divided by the root mean square length of f'_m in the batch, and s = 1 / temperature, over the items that
have both:

    random feature alignment   z_i ~ N(0, I / dim), one draw an item, for all its modalities
                               mean of |f_m(x_i) - z_i|^2
    hybrid distillation        mean over both directions of  KL(T_i | softmax_j(s f_a(x_i) . f_b(y_j)))
                               T_i = share * R_ij / sum_k R_ik + (1 - share) * softmax_j(s f'_a(x_i) . f'_b(y_j))
    loss = random * alignment + distillation

In expectation over z the first part is |f|^2 and the same for both modalities: what distillation does not hold, and
that is the offset by which the modalities lie apart, shrinks to nothing. That is also why lengths matter: of unit
rows the expectation is a constant, so that this objective runs the heads itself on `Views.frozen`. Where a batch
brings none, it takes the unit rows for f and f', and little is left of the first part.

Source: "Post-pre-training for Modality Alignment in Vision-Language Foundation Models". There lengths are those of
one encoder and the temperature of the distillation is 1; light heads have lengths of no meaning, so that they are
divided out, and the temperature of their training is put back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from commonspace.align.objectives.base import zero_of
from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    candidates_of,
    positives_of,
    soft_target_direction,
    some,
)
from commonspace.align.objectives.slow_copy import SlowCopy
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "clip-refine",
    protocol="Objective",
    papers=[
        Paper(
            "Post-pre-training for Modality Alignment in Vision-Language Foundation Models",
            2025,
            "https://arxiv.org/abs/2504.12717",
        )
    ],
)
class ClipRefine(Contrastive):
    """Random feature alignment with hybrid distillation, for heads that are trained already; see `refine`.

    Parameters
    ----------
    temperature : float
        Of both sides of the distillation; that with which the heads were trained.
    random : float
        Weight of the alignment to random references.
    share : float
        Share of the pairs themselves in the target, 0 to 1; the rest is what the heads said when they came.
    """

    def __init__(self, *, temperature: float = 0.07, random: float = 1.0, share: float = 0.5) -> None:
        super().__init__(temperature=temperature, learn_temperature=False)
        if not random >= 0:
            raise BadInput(f"random must be at least 0, not {random!r}")
        if not 0 <= share <= 1:
            raise BadInput(f"share must lie between 0 and 1, not {share!r}")
        self.random = random
        self.share = share

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Keep a frozen copy of the heads as they are now."""
        # A tuple hides the heads from torch: they are trained with the heads, not as part of this objective.
        self._online = (dict(heads),)
        self.teacher = SlowCopy(heads, decay=0.0)  # that is never told to follow

    def forward(self, views: Views) -> Tensor:
        """Return the loss; zero for a batch in which fewer than two items have two modalities."""
        if not hasattr(self, "_online"):
            raise NotFitted(
                "clip-refine needs prepare(heads, dim) before its first batch; refine and fit_heads do that"
            )
        rows = torch.nonzero(torch.stack(list(views.present.values())).sum(0) >= 2).squeeze(1)
        if len(rows) < 2:
            self._diagnostics = {}
            return zero_of(views)
        both = {m: self._outputs(views, m) for m in views.modalities}
        now, then = ({m: pair[i] for m, pair in both.items()} for i in (0, 1))
        distilled = super().forward(replace(views, z=now, frozen=then, layers={}))
        aligned = self._aligned(views, now, then, rows)
        self._diagnostics |= {"distillation": distilled.item(), "alignment": aligned.item()}
        return self.random * aligned + distilled + zero_of(views)

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the divergences of the queries of modality a over the candidates of b."""
        rows, weights = positives_of(views, a, b)
        with torch.no_grad():
            before = candidates_of(views, b, self.scale() * (views.frozen[a] @ views.frozen[b].T))
            pairs = weights / weights.sum(1, keepdim=True)
            targets = self.share * pairs + (1 - self.share) * some(rows, before).softmax(1)
        candidates = views.present[b].expand(len(rows), -1)
        found = soft_target_direction(rows, some(rows, logits), targets, weights > 0, candidates)
        return replace(found, loss=found.loss + torch.xlogy(targets, targets).sum(1))

    def _outputs(self, views: Views, m: str) -> tuple[Tensor, Tensor]:
        """Return outputs of the heads and of their copy, in units of the copy's lengths; zero where m is absent."""
        there = torch.nonzero(views.present[m]).squeeze(1)
        if m in views.frozen and len(there):
            x = views.frozen[m][there]
            now = self._online[0][m](x)
            with torch.no_grad():
                then = self.teacher.target.heads[m](x)
        else:
            now = views.z[m][there]
            then = now.detach()
        length = then.square().sum(1).mean().sqrt().clamp_min(1e-12) if len(there) else 1.0
        empty = torch.zeros(len(views), now.shape[1], dtype=now.dtype, device=now.device)
        return empty.index_copy(0, there, now / length), empty.index_copy(0, there, then / length)

    def _aligned(self, views: Views, now: Mapping[str, Tensor], then: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """Return the mean squared distance from random references, over the items at `rows`."""
        dim = next(iter(now.values())).shape[1]
        first = torch.stack(list(then.values())).sum(0)[rows]
        draws = torch.randn(len(rows), dim, dtype=first.dtype, device=first.device) / dim**0.5
        # Who gets which draw must not hang on the order of the batch: they are dealt out by a number of the item's own.
        draws = draws[first[:, 0].argsort().argsort()]
        apart = [(f[rows] - draws).square().sum(1)[views.present[m][rows]] for m, f in now.items()]
        return torch.cat(apart).mean()
