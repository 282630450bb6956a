"""What objectives on mixtures of inputs share: a mixture looks for the partners of both its parts, and they for it.

With mixtures x~_i = c_i x_i + (1 - c_i) x_k(i) of modality a (`Views.mixed`), rows y_j of modality b, logits
S_ij = scale * z(x~_i) . y_j and P = the relevance over what is in the other modality, each row divided by its sum:

    a~ -> b:   - mean_i sum_j (c_i P_ij + (1 - c_i) P_k(i)j) log softmax_j(S_ij)
    b -> a~:   - mean_j sum_i (c_i P_ji + (1 - c_i) P_jk(i)) log softmax_i(S_ij)

and the same with mixtures of b; queries from a, mixed or not, count alike, and so do those from b. A part whose partner
is missing asks for nothing, so that the mixture counts by the rest. Where nothing is mixed, this is InfoNCE. A batch
without `mixed` is one in which nothing is mixed.

After a share of training the mixtures make way for soft targets: for queries of a over candidates of b, similarities of
one modality t among its own items,

    T_ij = exp(cos(t_i, t_j) / tau) / sum_k exp(cos(t_i, t_k) / tau)

t is the modality that was not mixed, or b where all are; whether its encoder outputs or its rows of the space, a
subclass says. A relevant item counts at least as much as an item does for itself, times its grade; where t is not
known, relevance counts alone.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from commonspace.align.mixing import Mixing
from commonspace.align.objectives.contrastive import (
    Contrastive,
    Direction,
    Temperature,
    positives_of,
    soft_target_direction,
    some,
)
from commonspace.core.errors import BadInput
from commonspace.core.views import Mixed, Views


class MixtureOptions(Temperature, total=False):
    """What subclasses of `MixThenSoft` hand on."""

    until: float
    beta: float
    chance: float


class MixThenSoft(Contrastive):
    """Base of objectives that contrast mixtures first and go on with soft targets.

    Parameters
    ----------
    source : str or None
        The modality whose inputs are mixed; each in its turn if None.
    soft_temperature : float
        How fast the soft targets fall with the cosine.
    until : float
        Share of training with mixtures, 0 to 1; 1 never gets soft.
    beta : float
        Parameter of the Beta distribution of the shares.
    chance : float
        Share of the rows that are mixed at all.
    """

    def __init__(
        self,
        *,
        source: str | None,
        soft_temperature: float,
        until: float = 1 / 3,
        beta: float = 0.15,
        chance: float = 0.5,
        **temperature: Unpack[Temperature],
    ) -> None:
        super().__init__(**temperature)
        if not 0 <= until <= 1 or not soft_temperature > 0:
            raise BadInput(
                f"until must lie in [0, 1] and soft_temperature be positive, not {until!r} and {soft_temperature!r}"
            )
        self.source = source
        self.soft_temperature = soft_temperature
        self.until = until
        self.beta = beta
        self.chance = chance
        self._mixing = Mixing(beta, chance, source)
        self._soft = until == 0

    def before_step(self, done: float) -> None:
        """Choose this step's phase."""
        super().before_step(done)
        self._soft = done >= self.until

    @property
    def wants_mixed(self) -> Mixing | None:
        """What mixtures this step wants; none once targets are soft."""
        return None if self._soft else self._mixing

    def similar(self, views: Views, m: str) -> Tensor:
        """Return (batch, d) unit rows of modality m whose cosines make the soft targets."""
        raise NotImplementedError

    def forward(self, views: Views) -> Tensor:
        """Return the mean over pairs of modalities; zero for a batch without positives.

        Raises
        ------
        BadInput
            If what is to be mixed is none of the modalities.
        """
        if self.source is not None and self.source not in views.z:
            raise BadInput(
                f"only {self.source!r} is to be mixed, which is none of the modalities {', '.join(views.modalities)}"
            )
        return super().forward(views)

    def per_item(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: (query modality, gallery modality) -> `Direction`, mixed or not."""
        if self._soft:
            return super().per_item(views)
        scale = self.scale()
        found: dict[tuple[str, str], Direction] = {}
        for a, b in views.pairs():
            parts: dict[tuple[str, str], list[Direction]] = {(a, b): [], (b, a): []}
            for q, g in self._in_turn(a, b):
                mixture = views.mixed.get(q) or unmixed(views, q)
                logits = scale * mixture.z @ views.z[g].T
                parts[q, g].append(from_mixtures(views, q, g, logits, mixture))
                parts[g, q].append(towards_mixtures(views, g, q, logits.T, mixture))
            found |= {way: joined(several) for way, several in parts.items()}
        return found

    def _in_turn(self, a: str, b: str) -> list[tuple[str, str]]:
        """Return whose mixtures meet whose items."""
        if self.source is None:
            return [(a, b), (b, a)]
        return [(b, a) if self.source == b else (a, b)]

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a against soft targets."""
        rows, weights = positives_of(views, a, b)
        candidates = views.present[b].expand(len(rows), -1)
        targets = self._softened(views, a, b, rows, weights)
        return soft_target_direction(rows, some(rows, logits), targets, weights > 0, candidates)

    @torch.no_grad()
    def _softened(self, views: Views, a: str, b: str, rows: Tensor, weights: Tensor) -> Tensor:
        """Return (r, batch) soft targets over the candidates of b; rows sum to one."""
        m = a if self.source == b else b
        t, known = self.similar(views, m), views.present[m]
        cosine = (t[rows] @ t.T).to(weights.dtype).clamp(-1, 1)
        seen = ((cosine - 1) / self.soft_temperature).exp()
        seen = seen * (known[rows][:, None] & known & views.present[b])
        given = weights / weights.amax(1, keepdim=True) if len(rows) else weights
        soft = torch.maximum(given, seen)
        return soft / soft.sum(1, keepdim=True)


def unmixed(views: Views, m: str) -> Mixed:
    """Return the rows of a modality as mixtures of which each is all its own item."""
    z = views.z[m]
    return Mixed(z=z, partner=torch.arange(len(views), device=z.device), share=z.new_ones(len(views)))


def shares_of(views: Views, a: str, b: str) -> Tensor:
    """Return (batch, batch) relevance of the items of b to those of a; a row sums to one, or to zero if nothing is."""
    weights = views.relevance.to(views.z[a].dtype) * views.present[b]
    shares: Tensor = weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    return shares


def from_mixtures(views: Views, a: str, b: str, logits: Tensor, mixture: Mixed) -> Direction:
    """Return the losses of mixtures of modality a that ask among the items of b."""
    shares, c = shares_of(views, a, b), mixture.share.to(logits.dtype)[:, None]
    targets = c * shares + (1 - c) * shares[mixture.partner]
    return against(views.present[a], views.present[b], logits, targets)


def towards_mixtures(views: Views, b: str, a: str, logits: Tensor, mixture: Mixed) -> Direction:
    """Return the losses of items of modality b that ask among the mixtures of a."""
    shares, c = shares_of(views, b, a), mixture.share.to(logits.dtype)
    targets = c * shares + (1 - c) * shares[:, mixture.partner]
    return against(views.present[b], views.present[a], logits, targets)


def against(asking: Tensor, there: Tensor, logits: Tensor, targets: Tensor) -> Direction:
    """Return the direction from (batch, batch) logits and targets, of queries that ask for something."""
    rows = torch.nonzero(asking & (targets.sum(1) > 0)).squeeze(1)
    targets = some(rows, targets)
    return soft_target_direction(rows, some(rows, logits), targets, targets > 0, there.expand(len(rows), -1))


def joined(parts: list[Direction]) -> Direction:
    """Return several directions as one."""
    return Direction(
        torch.cat([p.rows for p in parts]),
        torch.cat([p.loss for p in parts]),
        torch.cat([p.hit for p in parts]),
        torch.cat([p.positives for p in parts]),
    )
