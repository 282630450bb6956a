"""`oca`: a few more dimensions, of which the first d_old stay in the earlier space while all serve new against new.

With the unit rows f that a head gives, g = unit(f[:d_old]) and a square orthogonal matrix Q that is trained along:

    loss = base(Q f) + sum over old modalities b, new modalities a of  agree * CE_b(g_a) + pull * (1 - g_a . P_b)

    P_i  = unit( sum_j R_ij o_j )                       the prototype of item i: the mean old vector of what is relevant
    CE_b(g_i) = - log  sum_j r_ij w_j exp(g_i . P_j / temperature) / sum_j w_j exp(g_i . P_j / temperature)
    r_ij = R_ij / max_k R_ik,    w_j = 1 / sum_k r_jk

means over items and over pairs of a new and an old modality. R is the batch's relevance over the items with an old
vector. With classes (groups of several items) P is the class's mean, and every class counts once, however many of its
items are in the batch; without labels P is the item's own old vector and CE is InfoNCE.

Q keeps inner products, so that f is what is stored and Q is gone after training: g searches the old gallery, f another
f. It lets a base that names directions, as class vectors do, have axes of its own while the first d_old numbers stay on
the old ones. To a base that sees inner products alone, as `infonce`, Q f is f; there the layer could do nothing.

Source: "Backward-Compatible Aligned Representations via an Orthogonal Transformation Layer". There the base is a
classifier, P are means over the whole training set, the loss is 5 base + 10 CE + 5 pull without a temperature, and
there is one modality. Ours: prototypes of the batch, which need no labels, a trained temperature, and weights a quarter
as large, so that light heads lose little among themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrizations import orthogonal

from commonspace.align.objectives.base import Sum, build_objective, unprepared, zero_of
from commonspace.align.objectives.classes import ClassVectors
from commonspace.align.objectives.contrastive import Contrastive, Temperature
from commonspace.align.objectives.earlier import PAIRS, check_old, known_old, meetings, old_units, prefix_units
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "oca",
    protocol="Objective",
    synonyms=("orthogonal-compatible",),
    papers=[
        Paper(
            "Backward-Compatible Aligned Representations via an Orthogonal Transformation Layer",
            2024,
            "https://arxiv.org/abs/2408.08793",
        )
    ],
)
class OCA(Contrastive):
    """An objective for the whole vectors, and prototypes in the earlier space for their first numbers.

    Parameters
    ----------
    objective : str, mapping, objective or list of these
        The base, for new against new.
    agree : float
        Weight of telling an item's old prototype from others.
    pull : float
        Weight of the cosine with it.
    pairs : {"all", "across", "within"}
        Which new modality meets which old one: each meets each, only others, or only its own.
    layer : bool, optional
        Whether the base sees the vectors through an orthogonal layer; by default one with class vectors does.
    """

    compares_prefixes = True

    def __init__(
        self,
        *,
        objective: Any = "infonce",
        agree: float = 0.5,
        pull: float = 0.25,
        pairs: str = "all",
        layer: bool | None = None,
        **temperature: Unpack[Temperature],
    ) -> None:
        super().__init__(**temperature)
        if not (agree >= 0 and pull >= 0):
            raise BadInput(f"agree and pull must be at least 0, not {agree!r} and {pull!r}")
        check_choice("pairs", pairs, PAIRS)
        self.objective = objective
        self.agree = agree
        self.pull = pull
        self.pairs = pairs
        self.layer = layer

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make the base and the layer, which starts as the identity."""
        self._base = copy.deepcopy(build_objective(self.objective))
        if hasattr(self._base, "prepare"):
            self._base.prepare(heads, dim)
        bases = self._base.objectives if isinstance(self._base, Sum) else [self._base]
        wanted = any(isinstance(o, ClassVectors) for o in bases)
        self.turn = None
        if wanted if self.layer is None else self.layer:
            turn = nn.Linear(dim, dim, bias=False)
            nn.init.eye_(turn.weight)
            self.turn = orthogonal(turn, orthogonal_map="matrix_exp")

    def forward(self, views: Views) -> Tensor:
        """Return the loss of the base and of the first numbers against the old prototypes."""
        if not hasattr(self, "_base"):
            raise unprepared(self)
        check_old(views, "oca")
        loss: Tensor = self._base(self._turned(views)) + zero_of(views)
        self._diagnostics = dict(self._base.diagnostics)
        scale = self.scale()
        found = [f for f in (self._agreement(views, a, b, scale) for a, b in meetings(views, self.pairs)) if len(f[0])]
        if not found:
            return loss
        agree, pull = (torch.stack([f[i].mean() for f in found]).mean() for i in (0, 1))
        self._diagnostics |= {"old temperature": 1 / scale.item(), "old cosine": 1 - pull.item()}
        return loss + self.agree * agree + self.pull * pull

    @property
    def wants_layers(self) -> bool:
        """Whether the base wants `Views.layers`."""
        return bool(getattr(getattr(self, "_base", None), "wants_layers", False))

    def parts(self) -> Iterable[Any]:
        """Return the base."""
        return [self._base]

    def _turned(self, views: Views) -> Views:
        """Return the batch as the base sees it."""
        if self.turn is None:
            return views
        z = {m: self.turn(rows) for m, rows in views.z.items()}
        mixed = {m: replace(mixture, z=self.turn(mixture.z)) for m, mixture in views.mixed.items()}
        return replace(views, z=z, layers={}, mixed=mixed)

    def _agreement(self, views: Views, a: str, b: str, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return (r,) CE and (r,) 1 - cosine, of the items of modality a that have a prototype in b."""
        known = known_old(views, b)
        g, old = prefix_units(views, a), old_units(views, b)
        r = views.relevance.to(g.dtype) * known
        told = r.sum(1) > 0  # what is relevant to nothing has no prototype
        rows = torch.nonzero(views.present[a] & told).squeeze(1)
        least = torch.finfo(r.dtype).tiny
        r = r / r.amax(1, keepdim=True).clamp_min(least)
        prototypes = normalize(r @ old, dim=1)
        g, near = g[rows], r[rows]
        logits = (scale * g @ prototypes.T - r.sum(1).clamp_min(least).log()).masked_fill(~(known & told), -torch.inf)
        right = (logits + near.clamp_min(least).log()).masked_fill(near == 0, -torch.inf)
        return logits.logsumexp(1) - right.logsumexp(1), 1 - (g * prototypes[rows]).sum(1)
