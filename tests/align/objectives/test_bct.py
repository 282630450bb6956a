from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import two_views
from tests.align.objectives.grouped import checks_gradient
from tests.align.objectives.versions import only_first_numbers_matter, sides, two_versions

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.bct import BCT
from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.core.views import Views


def naive(views: Views, temperature: float, pairs: str = "all") -> float:
    """The formula, one item at a time."""
    R = views.relevance.numpy()
    ways = []
    for _, _, cosines, new, old in sides(views, pairs):
        for scores, queries, gallery in ((cosines, new, old), (cosines.T, old, new)):
            rows = []
            for i in queries:
                total = sum(R[i, j] for j in gallery)
                if total:
                    log_sum = np.log(sum(np.exp(scores[i, j] / temperature) for j in gallery))
                    rows.append(sum(R[i, j] / total * (log_sum - scores[i, j] / temperature) for j in gallery))
            if rows:
                ways.append(np.mean(rows))
    return float(np.mean(ways))


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("pairs", ["all", "across", "within"])
def test_it_equals_the_naive_loop(share: float, pairs: str) -> None:
    views = two_versions(share)
    loss = BCT(temperature=0.2, weight=0.5, pairs=pairs).double()
    assert loss(views).item() == pytest.approx(0.5 * naive(views, 0.2, pairs), rel=1e-6)


def test_the_gradient_agrees_with_finite_differences() -> None:
    assert checks_gradient(BCT(temperature=0.3), two_versions())


def test_only_the_numbers_that_the_earlier_space_has_are_compared() -> None:
    assert only_first_numbers_matter(BCT().double(), two_versions())


def test_old_vectors_that_were_kept_cost_less_than_any_others() -> None:
    views = two_versions(share=1.0)
    groups = torch.arange(len(views))
    views = replace(views, relevance=torch.eye(len(views)).double(), groups=groups, old={"a": views.old["a"]})
    views.old["a"][3] = views.old["a"][0].roll(1)
    kept = {m: torch.cat([views.old["a"], views.z[m][:, 4:] * 0], 1) for m in views.z}
    loss = BCT(temperature=0.1).double()
    assert loss(replace(views, z=kept)) < loss(views)
    assert loss.diagnostics["old accuracy"] < 1
    loss(replace(views, z=kept))
    assert loss.diagnostics["old accuracy"] == 1


def test_a_modality_that_the_earlier_space_lacks_learns_to_search_it_too() -> None:
    views = two_versions(share=1.0)
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    BCT().double()(replace(views, z=z)).backward()
    assert "c" not in views.old
    assert z["c"].grad is not None
    assert z["c"].grad.abs().sum() > 0


def test_new_queries_find_more_in_the_old_gallery_than_old_ones() -> None:
    X, new = two_views(400, noise=0.2), two_views(200, seed=1, noise=0.2)
    options: dict[str, Any] = {"head": "linear", "lr": 0.01, "epochs": 30, "batch_size": 100, "valid": None}
    before = fit_heads({m: v[:40] for m, v in X.items()}, dim=6, **{**options, "batch_size": 20}).heads
    old = {m: before[m](X[m]) for m in X}
    after = fit_heads(X, dim=10, old=old, objective=["infonce", "bct"], **options).heads
    gallery = before["b"](new["b"])

    def found(queries: np.ndarray) -> float:
        return float(((queries @ gallery.T).argmax(1) == np.arange(200)).mean())

    assert found(unit(after["a"](new["a"])[:, :6])) > found(before["a"](new["a"])) + 0.05


@pytest.mark.parametrize("arguments", [{"weight": -1.0}, {"pairs": "none"}, {"temperature": 0.0}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        BCT(**arguments)
