"""`amcl`: several views of an item, each told from the others at a temperature that every pair has of its own.

A vector of d numbers is cut into C parts of d' = d / C, each scaled to length one: x_ic and y_jc of items i and j. With
one small perceptron phi for all parts and modalities,

    tau_ijc = lowest + (highest - lowest) sigmoid(offset - phi(x_ic) . phi(y_jc))
    loss    = mean over c of [ cross-entropy of s_ijc / tau_ijc against the relevance ]
              + beta mean over c and compared pairs of Omega(tau_ijc),      Omega(tau) = d'/2 log tau + 1 / tau

A pair that cannot be brought together, or is wrong, may have a high temperature, at which it pulls less. What that
costs is Omega, which is least at tau = 2 / d': it keeps temperatures from growing where little is learned and from
shrinking where all is. For C = 1, beta = 0 and phi = 0 this is `infonce` at one learned temperature.

Source: "Adaptive Multi-head Contrastive Learning". Temperatures, bounds and Omega are those of its released code. That
came out twice: at first phi read both parts side by side and beta was 0.1, later phi read each part and beta was 1e-4;
here phi is the later one and beta the earlier. Ours are: the mean over parts in place of their sum; the offset, which
starts temperatures at `temperature` and not in the middle of their range, in place of a bias in phi's last layer;
softmax over all negatives of the batch in place of the mean score of the nearest hundred; Omega of all compared pairs
with one sign (in the source's likelihood that of negatives has the other, which rewards extreme temperatures and there
is held by a bound alone); and `lowest` at 0.01 in place of 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from commonspace.align.heads.several import AMCL as PAPER
from commonspace.align.objectives.contrastive import (
    BothWays,
    Direction,
    positives_and_negatives,
    soft_target_direction,
    some,
)
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views


@register("amcl", protocol="Objective", papers=[PAPER])
class AMCL(BothWays):
    """Multi-head InfoNCE with a temperature a pair.

    Parameters
    ----------
    heads : int
        C, the parts that vectors are cut into; the head `several` with as many makes them equally long.
    temperature : float
        Where the temperatures start.
    beta : float
        Weight of what temperatures cost, at least 0.
    lowest, highest : float
        Bounds of the temperatures.
    hidden : int
        Width of the perceptron.
    """

    def __init__(
        self,
        *,
        heads: int = 3,
        temperature: float = 0.07,
        beta: float = 0.1,
        lowest: float = 0.01,
        highest: float = 2.0,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.heads = check_positive("heads", heads)
        self.hidden = check_positive("hidden", hidden)
        if not 0 < lowest < temperature < highest or math.isinf(highest):
            raise BadInput(
                f"0 < lowest < temperature < highest is needed, got {lowest!r}, {temperature!r} and {highest!r}"
            )
        if not beta >= 0:
            raise BadInput(f"beta must be at least 0, not {beta!r}")
        self.temperature = temperature
        self.beta = beta
        self.lowest = lowest
        self.highest = highest
        share = (temperature - lowest) / (highest - lowest)
        self.offset = nn.Parameter(torch.tensor(math.log(share / (1 - share))))
        self.phi: nn.Module | None = None

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make the perceptron for the parts of a vector of `dim` numbers."""
        if self.heads > dim:
            raise BadInput(f"{self.heads} parts need at least as many dimensions, and dim is {dim}")
        self.width = -(-dim // self.heads)
        self.phi = nn.Sequential(
            nn.Linear(self.width, self.hidden), nn.ReLU(), nn.Linear(self.hidden, self.width, bias=False)
        )

    def parts_of(self, z: Tensor) -> Tensor:
        """Return (heads, batch, width) unit rows: the parts of vectors (batch, dim), the shorter ones with a zero."""
        cut = [normalize(part, dim=1) for part in z.tensor_split(self.heads, dim=1)]
        return torch.stack([pad(part, (0, self.width - part.shape[1])) for part in cut])

    def temperatures(self, x: Tensor, y: Tensor) -> Tensor:
        """Return (heads, n, m) temperatures of parts x (heads, n, width) and y (heads, m, width)."""
        if self.phi is None:
            raise NotFitted("amcl needs prepare(heads, dim) before its first batch; fit_heads does that")
        score = self.offset - self.phi(x) @ self.phi(y).mT
        return self.lowest + (self.highest - self.lowest) * torch.sigmoid(score)

    def per_item(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: (query modality, gallery modality) -> `Direction`."""
        parts = {m: self.parts_of(z) for m, z in views.z.items()}
        found = {}
        self._of_pairs: list[Tensor] = []
        for a, b in views.pairs():
            tau = self.temperatures(parts[a], parts[b])
            logits = parts[a] @ parts[b].mT / tau
            found[a, b] = self._direction(views, a, b, logits, tau)
            found[b, a] = self._direction(views, b, a, logits.mT, tau.mT)
        return found

    def _direction(self, views: Views, a: str, b: str, logits: Tensor, tau: Tensor) -> Direction:
        """Return the losses of the queries of one direction; logits and tau (heads, batch, batch)."""
        rows, shares, negatives = positives_and_negatives(views, a, b)
        positive = shares > 0
        candidates = positive | negatives
        each = [
            soft_target_direction(rows, some(rows, of), shares, positive, candidates)
            for of in (*logits, logits.mean(0))
        ]
        loss = torch.stack([d.loss for d in each[:-1]]).mean(0)
        if self.beta:
            here = torch.stack([some(rows, of) for of in tau])
            cost = (self.width / 2 * here.log() + 1 / here).mean(0)
            loss = loss + self.beta * (cost * candidates).sum(1) / candidates.sum(1)
        self._of_pairs.append(torch.stack([some(rows, of) for of in tau]).detach().mean(0)[positive])
        return Direction(rows, loss, each[-1].hit, positive.sum(1))

    @torch.no_grad()
    def _note(self, directions: list[Direction]) -> None:
        super()._note(directions)
        if directions:
            self._diagnostics["pair_temperature"] = float(torch.cat(self._of_pairs).mean())
