"""`starbucks`: a head that can be cut to a few fixed (layers, numbers), trained on all of them at once.

With cuts (l_1, d_1) < ... < (L, dim) and z_ld the rows after layer l, cut to d numbers and normalised:

    loss = sum over cuts of L(z_ld) + w_kl sum over all but the last of KL( p_full || p_ld )

    p(i -> j) = softmax_j(z_i . z'_j / T)    over the batch, for both directions of every pair of modalities

p_full comes from the whole head, without gradient: each small head imitates how the large one ranks the batch. By
default the numbers halve with each layer taken away: (1, dim / 2^(L-1)), ..., (L - 1, dim / 2), (L, dim).

Source: "Starbucks: Improved Training for 2D Matryoshka Embeddings", fine-tuning for retrieval. Prefixes are normalised,
as the paper says and as its code for sentence similarity does; its code for retrieval leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from commonspace.align.objectives.base import ObjectiveModule, unprepared, zero_of
from commonspace.align.objectives.layered import cut, depth_of
from commonspace.align.objectives.matryoshka import copies_for
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "starbucks",
    protocol="Objective",
    papers=[
        Paper("Starbucks: Improved Training for 2D Matryoshka Embeddings", 2024, "https://arxiv.org/abs/2410.13230")
    ],
)
class Starbucks(ObjectiveModule):
    """An objective on fixed cuts of a head, each of which also imitates the whole.

    Parameters
    ----------
    objective : str, mapping, objective or list of these
        What each cut is trained for.
    sizes : sequence of (layers, numbers), optional
        The cuts, small to large; the whole head is always one of them.
    kl_weight : float
        Weight of the imitation.
    temperature : float
        T above.
    """

    wants_layers = True

    def __init__(
        self,
        *,
        objective: Any = "infonce",
        sizes: Sequence[tuple[int, int]] | None = None,
        kl_weight: float = 1.0,
        temperature: float = 0.05,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise BadInput(f"temperature must be positive, not {temperature!r}")
        self.objective = objective
        self.sizes = sizes
        self.kl_weight = kl_weight
        self.temperature = temperature
        self._terms: list[tuple[int, int, Any]] = []

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make one copy of the objective a cut."""
        cuts = fixed_cuts(self.sizes, depth_of(heads), dim)
        copies = copies_for(self.objective, heads, [size for _, size in cuts])
        self._terms = [(layers, size, part) for (layers, size), part in zip(cuts, copies, strict=True)]
        self._modules_of_copies = nn.ModuleList([c for c in copies if isinstance(c, nn.Module)])

    def forward(self, views: Views) -> Tensor:
        """Return the sum over the cuts, with their divergence from the whole."""
        if not self._terms:
            raise unprepared(self)
        parts = [cut(views, layers - 1, size) for layers, size, _ in self._terms]
        losses = [objective(part) for (_, _, objective), part in zip(self._terms, parts, strict=True)]
        losses += [self.kl_weight * self._imitation(part, parts[-1]) for part in parts[:-1]]
        return torch.stack(losses).sum()

    @property
    def diagnostics(self) -> dict[str, float]:
        """The numbers of every cut under ``"name@layers,numbers"``, those of the whole under their own."""
        found: dict[str, float] = {}
        for i, (layers, size, part) in enumerate(self._terms):
            end = "" if i == len(self._terms) - 1 else f"@{layers},{size}"
            found |= {k + end: v for k, v in part.diagnostics.items()}
        return found

    def parts(self) -> Iterable[Any]:
        """Return the copies."""
        return [part for _, _, part in self._terms]

    def _imitation(self, small: Views, whole: Views) -> Tensor:
        """Return the mean divergence of the small head's rankings of the batch from the whole head's."""
        found = []
        for a, b in small.pairs():
            for query, gallery in ((a, b), (b, a)):
                asked, there = small.present[query], small.present[gallery]
                if not bool(asked.any()) or not bool(there.any()):
                    continue
                student, teacher = (
                    (v.z[query][asked] @ v.z[gallery][there].T / self.temperature).log_softmax(1)
                    for v in (small, whole)
                )
                found.append(kl_div(student, teacher.detach(), log_target=True, reduction="batchmean"))
        return torch.stack(found).mean() if found else zero_of(small)


def fixed_cuts(sizes: Sequence[tuple[int, int]] | None, depth: int, dim: int) -> list[tuple[int, int]]:
    """Return cuts (layers, numbers), small to large, that end with the whole head.

    Raises
    ------
    BadInput
        For a cut that the head does not have, or cuts that do not grow in both.
    """
    if sizes is None:
        return [(layer, max(1, dim >> (depth - layer))) for layer in range(1, depth + 1)]
    cuts = sorted({(int(layers), int(size)) for layers, size in sizes} | {(depth, dim)})
    for layers, size in cuts:
        if not 1 <= layers <= depth or not 1 <= size <= dim:
            raise BadInput(f"a head of {depth} layers and {dim} numbers has no cut ({layers}, {size})")
    if [size for _, size in cuts] != sorted(size for _, size in cuts):
        raise BadInput(f"cuts must grow in layers and numbers together, not {cuts}")
    return cuts
