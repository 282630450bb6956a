from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, naive_loss

from commonspace.align.objectives.decoupled_softmax import DecoupledSoftmax
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.views import Views


def naive(views: Views, temperature: float) -> float:
    def row(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        r = {j: float(views.relevance[i, j]) for j in candidates}
        s = {j: float(views.z[q][i] @ views.z[g][j]) / temperature for j in candidates}
        total = sum(r.values())
        rest = sum(np.exp(s[j]) for j in candidates if r[j] == 0)
        return -sum(r[j] / total * np.log(np.exp(s[j]) / (np.exp(s[j]) + rest)) for j in r if r[j]) if total else None

    return naive_loss(views, row)


@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_the_naive_loop(modalities: tuple[str, ...], share: float) -> None:
    views = graded_views(modalities, share)
    assert DecoupledSoftmax(temperature=0.2).double()(views).item() == pytest.approx(naive(views, 0.2), rel=1e-6)


def test_with_one_positive_an_item_it_is_infonce() -> None:
    views = random_views(8, share=0.8)
    assert DecoupledSoftmax().double()(views).item() == pytest.approx(InfoNCE().double()(views).item(), rel=1e-9)


def test_all_positives_can_be_found_at_no_cost_which_a_softmax_over_all_cannot() -> None:
    z = torch.eye(3, dtype=torch.float64)[[0, 0, 1, 2]]
    relevance = torch.block_diag(torch.ones(2, 2), torch.eye(2))
    views = Views(z={"a": z, "b": z}, present=random_views(4, modalities=("a", "b")).present, relevance=relevance)
    assert DecoupledSoftmax(temperature=0.01)(views).item() < 1e-6
    assert InfoNCE(temperature=0.01)(views).item() > 0.3


def test_a_positive_gets_no_gradient_from_another() -> None:
    """Two positives at different scores: the better one is pushed no less than without the other."""
    views = random_views(5, modalities=("a", "b"), groups=np.array([0, 0, 1, 2, 3]))
    alone = random_views(5, modalities=("a", "b"), groups=np.array([0, 0, 1, 2, 3]))
    alone.present["b"][1] = False
    gradients = []
    for v in (views, alone):
        b = v.z["b"].clone().requires_grad_()
        d = (
            DecoupledSoftmax()
            .double()
            .per_item(Views(z={"a": v.z["a"], "b": b}, present=v.present, relevance=v.relevance))
        )
        d["a", "b"].loss[0].backward()
        gradients.append(b.grad[0])
    torch.testing.assert_close(gradients[0], gradients[1] / 2)  # half, because its weight is one half


def test_a_batch_in_which_everything_is_relevant_costs_nothing() -> None:
    views = random_views(4, groups=np.zeros(4))
    assert DecoupledSoftmax().double()(views).item() == 0
    check_finite(DecoupledSoftmax(), views)


def test_the_gradient_agrees_with_finite_differences() -> None:
    check_gradient(DecoupledSoftmax(), graded_views(("a", "b", "c"), 0.7, seed=3))


@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_it_is_finite_at_extreme_temperatures(temperature: float) -> None:
    check_finite(DecoupledSoftmax(temperature=temperature), graded_views(("a", "b", "c"), 0.7))
