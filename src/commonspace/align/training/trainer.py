"""`Trainer`: one step of training, repeated.

A member is one set of heads (one a modality) with its own objective; an ensemble trains several members side by side
on the same batches, each from its own start, and its loss is the mean of theirs. Everything that the loss sees goes
through `Views`: absent rows are never encoded, so that they touch neither the loss nor the statistics of a
normalisation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.average import Average
from commonspace.align.data import PairData
from commonspace.align.forward import NumpyHead
from commonspace.align.mixing import draws_for, mix, placed
from commonspace.align.modules import PerModality
from commonspace.align.negatives import Batch, Companions
from commonspace.align.objectives.base import build_objective, tell
from commonspace.align.objectives.earlier import check_room
from commonspace.align.training.augment import choose_variant
from commonspace.align.training.gradcache import cached_backward, depends_on_neighbours
from commonspace.align.training.recipe import Recipe
from commonspace.core.blocks import Block
from commonspace.core.errors import BadInput
from commonspace.core.registry import build
from commonspace.core.views import Views

# Rows a forward pass of evaluation handles at once.
BLOCK = 4096
# Before a modality's name: its mixtures, which its head sees as a batch of their own.
MIXED = "mixed"


class Trainer:
    """Holds the data on the device, the members and the optimiser.

    Parameters
    ----------
    data : PairData
        Training items.
    recipe : Recipe
        Arguments of training.
    dim, members : int
        Dimension of a member's space, number of members.
    blocks : mapping of str to sequence of Block
        Modality -> the encoder outputs in its rows.
    relevance : callable, optional
        From (batch,) positions in the user's data to (batch, batch) relevance; equal groups otherwise.
    sampler : str, mapping or sampler
        Who meets in a batch.
    chunk_size : int, optional
        Rows in memory at once (gradient caching).
    device : torch.device
        Where to train.
    rng : numpy Generator
        For batches; torch's own generators are seeded from it.
    companions : Companions, optional
        Negatives that join the batches of their items.

    Attributes
    ----------
    seen : dict of str to (batch, dim) tensor
        Modality -> the unit rows of the last step, of the last member; nothing with gradient caching.
    """

    def __init__(
        self,
        data: PairData,
        recipe: Recipe,
        *,
        dim: int,
        members: int,
        blocks: Mapping[str, Sequence[Block]],
        relevance: Callable[[np.ndarray], np.ndarray] | None,
        sampler: Any,
        chunk_size: int | None,
        device: torch.device,
        rng: np.random.Generator,
        companions: Companions | None = None,
    ) -> None:
        self.data = data
        self.recipe = recipe
        self.dim = dim
        self.chunk_size = chunk_size
        self.relevance = relevance
        self.companions = companions
        self.device = device
        self.rng = rng
        self.generator = torch.Generator(device=device).manual_seed(int(rng.integers(2**31)))
        # A copy, so that what a sampler learns about this data does not change one that the user passed.
        self.sampler = copy.deepcopy(build("Sampler", sampler, batch_size=recipe.batch_size))
        tell([self.sampler], "prepare", data, rng)
        self.X = {m: torch.from_numpy(v).to(device) for m, v in data.X.items()}
        self.present = {m: torch.from_numpy(v).to(device) for m, v in data.present.items()}
        self.groups = torch.from_numpy(data.groups).to(device)
        self.old = {m: torch.from_numpy(v).to(device) for m, v in data.old.items()}
        firsts = {m: data.first(m) for m in data.modalities}
        self.mean = {m: torch.from_numpy(v.mean(0)).to(device) for m, v in firsts.items()}
        self.std = {m: torch.from_numpy(v.std(0)).to(device) for m, v in firsts.items()}
        self.members = [self._member(firsts, blocks) for _ in range(members)]
        if chunk_size is not None and any(depends_on_neighbours(m) for m in self.members):
            raise BadInput(
                "chunk_size cannot go with batch normalisation, whose output depends on the chunk: use norm='layer'"
            )
        self.objectives = [self._objective(m) for m in self.members]
        averaged = self.members if recipe.average != "last" else []
        self.averages = [Average(m, kind=recipe.average, decay=recipe.decay) for m in averaged]
        self.optimiser = self._optimiser()
        self.seen: dict[str, Tensor] = {}

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Train one epoch (0, 1 ...) and yield the loss of each step, detached."""
        batches = list(self.sampler.batches(len(self.data), self.rng))
        for b, index in enumerate(batches):
            begun = (number + b / len(batches)) / self.recipe.epochs
            done = (number + (b + 1) / len(batches)) / self.recipe.epochs
            for group in self.optimiser.param_groups:
                group["lr"] = self.recipe.lr * learning_rate_factor(begun, done, self.recipe)
            tell(self.objectives, "before_step", begun)
            yield self._step(index)
            for average, member in zip(self.averages, self.members, strict=False):
                average.follow(member, done)
            tell(self.objectives, "after_step")

    @property
    def lr(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimiser.param_groups[0]["lr"])

    @property
    def diagnostics(self) -> dict[str, float]:
        """Numbers of the last call of the objective, averaged over the members, and of the sampler that has some."""
        found = [o.diagnostics for o in self.objectives]
        means = {k: float(np.mean([f[k] for f in found if k in f])) for k in found[0]}
        return {**getattr(self.sampler, "diagnostics", {}), **means}

    @property
    def kept(self) -> list[PerModality]:
        """The members to evaluate and keep: averaged ones where there is an average."""
        return [a.module for a in self.averages] or self.members  # type: ignore[misc]

    def snapshot(self) -> list[dict[str, Tensor]]:
        """Return a copy of the kept weights."""
        return [{k: v.clone() for k, v in m.state_dict().items()} for m in self.kept]

    def restore(self, snapshot: Sequence[Mapping[str, Tensor]]) -> None:
        """Put a snapshot back into the kept members."""
        for member, state in zip(self.kept, snapshot, strict=True):
            member.load_state_dict(state)

    @torch.no_grad()
    def embed(self, data: PairData) -> dict[str, Tensor]:
        """Return modality -> (n, members * dim) unit rows of the first variants; absent rows are zero."""
        out = {}
        for m in data.modalities:
            rows = np.flatnonzero(data.present[m])
            z = torch.zeros(len(data), len(self.kept) * self.dim, device=self.device)
            for start in range(0, len(rows), BLOCK):
                part = rows[start : start + BLOCK]
                x = torch.from_numpy(data.X[m][part, 0]).to(self.device)
                units = [_unit(member.eval().parts[m](x)) for member in self.kept]
                z[torch.from_numpy(part).to(self.device)] = torch.cat(units, 1) / math.sqrt(len(units))
            out[m] = z
        return out

    def to_numpy(self) -> dict[str, NumpyHead]:
        """Return modality -> the torch-free head of the kept members."""
        heads = [member.eval().parts for member in self.kept]
        return {m: NumpyHead.ensemble([h[m].to_numpy() for h in heads]) for m in self.data.modalities}

    def _member(self, firsts: Mapping[str, np.ndarray], blocks: Mapping[str, Sequence[Block]]) -> PerModality:
        heads = {}
        for m, X in firsts.items():
            spec = head_spec(self.recipe.head, m)
            parts = blocks.get(m) or [Block(X.shape[1])]
            footing = {"blocks": [p.width for p in parts], "scaling": [p.scaling for p in parts]}
            head = copy.deepcopy(build("Head", spec, d_in=X.shape[1], dim=self.dim, **footing))
            if hasattr(head, "calibrate"):
                head.calibrate(X)
            heads[m] = head
        return PerModality(heads).to(self.device)

    def _objective(self, member: PerModality) -> Any:
        # A copy, so that an objective the user passed is neither trained nor shared between members.
        objective = copy.deepcopy(build_objective(self.recipe.objective))
        if hasattr(objective, "prepare"):
            objective.prepare(member.parts, self.dim)
        check_room(objective, self.old, self.dim)
        return objective.to(self.device) if isinstance(objective, nn.Module) else objective

    def _optimiser(self) -> torch.optim.Optimizer:
        modules = [*self.members, *(o for o in self.objectives if isinstance(o, nn.Module))]
        trained = [p for module in modules for p in module.parameters() if p.requires_grad]
        # Decay is for matrices: shrinking biases, norms or a temperature towards zero means nothing.
        matrices = [p for p in trained if p.ndim > 1]
        others = [p for p in trained if p.ndim <= 1]
        return torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self.recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.recipe.lr,
            betas=(0.9, 0.98),
            fused=True,
        )

    def _step(self, index: np.ndarray) -> Tensor:
        batch = self._batch(index)
        x = self.recipe.augment(batch.x, batch.present, mean=self.mean, std=self.std, generator=self.generator)
        batch = batch._replace(x=x)
        self.optimiser.zero_grad(set_to_none=True)
        losses = [self._backward(m.train(), o, batch) for m, o in zip(self.members, self.objectives, strict=True)]
        self.optimiser.step()
        return torch.stack(losses).mean()

    def _batch(self, index: np.ndarray) -> Batch:
        """Return the items at these positions, with the negatives that come with them."""
        i = torch.from_numpy(index).to(self.device)
        present = {m: mask[i] for m, mask in self.present.items()}
        clean = {m: X[i, 0] for m, X in self.X.items()}
        x = {m: choose_variant(X, i, self.generator) if X.shape[1] > 1 else clean[m] for m, X in self.X.items()}
        old = {m: rows[i] for m, rows in self.old.items()}
        batch = Batch(x, clean, present, self._relevance(index, i), self.groups[i], old)
        if self.companions is None:
            return batch
        return self.companions.join(batch, index, None if self.relevance is None else self._given)

    def _backward(self, member: PerModality, objective: Any, batch: Batch) -> Tensor:
        """Add the gradients of one member's loss; members share no parameter, so their mean needs no weight."""
        fewest = 2 if depends_on_neighbours(member) else 1
        rows = {m: torch.nonzero(mask).squeeze(1) for m, mask in batch.present.items()}
        rows = {m: r for m, r in rows.items() if len(r) >= fewest}
        heads = member.parts
        # Only objectives that cut heads look at the layers below the last; the others are spared their normalisation.
        deep = {m: head.depth for m, head in heads.items() if hasattr(head, "every_layer")}
        deep = deep if getattr(objective, "wants_layers", False) else {}
        drawn = draws_for(getattr(objective, "wants_mixed", None), rows, self.generator)

        def forward_of(m: str) -> Callable[[Tensor], Tensor]:
            if m in deep:  # layers side by side in a row, so that rows can be cached and placed like any others
                return lambda part: torch.cat([_unit(layer) for layer in heads[m].every_layer(part)], 1)
            return lambda part: _unit(heads[m](part))

        def loss_of(units: Mapping[Any, Tensor]) -> Tensor:
            loss: Tensor = objective(self._views(batch, units, rows, deep, drawn))
            return loss

        forward: dict[Any, Callable[[Tensor], Tensor]] = {m: forward_of(m) for m in rows}
        inputs: dict[Any, Tensor] = {m: batch.x[m][r] for m, r in rows.items()}
        for m, (partner, share) in drawn.items():
            forward[MIXED, m] = forward[m]
            inputs[MIXED, m] = mix(inputs[m], partner, share)
        if self.chunk_size is not None:
            return cached_backward(forward, inputs, loss_of, chunk_size=self.chunk_size)
        units = {name: forward[name](part) for name, part in inputs.items()}
        self.seen = {m: units[m].detach()[:, -self.dim :] for m in rows}
        loss = loss_of(units)
        if loss.requires_grad:
            torch.autograd.backward(loss)
        return loss.detach()

    def _views(
        self,
        batch: Batch,
        units: Mapping[Any, Tensor],
        rows: Mapping[str, Tensor],
        deep: Mapping[str, int],
        drawn: Mapping[str, tuple[Tensor, Tensor]],
    ) -> Views:
        """Return the batch as an objective sees it.

        Parameters
        ----------
        batch : Batch
            The items.
        units : mapping of names to (r, depth * dim) tensor
            Modality, or (`MIXED`, modality) -> unit rows of the items that were encoded, one layer after the other.
        rows : mapping of str to (r,) int64 tensor
            Modality -> which items these are; a modality not named counts as absent.
        deep : mapping of str to int
            Modality -> number of layers, where all of them are wanted.
        drawn : mapping of str to (partners, shares)
            Modality -> what its mixtures are of.
        """
        n = len(batch.relevance)
        z, layers, mixed = {}, {}, {}
        for m in batch.x:
            z[m] = torch.zeros(n, self.dim * deep.get(m, 1), device=self.device)
            if m in rows:
                z[m] = z[m].index_copy(0, rows[m], units[m])
            if m in deep:
                layers[m] = z[m].view(n, deep[m], self.dim).transpose(0, 1)
                z[m] = layers[m][-1]
            if m in drawn:
                mixed[m] = placed(units[MIXED, m][:, -self.dim :], rows[m], *drawn[m], batch=n)
        return Views(
            z=z,
            present={m: mask if m in rows else torch.zeros_like(mask) for m, mask in batch.present.items()},
            relevance=batch.relevance,
            frozen=batch.clean,
            layers=layers,
            groups=batch.groups,
            mixed=mixed,
            old=batch.old,
        )

    def _relevance(self, index: np.ndarray, i: Tensor) -> Tensor:
        if self.relevance is None:
            g = self.groups[i]
            return (g[:, None] == g[None, :]).float()
        return self._given(self.data.rows[index])

    def _given(self, rows: np.ndarray) -> Tensor:
        """Return the relevance that the user's function gives of positions in the user's data, checked."""
        n, found = len(rows), self.relevance(rows)  # type: ignore[misc]
        try:
            table = np.array(found, dtype=np.float32)  # a copy: what the function may keep is not written to
        except (TypeError, ValueError):
            table = np.empty(0, np.float32)
        if table.shape != (n, n) or not (np.isfinite(table) & (table >= 0)).all():
            got = getattr(found, "shape", type(found).__name__)
            raise BadInput(
                f"relevance must return a ({n}, {n}) array of finite numbers >= 0 for {n} positions, not {got}; "
                "a sparse one by its toarray()"
            )
        given = torch.from_numpy(table)
        own = torch.diagonal(given)
        own.copy_(torch.where(own > 0, own, torch.ones_like(own)))
        return given.to(self.device)


def head_spec(head: Any, modality: str) -> Any:
    """Return the head of one modality: `head` is one for all, or a mapping from modality to head."""
    if isinstance(head, Mapping) and "name" not in head:
        if modality not in head:
            raise BadInput(f'head names {sorted(head)} but not {modality!r}; one head for all is {{"name": ...}}')
        return head[modality]
    return head


def learning_rate_factor(begun: float, done: float, recipe: Recipe) -> float:
    """Return the share of the peak learning rate for a step between two shares of training."""
    rise = min(1.0, done / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "constant":
        return rise
    fall = max(0.0, (begun - recipe.warmup) / (1 - recipe.warmup))
    return rise * 0.5 * (1 + math.cos(math.pi * fall))


def _unit(rows: Tensor) -> Tensor:
    return normalize(rows, dim=1)
