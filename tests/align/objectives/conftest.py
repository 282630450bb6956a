from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from commonspace.core.views import Views

Rows = Mapping[str, torch.Tensor]


def prepared(objective: Any, modalities: tuple[str, ...] = ("a", "b"), dim: int = 5) -> Any:
    torch.manual_seed(0)
    objective.prepare({m: torch.nn.Identity() for m in modalities}, dim)
    return objective.double()


def gradient(objective: Any, views: Views) -> dict[str, torch.Tensor]:
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    objective(replace(views, z=z)).backward()
    return {m: v.grad for m, v in z.items()}


def numerical_gradient(f: Callable[[Rows], float], z: Rows, h: float = 1e-6) -> dict[str, torch.Tensor]:
    """Central differences of f at z."""
    found = {}
    for m, v in z.items():
        g = torch.zeros_like(v)
        for i in range(v.shape[0]):
            for j in range(v.shape[1]):
                values = []
                for step in (h, -h):
                    moved = v.clone()
                    moved[i, j] += step
                    values.append(f({**z, m: moved}))
                g[i, j] = (values[0] - values[1]) / (2 * h)
        found[m] = g
    return found
