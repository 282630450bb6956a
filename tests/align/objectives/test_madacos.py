from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import prepared
from tests.align.objectives.grouped import real_views
from tests.align.objectives.test_classes import rows
from torch.nn.functional import normalize

from commonspace.align.objectives.madacos import MadaCos
from commonspace.core.errors import BadInput


def naive(views: Any, W: torch.Tensor, alpha: float) -> tuple[float, float, float]:
    """The formula, one item at a time: loss, scale, margin."""
    items = []
    for z, targets in rows(views, len(W)):
        cosines = [float(z @ w / w.norm()) for w in W]
        items.append((cosines, targets, sum(t * c for t, c in zip(targets, cosines, strict=True))))
    m = sorted(own for *_, own in items)[(len(items) - 1) // 2]
    scale = max(32.0, math.log(1e7 * (1 - alpha) / alpha) / (1 - m))

    def others(cosines: list[float], targets: list[float]) -> float:
        return sum(math.exp(scale * c) for c, t in zip(cosines, targets, strict=True) if t == 0)

    at_median = next(others(c, t) for c, t, own in items if own == m)
    margin = max(0.0, m - math.log(at_median * alpha / (1 - alpha)) / scale)
    losses = []
    for cosines, targets, _ in items:
        loss = 0.0
        for c, t in zip(cosines, targets, strict=True):
            e = math.exp(scale * (c - margin))
            loss -= t * math.log(e / (e + others(cosines, targets)))
        losses.append(loss)
    return float(np.mean(losses)), scale, margin


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.6])
def test_it_equals_the_naive_loop(share: float, alpha: float) -> None:
    views = real_views(share)
    loss = prepared(MadaCos(classes=8, alpha=alpha))
    expected, scale, margin = naive(views, loss.weight.detach(), alpha)
    assert loss(views).item() == pytest.approx(expected, rel=1e-6)
    assert loss.diagnostics["scale"] == pytest.approx(scale, rel=1e-6)
    assert loss.diagnostics["margin"] == pytest.approx(margin, rel=1e-6, abs=1e-9)


def near_their_classes(loss: MadaCos, spread: float, n: int = 41) -> Any:
    views = random_views(n, dim=5, modalities=("a", "b"), groups=np.arange(n) % 8)
    views.z = {
        m: normalize(loss.class_vectors().detach()[views.groups] + spread * z, dim=1) for m, z in views.z.items()
    }
    return views


@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_the_margin_leaves_the_median_item_with_the_probability_asked_for(alpha: float) -> None:
    loss = prepared(MadaCos(classes=8, alpha=alpha))
    views = near_their_classes(loss, 0.3)
    loss(views)
    assert loss.diagnostics["margin"] > 0
    scale, margin = loss.diagnostics["scale"], loss.diagnostics["margin"]
    units = torch.cat(list(views.z.values()))
    labels = torch.cat([views.groups] * 2)
    cosines = units @ loss.class_vectors().detach().T
    own = cosines.gather(1, labels[:, None]).squeeze(1)
    at = int((own == own.median()).nonzero()[0])
    shifted = scale * cosines[at]
    shifted[labels[at]] -= scale * margin
    assert shifted.softmax(0)[labels[at]].item() == pytest.approx(alpha, rel=1e-6)


def test_scale_and_margin_grow_as_items_come_near_their_classes() -> None:
    loss = prepared(MadaCos(classes=8))
    found = []
    for spread in (9.0, 0.5, 0.1):
        loss(near_their_classes(loss, spread))
        found.append((loss.diagnostics["scale"], loss.diagnostics["margin"]))
    assert found == sorted(found)
    assert found[0][0] == 32


def test_the_gradient_is_that_of_a_fixed_scale_and_margin() -> None:
    loss = prepared(MadaCos(classes=8))
    views = near_their_classes(loss, 0.3, n=9)
    views.z = {m: z.clone().requires_grad_() for m, z in views.z.items()}
    loss(views).backward()
    scale, margin = loss.diagnostics["scale"], loss.diagnostics["margin"]
    again = {m: z.detach().clone().requires_grad_() for m, z in views.z.items()}
    logits = scale * torch.cat(list(again.values())) @ loss.class_vectors().T
    labels = torch.cat([views.groups] * 2)
    logits = logits - scale * margin * torch.nn.functional.one_hot(labels, 8)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    for m in "ab":
        torch.testing.assert_close(views.z[m].grad, again[m].grad, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("alpha", [1e-9, 1 - 1e-9])
def test_extremes_stay_finite(alpha: float) -> None:
    loss = prepared(MadaCos(classes=8, alpha=alpha)).float()
    views = near_their_classes(loss, 0.0)  # every item on its class vector: the scale would be infinite
    views.z = {m: z.float().requires_grad_() for m, z in views.z.items()}
    views.relevance = views.relevance.float()
    out = loss(views)
    out.backward()
    assert torch.isfinite(out)
    assert torch.isfinite(loss.weight.grad).all()
    assert all(torch.isfinite(z.grad).all() for z in views.z.values())


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_alpha_is_a_probability(alpha: float) -> None:
    with pytest.raises(BadInput, match="alpha"):
        MadaCos(alpha=alpha)
