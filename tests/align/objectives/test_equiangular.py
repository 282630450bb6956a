from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import prepared
from tests.align.objectives.grouped import checks_gradient, real_views
from tests.align.objectives.test_classes import rows

from commonspace.align.basis import equiangular_vectors, welch_bound
from commonspace.align.fit import fit_heads
from commonspace.align.objectives.equiangular import Equiangular
from commonspace.core.errors import BadInput


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_it_equals_the_naive_loop(share: float) -> None:
    views = real_views(share)
    B = torch.from_numpy(equiangular_vectors(8, 5)).float().double()
    losses = []
    for z, targets in rows(views, 8):
        logits = [float(z @ b) / 0.3 for b in B]
        log_sum = math.log(sum(math.exp(x) for x in logits))
        losses.append(-sum(t * (x - log_sum) for t, x in zip(targets, logits, strict=True)))
    assert prepared(Equiangular(classes=8, temperature=0.3))(views).item() == pytest.approx(np.mean(losses), rel=1e-6)


def test_the_gradient_agrees_with_finite_differences() -> None:
    assert checks_gradient(prepared(Equiangular(classes=8)), real_views())


def test_the_vectors_are_not_trained_and_the_same_for_all() -> None:
    one, two = prepared(Equiangular(classes=8)), prepared(Equiangular(classes=8))
    assert list(one.parameters()) == []
    torch.testing.assert_close(one.class_vectors(), two.class_vectors())
    other = prepared(Equiangular(classes=8, seed=1))
    assert not torch.allclose(one.class_vectors(), other.class_vectors())


def test_items_on_their_vector_cost_as_little_as_the_bound_allows() -> None:
    loss = prepared(Equiangular(classes=6), dim=3)
    views = random_views(6, dim=3, modalities=("a", "b"))
    views.z = {m: loss.class_vectors() for m in "ab"}
    least = math.log1p(5 * math.exp(-(1 - welch_bound(6, 3)) / 0.3))
    assert loss(views).item() <= least * 1.001
    assert loss.diagnostics["accuracy"] == 1
    assert loss.diagnostics["coherence"] == pytest.approx(welch_bound(6, 3), rel=1e-4)


def test_vectors_of_ones_own_are_scaled_to_length_one() -> None:
    loss = prepared(Equiangular(classes=2, vectors=np.array([[3.0, 0.0], [0.0, -0.5]])), dim=2)
    torch.testing.assert_close(loss.class_vectors(), torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64))


def test_two_trainings_that_never_met_put_a_class_into_the_same_place() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(6), 20)
    centres = rng.normal(size=(6, 10))
    spaces = []
    for seed in (1, 2):
        noisy = {m: (centres[classes] + 0.1 * rng.normal(size=(120, 10))).astype(np.float32) for m in "ab"}
        found = fit_heads(
            noisy, groups=classes, objective={"name": "equiangular", "classes": 6}, head="linear", epochs=40, dim=4,
            batch_size=40, lr=0.05, valid=None, random_state=seed,
        )  # fmt: skip
        spaces.append(found.heads["a"](centres.astype(np.float32)))
    assert ((spaces[0] @ spaces[1].T).argmax(1) == np.arange(6)).all()


@pytest.mark.parametrize(
    "arguments", [{"temperature": 0.0}, {"vectors": np.eye(3)}, {"vectors": np.full((8, 5), np.nan)}]
)
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        prepared(Equiangular(classes=8, **arguments))
