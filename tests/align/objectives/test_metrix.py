from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import check_finite
from tests.align.objectives.grouped import checks_gradient, real_views

from commonspace.align.objectives import metrix
from commonspace.align.objectives.metrix import Metrix
from commonspace.core.errors import BadInput
from commonspace.core.views import Views

SHARE = 0.3
LOSSES = ["contrastive", "multi-similarity"]


@pytest.fixture(autouse=True)
def one_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrix, "beta_draw", lambda mixup: SHARE)


def drawn(objective: Metrix, views: Views, *, with_query: bool) -> float:
    """The loss, with what is mixed chosen by us."""
    for seed in range(50):
        torch.manual_seed(seed)
        value = float(objective(views))
        if objective._with_query == with_query:
            return value
    raise AssertionError("fifty seeds and never the other choice")


def pairs(loss: str, terms: list[tuple[float, float, float, float]]) -> float:
    """Loss of (score, weight as positive, weight as negative, what a mean over positives or negatives divides by)."""
    if loss == "contrastive":
        far = sum(p * (1 - s) for s, p, _, _ in terms) / sum(w for _, p, _, w in terms if p > 0)
        near = sum(n * max(0.0, s - 0.5) for s, _, n, _ in terms) / sum(w for _, _, n, w in terms if n > 0)
        return far + near
    far = sum(p * math.exp(-2 * (s - 0.5)) for s, p, _, _ in terms)
    near = sum(n * math.exp(20 * (s - 0.5)) for s, _, n, _ in terms)
    return math.log1p(far) / 2 + math.log1p(near) / 20


def naive(views: Views, loss: str, weight: float, hard: int, with_query: bool) -> float:
    found = []
    for a, b in views.pairs():
        ways = []
        for q, g in ((a, b), (b, a)):
            rows = []
            there = [j for j in range(len(views)) if views.present[g][j]]
            for i in range(len(views)):
                grades = {j: float(views.relevance[i, j]) for j in there if views.relevance[i, j] > 0}
                negatives = [j for j in there if j not in grades]
                if not views.present[q][i] or not grades or not negatives:
                    continue
                x, y = views.z[q][i].numpy(), views.z[g].numpy()
                best = max(grades.values())
                clean = [(float(x @ y[j]), r / best, 0.0, r / best) for j, r in grades.items()]
                clean += [(float(x @ y[j]), 0.0, 1.0, 1.0) for j in negatives]
                near = sorted(negatives, key=lambda j: -float(x @ y[j]))[:hard]
                mixed = []
                for n in near:
                    for first, r in [(x, 1.0)] if with_query else [(y[j], r / best) for j, r in grades.items()]:
                        v = SHARE * first + (1 - SHARE) * y[n]
                        mixed.append((float(x @ v / np.linalg.norm(v)), r * SHARE, r * (1 - SHARE), r))
                rows.append(pairs(loss, clean) + weight * pairs(loss, mixed))
            if rows:
                ways.append(float(np.mean(rows)))
        if ways:
            found.append(float(np.mean(ways)))
    return float(np.mean(found)) if found else 0.0


@pytest.mark.parametrize("with_query", [True, False])
@pytest.mark.parametrize("hard", [1, 3, 99])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_it_equals_the_naive_loop(share: float, loss: str, hard: int, with_query: bool) -> None:
    views = real_views(share)
    built = Metrix(loss=loss, weight=0.7, hard=hard).double()
    expected = naive(views, loss, 0.7, hard, with_query)
    assert drawn(built, views, with_query=with_query) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_weight_only_clean_examples_count(loss: str) -> None:
    views = real_views()
    assert Metrix(loss=loss, weight=0.0)(views).item() == pytest.approx(naive(views, loss, 0.0, 1, True), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_agrees_with_finite_differences(loss: str) -> None:
    class Fixed(Metrix):
        """Draws the same in every call."""

        def forward(self, views: Views) -> torch.Tensor:
            torch.manual_seed(0)
            return super().forward(views)

    assert checks_gradient(Fixed(loss=loss, weight=1.0), real_views())


def test_a_step_mixes_negatives_with_positives_or_with_the_query() -> None:
    built = Metrix()
    views = random_views(4, modalities=("a", "b"))
    torch.manual_seed(0)
    choices = []
    for _ in range(40):
        built(views)
        choices.append(built._with_query)
    assert 10 < sum(choices) < 30


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("arguments", [{"alpha": 1e4, "beta": 1e4}, {"alpha": 1e-4, "beta": 1e-4}, {"margin": -50.0}])
def test_extremes_stay_finite(loss: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    views = real_views(share=1.0)
    views.z["b"] = -views.z["a"]
    views.z["c"] = views.z["a"].clone()
    views.z["c"][0] = -views.z["c"][1]  # half of each of two opposite rows is nothing
    for share in (1e-12, 0.5, 1 - 1e-12):
        monkeypatch.setattr(metrix, "beta_draw", lambda mixup, share=share: share)
        for seed in range(4):
            torch.manual_seed(seed)
            check_finite(Metrix(loss=loss, **arguments), views)


@pytest.mark.parametrize(
    "arguments", [{"loss": "triplet"}, {"weight": -1.0}, {"mixup": 0.0}, {"hard": 0}, {"alpha": 0.0}]
)
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Metrix(**arguments)
