from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, take
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views

from commonspace.align.objectives.cua import CUA
from commonspace.core.errors import BadInput
from commonspace.core.registry import build
from commonspace.core.views import Views


def naive(views: Views, weights: dict[str, float]) -> float:
    """The formulas, one pair of items at a time."""
    n, R = len(views), views.relevance
    apart = [(j, k) for j in range(n) for k in range(n) if j != k and R[j, k] == 0 and R[k, j] == 0]

    def squared(a: str, i: int, b: str, j: int) -> float:
        return float(((views.z[a][i] - views.z[b][j]) ** 2).sum())

    def alignment(a: str, b: str) -> float | None:
        ways = []
        for q, g in ((a, b), (b, a)):
            rows = []
            for i in range(n):
                partners = [j for j in range(n) if views.present[g][j] and R[i, j] > 0]
                if views.present[q][i] and partners:
                    total = sum(float(R[i, j]) for j in partners)
                    rows.append(sum(float(R[i, j]) * squared(q, i, g, j) for j in partners) / total)
            ways += [np.mean(rows)] if rows else []
        return float(np.mean(ways)) if ways else None

    def uniformity(a: str, b: str) -> float | None:
        met = [(j, k) for j, k in apart if views.present[a][j] and views.present[b][k]]
        return math.log(np.mean([math.exp(-2 * squared(a, j, b, k)) for j, k in met])) if met else None

    pairs = list(views.pairs())
    terms = {
        "alignment": [alignment(a, b) for a, b in pairs],
        "uniformity": [uniformity(m, m) for m in views.modalities],
        "cross_uniformity": [uniformity(a, b) for a, b in pairs],
    }
    means = {k: np.mean([v for v in values if v is not None]) for k, values in terms.items()}
    return float(sum(weights[k] * v for k, v in means.items()))


@pytest.mark.parametrize(("modalities", "share"), CASES)
@pytest.mark.parametrize(
    "weights",
    [
        {"alignment": 1.0, "uniformity": 1.0, "cross_uniformity": 1.0},
        {"alignment": 2.0, "uniformity": 0.0, "cross_uniformity": 0.5},
    ],
)
def test_it_equals_the_naive_loop(modalities: tuple[str, ...], share: float, weights: dict[str, float]) -> None:
    views = graded_views(modalities, share)
    assert CUA(**weights)(views).item() == pytest.approx(naive(views, weights), rel=1e-9)
    assert CUA(weight=0.3, **weights)(views).item() == pytest.approx(0.3 * naive(views, weights), rel=1e-9)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_the_gradient_agrees_with_finite_differences(share: float) -> None:
    check_gradient(CUA(), graded_views(("a", "b", "c"), share))


def test_with_one_partner_an_item_the_terms_are_those_of_the_source() -> None:
    views = random_views(7)
    x, y = views.z.values()
    off = ~torch.eye(7, dtype=torch.bool)

    def log_mean(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(torch.cdist(a, b).pow(2).mul(-2).exp()[off].mean().log())

    parts = CUA()
    parts(views)
    assert parts.diagnostics["alignment"] == pytest.approx(float((x - y).pow(2).sum(1).mean()))
    assert parts.diagnostics["uniformity"] == pytest.approx((log_mean(x, x) + log_mean(y, y)) / 2)
    assert parts.diagnostics["cross_uniformity"] == pytest.approx(log_mean(x, y))


def test_a_gap_that_costs_a_contrastive_loss_nothing_costs_this_one() -> None:
    x = torch.nn.functional.normalize(torch.randn(8, 4, dtype=torch.float64), dim=1)
    here, there = torch.zeros(8, 1, dtype=torch.float64), torch.ones(8, 1, dtype=torch.float64)
    near = {"a": torch.cat([x, here, here], 1), "b": torch.cat([x, here, here], 1)}
    far = {"a": torch.cat([x, there, here], 1) / math.sqrt(2), "b": torch.cat([x, here, there], 1) / math.sqrt(2)}
    views = [Views(z=z, present={m: torch.ones(8).bool() for m in z}, relevance=torch.eye(8)) for z in (near, far)]
    twice = build("Objective", {"name": "infonce", "temperature": 0.05}).double()
    once = build("Objective", {"name": "infonce", "temperature": 0.1}).double()
    # half the cosines, twice the scale
    assert once(views[0]).item() == pytest.approx(twice(views[1]).item(), rel=1e-6)
    drawn = CUA(uniformity=0.0, cross_uniformity=0.0)
    assert drawn(views[1]) > drawn(views[0]) + 0.5


def test_items_that_show_the_same_thing_are_not_kept_apart() -> None:
    same = random_views(6, groups=np.array([0, 0, 1, 1, 2, 2]))
    spread = CUA(alignment=0.0, cross_uniformity=0.0)
    z = {m: v.clone() for m, v in same.z.items()}
    for v in z.values():
        v[1::2] = v[::2]  # every group in one place
    together = replace(same, z=z)
    alone = take(together, torch.arange(0, 6, 2))
    assert spread(together).item() == pytest.approx(spread(alone).item())


def test_an_item_without_a_partner_is_spread_too() -> None:
    views = random_views(5, modalities=("a", "b"))
    views.present["b"][0] = False
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    CUA(alignment=0.0, cross_uniformity=0.0)(replace(views, z=z)).backward()
    assert z["a"].grad is not None
    assert z["a"].grad[0].abs().sum() > 0


@pytest.mark.parametrize("weight", [0.0, 1e6])
def test_extremes_stay_finite(weight: float) -> None:
    views = random_views(8)
    for z in (views.z["image"].clone(), -views.z["image"]):
        check_finite(CUA(weight=weight), replace(views, z={"text": z, "image": views.z["image"]}))
    everything_in_one_place = {m: torch.ones(8, 5) / math.sqrt(5) for m in views.z}
    check_finite(CUA(), replace(views, z=everything_in_one_place))


def test_nothing_switched_on_is_zero_and_negative_factors_are_refused() -> None:
    assert CUA(alignment=0.0, uniformity=0.0, cross_uniformity=0.0)(random_views()).item() == 0
    with pytest.raises(BadInput, match="at least 0"):
        CUA(uniformity=-1.0)
