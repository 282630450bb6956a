"""Mixtures of two inputs of one modality, for objectives that ask for them.

    x~_i = share_i x_i + (1 - share_i) x_partner(i),      share ~ Beta(beta, beta) for a random part of the rows, else 1

Unlike `Augment.mixup`, which mixes a pair in both modalities alike and lets it stay a pair, these stand beside the
clean rows in one modality at a time: the objective knows of what each consists (`Views.mixed`) and asks for both. Only
rows that are there are mixed, and with rows that are there.

An objective asks by an attribute `wants_mixed` that holds a `Mixing`, or None where this step needs no mixtures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.core.views import Mixed

# The least that a draw of the gamma distribution counts as: with a small beta both of a pair underflow to zero.
LEAST = 1e-12


@dataclass(frozen=True)
class Mixing:
    """How rows are mixed.

    Parameters
    ----------
    beta : float
        Parameter of the Beta distribution; small ones leave most mixtures close to one of the two.
    chance : float
        Share of the rows that are mixed at all, above 0 to 1.
    modality : str, optional
        Whose inputs are mixed; by default those of every modality, each for itself.
    """

    beta: float
    chance: float = 1.0
    modality: str | None = None

    def __post_init__(self) -> None:
        if not self.beta > 0 or not 0 < self.chance <= 1:
            raise BadInput(f"beta must be positive and chance in (0, 1], not {self.beta!r} and {self.chance!r}")

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (n,) partners, a permutation, and (n,) shares of the own row."""
        partner = torch.randperm(n, generator=generator, device=generator.device)
        share = beta_draws(self.beta, n, generator)
        if self.chance < 1:
            kept = torch.rand(n, generator=generator, device=generator.device) >= self.chance
            share = share.masked_fill(kept, 1.0)
        return partner, share


def draws_for(
    mixing: Mixing | None, rows: Mapping[str, Tensor], generator: torch.Generator
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return modality -> partners and shares among the items at its `rows`, of the modalities that are to be mixed."""
    if mixing is None:
        return {}
    return {m: mixing.draw(len(r), generator) for m, r in rows.items() if mixing.modality in (None, m)}


def mix(x: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """Return the mixtures of rows x (n, d)."""
    mixed: Tensor = torch.lerp(x[partner], x, share[:, None])
    return mixed


def placed(units: Tensor, rows: Tensor, partner: Tensor, share: Tensor, *, batch: int) -> Mixed:
    """Return the mixtures of the items at `rows` as those of a batch; every other item is mixed with itself."""
    itself = torch.arange(batch, device=rows.device)
    return Mixed(
        z=units.new_zeros(batch, units.shape[1]).index_copy(0, rows, units),
        partner=itself.index_copy(0, rows, rows[partner]),
        share=share.new_ones(batch).index_copy(0, rows, share),
    )


def beta_draws(beta: float, n: int, generator: torch.Generator) -> Tensor:
    """Return (n,) draws of Beta(beta, beta), as Gamma / (Gamma + Gamma): torch's own takes no generator."""
    shape = torch.full((2, n), float(beta), device=generator.device)
    gamma = torch._standard_gamma(shape, generator=generator).clamp_min(LEAST)
    return gamma[0] / gamma.sum(0)


def beta_draw(beta: float) -> float:
    """Return one draw of Beta(beta, beta) from torch's own random state, for objectives that mix rows of the space."""
    gamma = torch._standard_gamma(torch.full((2,), float(beta), dtype=torch.float64)).clamp_min(LEAST)
    return float(gamma[0] / gamma.sum())


def mixing_of(objectives: Iterable[Any]) -> Mixing | None:
    """Return the mixing that parts of an objective want; None if none wants any.

    Raises
    ------
    BadInput
        If two want different ones: a batch is mixed once.
    """
    wanted = {w for w in (getattr(o, "wants_mixed", None) for o in objectives) if w is not None}
    if len(wanted) > 1:
        raise BadInput(f"objectives that are trained together must want one mixing, not {sorted(map(str, wanted))}")
    return next(iter(wanted), None)
