"""What `bimixco` and `m3co` share: mixtures first, soft targets later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.blends import mixed_views, naive_mixed_loss, take_mixed, with_mixtures
from tests.align.objectives.graded import CASES

from commonspace.align.mixing import Mixing
from commonspace.align.objectives.bimixco import BiMixCo
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.m3co import M3Co
from commonspace.core.errors import BadInput
from commonspace.core.views import Mixed, Views

both = pytest.mark.parametrize("kind", [BiMixCo, M3Co])


def soft(kind: Any, **arguments: Any) -> Any:
    built = kind(**arguments).double()
    built.before_step(0.9)
    return built


@both
@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_mixtures_are_contrasted_as_in_the_naive_loop(kind: Any, modalities: tuple[str, ...], share: float) -> None:
    views = mixed_views(modalities, share)
    assert kind(temperature=0.2).double()(views).item() == pytest.approx(naive_mixed_loss(views, 5.0), rel=1e-6)


@both
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_where_nothing_is_mixed_it_is_infonce(kind: Any, share: float) -> None:
    views = replace(mixed_views(("a", "b", "c"), share), mixed={})
    expected = InfoNCE(temperature=0.1).double()(views).item()
    assert kind(temperature=0.1).double()(views).item() == pytest.approx(expected, rel=1e-9)
    kept = {m: Mixed(z=z, partner=torch.zeros(9, dtype=torch.int64), share=torch.ones(9)) for m, z in views.z.items()}
    assert kind(temperature=0.1).double()(replace(views, mixed=kept)).item() == pytest.approx(expected, rel=1e-9)


@both
def test_a_mixture_that_is_all_its_partner_asks_for_what_the_partner_asks_for(kind: Any) -> None:
    views = random_views(6, modalities=("a", "b"))
    turned = torch.roll(torch.arange(6), 1)
    mixed = {m: Mixed(z=z[turned], partner=turned, share=torch.zeros(6)) for m, z in views.z.items()}
    expected = InfoNCE(temperature=0.1).double()(views).item()
    assert kind(temperature=0.1).double()(replace(views, mixed=mixed)).item() == pytest.approx(expected, rel=1e-9)


@both
@pytest.mark.parametrize("late", [False, True])
def test_the_gradient_agrees_with_finite_differences(kind: Any, late: bool) -> None:
    views = mixed_views(share=0.8)
    loss = soft(kind) if late else kind(temperature=0.2).double()
    if late and kind is M3Co:  # its targets follow the space without gradient, so they must stand still here
        loss.similar = lambda views, m, rows=dict(views.z): rows[m]

    def f(a: torch.Tensor, b: torch.Tensor, mixed_a: torch.Tensor, mixed_b: torch.Tensor) -> torch.Tensor:
        mixed = {m: replace(views.mixed[m], z=rows) for m, rows in {"a": mixed_a, "b": mixed_b}.items()}
        value: torch.Tensor = loss(replace(views, z={"a": a, "b": b}, mixed=mixed, frozen=views.z))
        return value

    rows = [*views.z.values(), *(m.z for m in views.mixed.values())]
    assert torch.autograd.gradcheck(f, tuple(r.clone().requires_grad_() for r in rows))


@both
@pytest.mark.parametrize("late", [False, True])
def test_the_order_of_the_items_does_not_matter_given_the_same_mixtures(kind: Any, late: bool) -> None:
    views = mixed_views(("a", "b", "c"), share=0.7, frozen=True)
    loss = soft(kind) if late else kind().double()
    shuffled = take_mixed(views, torch.randperm(9, generator=torch.Generator().manual_seed(1)))
    assert loss(shuffled).item() == pytest.approx(loss(views).item(), rel=1e-9)


@both
@pytest.mark.parametrize("late", [False, True])
def test_missing_items_leave_the_loss_of_the_reduced_batch(kind: Any, late: bool) -> None:
    views = mixed_views(frozen=True)
    for m in "ab":
        views.present[m][6:] = False
    views = with_mixtures(replace(views, mixed={}))
    for m in "ab":  # absent rows may hold anything
        views.mixed[m].z[6:] = 7.0
    loss = soft(kind) if late else kind().double()
    assert loss(take_mixed(views, torch.arange(6))).item() == pytest.approx(loss(views).item(), rel=1e-9)


@both
def test_it_wants_mixtures_for_the_first_part_of_training_alone(kind: Any) -> None:
    loss = kind(until=0.5, beta=0.2, chance=0.7)
    wishes = []
    for done in (0.0, 0.49, 0.5, 0.99):
        loss.before_step(done)
        wishes.append(loss.wants_mixed)
    assert wishes == [Mixing(0.2, 0.7), Mixing(0.2, 0.7), None, None]
    assert kind(until=0.0).wants_mixed is None
    always = kind(until=1.0)
    always.before_step(0.999)
    assert always.wants_mixed is not None


@both
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("temperature", [1e-5, 1e5])
def test_extremes_stay_finite(kind: Any, late: bool, temperature: float) -> None:
    views = mixed_views(frozen=True)
    loss = kind(temperature=temperature, soft_temperature=temperature)
    loss.before_step(float(late))
    z = {m: v.float().requires_grad_() for m, v in views.z.items()}
    frozen = {m: v.float() for m, v in views.frozen.items()}
    mixed = {m: Mixed(z=v.z.float(), partner=v.partner, share=v.share.float()) for m, v in views.mixed.items()}
    value = loss(Views(z=z, present=views.present, relevance=views.relevance.float(), frozen=frozen, mixed=mixed))
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(v.grad).all() for v in z.values())


@both
def test_a_batch_of_one_or_without_pairs_costs_nothing(kind: Any) -> None:
    for late in (False, True):
        loss = soft(kind) if late else kind().double()
        apart = random_views(6, modalities=("a", "b"))
        apart.present["a"][:3] = False
        apart.present["b"][3:] = False
        assert loss(with_mixtures(apart)).item() == 0
        assert loss(with_mixtures(random_views(1, modalities=("a", "b")))).item() == pytest.approx(0, abs=1e-12)


@both
@pytest.mark.parametrize("arguments", [{"until": -0.1}, {"until": 1.1}, {"soft_temperature": 0.0}, {"beta": 0.0}])
def test_impossible_arguments_are_refused(kind: Any, arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        kind(**arguments)
