from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, two_views
from tests.align.objectives.conftest import prepared
from tests.align.objectives.grouped import checks_gradient
from tests.align.objectives.layers import deep_views, prepared_deep
from tests.align.objectives.versions import sides, two_versions

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.base import build_objective
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.oca import OCA
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views

MADACOS = {"name": "madacos", "classes": 12}


def oca(modalities: tuple[str, ...] = ("a", "b", "c"), **arguments: Any) -> Any:
    return prepared(OCA(**{"temperature": 0.2, **arguments}), modalities)


def naive(views: Views, temperature: float, agree: float, pull: float) -> float:
    """The parts beyond the base, one item at a time."""
    found = []
    for a, b, _, new, old in sides(views):
        o = views.old[b].numpy()
        g = views.z[a].numpy()[:, : o.shape[1]]
        R = views.relevance.numpy()[:, old]
        prototype, width = {}, {}
        for i in range(len(views)):
            if R[i].sum():
                mean = sum(R[i, k] * o[j] for k, j in enumerate(old))
                prototype[i] = mean / np.linalg.norm(mean)
                width[i] = R[i].sum() / R[i].max()
        rows = []
        for i in new:
            if i in prototype:
                cosine = {j: float(g[i] @ prototype[j]) / np.linalg.norm(g[i]) for j in {*old, i}}
                weighed = {j: np.exp(cosine[j] / temperature) / width[j] for j in old}
                near = sum(R[i, k] / R[i].max() * weighed[j] for k, j in enumerate(old))
                rows.append((-np.log(near / sum(weighed.values())), 1 - cosine[i]))
        found.append(np.mean(rows, axis=0))
    ce, apart = np.mean(found, axis=0)
    return float(agree * ce + pull * apart)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_it_is_the_base_and_the_naive_loop_over_old_prototypes(share: float) -> None:
    views = two_versions(share)
    views.relevance = views.relevance + torch.eye(10).double() * 1e-9  # every item is relevant to itself
    base = InfoNCE().double()(views).item()
    loss = oca(agree=1.5, pull=0.5)
    assert loss(views).item() == pytest.approx(base + naive(views, 0.2, 1.5, 0.5), rel=1e-5)


@pytest.mark.parametrize("layer", [True, False])
def test_the_gradient_agrees_with_finite_differences(layer: bool) -> None:
    assert checks_gradient(oca(objective=MADACOS, layer=layer), two_versions())


def test_a_class_counts_once_however_many_of_its_items_are_there() -> None:
    views = random_views(6, modalities=("a", "b"), groups=np.arange(6))
    views.old = {"a": views.old["a"]}
    twice = torch.tensor([0, 1, 2, 3, 4, 5, 0, 0, 0])
    more = Views(
        z={m: v[twice] for m, v in views.z.items()}, present={m: v[twice] for m, v in views.present.items()},
        relevance=(twice[:, None] == twice).double(), groups=twice, old={m: v[twice] for m, v in views.old.items()},
    )  # fmt: skip
    loss = oca(("a", "b"))
    for a in "ab":
        one, _ = loss._agreement(views, a, "a", loss.scale())
        other, _ = loss._agreement(more, a, "a", loss.scale())
        torch.testing.assert_close(other[:6], one)


def test_the_layer_is_there_for_class_vectors_and_changes_what_they_see_not_what_is_stored() -> None:
    views = two_versions()
    assert oca().turn is None
    assert oca(objective=["infonce", MADACOS]).turn is not None
    loss = oca(objective=MADACOS)
    before = loss(views).item()
    with torch.no_grad():
        loss.turn.parametrizations.weight.original.add_(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))
    Q = loss.turn.weight.detach()
    torch.testing.assert_close(Q @ Q.T, torch.eye(5).double())
    assert loss(views).item() != pytest.approx(before, rel=1e-3)
    turned = oca(objective=MADACOS, agree=0.0, pull=0.0)
    rotated = replace(views, z={m: z @ Q.T for m, z in views.z.items()})
    assert turned(rotated).item() == pytest.approx(oca(objective=MADACOS, agree=0.0, pull=0.0)(rotated).item())


def test_to_a_base_of_inner_products_the_layer_is_nothing() -> None:
    views = two_versions()
    loss = oca(layer=True)
    with torch.no_grad():
        loss.turn.parametrizations.weight.original.add_(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))
    assert loss(views).item() == pytest.approx(oca(layer=False)(views).item(), rel=1e-6)


def test_training_leaves_heads_without_the_layer_whose_first_numbers_are_the_old_ones() -> None:
    X = two_views(300)
    classes = (X["b"][:, :3] > 0) @ np.array([1, 2, 4])
    options: dict[str, Any] = {"head": "linear", "lr": 0.01, "epochs": 30, "batch_size": 100, "valid": None}
    base = {"name": "madacos", "classes": 8}
    before = fit_heads(X, groups=classes, dim=4, objective=base, **options).heads
    old = {m: before[m](X[m]) for m in X}
    objective = {"name": "oca", "objective": base, "agree": 2.0, "pull": 1.0}
    after = fit_heads(X, groups=classes, dim=6, old=old, objective=objective, **options).heads
    first = after["a"](X["a"])[:, :4]
    cosines = (first * old["a"]).sum(1) / np.linalg.norm(first, axis=1)
    assert np.median(cosines) > 0.8
    assert after["a"].dim == 6


def test_a_base_of_many_layers_gets_them_and_one_of_prefixes_sees_the_vectors_as_they_are() -> None:
    views = replace(deep_views(), old={m: random_views(7, modalities=("a", "b")).old[m] for m in "ab"})
    base = prepared_deep(build_objective("starbucks"))
    loss = prepared_deep(OCA(objective="starbucks", agree=0.0, pull=0.0))
    assert loss.wants_layers
    assert loss(views).item() == pytest.approx(base(views).item(), rel=1e-6)
    assert not oca().wants_layers
    assert oca(objective={"name": "matryoshka", "objective": MADACOS, "sizes": [3]}).turn is None


def test_what_its_base_wants_mixed_is_mixed() -> None:
    assert oca(objective="m3co").wants_mixed == prepared(build_objective("m3co")).wants_mixed


def test_it_must_be_prepared_and_its_weights_not_negative() -> None:
    with pytest.raises(NotFitted):
        OCA()(two_versions())
    for wrong in ({"agree": -1.0}, {"pull": -1.0}, {"pairs": "some"}):
        with pytest.raises(BadInput):
            OCA(**wrong)  # type: ignore[arg-type]
