import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import moved


def cloud(n: int = 200, dim: int = 8, seed: int = 0, shift: float = 0.0, widen: float = 1.0) -> np.ndarray:
    Z = np.random.default_rng(seed).normal(size=(n, dim))
    Z[:, 0] = Z[:, 0] * widen + shift + 1
    return unit(Z.astype(np.float32))


def versions(n: int = 200, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 8))
    return tuple(unit((Z + noise * rng.normal(size=Z.shape)).astype(np.float32)) for _ in range(2))


def test_overlap_equals_the_naive_loop_and_chance_is_that_of_unrelated_versions():
    X, Y = versions(80)
    found = moved(X, Y, k=5)
    shared = []
    for i in range(80):
        near = [set(sorted((j for j in range(80) if j != i), key=lambda j: -Z[i] @ Z[j])[:5]) for Z in (X, Y)]
        shared.append(len(near[0] & near[1]) / 5)
    np.testing.assert_allclose(found.overlap.per_query, shared)
    assert found.cosine.value == pytest.approx((X * Y).sum(1).mean(), abs=1e-6)
    unrelated = moved(cloud(400, seed=1), cloud(400, seed=2))
    assert unrelated.overlap.value == pytest.approx(unrelated.chance, abs=0.01)


def test_what_moved_most_is_named():
    X, Y = versions(noise=0.02)
    Y[[11, 90]] = -Y[[11, 90]]
    assert {i.row for i in moved(X, Y).items[:2]} == {11, 90}
    assert moved(X, Y).items[0].cosine < 0


def test_a_turned_space_keeps_its_neighbours_and_another_dimension_has_no_cosine():
    X, _ = versions()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    found = moved(X, X @ turn)
    assert found.overlap.value == 1
    assert found.cosine.value < 0.7
    wider = moved(X, np.hstack([X, 0 * X]))
    assert wider.overlap.value == 1
    assert wider.cosine is None
    assert "cosine" not in str(wider)


def test_a_sample_of_items_looks_for_neighbours_among_all():
    X, Y = versions(400)
    X[3] = 0
    whole, some = moved(X, Y), moved(X, Y, most=150)
    assert some.overlap.n in (149, 150)
    assert some.overlap.low <= whole.overlap.value <= some.overlap.high


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X, Y: moved(X, Y[:50]), "same items"),
        (lambda X, Y: moved(X[:1], Y[:1]), "two items"),
        (lambda X, Y: moved(X, Y, k=0), "k must"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(call, words):
    with pytest.raises(BadInput, match=words):
        call(*versions())


def test_the_reports_are_plain_data_and_a_seed_repeats():
    X, Y = versions()
    for found in (moved(X, Y), moved(X, Y[:, :4])):
        json.dumps(found.to_dict())
        assert "overlap@10" in str(found)
    assert moved(X, Y, most=50, random_state=2) == moved(X, Y, most=50, random_state=2)
