"""What contrastive objectives share: one loss a query and direction, and a learned temperature.

    for every pair of modalities a, b:      logits = scale * z_a z_b'
        loss(a -> b) = mean over queries i of a subclass's loss of logits[i]; the same for b -> a with logits'
    loss = mean over pairs of the mean of both directions

`BothWays` is this much, and losses by margin (`hinge`) stop there; `Contrastive` adds the temperature. A subclass says
in `direction` which queries take part, which candidates they are compared with and what that costs. Most are one
cross-entropy against soft targets T, `soft_target_direction`:

    loss_i = - sum_j T_ij log softmax_j(logits_i)           over the candidates j of i

and differ only in T: the pair itself, several positives, grades, similarities that a frozen encoder sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.objectives.base import ObjectiveModule, zero_of
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


@dataclass(frozen=True)
class Direction:
    """Unreduced values of one direction.

    Parameters
    ----------
    rows : (r,) int64
        Positions in the batch of the queries that took part.
    loss : (r,) float
        Their losses.
    hit : (r,) bool
        Whether the best candidate was a positive.
    positives : (r,) int64
        Number of positives among the candidates.
    """

    rows: Tensor
    loss: Tensor
    hit: Tensor
    positives: Tensor


class BothWays(ObjectiveModule):
    """Base of objectives that compare each item of a modality with the candidates of another, in both directions."""

    def scale(self) -> Tensor | float:
        """Return the factor between cosines and logits."""
        return 1.0

    def logits(self, views: Views, a: str, b: str, scale: Tensor | float) -> Tensor:
        """Return (batch, batch) how alike every item of modality a and every item of b are."""
        cosines: Tensor = views.z[a] @ views.z[b].T
        return scale * cosines

    def weight_of(self, a: str, b: str) -> float:
        """Return the weight, among the directions of a pair of modalities, of queries of a over candidates of b."""
        return 1.0

    def direction(self, views: Views, a: str, b: str, logits: Tensor) -> Direction:
        """Return the losses of the queries of modality a over the candidates of b; logits (batch, batch)."""
        raise NotImplementedError

    def per_item(self, views: Views) -> dict[tuple[str, str], Direction]:
        """Return the unreduced losses: (query modality, gallery modality) -> `Direction`."""
        scale = self.scale()
        found = {}
        for a, b in views.pairs():
            logits = self.logits(views, a, b, scale)
            found[a, b] = self.direction(views, a, b, logits)
            found[b, a] = self.direction(views, b, a, logits.T)
        return found

    def forward(self, views: Views) -> Tensor:
        """Return the mean over pairs of modalities; zero for a batch without positives."""
        directions = self.per_item(views)
        losses = []
        for a, b in views.pairs():
            ways = [way for way in ((a, b), (b, a)) if len(directions[way].rows) and self.weight_of(*way) > 0]
            if ways:
                total = sum(self.weight_of(*way) for way in ways)
                shares = [self.weight_of(*way) / total * directions[way].loss.mean() for way in ways]
                losses.append(torch.stack(shares).sum())
        self._note([d for d in directions.values() if len(d.rows)])
        return torch.stack(losses).mean() if losses else zero_of(views)

    @torch.no_grad()
    def _note(self, directions: list[Direction]) -> None:
        self._diagnostics = {}
        if directions:
            hit = torch.cat([d.hit for d in directions])
            several = torch.cat([d.positives for d in directions]) > 1
            self._diagnostics["accuracy"] = float(hit.float().mean())
            self._diagnostics["several_positives"] = float(several.float().mean())


class ScaleBounds(TypedDict, total=False):
    """Bounds of 1 / temperature, as subclasses of `Contrastive` hand them on."""

    max_scale: float
    min_scale: float


class Temperature(ScaleBounds, total=False):
    """Everything about the temperature, as subclasses of `Contrastive` hand it on."""

    temperature: float
    learn_temperature: bool


class Contrastive(BothWays):
    """Base of objectives that tell each item's partner from the other candidates of a modality.

    A subclass with arguments of its own takes these as ``**temperature: Unpack[Temperature]`` and hands them on.

    Parameters
    ----------
    temperature : float
        Where the temperature starts.
    learn_temperature : bool
        Whether it is trained.
    max_scale, min_scale : float
        Bounds of 1 / temperature; without the upper one training can sharpen itself to death.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        max_scale: float = 100.0,
        min_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 < min_scale <= max_scale:
            raise BadInput(f"min_scale must be positive and at most max_scale, got {min_scale!r} and {max_scale!r}")
        if not temperature > 0:
            raise BadInput(f"temperature must be positive, not {temperature!r}")
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.max_scale = max_scale
        self.min_scale = min_scale
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learn_temperature)

    def scale(self) -> Tensor:
        """Return 1 / temperature.

        The parameter itself is brought back into its bounds, not a copy of it: a clamp inside the graph would have no
        gradient outside them and never let go.
        """
        with torch.no_grad():
            self.log_scale.clamp_(math.log(self.min_scale), math.log(self.max_scale))
        return self.log_scale.exp()

    @torch.no_grad()
    def _note(self, directions: list[Direction]) -> None:
        super()._note(directions)
        self._diagnostics = {"temperature": float(torch.exp(-self.log_scale)), **self._diagnostics}


def positives_of(views: Views, a: str, b: str, *, own_only: bool = False) -> tuple[Tensor, Tensor]:
    """Return the queries of modality a that have a positive in b, and how relevant everything in b is to them.

    Parameters
    ----------
    views : Views
        The batch.
    a, b : str
        Modality of the queries and of the candidates.
    own_only : bool
        Whether only the pair itself counts.

    Returns
    -------
    rows : (r,) int64
        Positions in the batch.
    weights : (r, batch) float
        Their relevance, zero where b is absent; every row holds something positive.
    """
    relevance = torch.diag(torch.diagonal(views.relevance)) if own_only else views.relevance
    weights = relevance.to(views.z[a].dtype) * views.present[b]
    rows = torch.nonzero(views.present[a] & (weights.sum(1) > 0)).squeeze(1)
    return rows, some(rows, weights)


def positives_and_negatives(views: Views, a: str, b: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the queries of modality a that have a positive and a negative in b, and which is which.

    Returns
    -------
    rows : (r,) int64
        Positions in the batch.
    shares : (r, batch) float
        Relevance of what is in b; every row sums to one.
    negatives : (r, batch) bool
        What is in b and not relevant at all.
    """
    rows, weights = positives_of(views, a, b)
    negatives = views.present[b] & (weights == 0)
    comparable = negatives.any(1)
    if not bool(comparable.all()):
        rows, weights, negatives = rows[comparable], weights[comparable], negatives[comparable]
    return rows, weights / weights.sum(1, keepdim=True), negatives


def each_positive(scores: Tensor, shares: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the first positive of every query, then the second ...: its score (r, 1) and share (r,).

    A query with fewer positives than others gets a share of zero, and any score.
    """
    most = int((shares > 0).sum(1).max()) if len(shares) else 0
    share, place = shares.topk(most, dim=1)
    score = scores.gather(1, place)
    for i in range(most):
        yield score[:, i : i + 1], share[:, i]


def candidates_of(views: Views, b: str, logits: Tensor) -> Tensor:
    """Return logits with -inf where modality b is absent; themselves if it is nowhere."""
    return logits if bool(views.present[b].all()) else logits.masked_fill(~views.present[b], -torch.inf)


def frozen_units(views: Views, m: str, *, centred: bool) -> Tensor:
    """Return (batch, d) unit rows of the encoder outputs of a modality, less the batch's mean if `centred`.

    Where a batch brings no encoder outputs, the rows of the space stand in for them, without gradient.
    """
    rows: Tensor = views.frozen[m].to(views.z[m].dtype) if m in views.frozen else views.z[m].detach()
    own = views.present[m]
    return normalize(rows - rows[own].mean(0) if centred and bool(own.any()) else rows, dim=1)


def some(rows: Tensor, of: Tensor) -> Tensor:
    """Return rows of a matrix; itself if that is all of them, because a copy costs as much as the product."""
    return of if len(rows) == len(of) else of[rows]


def soft_target_direction(
    rows: Tensor, logits: Tensor, targets: Tensor, positive: Tensor, candidates: Tensor
) -> Direction:
    """Return the direction whose loss is the cross-entropy of logits against soft targets, over the candidates.

    Parameters
    ----------
    rows : (r,) int64
        Positions of the queries.
    logits, targets : (r, n) float
        Targets are zero where there is no candidate.
    positive, candidates : (r, n) bool
        What a query should find, and what takes part.
    """
    if bool(candidates.all()):  # the common case is spared the copies
        masked, log_p = logits, logits.log_softmax(1)
    else:
        masked = logits.masked_fill(~candidates, -torch.inf)
        # 0 * -inf is NaN, so that what is no candidate gets a plain zero before it meets its target of zero.
        log_p = masked.log_softmax(1).masked_fill(~candidates, 0)
    return Direction(rows, -(targets * log_p).sum(1), best_is(positive, masked), positive.sum(1))


@torch.no_grad()
def best_is(positive: Tensor, logits: Tensor) -> Tensor:
    """Return (r,) whether the best candidate of each row is a positive."""
    return positive.gather(1, logits.argmax(1, keepdim=True)).squeeze(1) if len(logits) else positive[:, 0]
