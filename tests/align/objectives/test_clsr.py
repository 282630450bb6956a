from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import prepared
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, log_softmax, naive_loss

from commonspace.align.objectives.clsr import CLSR
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views


def clsr(modalities: tuple[str, ...] = ("a", "b"), **arguments: Any) -> CLSR:
    loss: CLSR = prepared(CLSR(hidden=6, **arguments), modalities)
    return loss


def naive(views: Views, loss: CLSR, temperature: float) -> float:
    def row(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        r = np.array([float(views.relevance[i, j]) for j in candidates])
        if r.sum() == 0:
            return None
        s = np.array([float(views.z[q][i] @ views.z[g][j]) / temperature for j in candidates])
        p = (views.frozen or views.z)[q].numpy()
        p = p - p[views.present[q].numpy()].mean(0)
        for n, j in enumerate(candidates):
            if r[n] == 0 and views.present[q][j]:
                cosine = p[i] @ p[j] / np.linalg.norm(p[i]) / np.linalg.norm(p[j])
                s[n] /= 1 + loss.adaptivity * max(0.0, cosine)
        t = r / r.sum()
        value = -float(t @ log_softmax(s))
        others = [j for j in range(len(views)) if views.present[q][j] and views.relevance[i, j] == 0 and j != i]
        crowd = sum(np.exp(float(views.z[q][i] @ views.z[q][j]) / temperature - t @ s) for j in others)
        return value + loss.separation * float(np.log1p(crowd))

    errors = []
    for a, b in views.pairs():
        both = [i for i in range(len(views)) if views.present[a][i] and views.present[b][i]]
        ways: list[float] = []
        for q, g in ((a, b), (b, a)):
            decode = loss._decoders.parts[f"{q} -> {g}"]
            found = [float((decode(views.z[q][i]) - views.z[g][i]).detach().pow(2).sum()) for i in both]
            ways.append(float(np.mean(found or [0])))
        if both:
            errors.append(np.mean(ways))
    return naive_loss(views, row) + loss.reconstruction * float(np.mean(errors))


@pytest.mark.parametrize("arguments", [{}, {"adaptivity": 0.7}, {"separation": 0.0, "reconstruction": 2.0}])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_the_naive_loop(
    modalities: tuple[str, ...], share: float, frozen: bool, arguments: dict[str, float]
) -> None:
    views = graded_views(modalities, share, frozen=frozen)
    loss = clsr(modalities, temperature=0.2, **arguments)
    assert loss(views).item() == pytest.approx(naive(views, loss, 0.2), rel=1e-6)


def test_without_its_parts_it_is_infonce_and_needs_no_preparation() -> None:
    views = graded_views(share=0.7)
    bare = CLSR(separation=0, reconstruction=0).double()
    assert bare(views).item() == pytest.approx(InfoNCE().double()(views).item(), rel=1e-12)


def test_what_could_not_be_confirmed_is_off() -> None:
    views = graded_views(frozen=True)
    other = Views(
        z=views.z,
        present=views.present,
        relevance=views.relevance,
        frozen={m: -(v**2) for m, v in views.frozen.items()},
    )
    loss = clsr()
    assert loss(views).item() == loss(other).item()
    assert clsr(adaptivity=1.0)(views).item() != clsr(adaptivity=1.0)(other).item()


def test_separation_pushes_the_items_of_a_modality_apart() -> None:
    z = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1]], dtype=torch.float64), dim=1)
    a = z.clone().requires_grad_()
    far = torch.eye(2, dtype=torch.float64)
    views = Views(z={"a": a, "b": far}, present=random_views(2, modalities=("a", "b")).present, relevance=torch.eye(2))
    CLSR(reconstruction=0, separation=1).double().per_item(views)["a", "b"].loss[0].backward()
    with_it = a.grad[1].clone()
    a.grad = None
    CLSR(reconstruction=0, separation=0).double().per_item(views)["a", "b"].loss[0].backward()
    assert a.grad is None or (a.grad[1] == 0).all()
    assert with_it @ z[0] > 0  # a step against it leads away from the other


def test_the_target_of_the_reconstruction_gets_no_gradient() -> None:
    views = random_views(5, modalities=("a", "b"))
    loss = clsr(separation=0.0, reconstruction=1.0)
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    (rebuilt,) = loss._rebuilt(Views(z=z, present=views.present, relevance=views.relevance))
    rebuilt.backward()
    alone = views.z["a"].clone().requires_grad_()
    error = (loss._decoders.parts["a -> b"](alone) - views.z["b"]).pow(2).sum(1).mean() / 2
    torch.testing.assert_close(z["a"].grad, torch.autograd.grad(error, alone)[0])


@pytest.mark.parametrize("adaptivity", [0.0, 1.0])
def test_the_gradient_agrees_with_finite_differences(adaptivity: float) -> None:
    views = graded_views(("a", "b", "c"), 0.7, seed=3, frozen=True)
    check_gradient(clsr(("a", "b", "c"), adaptivity=adaptivity, reconstruction=0.0), views)


@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_it_is_finite_at_extremes(temperature: float) -> None:
    views = graded_views(("a", "b", "c"), 0.7, frozen=True)
    check_finite(clsr(("a", "b", "c"), temperature=temperature, adaptivity=1e4, separation=100.0), views)


def test_a_batch_in_which_everything_is_relevant_is_separated_from_nothing() -> None:
    views = random_views(4, modalities=("a", "b"), groups=np.zeros(4))
    check_finite(clsr(), views)
    plain, separated = (CLSR(separation=s, reconstruction=0).double()(views).item() for s in (0.0, 1.0))
    assert plain == separated


def test_it_asks_to_be_prepared() -> None:
    with pytest.raises(NotFitted, match="prepare"):
        CLSR()(random_views(4, dtype=torch.float32))


@pytest.mark.parametrize("argument", ["separation", "reconstruction", "adaptivity"])
def test_a_negative_weight_is_refused(argument: str) -> None:
    with pytest.raises(BadInput, match="must not be negative"):
        CLSR(**{argument: -0.1})
