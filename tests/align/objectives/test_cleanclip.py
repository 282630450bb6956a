from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import Rows, gradient, numerical_gradient
from torch import nn
from torch.nn.functional import normalize

from commonspace.align.objectives.cleanclip import CleanCLIP
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views

SCALE = 1 / 0.07


def world(**options: Any) -> tuple[CleanCLIP, dict[str, nn.Module], Views]:
    """Missing partners, several positives with grades; c is seen as the batch has it."""
    groups = np.array([0, 0, 1, 2, 2, 3, 4, 5])
    views = random_views(8, modalities=("a", "b", "c"), seed=1, groups=groups)
    for m, gone in (("a", [2, 7]), ("b", [5, 7]), ("c", [4, 6, 7])):
        views.present[m][gone] = False
    views.relevance[0, 1] = 0.5
    torch.manual_seed(0)
    heads: dict[str, nn.Module] = {m: nn.Linear(3, 5).double() for m in "abc"}
    loss = CleanCLIP(**options)
    loss.prepare(heads, 5)
    loss.double()
    views.frozen = {m: torch.randn(8, 3, dtype=torch.float64) for m in "ab"}
    return loss, heads, views


def clean_of(heads: dict[str, nn.Module], views: Views) -> Rows:
    return {m: normalize(heads[m](v), dim=1).detach() for m, v in views.frozen.items()} | {"c": views.z["c"].detach()}


def within(z: Rows, clean: Rows, views: Views) -> float:
    """The second part, one modality, direction and item at a time."""
    parts = []
    for m in views.modalities:
        there = [i for i in range(len(views)) if views.present[m][i]]
        ways = []
        for left, right in ((z[m], clean[m]), (clean[m], z[m])):
            for i in there:
                pool = [j for j in there if j == i or views.relevance[i, j] == 0]
                logits = [SCALE * float(left[i] @ right[j]) for j in pool]
                ways.append(math.log(sum(math.exp(v) for v in logits)) - SCALE * float(left[i] @ right[i]))
        parts.append(sum(ways) / len(ways))
    return sum(parts) / len(parts)


def test_it_is_infonce_and_the_naive_loop_over_each_items_two_views() -> None:
    loss, heads, views = world(across=0.6, within=0.3)
    expected = 0.6 * InfoNCE()(views).item() + 0.3 * within(views.z, clean_of(heads, views), views)
    assert loss(views).item() == pytest.approx(expected, rel=1e-6)


def test_without_the_second_part_it_is_infonce() -> None:
    loss, _, views = world(within=0.0)
    assert loss(views).item() == pytest.approx(InfoNCE().double()(views).item(), rel=1e-6)


def test_the_gradient_is_that_of_both_parts() -> None:
    loss, heads, views = world()
    clean = clean_of(heads, views)

    def value(z: Rows) -> float:
        fixed = replace(views, z=z)
        return InfoNCE().double()(fixed).item() + within(z, clean, views)

    expected = numerical_gradient(value, views.z)
    found = gradient(loss, views)
    for m in "abc":
        torch.testing.assert_close(found[m], expected[m], atol=2e-6, rtol=1e-4)


def test_the_undisturbed_view_trains_the_heads_too() -> None:
    loss, heads, views = world()
    loss(views).backward()
    assert all(heads[m].weight.grad.abs().sum() > 0 for m in "ab")
    assert not {id(p) for p in loss.parameters()} & {id(p) for h in heads.values() for p in h.parameters()}


def test_a_batch_without_pairs_or_of_one_costs_nothing() -> None:
    loss, _, views = world()
    views.present["b"][:] = False
    views.present["c"][:] = False
    assert loss(views).item() == 0
    alone = random_views(1, modalities=("a", "b", "c"))
    assert loss(alone).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_it_stays_finite_at_any_temperature(temperature: float) -> None:
    loss, _, views = world(temperature=temperature)
    assert math.isfinite(loss(views).item())
    assert all(torch.isfinite(g).all() for g in gradient(loss, views).values())


def test_arguments_are_checked_and_heads_must_be_known() -> None:
    for wrong in ({"across": -1.0}, {"across": 0.0, "within": 0.0}, {"within": float("nan")}):
        with pytest.raises(BadInput):
            CleanCLIP(**wrong)
    with pytest.raises(NotFitted, match="prepare"):
        CleanCLIP()(random_views(4, modalities=("a", "b")))
