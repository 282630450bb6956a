"""Batches with missing partners, several positives and grades, and what is asked of a loss on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views

from commonspace.core.views import Views

CASES = [
    pytest.param(modalities, share, id=f"{len(modalities)} modalities, {share:.0%} present")
    for modalities in (("a", "b"), ("a", "b", "c"))
    for share in (1.0, 0.6)
]


def graded_views(
    modalities: tuple[str, ...] = ("a", "b"), share: float = 1.0, seed: int = 0, frozen: bool = False
) -> Views:
    """Nine items: groups of two and three, a grade that is not symmetric, an item that is relevant to nothing."""
    views = random_views(9, modalities=modalities, share=share, seed=seed, groups=np.array([0, 0, 1, 2, 2, 2, 3, 4, 5]))
    views.relevance[0, 1] = 0.3
    views.relevance[6, 7] = 2.0
    views.relevance[8] = 0.0
    g = torch.Generator().manual_seed(seed + 1)
    outputs = {m: torch.randn(9, 4, generator=g, dtype=torch.float64) for m in modalities} if frozen else {}
    return Views(z=views.z, present=views.present, relevance=views.relevance, frozen=outputs)


def naive_loss(views: Views, row_loss: Callable[[str, str, int, list[int]], float | None]) -> float:
    """Mean over pairs of the mean over both directions of the mean over the rows that have a loss, one at a time.

    `row_loss` gets query modality, gallery modality, query and candidates.
    """
    pairs = []
    for a, b in views.pairs():
        ways = []
        for q, g in ((a, b), (b, a)):
            candidates = [j for j in range(len(views)) if views.present[g][j]]
            asked = [i for i in range(len(views)) if views.present[q][i]]
            rows = [row_loss(q, g, i, candidates) for i in asked if candidates]
            found = [loss for loss in rows if loss is not None]
            if found:
                ways.append(float(np.mean(found)))
        if ways:
            pairs.append(float(np.mean(ways)))
    return float(np.mean(pairs)) if pairs else 0.0


def log_softmax(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - np.log(np.exp(values - values.max()).sum()) - values.max())


def check_gradient(objective: Any, views: Views) -> None:
    """Compare the gradient with finite differences, in float64."""
    loss = objective.double()

    def f(*rows: torch.Tensor) -> torch.Tensor:
        z = dict(zip(views.z, rows, strict=True))
        value: torch.Tensor = loss(Views(z=z, present=views.present, relevance=views.relevance, frozen=views.frozen))
        return value

    assert torch.autograd.gradcheck(f, tuple(v.clone().requires_grad_() for v in views.z.values()))


def check_finite(objective: Any, views: Views) -> None:
    """Loss and gradient are finite numbers, in float32."""
    z = {m: v.float().requires_grad_() for m, v in views.z.items()}
    frozen = {m: v.float() for m, v in views.frozen.items()}
    loss = objective.float()(Views(z=z, present=views.present, relevance=views.relevance.float(), frozen=frozen))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(v.grad).all() for v in z.values())
