from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, two_views
from tests.align.objectives.conftest import gradient, numerical_gradient, prepared

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.mod_x import ModX
from commonspace.core.errors import BadInput
from commonspace.core.views import Views
from commonspace.measure import rotation


def world() -> Views:
    """Missing partners, several positives, items that the old space does not know; an old space of fewer numbers."""
    views = random_views(9, modalities=("a", "b", "c"), seed=1, groups=np.array([0, 0, 1, 2, 2, 3, 4, 5, 6]))
    for m, gone in (("a", [2, 7]), ("b", [6, 7]), ("c", [4, 6])):
        views.present[m][gone] = False
    for m in "abc":  # partners near each other, so that the old heads are sometimes right
        views.old[m] = torch.nn.functional.normalize(views.old["a"] + 0.8 * views.old[m], dim=1)
    views.old["b"][3] = 0
    return views


def known(views: Views, m: str, i: int) -> bool:
    return bool(views.present[m][i]) and bool((views.old[m][i] != 0).any())


def softmax(scores: list[float]) -> list[float]:
    total = sum(math.exp(s) for s in scores)
    return [math.exp(s) / total for s in scores]


def naive(views: Views, scale: float, only_right: bool) -> tuple[float, float]:
    """The divergence, and the share of rows in which the old heads were right."""
    pairs, right = [], []
    for a, b in views.pairs():
        ways = []
        for q, g in ((a, b), (b, a)):
            found = []
            pool = [j for j in range(9) if known(views, g, j)]
            for i in range(9):
                positives = [float(views.relevance[i, j]) > 0 for j in pool]
                if not known(views, q, i) or not any(positives):
                    continue
                was = softmax([scale * float(views.old[q][i] @ views.old[g][j]) for j in pool])
                now = softmax([scale * float(views.z[q][i] @ views.z[g][j]) for j in pool])
                right.append(positives[max(range(len(pool)), key=was.__getitem__)])
                divergence = sum(p * math.log(p / r) for p, r in zip(was, now, strict=True))
                found.append(divergence if right[-1] or not only_right else 0.0)
            ways.append(sum(found) / len(found))
        pairs.append(sum(ways) / 2)
    return sum(pairs) / len(pairs), sum(right) / len(right)


@pytest.mark.parametrize("only_right", [True, False])
def test_it_equals_the_naive_loop(only_right: bool) -> None:
    views = world()
    objective = ModX(alpha=3.0, temperature=0.2, only_right=only_right).double()
    divergence, right = naive(views, 5.0, only_right)
    assert objective(views).item() == pytest.approx(InfoNCE()(views).item() + 3 * divergence, rel=1e-6)
    assert objective.diagnostics["divergence"] == pytest.approx(divergence, rel=1e-6)
    assert objective.diagnostics["old_right"] == pytest.approx(right)
    assert 0 < right < 1


def test_the_gradient_is_that_of_finite_differences() -> None:
    views = world()
    objective = ModX(temperature=0.2).double()
    found = gradient(objective, views)
    expected = numerical_gradient(lambda z: objective(replace(views, z=z)).item(), views.z)
    for m in "abc":
        torch.testing.assert_close(found[m], expected[m], atol=1e-5, rtol=1e-4)


def test_heads_that_say_what_they_said_lose_nothing_even_when_both_modalities_have_turned() -> None:
    views = world()
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    turned = replace(views, z={m: v @ turn for m, v in views.old.items()})
    objective = ModX(only_right=False).double()
    objective(turned)
    assert objective.diagnostics["divergence"] == pytest.approx(0, abs=1e-12)
    apart = replace(turned, z={**turned.z, "b": views.old["b"]})
    objective(apart)
    assert objective.diagnostics["divergence"] > 0.1


def test_rows_in_which_the_old_heads_were_wrong_are_left_to_the_new_data() -> None:
    views = random_views(9, modalities=("a", "b"))
    views.old["b"] = views.old["a"].roll(1, 0)  # whatever asks finds its neighbour's partner first
    only_new, found = gradient(InfoNCE().double(), views), gradient(ModX().double(), views)
    everything = gradient(ModX(only_right=False).double(), views)
    for m in "ab":
        torch.testing.assert_close(found[m], only_new[m])
        assert not torch.allclose(everything[m], only_new[m])


def test_a_modality_that_the_old_space_lacks_is_learned_without_being_kept() -> None:
    views = world()
    del views.old["c"]
    alone = replace(views, z={m: views.z[m] for m in "ab"}, present={m: views.present[m] for m in "ab"})
    both, one = ModX(alpha=1.0).double(), ModX(alpha=1.0).double()
    both(views), one(alone)
    assert both.diagnostics["divergence"] == pytest.approx(one.diagnostics["divergence"])


@pytest.mark.parametrize("inner", ["infonce", "tal", ["infonce", "siamlip"], "slap", "matryoshka"])
def test_any_objective_can_be_what_the_new_data_is_learned_by(inner: Any) -> None:
    objective = prepared(ModX(objective=inner, alpha=0.5), modalities=("a", "b"))
    views = random_views(8, modalities=("a", "b"))
    views.frozen = {m: v.clone() for m, v in views.z.items()}
    found = gradient(objective, views)
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in found.values())


def test_arguments_are_checked_and_old_vectors_needed() -> None:
    for wrong in ({"alpha": -1.0}, {"temperature": 0.0}):
        with pytest.raises(BadInput, match="alpha must be at least 0"):
            ModX(**wrong)
    views = random_views(4)
    views.old = {}
    with pytest.raises(BadInput, match="mod-x keeps"):
        ModX()(views)


def test_training_goes_on_from_old_heads_and_turns_them_less_than_without_it() -> None:
    X = two_views(300)
    options: dict[str, Any] = {"valid": None, "baselines": (), "dim": 8, "batch_size": 64, "recipe": "plain"}
    heads = fit_heads(X, epochs=10, **options).heads
    shifted = {m: v + 1.5 * v.std(0) for m, v in two_views(120, seed=5, noise=0.5).items()}
    old = {m: heads[m](v) for m, v in shifted.items()}
    after = {}
    for objective in ("infonce", "mod-x"):
        found = fit_heads(shifted, old=old, start=heads, objective=objective, epochs=10, **options).heads
        turned = rotation({m: heads[m](v) for m, v in X.items()}, {m: found[m](v) for m, v in X.items()})
        after[objective] = turned.deviations["a and b"].off_diagonal
    assert after["mod-x"].high < after["infonce"].low
