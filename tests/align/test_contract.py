"""One contract over every registered head, objective and sampler, third parties' included."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, take, two_views

from commonspace.align.data import PairData
from commonspace.align.forward import NumpyHead
from commonspace.core.errors import BadInput
from commonspace.core.protocols import Head, Objective, Sampler
from commonspace.core.registry import build, entries, resolve
from commonspace.core.views import Views

HEADS = [e.name for e in entries("Head")]
OBJECTIVES = [e.name for e in entries("Objective")]
SAMPLERS = [e.name for e in entries("Sampler")]


def head(name: str) -> Any:
    torch.manual_seed(0)
    built = build("Head", name, d_in=7, dim=4, blocks=[3, 4])
    built.calibrate(np.random.default_rng(0).normal(2, 3, size=(50, 7)).astype(np.float32))
    return built


def objective(name: str, modalities: tuple[str, ...] = ("a", "b")) -> Any:
    torch.manual_seed(0)
    built = build("Objective", name)
    if hasattr(built, "prepare"):
        built.prepare({m: torch.nn.Identity() for m in modalities}, 5)
    return built.double() if isinstance(built, torch.nn.Module) else built


def loss_and_gradients(name: str, views: Views) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    loss = objective(name, tuple(z))(dataclasses.replace(views, z=z))
    loss.backward()
    return loss.detach(), {m: torch.zeros_like(v) if v.grad is None else v.grad for m, v in z.items()}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_has_the_shape_of_the_protocol_and_learns(name: str) -> None:
    built = head(name)
    assert isinstance(built, Head)
    out = built(torch.randn(6, 7))
    assert out.shape == (6, 4)
    assert out.dtype == torch.float32
    out.sum().backward()
    assert all(p.grad is not None for p in built.parameters())


@pytest.mark.parametrize("name", HEADS)
def test_a_head_without_torch_gives_the_same_rows(name: str) -> None:
    built = head(name).eval()
    X = np.random.default_rng(1).normal(2, 3, size=(9, 7)).astype(np.float32)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(built(torch.from_numpy(X)), dim=1).numpy()
    exported = built.to_numpy()
    np.testing.assert_allclose(exported(X), expected, atol=1e-5)
    back = NumpyHead.from_config(exported.config(), exported.arrays())
    np.testing.assert_array_equal(back(X), exported(X))
    assert exported(X[:0]).shape == (0, 4)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_stores_its_arguments_untouched(name: str) -> None:
    blocks = [3, 4]
    assert build("Head", name, d_in=7, dim=4, blocks=blocks).blocks is blocks


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_stores_its_arguments_untouched_and_documents_each(name: str) -> None:
    cls, built = resolve("Objective", name), build("Objective", name)
    for argument, of in inspect.signature(cls).parameters.items():
        assert of.kind is inspect.Parameter.KEYWORD_ONLY, "an argument that is handed on must be spelt out"
        assert getattr(built, argument) is of.default
        assert re.search(rf"^ *(\w+, )*{argument}(, \w+)* : ", cls.__doc__ or "", re.MULTILINE), argument


def test_an_unknown_argument_of_an_objective_is_refused_with_those_that_it_takes() -> None:
    with pytest.raises(BadInput, match="no argument tempratur; it takes hardness, false_share, temperature, learn_"):
        build("Objective", {"name": "hcl", "tempratur": 0.1})


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_returns_a_finite_scalar_that_moves_the_heads(name: str) -> None:
    loss, gradients = loss_and_gradients(name, random_views(8, modalities=("a", "b")))
    assert isinstance(objective(name), Objective)
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in gradients.values())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_never_reads_absent_rows(name: str) -> None:
    views = random_views(9, modalities=("a", "b", "c"), share=0.6, seed=4)
    loss, gradients = loss_and_gradients(name, views)
    views.z = {m: torch.where(views.present[m][:, None], v, 13.0) for m, v in views.z.items()}
    views.old = {m: torch.where(views.present[m][:, None], v, 13.0) for m, v in views.old.items()}
    again, _ = loss_and_gradients(name, views)
    torch.testing.assert_close(loss, again)
    assert all((gradients[m][~views.present[m]] == 0).all() for m in "abc")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_honours_a_modality_that_nobody_has(name: str) -> None:
    views = random_views(6, modalities=("a", "b", "c"))
    views.present["c"][:] = False
    loss, gradients = loss_and_gradients(name, views)
    assert torch.isfinite(loss)
    assert (gradients["c"] == 0).all()


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("n", [1, 2])
def test_an_objective_survives_tiny_and_empty_batches(name: str, n: int) -> None:
    for here in (True, False):
        views = random_views(n, modalities=("a", "b"))
        for m in views.modalities:
            views.present[m][:] = here
        loss, gradients = loss_and_gradients(name, views)
        assert torch.isfinite(loss)
        assert all(torch.isfinite(g).all() for g in gradients.values())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_diagnostics_are_named_numbers(name: str) -> None:
    built = objective(name)
    built(random_views(8, modalities=("a", "b")))
    assert all(isinstance(k, str) and isinstance(v, float) for k, v in built.diagnostics.items())


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_yields_valid_positions_by_its_seed(name: str) -> None:
    sampler = build("Sampler", name, batch_size=16)
    assert isinstance(sampler, Sampler)
    if hasattr(sampler, "prepare"):
        sampler.prepare(PairData.check(two_views(50)), np.random.default_rng(0))

    def epoch() -> list[list[int]]:
        return [b.tolist() for b in sampler.batches(50, np.random.default_rng(0))]

    flat = [i for b in epoch() for i in b]
    assert set(flat) <= set(range(50))
    assert epoch() == epoch()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_order_of_the_items_does_not_matter(name: str) -> None:
    views = random_views(9, modalities=("a", "b", "c"), share=0.8, seed=5, groups=np.array([0, 0, 1, 2, 2, 3, 4, 5, 6]))
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    one, gradients = loss_and_gradients(name, views)
    other, permuted = loss_and_gradients(name, take(views, order))
    torch.testing.assert_close(one, other)
    assert all(torch.allclose(gradients[m][order], permuted[m]) for m in "abc")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_items_without_any_modality_might_as_well_not_be_there(name: str) -> None:
    views = random_views(9, modalities=("a", "b"), seed=6)
    for m in "ab":
        views.present[m][6:] = False
    whole, _ = loss_and_gradients(name, views)
    reduced, _ = loss_and_gradients(name, take(views, torch.arange(6)))
    torch.testing.assert_close(whole, reduced)
