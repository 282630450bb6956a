from __future__ import annotations

import math

import numpy as np
import pytest

from commonspace.align.basis import coherence, equiangular_vectors, simplex_vectors, welch_bound
from commonspace.core.errors import BadInput


@pytest.mark.parametrize(("n", "dim"), [(1, 4), (3, 4), (4, 4)])
def test_few_vectors_are_orthogonal(n: int, dim: int) -> None:
    B = equiangular_vectors(n, dim)
    np.testing.assert_allclose(B @ B.T, np.eye(n), atol=1e-12)
    assert welch_bound(n, dim) == 0


@pytest.mark.parametrize("dim", [1, 2, 9])
def test_one_more_than_the_dimension_is_a_simplex(dim: int) -> None:
    B = equiangular_vectors(dim + 1, dim)
    off = (B @ B.T)[~np.eye(dim + 1, dtype=bool)]
    np.testing.assert_allclose(off, -1 / dim, atol=1e-12)
    assert coherence(B) == pytest.approx(welch_bound(dim + 1, dim))


@pytest.mark.parametrize(("n", "dim"), [(6, 3), (28, 7)])
def test_where_equiangular_lines_exist_they_are_found(n: int, dim: int) -> None:
    assert coherence(equiangular_vectors(n, dim)) == pytest.approx(welch_bound(n, dim), rel=1e-4)


@pytest.mark.parametrize(("n", "dim", "times"), [(100, 32, 1.3), (120, 5, 1.95)])
def test_many_vectors_come_near_the_bound_and_far_below_chance(n: int, dim: int, times: float) -> None:
    B = equiangular_vectors(n, dim)
    assert B.shape == (n, dim)
    np.testing.assert_allclose(np.linalg.norm(B, axis=1), 1)
    random = np.random.default_rng(1).normal(size=(n, dim))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    assert welch_bound(n, dim) <= coherence(B) <= times * welch_bound(n, dim)
    assert coherence(B) < 0.85 * coherence(random)


def test_the_bound_is_the_known_one() -> None:
    assert welch_bound(6, 3) == pytest.approx(1 / math.sqrt(5))  # the diagonals of an icosahedron
    assert welch_bound(7, 3) == pytest.approx(math.sqrt(4 / 18))


def test_the_same_seed_gives_the_same_vectors_and_another_seed_others() -> None:
    one, two = (equiangular_vectors(9, 4, random_state=s) for s in (3, 4))
    np.testing.assert_array_equal(one, equiangular_vectors(9, 4, random_state=3))
    assert not np.allclose(one, two)


def test_one_vector_is_alone() -> None:
    assert coherence(np.ones((1, 1))) == 0


def test_there_must_be_vectors_and_dimensions() -> None:
    for n, dim in ((0, 3), (3, 0)):
        with pytest.raises(BadInput):
            equiangular_vectors(n, dim)


@pytest.mark.parametrize(("n", "dim"), [(2, 1), (3, 2), (5, 4), (5, 7), (65, 64)])
def test_the_corners_of_a_simplex_have_one_cosine_and_the_same_place_everywhere(n: int, dim: int) -> None:
    corners = simplex_vectors(n, dim)
    cosines = corners @ corners.T
    np.testing.assert_allclose(cosines, np.where(np.eye(n) > 0, 1, -1 / (n - 1)), atol=1e-12)
    assert (corners[:, n - 1 :] == 0).all()
    np.testing.assert_allclose(corners.sum(0), 0, atol=1e-12)


def test_a_simplex_needs_one_dimension_less_than_it_has_corners() -> None:
    with pytest.raises(BadInput, match="a simplex of 5 corners needs 4 dimensions, not 3"):
        simplex_vectors(5, 3)
