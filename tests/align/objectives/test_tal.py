from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.grouped import OfQuery, checks_gradient, naive, real_views
from tests.align.objectives.test_ranking import of_query as of_triplet

from commonspace.align.objectives.tal import TAL
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def of_query(tau: float, margin: float) -> OfQuery:
    def loss(positives: list[float], shares: list[float], negatives: list[float]) -> float:
        raw = [r * math.exp(s / tau) for s, r in zip(positives, shares, strict=True)]
        own = sum(a / sum(raw) * s for a, s in zip(raw, positives, strict=True))
        return max(0.0, margin - own + tau * math.log(sum(math.exp(n / tau) for n in negatives)))

    return loss


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("tau", [0.015, 0.3])
def test_it_equals_the_naive_loop(share: float, tau: float) -> None:
    views = real_views(share)
    assert TAL(margin=0.1, tau=tau)(views).item() == pytest.approx(naive(views, of_query(tau, 0.1)), rel=1e-9)


def test_for_a_small_tau_it_is_the_triplet_loss_with_the_hardest_negative() -> None:
    views = random_views(9, modalities=("a", "b", "c"), share=0.8)
    hard = naive(views, of_triplet("hardest", 0.1))
    assert TAL(margin=0.1, tau=1e-6)(views).item() == pytest.approx(hard, rel=1e-4)
    soft = TAL(margin=0.1, tau=0.05)(views).item()
    assert hard < soft < hard + 0.05 * math.log(9)


def test_the_gradient_agrees_with_finite_differences_where_positives_are_single() -> None:
    assert checks_gradient(TAL(tau=0.1), random_views(7, modalities=("a", "b"), share=0.8))


def test_the_weights_of_several_positives_have_no_gradient() -> None:
    views = real_views(share=1.0, modalities=("a", "b"))
    loss = TAL(tau=0.2, margin=5.0)  # every query fails, so the gradient of s+ is alpha itself
    z = views.z["b"].clone().requires_grad_()
    found = loss.per_item(Views(z={"a": views.z["a"], "b": z}, present=views.present, relevance=views.relevance))
    found["a", "b"].loss[0].backward()
    scores = views.z["a"][0] @ views.z["b"].T
    alpha = (scores[:2] / 0.2 + torch.tensor([1.0, 0.3]).log()).softmax(0)
    for i in range(2):
        torch.testing.assert_close(z.grad[i], -alpha[i] * views.z["a"][0])


@pytest.mark.parametrize("arguments", [{"tau": 1e-12}, {"tau": 1e12}, {"margin": 1e6}])
def test_extremes_stay_finite(arguments: dict[str, float]) -> None:
    views = random_views(8, dtype=torch.float32)
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    loss = TAL(**arguments)(Views(z=z, present=views.present, relevance=views.relevance))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(v.grad).all() for v in z.values())


@pytest.mark.parametrize("arguments", [{"tau": 0.0}, {"margin": -0.1}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        TAL(**arguments)
