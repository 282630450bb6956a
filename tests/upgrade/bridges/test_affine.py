import numpy as np
import pytest
from tests.bridge_worlds import rows

from commonspace.reshape import CCA, Procrustes, ReducedRank, Ridge
from commonspace.upgrade.bridges.affine import Affine


def data(n=80, dx=7, dy=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(1, 1, (n, dx)).astype(np.float32)
    return x, (x @ rng.normal(size=(dx, dy)) + 2 + 0.1 * rng.normal(size=(n, dy))).astype(np.float32)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kind", [Ridge, Procrustes, ReducedRank])
def test_it_is_the_map_as_seen_from_the_origin_of_the_target(kind, center):
    x, y = data()
    fitted = kind(center=center).fit(x, y)
    want = fitted.transform(x) - fitted.transform_target(np.zeros((1, 5), np.float32))
    np.testing.assert_allclose(Affine.of(fitted, 7, 5)(x), want, atol=1e-4)


def test_a_map_that_lands_in_a_space_of_its_own_is_none():
    x, y = data()
    fitted = CCA(dim=3).fit(x, y)
    assert Affine.of(fitted, 7, 5)(x).shape == (80, 3)  # which is neither space: not for a bridge


def test_a_query_carried_back_ranks_as_the_items_carried_forward_do():
    x, y = data()
    forward = Affine.of(Ridge().fit(x, y), 7, 5)
    asks = rows(9, 5, seed=3)
    there, back = asks @ forward(x).T, forward.adjoint()(asks) @ x.T
    np.testing.assert_allclose(
        there - there.mean(axis=1, keepdims=True), back - back.mean(axis=1, keepdims=True), atol=1e-4
    )


def test_the_adjoint_of_two_thin_matrices_is_as_thin():
    fitted = ReducedRank(rank=2).fit(*data())
    forward = Affine((fitted.left_, fitted.right_), np.ones(5, np.float32))
    back = forward.adjoint()
    assert [f.shape for f in back.factors] == [(5, 2), (2, 7)]
    assert not back.shift.any()
    assert forward.numbers == 2 * (7 + 5) + 5
    asks = rows(4, 5)
    np.testing.assert_allclose(back(asks), asks @ (fitted.left_ @ fitted.right_).T, atol=1e-5)
