from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, log_softmax, naive_loss

from commonspace.align.objectives.base import build_objective
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.progressive_softening import ProgressiveSoftening
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def naive(views: Views, temperature: float, share: float) -> float:
    def row(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        r = np.array([float(views.relevance[i, j]) for j in candidates])
        s = np.array([float(views.z[q][i] @ views.z[g][j]) / temperature for j in candidates])
        if r.sum() == 0:
            return None
        t = r / r.sum()
        if (r == 0).any():
            spread = np.where(r == 0, np.exp(s), 0)
            t = (1 - share) * t + share * spread / spread.sum()
        return -float(t @ log_softmax(s))

    return naive_loss(views, row)


def halfway(**arguments: float) -> ProgressiveSoftening:
    loss = ProgressiveSoftening(**arguments)
    loss.before_step(0.5)
    return loss


@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_the_naive_loop(modalities: tuple[str, ...], share: float) -> None:
    views = graded_views(modalities, share)
    loss = halfway(temperature=0.2, softening=0.3).double()
    assert loss(views).item() == pytest.approx(naive(views, 0.2, 0.15), rel=1e-6)


@pytest.mark.parametrize(("softening", "done"), [(0.2, 0.0), (0.0, 1.0)])
def test_at_the_start_and_without_softening_it_is_infonce(softening: float, done: float) -> None:
    views = graded_views(share=0.7)
    loss = ProgressiveSoftening(softening=softening).double()
    loss.before_step(done)
    assert loss(views).item() == pytest.approx(InfoNCE().double()(views).item(), rel=1e-12)


def test_the_ramp_ends_where_it_is_told() -> None:
    views = graded_views()
    values = []
    for done in (0.25, 0.5, 1.0):
        loss = ProgressiveSoftening(ramp=0.5).double()
        loss.before_step(done)
        values.append(loss(views).item())
    assert values[0] != values[1] == values[2]


def test_it_hears_how_far_training_is_as_part_of_a_sum() -> None:
    objective = build_objective([halfway(), "infonce"])
    objective.before_step(1.0)
    assert objective.objectives[0]._share == 0.2


def test_near_misses_are_pushed_away_less_than_far_ones() -> None:
    """A twin of the partner keeps a good part of its score, which hard targets take away."""
    z = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [0.98, 0.2], [0, 1.0]], dtype=torch.float64), dim=1)
    views = Views(z={"a": z, "b": z}, present=random_views(3, modalities=("a", "b")).present, relevance=torch.eye(3))
    push = {}
    for name, loss in (("hard", InfoNCE(temperature=0.2)), ("soft", halfway(temperature=0.2, softening=0.4))):
        b = z.clone().requires_grad_()
        twin = loss.double().per_item(Views(z={"a": z, "b": b}, present=views.present, relevance=views.relevance))
        twin["a", "b"].loss[0].backward()
        push[name] = b.grad.norm(dim=1)
    assert push["soft"][1] < 0.8 * push["hard"][1]


def test_the_gradient_is_that_of_fixed_targets() -> None:
    """Finite differences of the loss whose targets stay those of the point."""
    views = random_views(6, modalities=("a", "b"))
    loss = halfway().double()
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    loss(Views(z=z, present=views.present, relevance=views.relevance)).backward()
    scale = loss.scale().detach()
    own = torch.eye(6, dtype=torch.bool)
    s = scale * (views.z["a"] @ views.z["b"].T)
    targets = [0.9 * own + 0.1 * t.masked_fill(own, -torch.inf).softmax(1) for t in (s, s.T)]

    def fixed(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        logits = scale * (a @ b.T)
        ways = [-(t * way.log_softmax(1)).sum(1).mean() for t, way in zip(targets, (logits, logits.T), strict=True)]
        return sum(ways) / 2

    inputs = tuple(views.z[m].clone().requires_grad_() for m in "ab")
    expected = torch.autograd.grad(fixed(*inputs), inputs)
    torch.testing.assert_close((z["a"].grad, z["b"].grad), expected)
    assert torch.autograd.gradcheck(fixed, inputs)


def test_before_training_the_gradient_agrees_with_finite_differences() -> None:
    check_gradient(ProgressiveSoftening(), graded_views(("a", "b", "c"), 0.7, seed=3))


@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_it_is_finite_at_extremes(temperature: float) -> None:
    check_finite(halfway(temperature=temperature, softening=0.99), graded_views(("a", "b", "c"), 0.7))
    check_finite(halfway(temperature=temperature), random_views(4, groups=np.zeros(4)))


@pytest.mark.parametrize("arguments", [{"softening": 1.0}, {"softening": -0.1}, {"ramp": 0.0}, {"ramp": 1.5}])
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        ProgressiveSoftening(**arguments)
