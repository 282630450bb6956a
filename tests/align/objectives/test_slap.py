from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from tests.align.conftest import random_views, take
from tests.align.objectives.conftest import Rows, gradient, numerical_gradient
from torch import nn
from torch.nn.functional import normalize

from commonspace.align.objectives.slap import SLAP, directions
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views

ROWS = {("a", "b"): [0, 1, 3, 4, 6], ("a", "c"): [0, 1, 3, 5], ("b", "c"): [0, 1, 2, 3]}


def world(**options: Any) -> tuple[SLAP, dict[str, nn.Module], Views]:
    """Three modalities with missing partners; c is seen as the batch has it, a and b by the copy of their heads."""
    views = random_views(8, modalities=("a", "b", "c"), seed=1)
    for m, gone in (("a", [2, 7]), ("b", [5, 7]), ("c", [4, 6, 7])):
        views.present[m][gone] = False
    torch.manual_seed(0)
    heads: dict[str, nn.Module] = {m: nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 5)).double() for m in "abc"}
    loss = SLAP(hidden=12, **options)
    loss.prepare(heads, 5)
    loss.double()
    views.frozen = {m: torch.randn(8, 3, dtype=torch.float64) for m in "ab"}
    return loss, heads, views


def targets_of(heads: dict[str, nn.Module], views: Views) -> Rows:
    seen = {m: normalize(heads[m].eval()(views.frozen[m]), dim=1).detach() for m in "ab"}
    return {**seen, "c": views.z["c"].detach()}


def naive(loss: SLAP, z: Rows, targets: Rows, pairs: dict[tuple[str, str], list[int]] = ROWS) -> float:
    """The formula, one item, one direction and one pair of modalities at a time."""

    def apart(m: str, other: str, i: int) -> float:
        q = loss.predictors.parts[m](z[m][i])
        return (2 - 2 * (q @ targets[other][i]) / (q.norm() * targets[other][i].norm())).item()

    total = 0.0
    for (a, b), rows in pairs.items():
        for i in rows:
            across = (apart(a, b, i) + apart(b, a, i)) / 2
            within = (apart(a, a, i) + apart(b, b, i)) / 2
            total += (loss.across * across + (1 - loss.across) * within) / len(rows) / len(pairs)
    return loss.weight * total


@pytest.mark.parametrize("across", [0.0, 0.3, 1.0])
def test_it_equals_the_naive_loop_over_items_that_have_both(across: float) -> None:
    loss, heads, views = world(across=across, weight=0.7)
    assert loss(views).item() == pytest.approx(naive(loss, views.z, targets_of(heads, views)), rel=1e-9)


def test_the_gradient_is_that_of_predicting_fixed_targets() -> None:
    loss, heads, views = world()
    targets = targets_of(heads, views)
    expected = numerical_gradient(lambda z: naive(loss, z, targets), views.z)
    found = gradient(loss, views)
    for m in "abc":
        torch.testing.assert_close(found[m], expected[m], atol=1e-7, rtol=1e-5)


def test_the_loss_of_a_batch_is_the_mean_over_its_halves() -> None:
    # What makes accumulated gradients as good as a large batch: nobody is compared with anybody.
    views = random_views(8, modalities=("a", "b"), seed=2)
    torch.manual_seed(0)
    loss = SLAP(hidden=12)
    loss.prepare({m: nn.Identity() for m in "ab"}, 5)
    loss.double()
    halves = [loss(take(views, torch.arange(s, s + 4))).item() for s in (0, 4)]
    assert loss(views).item() == pytest.approx(sum(halves) / 2, rel=1e-9)


def test_who_is_relevant_to_whom_besides_the_pair_changes_nothing() -> None:
    loss, _, views = world()
    one = loss(views).item()
    views.relevance = torch.ones_like(views.relevance)
    assert loss(views).item() == one


def test_pairs_that_coincide_with_what_is_predicted_cost_nothing() -> None:
    views = random_views(6, modalities=("a", "b"))
    views.z = dict.fromkeys("ab", views.z["a"])
    loss = SLAP(hidden=8)
    loss.prepare({m: nn.Identity() for m in "ab"}, 5)
    loss.predictors = type(loss.predictors)({m: nn.Identity() for m in "ab"})
    assert loss(views).item() == pytest.approx(0, abs=1e-12)


def test_the_copy_follows_the_heads_after_each_step() -> None:
    loss, heads, _ = world()
    before = loss.slow.target.heads["a"][1].bias.clone()
    with torch.no_grad():
        heads["a"][1].bias += 1.0
    loss.after_step()
    assert (loss.slow.target.heads["a"][1].bias != before).all()


def test_directions_count_how_many_ways_rows_vary() -> None:
    square = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert directions(square) == pytest.approx(2)
    assert directions(square[:2]) == pytest.approx(1)
    assert directions(torch.ones(4, 3)) == 0


def test_vectors_that_have_collapsed_are_told_of_once_and_only_when_training_is_under_way() -> None:
    loss, _, views = world()
    views.z = {m: normalize(torch.ones_like(v) + 1e-3 * v, dim=1) * torch.ones(8, 1) for m, v in views.z.items()}
    views.z = {m: v[:1].expand(8, -1).clone() for m, v in views.z.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(views)
    loss.before_step(0.5)
    with pytest.warns(RuntimeWarning, match="collapsed"):
        loss(views)
    assert loss.diagnostics["directions"] < 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(views)


def test_arguments_are_checked_and_heads_must_be_known() -> None:
    with pytest.raises(BadInput, match="across"):
        SLAP(across=1.2)
    with pytest.raises(BadInput, match="hidden"):
        SLAP(hidden=0)
    with pytest.raises(NotFitted, match="prepare"):
        SLAP()(random_views(4, modalities=("a", "b")))
