"""Gradient conflicts: whether tasks pull the same weights in opposite directions.

    cosine(i, j) = <g_i, g_j> / (|g_i| |g_j|)       of the gradients of two tasks' losses at one point
    rate(i, j)   = share of batches with a cosine below 0

Source: the definition of a conflict is that of "Gradient Surgery for Multi-Task Learning", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from commonspace.measure import Estimate, estimate
from commonspace.upgrade.merging.landscape import Landscape


@dataclass(frozen=True)
class Conflicts:
    """Conflicts between the tasks at one point.

    Parameters
    ----------
    cosines : dict of (str, str) to Estimate
        Pair of tasks -> mean cosine of their gradients over batches.
    rates : dict of (str, str) to Estimate
        Pair of tasks -> share of batches in which they conflict; batches are the sample.
    """

    cosines: dict[tuple[str, str], Estimate]
    rates: dict[tuple[str, str], Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "pairs": [
                {"tasks": list(p), "cosine": self.cosines[p].to_dict(), "rate": self.rates[p].to_dict()}
                for p in self.cosines
            ]
        }

    def __str__(self) -> str:
        return "\n".join(
            f"gradients of {a} and {b}: cosine {e}, in conflict {self.rates[a, b]}"
            for (a, b), e in self.cosines.items()
        )


def conflicts(landscape: Landscape, coefficients: Tensor, batches: int) -> Conflicts | None:
    """Return how the gradients of the probes' tasks meet at a merged state; None for a single task.

    Memory: one gradient a task, on the device of the computation.
    """
    tasks = landscape.probes.tasks
    pairs = list(combinations(tasks, 2))
    if not pairs:
        return None
    seen: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    for _ in range(batches):
        found = landscape.gradients(coefficients, landscape.probes.draw())
        for a, b in pairs:
            seen[a, b].append(_cosine(found[a], found[b]))
    cosines = {p: estimate(v, "gradient_cosine", bounds=(-1, 1)) for p, v in seen.items()}
    rates = {p: estimate(np.less(v, 0), "conflict_rate", bounds=(0, 1)) for p, v in seen.items()}
    return Conflicts(cosines, rates)


def _cosine(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    shared, mine, theirs = (
        torch.stack([(x[n].double() * y[n].double()).sum() for n in a]).sum() for x, y in ((a, b), (a, a), (b, b))
    )
    return float(shared / (mine * theirs).sqrt().clamp_min(1e-300))
