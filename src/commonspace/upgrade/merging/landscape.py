"""The loss over merged weights, and its slope along the task vectors.

Only the coefficients are learned. With theta_b = theta_0b + sum_i c_ib T_ib for each block b the chain rule gives

    d loss / d c_ib = <d loss / d theta_b, T_ib>

so that one backward pass of the merged network is enough, and task vectors are multiplied with its gradient one block
at a time: besides the network's own weights and gradient, nothing of the size of a model is held where it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.objectives import Objective
from commonspace.upgrade.merging.probes import Probes
from commonspace.upgrade.merging.states import State
from commonspace.upgrade.merging.vectors import Partition, TaskVectors


class Landscape:
    """Losses of merged states on probes.

    Parameters
    ----------
    vectors : TaskVectors
        What is merged.
    objective : function of (model, batch)
    probes : Probes
    """

    def __init__(self, vectors: TaskVectors, objective: Objective, probes: Probes) -> None:
        self.vectors = vectors
        self.objective = objective
        self.probes = probes
        model, device = vectors.model, vectors.device
        layout = vectors.layout
        self._rest = {n: _wide(vectors.average(n).to(model.state[n].dtype)).to(device) for n in layout.averaged}
        self._rest |= {n: _wide(model.state[n]).to(device) for n in layout.kept}

    def leaves(self, coefficients: Tensor, partition: Partition | None = None) -> dict[str, Tensor]:
        """Return the merged blocks, ready to have gradients."""
        with torch.no_grad():
            made = {b: self.vectors.mixed(coefficients, b, partition) for b in self.vectors.blocks}
        return {b: t.requires_grad_() for b, t in made.items()}

    def losses(self, blocks: Mapping[str, Tensor], batches: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the loss on each task's batch."""
        state = self._state(blocks)

        def run(inputs: Any, view: str = "") -> Any:
            return self.vectors.model.rows(state, inputs, view)

        found = {}
        for task, batch in batches.items():
            loss = self.objective(run, batch)
            if not isinstance(loss, Tensor) or loss.ndim:
                raise BadInput("the objective must return a scalar tensor")
            found[task] = loss
        return found

    def slope(self, coefficients: Tensor, batches: Mapping[str, Any], partition: Partition | None = None) -> Any:
        """Return the loss of each task, and the slope of their mean along the coefficients (k, blocks, parts)."""
        blocks = self.leaves(coefficients, partition)
        losses, gradients = {}, None
        for task, batch in batches.items():  # one graph at a time
            loss = self.losses(blocks, {task: batch})[task]
            losses[task] = float(loss.detach())
            found = gradient_of(loss / len(batches), blocks)
            gradients = found if gradients is None else {b: gradients[b] + g for b, g in found.items()}
        return losses, self.vectors.slopes(gradients or {}, partition)

    def gradients(self, coefficients: Tensor, batches: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
        """Return the gradient of each task's loss in all blocks."""
        blocks = self.leaves(coefficients)
        return {t: gradient_of(self.losses(blocks, {t: b})[t], blocks) for t, b in batches.items()}

    @torch.no_grad()
    def mean_loss(self, state: State, batches: Sequence[Mapping[str, Any]]) -> float:
        """Return the mean loss of a whole state over batches and tasks."""
        blocks = {b: _wide(state[b]).to(self.vectors.device) for b in self.vectors.blocks}
        found = [float(x) for drawn in batches for x in self.losses(blocks, drawn).values()]
        return float(np.mean(found))

    def _state(self, blocks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        layout = self.vectors.layout
        return self._rest | {name: blocks[b] for b, names in layout.blocks.items() for name in names}


def gradient_of(loss: Tensor, blocks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the gradient of a loss in every block; zero where it does not depend on one."""
    if not loss.requires_grad:
        raise BadInput(
            "the loss does not depend on the merged weights: an objective must call the model that it is given, and "
            "nothing on the way may detach its rows"
        )
    found = torch.autograd.grad(loss, list(blocks.values()), allow_unused=True)
    return {b: torch.zeros_like(t) if g is None else g for (b, t), g in zip(blocks.items(), found, strict=True)}


def _wide(value: Tensor) -> Tensor:
    """Return numbers in the dtype of the computation."""
    return value.float() if value.is_floating_point() and value.dtype != torch.float64 else value
