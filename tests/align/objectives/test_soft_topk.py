from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import expit
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, naive_loss

from commonspace.align.objectives.soft_topk import SoftTopK, log_membership
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def naive(views: Views, temperature: float, k: Any, alpha: float) -> float:
    def row(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        r = np.array([float(views.relevance[i, j]) for j in candidates])
        s = np.array([float(views.z[q][i] @ views.z[g][j]) / temperature for j in candidates])
        if r.sum() == 0:
            return None
        places = min((r > 0).sum() if k == "positives" else k, len(r) - 0.5)
        t = brentq(lambda t: expit(alpha * (s + t)).sum() - places, -1000, 1000, xtol=1e-13)
        return -float((r / r.sum()) @ np.log(expit(alpha * (s + t))))

    return naive_loss(views, row)


@pytest.mark.parametrize("k", ["positives", 2, 50])
@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_a_root_finder_row_by_row(modalities: tuple[str, ...], share: float, k: Any) -> None:
    views = graded_views(modalities, share)
    loss = SoftTopK(k=k, alpha=0.7, temperature=0.2).double()
    assert loss(views).item() == pytest.approx(naive(views, 0.2, k, 0.7), rel=1e-6)


def test_memberships_add_up_to_k_and_keep_the_order() -> None:
    g = torch.Generator().manual_seed(0)
    scores = 9 * torch.randn(20, 30, generator=g, dtype=torch.float64)
    k = torch.arange(1, 21, dtype=torch.float64)
    p = log_membership(scores, k, 2.0).exp()
    torch.testing.assert_close(p.sum(1), k)
    assert (p.gather(1, scores.argsort(1)).diff(dim=1) >= 0).all()


def test_a_shift_of_all_scores_changes_nothing() -> None:
    scores = torch.randn(3, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    k = torch.tensor([1.0, 2, 3], dtype=torch.float64)
    torch.testing.assert_close(log_membership(scores, k, 1.0), log_membership(scores + 100, k, 1.0))


def test_the_gradient_of_the_membership_knows_that_the_threshold_moves() -> None:
    scores = torch.randn(3, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64, requires_grad=True)
    k = torch.tensor([1.0, 2.5, 5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: log_membership(s, k, 1.3), (scores,), atol=1e-5)


def test_a_perfect_ranking_costs_nothing_in_the_limit() -> None:
    z = torch.eye(4, dtype=torch.float64)[[0, 0, 1, 2, 3]]
    relevance = torch.block_diag(torch.ones(2, 2), torch.eye(3))
    views = Views(z={"a": z, "b": z}, present=random_views(5, modalities=("a", "b")).present, relevance=relevance)
    assert SoftTopK(temperature=0.01)(views).item() < 1e-6


@pytest.mark.parametrize("k", ["positives", 2])
def test_the_gradient_agrees_with_finite_differences(k: Any) -> None:
    check_gradient(SoftTopK(k=k, temperature=0.3), graded_views(("a", "b", "c"), 0.7, seed=3))


@pytest.mark.parametrize("alpha", [1e-3, 1e3])
@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_it_is_finite_at_extremes(temperature: float, alpha: float) -> None:
    check_finite(SoftTopK(temperature=temperature, alpha=alpha), graded_views(("a", "b", "c"), 0.7))


def test_a_batch_in_which_everything_is_relevant_is_finite() -> None:
    check_finite(SoftTopK(), random_views(4, groups=np.zeros(4)))


@pytest.mark.parametrize("arguments", [{"k": 0}, {"k": "all"}, {"k": 1.5}, {"alpha": 0.0}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        SoftTopK(**arguments)
