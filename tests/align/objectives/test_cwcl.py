from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, log_softmax, naive_loss

from commonspace.align.objectives.cwcl import CWCL
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def naive(views: Views, temperature: float, teacher: str | None, kernel: bool, power: float, top: int | None) -> float:
    def row(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        r = {j: float(views.relevance[i, j]) for j in candidates}
        if sum(r.values()) == 0:
            return None
        p = (views.frozen or views.z)[q].numpy()
        p = p - p[views.present[q].numpy()].mean(0)
        w = dict.fromkeys(candidates, 0.0)
        if teacher in (None, q):
            for j in candidates:
                if views.present[q][j]:
                    cosine = p[i] @ p[j] / np.linalg.norm(p[i]) / np.linalg.norm(p[j])
                    w[j] = (np.exp((cosine - 1) / 0.3) if kernel else (1 + cosine) / 2) ** power
            best = sorted(w.values(), reverse=True)[:top]
            w = {j: v if v >= best[-1] else 0 for j, v in w.items()}
            r = {j: v / max(r.values()) for j, v in r.items()}
        weight = np.array([max(w[j], r[j]) for j in candidates])
        s = np.array([float(views.z[q][i] @ views.z[g][j]) / temperature for j in candidates])
        return -float(weight / weight.sum() @ log_softmax(s))

    return naive_loss(views, row)


@pytest.mark.parametrize("teacher", [None, "b"])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize(("kernel", "power", "top"), [(False, 1.0, None), (True, 2.0, None), (False, 3.0, 2)])
@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_the_naive_loop(
    modalities: tuple[str, ...], share: float, kernel: bool, power: float, top: int | None, frozen: bool, teacher: Any
) -> None:
    views = graded_views(modalities, share, frozen=frozen)
    loss = CWCL(
        teacher=teacher, weighting="kernel" if kernel else "linear", bandwidth=0.3, power=power, top=top,
        temperature=0.2,
    ).double()  # fmt: skip
    assert loss(views).item() == pytest.approx(naive(views, 0.2, teacher, kernel, power, top), rel=1e-6)


def test_weights_sharpened_to_the_end_are_those_of_infonce() -> None:
    views = random_views(8, modalities=("a", "b"), share=0.8)
    sharp = CWCL(weighting="kernel", bandwidth=1e-3).double()
    assert sharp(views).item() == pytest.approx(InfoNCE().double()(views).item(), rel=1e-9)


def test_the_untrusted_side_asks_as_in_infonce() -> None:
    views = graded_views(frozen=True)
    ours, plain = CWCL(teacher="a").double().per_item(views), InfoNCE().double().per_item(views)
    torch.testing.assert_close(ours["b", "a"].loss, plain["b", "a"].loss)
    assert not torch.allclose(ours["a", "b"].loss, plain["a", "b"].loss)


def test_without_centring_the_published_weights_are_as_published() -> None:
    views = random_views(2, modalities=("a", "b"))
    p = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    views = Views(z=views.z, present=views.present, relevance=views.relevance, frozen={"a": p, "b": p})
    published = CWCL(weighting="linear", centred=False, teacher="a").double().per_item(views)["a", "b"].loss
    log_p = (views.z["a"] @ views.z["b"].T / 0.07).log_softmax(1)
    w = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(published, -(w * log_p).sum(1) / 1.8, rtol=1e-6, atol=1e-6)


def test_items_that_the_teacher_holds_for_one_are_positives_of_each_other() -> None:
    views = random_views(4, modalities=("a", "b"), dtype=torch.float32)
    same = torch.eye(3)[[0, 0, 1, 2]]
    views = Views(z=views.z, present=views.present, relevance=views.relevance, frozen={"a": same, "b": same})
    grouped = Views(z=views.z, present=views.present, relevance=same @ same.T)
    sharp = CWCL(weighting="kernel", bandwidth=1e-2)
    torch.testing.assert_close(sharp(views), InfoNCE()(grouped))


def test_the_teacher_gets_no_gradient() -> None:
    views = graded_views(frozen=True)
    frozen = {m: v.requires_grad_() for m, v in views.frozen.items()}
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    CWCL().double()(Views(z=z, present=views.present, relevance=views.relevance, frozen=frozen)).backward()
    assert all(v.grad is None for v in frozen.values())


def test_the_gradient_agrees_with_finite_differences() -> None:
    check_gradient(CWCL(power=2.0), graded_views(("a", "b", "c"), 0.7, seed=3, frozen=True))


@pytest.mark.parametrize("arguments", [{"bandwidth": 1e-9, "weighting": "kernel"}, {"power": 1e3}, {"top": 1}])
@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_it_is_finite_at_extremes(temperature: float, arguments: dict[str, Any]) -> None:
    views = graded_views(("a", "b", "c"), 0.7, frozen=True)
    views.frozen["a"][0] = 0  # an encoder that saw nothing
    check_finite(CWCL(temperature=temperature, **arguments), views)


@pytest.mark.parametrize("arguments", [{"weighting": "cubic"}, {"bandwidth": 0.0}, {"power": 0.0}, {"top": 0}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        CWCL(**arguments)


def test_a_teacher_that_is_no_modality_is_refused() -> None:
    with pytest.raises(BadInput, match="'audio' is none of the modalities a, b"):
        CWCL(teacher="audio")(random_views(3, modalities=("a", "b"), dtype=torch.float32))
