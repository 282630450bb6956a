from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.objectives.conftest import prepared
from tests.align.objectives.grouped import checks_gradient
from tests.align.objectives.test_classes import rows
from tests.align.objectives.versions import sides, two_versions

from commonspace.align.basis import simplex_vectors
from commonspace.align.fit import fit_heads
from commonspace.align.objectives.simplex import Simplex
from commonspace.core.errors import BadInput
from commonspace.core.views import Views

CLASSES, DIM = 10, 9


def wide(share: float = 0.7) -> Views:
    """Two versions, with room for a simplex of ten corners."""
    views = two_versions(share)
    return replace(views, z={m: torch.cat([z, z.roll(1, 1)[:, :4]], 1) / 2**0.5 for m, z in views.z.items()})


def simplex(**arguments: Any) -> Any:
    return prepared(Simplex(classes=CLASSES, **arguments), ("a", "b", "c"), DIM)


def naive_classes(views: Views, temperature: float) -> float:
    B = torch.from_numpy(simplex_vectors(CLASSES, DIM)).float().double()
    losses = []
    for z, targets in rows(views, CLASSES):
        logits = [float(z @ b) / temperature for b in B]
        log_sum = math.log(sum(math.exp(x) for x in logits))
        losses.append(-sum(t * (x - log_sum) for t, x in zip(targets, logits, strict=True)))
    return float(np.mean(losses))


def naive_higher_order(views: Views, mu: float) -> float:
    R = views.relevance.numpy()
    ways = []
    for _, _, cosines, new, old in sides(views):
        for scores, queries, gallery in ((cosines, new, old), (cosines.T, old, new)):
            found = []
            for i in queries:
                others = [j for j in gallery if R[i, j] == 0]
                if i in gallery and others:
                    total = sum(np.exp(mu * scores[i, j]) for j in [i, *others])
                    found.append(-np.log(np.exp(mu * scores[i, i]) / total))
            if found:
                ways.append(np.mean(found))
    return float(np.mean(ways))


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_it_equals_the_naive_loop(share: float) -> None:
    views = wide(share)
    expected = 0.3 * naive_classes(views, 0.2) + 0.7 * naive_higher_order(views, 5.0)
    loss = simplex(temperature=0.2, share=0.3, mu=5.0)
    assert loss(views).item() == pytest.approx(expected, rel=1e-6)
    assert loss.diagnostics["higher order"] == pytest.approx(naive_higher_order(views, 5.0), rel=1e-6)


def test_without_an_earlier_space_it_is_the_classes_alone() -> None:
    views = replace(wide(), old={})
    assert simplex(temperature=0.2)(views).item() == pytest.approx(naive_classes(views, 0.2), rel=1e-6)


def test_the_gradient_agrees_with_finite_differences() -> None:
    assert checks_gradient(simplex(), wide())


def test_items_of_the_same_class_do_not_push_each_other_away() -> None:
    views = wide(1.0)
    views = replace(views, relevance=torch.ones(10, 10).double())
    loss = simplex(temperature=0.1)
    assert loss(views).item() == pytest.approx(naive_classes(views, 0.1), rel=1e-6)
    assert "higher order" not in loss.diagnostics


def test_the_corners_are_the_same_for_every_version_and_not_trained() -> None:
    one = simplex()
    assert list(one.parameters()) == []
    cosines = one.class_vectors() @ one.class_vectors().T
    expected = torch.full((CLASSES, CLASSES), -1 / (CLASSES - 1)).double().fill_diagonal_(1)
    torch.testing.assert_close(cosines, expected, atol=1e-6, rtol=0)


def test_more_classes_than_a_simplex_has_are_as_far_apart_as_they_can_be() -> None:
    vectors = prepared(Simplex(classes=20), dim=9).class_vectors()
    off = (vectors @ vectors.T).fill_diagonal_(0).abs().max()
    assert vectors.shape == (20, 9)
    assert off < 0.5


def test_two_versions_trained_on_other_classes_are_comparable() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(6), 30)
    centres = rng.normal(size=(6, 10))

    def data(of: np.ndarray) -> dict[str, np.ndarray]:
        return {m: (centres[of] + 0.2 * rng.normal(size=(len(of), 10))).astype(np.float32) for m in "ab"}

    options: dict[str, Any] = {
        "objective": {"name": "simplex", "classes": 8}, "head": "linear", "epochs": 40, "dim": 7, "batch_size": 40,
        "lr": 0.05, "valid": None,
    }  # fmt: skip
    few = classes[classes < 4]
    before = fit_heads(data(few), groups=few, **options).heads
    X = data(classes)
    old = {m: before[m](X[m]) for m in X}
    after = fit_heads(X, groups=classes, old=old, random_state=1, **options).heads
    queries, gallery = after["a"](data(classes)["a"]), before["b"](data(classes)["b"])
    known = classes < 4
    right = classes[(queries @ gallery.T).argmax(1)] == classes
    assert right[known].mean() > 0.9


@pytest.mark.parametrize("arguments", [{"temperature": 0.0}, {"mu": -1.0}, {"share": 1.5}, {"pairs": "x"}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Simplex(**arguments)
