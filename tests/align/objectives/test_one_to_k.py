from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, log_softmax

from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.one_to_k import OneToK
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def naive(views: Views, temperature: float, anchor: str | None) -> float:
    """The formula, one query at a time."""
    means = {}
    for a in views.modalities:
        pool = [m for m in views.modalities if m != a] if anchor in (None, a) else [anchor]
        rows = []
        for i in range(len(views)):
            found = [(m, j) for m in pool for j in range(len(views)) if views.present[m][j]]
            r = np.array([float(views.relevance[i, j]) for _, j in found])
            if not views.present[a][i] or r.sum() == 0:
                continue
            s = np.array([float(views.z[a][i] @ views.z[m][j]) / temperature for m, j in found])
            rows.append(-float((r / r.sum()) @ log_softmax(s)))
        if rows:
            means[a] = float(np.mean(rows))
    if anchor is None:
        return float(np.mean(list(means.values())))
    others = [v for m, v in means.items() if m != anchor]
    return float(np.mean([v for v in (means.get(anchor), np.mean(others) if others else None) if v is not None]))


@pytest.mark.parametrize("anchor", [None, "a"])
@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_it_equals_the_naive_loop(modalities: tuple[str, ...], share: float, anchor: str | None) -> None:
    views = graded_views(modalities, share)
    loss = OneToK(anchor=anchor, temperature=0.2).double()
    assert loss(views).item() == pytest.approx(naive(views, 0.2, anchor), rel=1e-6)


@pytest.mark.parametrize("anchor", [None, "b"])
def test_of_two_modalities_it_is_infonce(anchor: str | None) -> None:
    views = graded_views(share=0.7)
    assert OneToK(anchor=anchor).double()(views).item() == pytest.approx(InfoNCE().double()(views).item(), rel=1e-12)


def test_views_that_agree_leave_only_the_number_of_views_to_guess() -> None:
    z = torch.eye(4, dtype=torch.float64)
    views = random_views(4, modalities=("a", "b", "c", "d"))
    views = Views(z=dict.fromkeys("abcd", z), present=views.present, relevance=torch.eye(4))
    assert OneToK(temperature=0.01)(views).item() == pytest.approx(np.log(3), abs=1e-6)


def test_every_view_of_an_item_is_pulled_as_strongly_as_the_others() -> None:
    """At a start where the other views are equally far, their gradients are the same."""
    start = torch.nn.functional.normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    z = {m: start.clone().requires_grad_() for m in ("image", "de", "en")}
    present = dict.fromkeys(z, torch.ones(5, dtype=torch.bool))
    OneToK(anchor="image")(Views(z=z, present=present, relevance=torch.eye(5))).backward()
    torch.testing.assert_close(z["de"].grad, z["en"].grad)


@pytest.mark.parametrize("anchor", [None, "a"])
def test_the_gradient_agrees_with_finite_differences(anchor: str | None) -> None:
    check_gradient(OneToK(anchor=anchor), graded_views(("a", "b", "c"), 0.7, seed=3))


@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_it_is_finite_at_extreme_temperatures(temperature: float) -> None:
    check_finite(OneToK(temperature=temperature), graded_views(("a", "b", "c"), 0.7))


@pytest.mark.parametrize("anchor", [None, "a"])
def test_one_modality_alone_has_nothing_to_find(anchor: str | None) -> None:
    views = random_views(4, modalities=("a",))
    assert OneToK(anchor=anchor).double()(views).item() == 0


def test_an_anchor_that_nobody_has_leaves_nothing_to_learn() -> None:
    views = random_views(4, modalities=("a", "b", "c"))
    views.present["a"][:] = False
    assert OneToK(anchor="a").double()(views).item() == 0


def test_an_anchor_that_is_no_modality_is_refused() -> None:
    with pytest.raises(BadInput, match="'image' is none of the modalities a, b"):
        OneToK(anchor="image")(random_views(3, modalities=("a", "b"), dtype=torch.float32))
