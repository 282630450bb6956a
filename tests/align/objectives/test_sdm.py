from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, log_softmax, naive_loss

from commonspace.align.objectives.sdm import SDM
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def naive(views: Views, temperature: float, epsilon: float) -> float:
    def row(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        r = np.array([float(views.relevance[i, j]) for j in candidates])
        s = np.array([float(views.z[q][i] @ views.z[g][j]) / temperature for j in candidates])
        if r.sum() == 0:
            return None
        p = np.exp(log_softmax(s))
        return float((p * np.log(p / (r / r.sum() + epsilon))).sum())

    return naive_loss(views, row)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_the_naive_loop(modalities: tuple[str, ...], share: float, epsilon: float) -> None:
    views = graded_views(modalities, share)
    loss = SDM(temperature=0.2, epsilon=epsilon).double()
    assert loss(views).item() == pytest.approx(naive(views, 0.2, epsilon), rel=1e-6)


def test_similarities_that_match_the_identities_cost_nothing() -> None:
    z = torch.eye(3, dtype=torch.float64)[[0, 0, 1, 2]]
    relevance = torch.block_diag(torch.ones(2, 2), torch.eye(2))
    views = Views(z={"a": z, "b": z}, present=random_views(4, modalities=("a", "b")).present, relevance=relevance)
    assert abs(SDM(temperature=0.02)(views).item()) < 1e-6


def test_a_mistake_costs_as_much_as_epsilon_says() -> None:
    z = torch.eye(2, dtype=torch.float64)
    views = Views(
        z={"a": z, "b": z.flip(0)}, present=random_views(2, modalities=("a", "b")).present, relevance=torch.eye(2)
    )
    assert SDM(temperature=0.02, epsilon=1e-6)(views).item() == pytest.approx(-np.log(1e-6), rel=1e-6)


def test_a_partner_far_away_is_drawn_nearer_at_the_default_temperature_and_not_at_that_of_the_source() -> None:
    z = torch.eye(2, dtype=torch.float64)
    pull = []
    for temperature in (0.02, 1.0):
        a = z.clone().requires_grad_()
        views = Views(
            z={"a": a, "b": z.flip(0)}, present=random_views(2, modalities=("a", "b")).present, relevance=torch.eye(2)
        )
        SDM(temperature=temperature).double()(views).backward()
        pull.append(a.grad.abs().max().item())
    assert pull[0] < 1e-12
    assert pull[1] > 1


def test_the_temperature_is_fixed_unless_it_is_asked_for() -> None:
    assert not SDM().log_scale.requires_grad
    assert SDM(learn_temperature=True).log_scale.requires_grad


def test_the_gradient_agrees_with_finite_differences() -> None:
    check_gradient(SDM(temperature=0.2), graded_views(("a", "b", "c"), 0.7, seed=3))


@pytest.mark.parametrize("epsilon", [1e-30, 0.9])
@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_it_is_finite_at_extremes(temperature: float, epsilon: float) -> None:
    check_finite(SDM(temperature=temperature, epsilon=epsilon), graded_views(("a", "b", "c"), 0.7))


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_an_epsilon_that_is_no_small_share_is_refused(epsilon: float) -> None:
    with pytest.raises(BadInput, match="epsilon"):
        SDM(epsilon=epsilon)
