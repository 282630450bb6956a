from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, log_softmax, naive_loss

from commonspace.align.objectives import m2_mix
from commonspace.align.objectives.m2_mix import M2Mix, geodesic
from commonspace.core.errors import BadInput
from commonspace.core.views import Views

EVERYONE = torch.ones(5, dtype=torch.bool)


@pytest.fixture(autouse=True)
def one_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m2_mix, "beta_draw", lambda beta: 0.3)


def naive(views: Views, share: float = 0.3, temperature: float = 0.07) -> float:
    def row_loss(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        a, b = (q, g) if (q, g) in views.pairs() else (g, q)
        weights, logits = [], []
        for j in candidates:
            r = float(views.relevance[i, j])
            if r > 0:
                other = views.z[g][j].numpy()
            elif views.present[q][j]:
                x, y = views.z[a][j].numpy(), views.z[b][j].numpy()
                t = math.acos(x @ y)
                other = (math.sin(share * t) * x + math.sin((1 - share) * t) * y) / math.sin(t)
            else:
                continue
            weights.append(r)
            logits.append(float(views.z[q][i].numpy() @ other) / temperature)
        if not sum(weights) > 0:
            return None
        return float(-(np.array(weights) / sum(weights)) @ log_softmax(np.array(logits)))

    return naive_loss(views, row_loss)


@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_the_naive_loop(modalities: tuple[str, ...], share: float) -> None:
    views = graded_views(modalities, share)
    assert M2Mix(weight=2.0).double()(views).item() == pytest.approx(2 * naive(views), rel=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.7])
def test_the_gradient_agrees_with_finite_differences(share: float) -> None:
    check_gradient(M2Mix(weight=1.0, temperature=0.3), graded_views(share=share))


def test_the_way_between_two_rows_is_an_arc_of_even_speed() -> None:
    views = random_views(5, modalities=("a", "b"))
    a, b = views.z["a"], views.z["b"]
    whole = torch.arccos((a * b).sum(1))
    for share in (0.0, 0.25, 0.8, 1.0):
        n = geodesic(a, b, share, where=EVERYONE)
        torch.testing.assert_close(n.norm(dim=1), torch.ones(5, dtype=torch.float64))
        torch.testing.assert_close(torch.arccos((n * b).sum(1).clamp(-1, 1)), share * whole, atol=1e-6, rtol=1e-6)


def test_equal_and_opposite_rows_have_a_finite_way_and_gradient() -> None:
    a = torch.eye(5, 6).requires_grad_()
    b = torch.cat([a[:3].detach(), -a[3:].detach()])
    n = geodesic(a, b, 0.3, where=EVERYONE)
    torch.testing.assert_close(n[:3], a[:3].detach())
    n.sum().backward()
    assert torch.isfinite(n).all()
    assert torch.isfinite(a.grad).all()


def test_an_item_without_one_side_is_no_negative() -> None:
    views = random_views(6, modalities=("a", "b"))
    views.present["b"][4:] = False
    reduced = naive(
        Views(
            z={m: z[:4] for m, z in views.z.items()},
            present={m: p[:4] for m, p in views.present.items()},
            relevance=torch.eye(4, dtype=torch.float64),
        )
    )
    assert M2Mix(weight=1.0)(views).item() == pytest.approx(reduced, rel=1e-6)


def test_a_mixture_is_a_harder_negative_where_modalities_lie_apart() -> None:
    views = random_views(8, modalities=("a", "b"))
    apart = {"a": torch.ones(5, dtype=torch.float64), "b": -torch.ones(5, dtype=torch.float64)}
    z = {m: torch.nn.functional.normalize(v + 3 * apart[m], dim=1) for m, v in views.z.items()}
    views = replace(views, z=z)
    assert naive(views, share=0.5) > naive(views, share=0.0)  # at 0 a negative is the other side itself


@pytest.mark.parametrize("temperature", [1e-6, 1e6])
def test_extremes_stay_finite(temperature: float) -> None:
    views = graded_views()
    views.z["b"] = views.z["a"].clone()  # no angle between the two
    check_finite(M2Mix(temperature=temperature), views)
    views.z["b"] = -views.z["a"]
    check_finite(M2Mix(temperature=temperature), views)


def test_no_weight_no_loss() -> None:
    assert M2Mix(weight=0.0).double()(graded_views()).item() == 0


@pytest.mark.parametrize("arguments", [{"weight": -1.0}, {"beta": 0.0}, {"temperature": 0.0}])
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="weight"):
        M2Mix(**arguments)
