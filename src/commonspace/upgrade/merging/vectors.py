"""Task vectors: what fine-tuning on each task changed, T_i = theta_i - theta_0, and sums of them.

A merged state is theta_0 + sum c_i T_i, computed as (1 - sum c_i) theta_0 + sum c_i theta_i so that the ends of a line
are the models themselves. The coefficients may differ from block to block, and within a block from one part of it to
another (`Partition`). Tuned states stay where they are and are brought to the device of the base one block at a time;
what is small (`MOST_CACHED`) is kept there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.models import Model
from commonspace.upgrade.merging.states import Layout, State, layout_of, whole

MOST_CACHED = 256 * 2**20  # bytes of task vectors that are kept on the device


@dataclass(frozen=True)
class Partition:
    """Which of `parts` parts each number of a block belongs to, dealt at random.

    Parameters
    ----------
    parts : int
        Number of parts, at most 256.
    seed : int
        Of the deal.
    """

    parts: int = 1
    seed: int = 0

    def of(self, size: int, number: int) -> Tensor:
        """Return (size,) uint8: the part of each number of the block with this position."""
        rng = np.random.default_rng([self.seed, number])
        return torch.from_numpy(rng.integers(0, self.parts, size, dtype=np.uint8))


class TaskVectors:
    """The vectors of several models from one base.

    Parameters
    ----------
    base : Model
        theta_0.
    tuned : mapping of str to Model
        Task -> theta_i.
    device : torch device, optional
        Where to compute; that of the base by default.
    """

    def __init__(self, base: Model, tuned: Mapping[str, Model], device: str | torch.device | None = None) -> None:
        if not tuned:
            raise BadInput("there is nothing to merge: give at least one tuned model")
        self.model = base
        self.tasks = list(tuned)
        self.device = torch.device(device) if device is not None else base.device
        for task, model in tuned.items():
            base.check_like(model, task)
        self.states: dict[str, State] = {task: model.state for task, model in tuned.items()}
        self.layout: Layout = layout_of(base.state, self.states, base.buffers)
        self.blocks = list(self.layout.blocks)
        self.sizes = [base.state[b].numel() for b in self.blocks]
        self._cache: dict[tuple[str, str], Tensor] = {}
        self._keep = 4 * sum(self.sizes) * (len(tuned) + 1) <= MOST_CACHED
        self._masks: dict[tuple[Partition, int], Tensor] = {}

    def base(self, block: str) -> Tensor:
        """Return a block of theta_0 in the dtype of the computation."""
        return self._block("", block)

    def tuned(self, task: str, block: str) -> Tensor:
        """Return a block of theta_i."""
        return self._block(task, block)

    def vector(self, task: str, block: str) -> Tensor:
        """Return a block of T_i."""
        return self.tuned(task, block) - self.base(block)

    def gram(self) -> np.ndarray:
        """Return (k, k) the inner products of the task vectors."""
        found = np.zeros((len(self.tasks), len(self.tasks)))
        for block in self.blocks:
            rows = torch.stack([self.vector(t, block).flatten() for t in self.tasks]).double()
            found += (rows @ rows.T).cpu().numpy()
        return found

    def base_norm(self) -> float:
        """Return the length of theta_0 over the blocks."""
        return float(np.sqrt(sum(float(self.base(b).double().square().sum()) for b in self.blocks)))

    def mixed(self, coefficients: Tensor, block: str, partition: Partition | None = None) -> Tensor:
        """Return a block of theta_0 + sum c_i T_i.

        Parameters
        ----------
        coefficients : (k, blocks, parts) tensor
        block : str
        partition : Partition, optional
            Whose part each number is; without one there is one part.
        """
        at = self.blocks.index(block)
        c = coefficients[:, at].to(self.device, self.base(block).dtype)
        if partition is None:
            weights = [c[i, 0] for i in range(len(self.tasks))]
        else:
            mask = self._mask(partition, at)
            weights = [c[i][mask].view(self.base(block).shape) for i in range(len(self.tasks))]
        total = torch.stack(weights).sum(0) if weights[0].ndim == 0 else sum(weights)
        made = (1 - total) * self.base(block)
        for task, weight in zip(self.tasks, weights, strict=True):
            made += weight * self.tuned(task, block)
        return made

    def slopes(self, gradients: Mapping[str, Tensor], partition: Partition | None = None) -> Tensor:
        """Return (k, blocks, parts): how a loss changes with each coefficient, <gradient, T_i> over each part."""
        parts = partition.parts if partition else 1
        found = torch.zeros(len(self.tasks), len(self.blocks), parts, dtype=torch.float64)
        for at, block in enumerate(self.blocks):
            for i, task in enumerate(self.tasks):
                products = (gradients[block] * self.vector(task, block)).flatten().double()
                if partition is None:
                    found[i, at, 0] = products.sum().cpu()
                else:
                    sums = torch.zeros(parts, dtype=torch.float64, device=products.device)
                    found[i, at] = sums.index_add_(0, self._mask(partition, at), products).cpu()
        return found

    def state(self, coefficients: Tensor, partition: Partition | None = None) -> State:
        """Return the whole merged state, in the dtypes and on the device of the base."""
        return self.whole(lambda block: self.mixed(coefficients, block, partition))

    def alone(self, task: str) -> State:
        """Return the whole state of one tuned model, in the dtypes and on the device of the base."""
        return self.whole(lambda block: self.tuned(task, block), {t: float(t == task) for t in self.tasks})

    def matrices(self, task: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield theta_0 and theta_i name by name, of what is merged and of what no model changed."""
        source = self.layout.sources[task]
        for name in (*self.layout.blocks, *self.layout.kept):
            mine = self.model.state[name]
            if mine.is_floating_point():
                yield mine.to(self.device), self.states[task][source[name]].to(self.device)

    def whole(self, make: Callable[[str], Tensor], shares: Mapping[str, float] | None = None) -> State:
        """Return the whole state whose blocks a function makes; `shares` are the models' in the mean of buffers."""
        return whole(self.model.state, self.layout, make, lambda name: self.average(name, shares))

    def average(self, name: str, shares: Mapping[str, float] | None = None) -> Tensor:
        """Return the mean of a name over the tuned models, a plain one by default."""
        found = torch.zeros_like(self.model.state[name], dtype=torch.float64)
        for task, state in self.states.items():
            share = 1 / len(self.states) if shares is None else shares[task]
            found += share * state[self.layout.sources[task][name]].to(found.device, torch.float64)
        return found

    def uniform(self) -> Tensor:
        """Return the coefficients of the mean of the tuned models: (k, blocks, 1)."""
        return self.everywhere(torch.full((len(self.tasks),), 1 / len(self.tasks)))

    def everywhere(self, weights: Tensor) -> Tensor:
        """Return (k,) weights as coefficients of every block."""
        return weights[:, None, None].expand(-1, len(self.blocks), 1)

    def _block(self, task: str, block: str) -> Tensor:
        if (task, block) in self._cache:
            return self._cache[task, block]
        found = self.states[task][self.layout.sources[task][block]] if task else self.model.state[block]
        wide = torch.float64 if self.model.state[block].dtype == torch.float64 else torch.float32
        made = found.to(self.device, wide)
        if self._keep:
            self._cache[task, block] = made
        return made

    def _mask(self, partition: Partition, at: int) -> Tensor:
        if (partition, at) not in self._masks:
            self._masks[partition, at] = partition.of(self.sizes[at], at).to(self.device)
        return self._masks[partition, at].long()
