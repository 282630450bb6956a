from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import gradient, numerical_gradient

from commonspace.align.objectives.base import build_objective
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.matryoshka import Matryoshka, nested_sizes
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.registry import entries
from commonspace.core.views import Views

WRAPPABLE = [e.name for e in entries("Objective") if e.name != "matryoshka"]


def nested(dim: int = 6, **options: Any) -> Any:
    torch.manual_seed(0)
    loss = Matryoshka(**options)
    loss.prepare({m: torch.nn.Identity() for m in ("a", "b")}, dim)
    return loss.double()


def cut(views: Views, size: int) -> Views:
    z = {m: v[:, :size] / v[:, :size].norm(dim=1, keepdim=True) for m, v in views.z.items()}
    return Views(z=z, present=views.present, relevance=views.relevance, frozen=views.frozen)


def test_it_is_the_weighted_sum_of_the_objective_on_every_normalised_prefix() -> None:
    views = random_views(8, dim=6, modalities=("a", "b"))
    loss = nested(sizes=[2, 4], weights=[0.5, 2.0, 3.0])
    base = InfoNCE().double()
    expected = sum(w * base(cut(views, m)) for m, w in ((2, 0.5), (4, 2.0), (6, 3.0)))
    torch.testing.assert_close(loss(views), expected)


def test_its_gradient_is_that_of_the_sum() -> None:
    views = random_views(6, dim=4, modalities=("a", "b"))
    loss = nested(dim=4, sizes=[1, 2])
    base = InfoNCE().double()

    def naive(z: Any) -> float:
        whole = Views(z=z, present=views.present, relevance=views.relevance)
        return sum(base(cut(whole, m)).item() for m in (1, 2, 4))

    found, expected = gradient(loss, views), numerical_gradient(naive, views.z)
    for m in "ab":
        torch.testing.assert_close(found[m], expected[m], atol=1e-6, rtol=1e-4)


def test_one_size_is_the_objective_itself() -> None:
    views = random_views(7, dim=6, modalities=("a", "b"))
    torch.testing.assert_close(nested(sizes=[6])(views), InfoNCE().double()(views))


@pytest.mark.parametrize("name", WRAPPABLE)
def test_it_composes_with_every_objective(name: str) -> None:
    views = random_views(9, dim=6, modalities=("a", "b"), share=0.9)
    views.frozen = {m: v.clone() for m, v in views.z.items()}
    loss = nested(objective=[name, {"name": "infonce", "temperature": 0.2}], sizes=[3, 4])
    found = gradient(loss, views)
    loss.after_step()
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in found.values())
    assert "accuracy@3" in loss.diagnostics
    assert "accuracy" in loss.diagnostics


def test_every_size_has_a_temperature_of_its_own() -> None:
    loss = nested(sizes=[2, 4])
    assert sum(p.requires_grad for p in loss.parameters()) == 3


def test_an_objective_given_as_an_instance_is_neither_shared_nor_changed() -> None:
    given = InfoNCE()
    loss = nested(objective=given, sizes=[2])
    for p in loss._modules_of_copies.parameters():
        p.data += 1
    assert given.log_scale.item() == pytest.approx(InfoNCE().log_scale.item())


def test_absent_rows_are_never_read() -> None:
    views = random_views(9, dim=6, modalities=("a", "b"), share=0.6, seed=4)
    one = nested(sizes=[2, 4])(views)
    views.z = {m: torch.where(views.present[m][:, None], v, 13.0) for m, v in views.z.items()}
    torch.testing.assert_close(nested(sizes=[2, 4])(views), one)


@pytest.mark.parametrize(
    ("sizes", "dim", "expected"),
    [
        (None, 64, (8, 16, 32, 64)),
        (None, 100, (8, 16, 32, 64, 100)),
        (None, 8, (8,)),
        (None, 5, (5,)),
        ([32, 8, 8], 64, (8, 32, 64)),
        ([64], 64, (64,)),
    ],
)
def test_sizes_ascend_and_end_with_the_whole(sizes: Any, dim: int, expected: tuple[int, ...]) -> None:
    assert nested_sizes(sizes, dim) == expected


@pytest.mark.parametrize(
    ("sizes", "words"), [([0], "at least 1"), ([65], "longer than"), ([], "must be a list"), (8, "must be a list")]
)
def test_sizes_that_cannot_be_prefixes_are_refused(sizes: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        nested_sizes(sizes, 64)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, -1.0]])
def test_weights_must_be_one_a_size(weights: Any) -> None:
    with pytest.raises(BadInput, match="weights must be 3"):
        nested(sizes=[2, 4], weights=weights)


def test_before_prepare_it_says_so() -> None:
    with pytest.raises(NotFitted, match="prepare"):
        build_objective("matryoshka")(random_views())
