"""`matryoshka`: any objective on nested prefixes, so that the first numbers of a vector are a good vector themselves.

With sizes m_1 < m_2 < ... < dim, weights c_m and an objective L on unit rows:

    loss = sum_m c_m L(unit(z[:m]))

Every prefix is normalised by itself, and has its own copy of the objective: its own temperature, its own projectors.
A vector is cut by taking its first m numbers and normalising them; sizes between trained ones work, too.

Source: "Matryoshka Representation Learning", in its contrastive form.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.objectives.base import ObjectiveModule, build_objective, unprepared
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views

PAPER = Paper("Matryoshka Representation Learning", 2022, "https://arxiv.org/abs/2205.13147")
SMALLEST = 8


@register("matryoshka", protocol="Objective", synonyms=("mrl",), papers=[PAPER])
class Matryoshka(ObjectiveModule):
    """An objective on every prefix of the vectors at once.

    Parameters
    ----------
    objective : str, mapping, objective or list of these
        What each prefix is trained for; a list is added up.
    sizes : sequence of int, optional
        Lengths of the prefixes; the whole dimension is always one of them. By default 8, 16, 32 ... and the whole.
    weights : sequence of float, optional
        Weight of each size, the whole dimension included; by default 1 each.
    """

    def __init__(
        self,
        *,
        objective: Any = "infonce",
        sizes: Sequence[int] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.objective = objective
        self.sizes = sizes
        self.weights = weights
        self._terms: list[tuple[int, float, Any]] = []

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make one copy of the objective a size."""
        sizes = nested_sizes(self.sizes, dim)
        weights = [1.0] * len(sizes) if self.weights is None else list(self.weights)
        if len(weights) != len(sizes) or not all(w >= 0 for w in weights):
            raise BadInput(f"weights must be {len(sizes)} numbers >= 0, one for each of {sizes}, not {self.weights!r}")
        copies = copies_for(self.objective, heads, sizes)
        self._terms = list(zip(sizes, weights, copies, strict=True))
        self._modules_of_copies = nn.ModuleList([c for c in copies if isinstance(c, nn.Module)])

    def forward(self, views: Views) -> Tensor:
        """Return the weighted sum over the sizes."""
        if not self._terms:
            raise unprepared(self)
        return torch.stack([weight * part(prefix(views, size)) for size, weight, part in self._terms]).sum()

    @property
    def diagnostics(self) -> dict[str, float]:
        """The numbers of every size, those of a prefix under ``"name@size"``, those of the whole under their own."""
        found: dict[str, float] = {}
        for size, _, part in self._terms:
            end = "" if size == self._terms[-1][0] else f"@{size}"
            found |= {k + end: v for k, v in part.diagnostics.items()}
        return found

    def parts(self) -> Iterable[Any]:
        """Return the copies."""
        return [part for _, _, part in self._terms]


class PrefixHead(nn.Module):
    """A head of which only the first numbers count."""

    def __init__(self, head: nn.Module, size: int) -> None:
        super().__init__()
        self.head = head
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, size) rows."""
        out: Tensor = self.head(x)[:, : self.size]
        return out


def nested_sizes(sizes: Sequence[int] | None, dim: int) -> tuple[int, ...]:
    """Return ascending prefix lengths that end with `dim`; by default 8, 16, 32 ...

    Raises
    ------
    BadInput
        For a size that is no whole number from 1 to `dim`.
    """
    if sizes is None:
        powers = [SMALLEST << i for i in range(dim.bit_length()) if SMALLEST << i < dim]
        return (*powers, dim)
    if isinstance(sizes, str | int) or not len(sizes):
        raise BadInput(f"sizes of prefixes must be a list of whole numbers, not {sizes!r}")
    whole = {check_positive("a prefix size", s) for s in sizes}
    if max(whole) > dim:
        raise BadInput(f"a prefix of {max(whole)} numbers is longer than the vectors, which have {dim}")
    return tuple(sorted(whole | {dim}))


def prefix(views: Views, size: int) -> Views:
    """Return the batch with every vector cut to its first numbers and normalised."""
    z = {m: normalize(z[:, :size], dim=1) for m, z in views.z.items()}
    mixed = {m: replace(mixture, z=normalize(mixture.z[:, :size], dim=1)) for m, mixture in views.mixed.items()}
    return replace(views, z=z, layers={}, mixed=mixed)


def copies_for(objective: Any, heads: Mapping[str, nn.Module], sizes: Sequence[int]) -> list[Any]:
    """Return one prepared copy of an objective for each prefix length."""
    copies = []
    for size in sizes:
        # A copy, because an objective given as an instance would otherwise be one and the same for all sizes.
        part = copy.deepcopy(build_objective(objective))
        if hasattr(part, "prepare"):
            part.prepare({m: PrefixHead(head, size) for m, head in heads.items()}, size)
        copies.append(part)
    return copies
