from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, take
from tests.align.objectives.grouped import checks_gradient, real_views

from commonspace.align.objectives.icnn import ICNN
from commonspace.core.errors import BadInput
from commonspace.core.views import Views
from commonspace.measure import icnn_score

GROUPS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3])


def of_measure(views: Views, k: int) -> float:
    """Mean of minus log of the score that commonspace.measure gives, in each of the three ways."""
    losses = []
    for a, b in views.pairs():
        X = {m: views.z[m][views.present[m]].numpy() for m in (a, b)}
        y = {m: views.groups[views.present[m]].numpy() for m in (a, b)}
        for q, g in ((a, b), (b, a)):
            losses.append(icnn_score(X[q], y[q], k=k, gallery=X[g], gallery_labels=y[g]))
        losses.append(icnn_score(np.concatenate([X[a], X[b]]), np.concatenate([y[a], y[b]]), k=k))
    return float(np.mean(-np.log(losses)))


def naive_triplet(views: Views, margin: float) -> float:
    found = []
    for a, b in views.pairs():
        for q, g in ((a, b), (b, a)):
            n = range(len(views))
            grade = [[float(views.relevance[i, j]) if views.present[g][j] else 0.0 for j in n] for i in n]
            prototype = {i: sum(grade[i][j] * views.z[g][j] for j in n) / sum(grade[i]) for i in n if sum(grade[i])}
            for i in n:
                others = [j for j in prototype if views.relevance[i, j] == 0]
                if not views.present[q][i] or i not in prototype or not others:
                    continue
                own = float((views.z[q][i] - prototype[i]).norm())
                nearest = min(float((views.z[q][i] - prototype[j]).norm()) for j in others)
                found.append(max(0.0, own - nearest + margin))
    return float(np.mean(found))


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("k", [1, 4, 99])
def test_its_score_is_that_of_measure(share: float, k: int) -> None:
    views = random_views(12, modalities=("a", "b", "c"), share=share, groups=GROUPS)
    loss = ICNN(weight=1.0, k=k, proto_triplet=0.0).double()
    assert loss(views).item() == pytest.approx(of_measure(views, k), rel=1e-5)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_its_triplet_is_the_naive_loop_over_prototypes_by_grade(share: float) -> None:
    views = real_views(share)
    both, score = (ICNN(weight=1.0, proto_triplet=p).double()(views).item() for p in (2.0, 0.0))
    assert both - score == pytest.approx(2 * naive_triplet(views, 0.5), rel=1e-6)


def test_the_gradient_agrees_with_finite_differences() -> None:
    assert checks_gradient(ICNN(k=3), real_views())


def test_classes_apart_cost_nothing() -> None:
    z = torch.eye(3).repeat_interleave(4, 0)
    groups = torch.arange(3).repeat_interleave(4)
    views = Views(
        z={"a": z, "b": z},
        present={m: torch.ones(12, dtype=torch.bool) for m in "ab"},
        relevance=(groups[:, None] == groups).float(),
    )
    loss = ICNN(k=3)
    assert loss(views).item() == pytest.approx(0, abs=1e-5)
    assert loss.diagnostics["icnn"] == pytest.approx(1, abs=1e-5)


def test_weight_is_a_factor_and_order_is_none() -> None:
    views = random_views(12, modalities=("a", "b"), share=0.8, groups=GROUPS)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    loss = ICNN(weight=1.0)(views)
    torch.testing.assert_close(ICNN(weight=3.0)(views), 3 * loss)
    torch.testing.assert_close(ICNN(weight=1.0)(take(views, order)), loss)


def test_points_that_coincide_or_are_all_strangers_stay_finite() -> None:
    one = torch.ones(6, 4) / 2
    for groups in (torch.arange(6), torch.zeros(6, dtype=torch.int64), torch.tensor([0, 0, 1, 1, 2, 2])):
        z = {m: one.clone().requires_grad_() for m in "ab"}
        relevance = (groups[:, None] == groups).float()
        views = Views(z=z, present={m: torch.ones(6, dtype=torch.bool) for m in "ab"}, relevance=relevance)
        loss = ICNN(weight=1.0)(views)
        loss.backward()
        assert math.isfinite(loss.item())
        assert all(torch.isfinite(v.grad).all() for v in z.values())


@pytest.mark.parametrize("arguments", [{"k": 0}, {"weight": -1.0}, {"margin": -0.1}, {"proto_triplet": -1.0}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        ICNN(**arguments)
