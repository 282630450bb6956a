from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.align.conftest import random_views
from tests.align.objectives.grouped import OfQuery, checks_gradient, naive, real_views

from commonspace.align.objectives.hcl import HCL
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def of_query(beta: float, tau: float, t: float) -> OfQuery:
    """The formula of the paper, without logarithms."""

    def loss(positives: list[float], shares: list[float], negatives: list[float]) -> float:
        n = len(negatives)
        raw = [math.exp(beta * s / t) for s in negatives]
        weights = [w * n / sum(raw) for w in raw]
        total = sum(w * math.exp(s / t) for w, s in zip(weights, negatives, strict=True))
        false = sum(r * math.exp(s / t) for r, s in zip(shares, positives, strict=True))
        mass = max((total - n * tau * false) / (1 - tau), n * math.exp(-1 / t))
        return -sum(
            r * math.log(math.exp(s / t) / (math.exp(s / t) + mass)) for r, s in zip(shares, positives, strict=True)
        )

    return loss


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("tau", [0.0, 0.1, 0.6])
def test_it_equals_the_naive_loop(share: float, beta: float, tau: float) -> None:
    views = real_views(share)
    loss = HCL(hardness=beta, false_share=tau, temperature=0.2).double()
    assert loss(views).item() == pytest.approx(naive(views, of_query(beta, tau, 0.2)), rel=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_without_hardness_and_suspicion_it_is_infonce(share: float) -> None:
    views = random_views(9, modalities=("a", "b", "c"), share=share)
    both = [kind(temperature=0.1).double()(views).item() for kind in (HCL, InfoNCE)]
    plain = HCL(hardness=0.0, temperature=0.1).double()(views).item()
    assert plain == pytest.approx(both[1], rel=1e-9)
    assert both[0] > plain  # and hardness makes the same negatives weigh more


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_gradient_agrees_with_finite_differences(tau: float, beta: float) -> None:
    assert checks_gradient(HCL(hardness=beta, false_share=tau, temperature=0.3), real_views())


def test_the_hardest_negative_stands_for_all_in_the_limit() -> None:
    views = real_views()
    hardest = naive(views, lambda p, r, n: of_query(0.0, 0.0, 0.2)(p, r, [max(n)] * len(n)))
    assert HCL(hardness=1e4, temperature=0.2).double()(views).item() == pytest.approx(hardest, rel=1e-3)


@given(tau=st.floats(0.01, 0.9), beta=st.floats(0, 3))
def test_suspected_negatives_never_weigh_less_than_the_least_they_can_be(tau: float, beta: float) -> None:
    views = random_views(6, modalities=("a", "b"))
    loss = HCL(hardness=beta, false_share=tau, temperature=0.3).double()
    for found in loss.per_item(views).values():
        best = math.log1p(5 * math.exp(-2 / 0.3))  # the positive at 1, five negatives at -1
        assert (found.loss >= best - 1e-6).all()


@pytest.mark.parametrize("temperature", [1e-4, 1e4])
@pytest.mark.parametrize(
    "arguments", [{"hardness": 50.0}, {"false_share": 0.999}, {"hardness": 3.0, "false_share": 0.5}]
)
def test_extremes_stay_finite(temperature: float, arguments: dict[str, float]) -> None:
    views = random_views(8, dtype=torch.float32)
    views.z["image"] = views.z["text"].clone()  # all logits at their bounds
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    loss = HCL(temperature=temperature, **arguments)(Views(z=z, present=views.present, relevance=views.relevance))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(v.grad).all() for v in z.values())


@pytest.mark.parametrize("arguments", [{"hardness": -1.0}, {"false_share": 1.0}, {"hardness": float("nan")}])
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="hardness"):
        HCL(**arguments)
