from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import numerical_gradient
from torch import nn

from commonspace.align.objectives.clip_refine import ClipRefine
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views

PAIRED = [0, 1, 2, 3, 4, 5]  # the items that have two modalities
SCALE = 1 / 0.2


def world(**options: Any) -> tuple[ClipRefine, dict[str, nn.Module], Views]:
    """Missing partners, several positives with grades; heads that have moved since they came."""
    groups = np.array([0, 0, 1, 2, 2, 3, 4, 5])
    views = random_views(8, modalities=("a", "b", "c"), seed=1, groups=groups)
    for m, gone in (("a", [2, 7]), ("b", [6, 7]), ("c", [4, 6])):
        views.present[m][gone] = False
    views.relevance[0, 1] = 0.5
    torch.manual_seed(0)
    heads: dict[str, nn.Module] = {m: nn.Linear(3, 5).double() for m in "abc"}
    loss = ClipRefine(temperature=0.2, **options)
    loss.prepare(heads, 5)
    loss.double()
    for head in heads.values():
        head.weight.data += 0.1 * torch.randn(5, 3, dtype=torch.float64)
    views.frozen = {m: torch.randn(8, 3, dtype=torch.float64) for m in "abc"}
    return loss, heads, views


def value(loss: ClipRefine, views: Views) -> torch.Tensor:
    """The loss with the same draws every time."""
    torch.manual_seed(7)
    out: torch.Tensor = loss(views)
    return out


def outputs(loss: ClipRefine, heads: dict[str, nn.Module], views: Views) -> tuple[Any, Any]:
    """What heads and their first form say, in units of the lengths of the latter, item by item."""
    now, then = {}, {}
    for m in "abc":
        there = views.present[m]
        old = loss.teacher.target.heads[m](views.frozen[m]).detach()
        length = math.sqrt(sum(float(row @ row) for row in old[there]) / int(there.sum()))
        now[m], then[m] = heads[m](views.frozen[m]).detach() / length, old / length
    return now, then


def naive_distillation(now: Any, then: Any, views: Views, share: float) -> float:
    total = []
    for a, b in (("a", "b"), ("a", "c"), ("b", "c")):
        for q, g in ((a, b), (b, a)):
            found = []
            pool = [j for j in range(8) if views.present[g][j]]
            for i in range(8):
                relevance = [float(views.relevance[i, j]) for j in pool]
                if not views.present[q][i] or sum(relevance) == 0:
                    continue
                new = [math.exp(SCALE * float(now[q][i] @ now[g][j])) for j in pool]
                old = [math.exp(SCALE * float(then[q][i] @ then[g][j])) for j in pool]
                divergence = 0.0
                for r, n, o in zip(relevance, new, old, strict=True):
                    target = share * r / sum(relevance) + (1 - share) * o / sum(old)
                    divergence += target * math.log(target / (n / sum(new))) if target > 0 else 0.0
                found.append(divergence)
            total.append(sum(found) / len(found))
    return sum(total) / len(total)


def naive_alignment(now: Any, then: Any, views: Views) -> float:
    torch.manual_seed(7)
    draws = torch.randn(len(PAIRED), 5, dtype=torch.float64) / math.sqrt(5)
    first = [sum(float(then[m][i][0]) for m in "abc" if views.present[m][i]) for i in PAIRED]
    place = {i: sorted(first).index(value) for i, value in zip(PAIRED, first, strict=True)}
    each = [float((now[m][i] - draws[place[i]]).square().sum()) for i in PAIRED for m in "abc" if views.present[m][i]]
    return sum(each) / len(each)


@pytest.mark.parametrize(("random", "share"), [(0.0, 0.5), (1.0, 0.5), (0.3, 0.0), (0.3, 1.0)])
def test_it_equals_the_naive_loop(random: float, share: float) -> None:
    loss, heads, views = world(random=random, share=share)
    now, then = outputs(loss, heads, views)
    expected = random * naive_alignment(now, then, views) + naive_distillation(now, then, views, share)
    assert value(loss, views).item() == pytest.approx(expected, rel=1e-6)


def test_the_gradient_reaches_the_heads_and_is_that_of_finite_differences() -> None:
    loss, heads, views = world()
    value(loss, views).backward()
    found = {m: heads[m].weight.grad.clone() for m in "abc"}

    def at(weights: Any) -> float:
        for m in "abc":
            heads[m].weight.data = weights[m]
        return value(loss, views).item()

    expected = numerical_gradient(at, {m: heads[m].weight.data.clone() for m in "abc"})
    for m in "abc":
        torch.testing.assert_close(found[m], expected[m], atol=1e-6, rtol=1e-4)


def test_heads_that_have_not_moved_lose_nothing_to_what_they_said() -> None:
    loss, heads, views = world(random=0.0, share=0.0)
    for m, head in heads.items():
        head.load_state_dict(loss.teacher.target.heads[m].state_dict())
    assert value(loss, views).item() == pytest.approx(0, abs=1e-7)


def test_in_expectation_the_references_only_shorten_what_both_modalities_say() -> None:
    loss, heads, views = world()
    now, then = outputs(loss, heads, views)
    seen = [float(now[m][i].square().sum()) + 1 for i in PAIRED for m in "abc" if views.present[m][i]]
    torch.manual_seed(0)
    rows = torch.tensor(PAIRED)
    masked = {m: torch.where(views.present[m][:, None], v, 0.0) for m, v in now.items()}
    old = {m: torch.where(views.present[m][:, None], v, 0.0) for m, v in then.items()}
    found = [loss._aligned(views, masked, old, rows).item() for _ in range(3000)]
    assert np.mean(found) == pytest.approx(np.mean(seen), rel=0.02)


def test_without_encoder_outputs_unit_rows_stand_in() -> None:
    loss, _, views = world(random=0.0, share=1.0)
    views = replace(views, frozen={}, z={m: v.requires_grad_() for m, v in views.z.items()})
    value(loss, views).backward()
    assert all(v.grad.abs().sum() > 0 for v in views.z.values())


def test_fewer_than_two_pairs_cost_nothing() -> None:
    loss, _, views = world()
    for m in "bc":
        views.present[m][1:] = False
    assert value(loss, views).item() == 0
    assert loss.diagnostics == {}


@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_it_stays_finite_at_any_temperature(temperature: float) -> None:
    loss = ClipRefine(temperature=temperature)
    views = random_views(6, modalities=("a", "b"))
    loss.prepare({m: nn.Identity() for m in "ab"}, 5)
    assert math.isfinite(value(loss, views).item())


def test_arguments_are_checked_and_heads_must_be_known() -> None:
    for wrong in ({"random": -1.0}, {"share": 1.5}, {"temperature": 0.0}):
        with pytest.raises(BadInput):
            ClipRefine(**wrong)
    with pytest.raises(NotFitted, match="prepare"):
        ClipRefine()(random_views(4, modalities=("a", "b")))
