"""`2d-matryoshka`: a head that can be cut after any layer to any prefix, trained on random cuts.

With M(z) the objective on one random prefix of z, z_L the last layer's rows, and a random earlier layer l a step:

    loss = w_last M(z_L) + w_prior c_l M(z_l) + w_kl T KL( softmax(e_L / T) || softmax(e_l / T) )

e are the rows made sqrt(dim) long: softmax over the numbers of a unit row would be nearly uniform whatever the row. The
last layer is the teacher and gets no gradient from the divergence. c_l = 1 ("uniform") or 1 / (1 + l) ("linear", with l
from 0), averaged over the layers of a step.

Source: "2D Matryoshka Sentence Embeddings", with the weights of the implementation in sentence-transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from commonspace.align.objectives.base import ObjectiveModule, unprepared
from commonspace.align.objectives.layered import cut, depth_of, stacked
from commonspace.align.objectives.matryoshka import copies_for, nested_sizes
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views


@register(
    "2d-matryoshka",
    protocol="Objective",
    synonyms=("2dmse",),
    claim="align/starbucks",
    papers=[Paper("2D Matryoshka Sentence Embeddings", 2024, "https://arxiv.org/abs/2402.14776")],
)
class TwoDMatryoshka(ObjectiveModule):
    """An objective on a random prefix of the last and of a random earlier layer.

    Parameters
    ----------
    objective : str, mapping, objective or list of these
        What each cut is trained for.
    sizes : sequence of int, optional
        Lengths of the prefixes, the whole dimension among them; by default 8, 16, 32 ...
    layers_per_step, sizes_per_step : int
        How many earlier layers, and how many prefixes of each, are drawn a step.
    last_weight, prior_weight, kl_weight : float
        Weights of the last layer, of the earlier ones and of the divergence.
    temperature : float
        T above.
    layer_weighting : {"uniform", "linear"}
        What c_l is.
    """

    wants_layers = True

    def __init__(
        self,
        *,
        objective: Any = "infonce",
        sizes: Sequence[int] | None = None,
        layers_per_step: int = 1,
        sizes_per_step: int = 1,
        last_weight: float = 1.0,
        prior_weight: float = 1.0,
        kl_weight: float = 1.0,
        temperature: float = 0.3,
        layer_weighting: str = "uniform",
    ) -> None:
        super().__init__()
        check_choice("layer_weighting", layer_weighting, ("uniform", "linear"))
        if not temperature > 0:
            raise BadInput(f"temperature must be positive, not {temperature!r}")
        self.objective = objective
        self.sizes = sizes
        self.layers_per_step = check_positive("layers_per_step", layers_per_step)
        self.sizes_per_step = check_positive("sizes_per_step", sizes_per_step)
        self.last_weight = last_weight
        self.prior_weight = prior_weight
        self.kl_weight = kl_weight
        self.temperature = temperature
        self.layer_weighting = layer_weighting
        self._copies: dict[int, Any] = {}

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make one copy of the objective a size, shared by the layers."""
        self._depth = depth_of(heads)
        self._dim = dim
        sizes = nested_sizes(self.sizes, dim)
        copies = copies_for(self.objective, heads, sizes)
        self._copies = dict(zip(sizes, copies, strict=True))
        self._modules_of_copies = nn.ModuleList([c for c in copies if isinstance(c, nn.Module)])

    def forward(self, views: Views) -> Tensor:
        """Return the loss of this step's random cuts."""
        if not self._copies:
            raise unprepared(self)
        last = self._depth - 1
        loss = self.last_weight * self._nested(views, last)
        earlier = torch.randperm(last)[: self.layers_per_step].tolist() if views.layers else []
        teacher = self._entries(views, last)
        for layer in earlier:
            weight = 1.0 if self.layer_weighting == "uniform" else 1 / (1 + layer)
            loss = loss + self.prior_weight * weight / len(earlier) * self._nested(views, layer)
            student = self._entries(views, layer)
            if teacher is not None and student is not None:
                divergence = kl_div(
                    student.log_softmax(1), teacher.detach().log_softmax(1), log_target=True, reduction="batchmean"
                )
                loss = loss + self.kl_weight * self.temperature * divergence
        return loss

    @property
    def diagnostics(self) -> dict[str, float]:
        """The numbers of the whole dimension's copy, as its last call left them."""
        return dict(self._copies[self._dim].diagnostics) if self._copies else {}

    def parts(self) -> Iterable[Any]:
        """Return the copies."""
        return self._copies.values()

    def _nested(self, views: Views, layer: int) -> Tensor:
        """Return the objective summed over this step's random prefixes of a layer."""
        sizes = list(self._copies)
        drawn = torch.randperm(len(sizes))[: self.sizes_per_step].tolist()
        return torch.stack([self._copies[sizes[i]](cut(views, layer, sizes[i])) for i in drawn]).sum()

    def _entries(self, views: Views, layer: int) -> Tensor | None:
        rows = stacked(cut(views, layer, self._dim))
        return None if rows is None else rows * (self._dim**0.5 / self.temperature)
