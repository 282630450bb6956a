import numpy as np
import pytest

from commonspace.core.registry import entries
from commonspace.reshape.linear import principal


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (6, 6)])
def test_directions_from_the_smaller_side_are_the_singular_vectors(shape):
    x = np.random.default_rng(0).normal(size=shape)
    x -= x.mean(axis=0)
    directions, energy = principal(x)
    rank = np.linalg.matrix_rank(x)
    assert directions.shape == (shape[1], rank)
    np.testing.assert_allclose(np.sqrt(energy), np.linalg.svd(x)[1][:rank])
    np.testing.assert_allclose(directions.T @ directions, np.eye(rank), atol=1e-10)
    np.testing.assert_allclose(x @ directions @ directions.T, x, atol=1e-10)


def test_rows_that_do_not_vary_have_no_directions():
    directions, energy = principal(np.zeros((4, 3)))
    assert directions.shape == (3, 0)
    assert energy.shape == (0,)


WITHIN_ONE_SPACE = ("all-but-the-top", "centring", "whitening")  # both sides have the same columns


def test_every_map_of_two_sides_is_used_in_the_same_way():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 5))
    for entry in entries("Map"):
        if entry.name in WITHIN_ONE_SPACE:
            y = rng.normal(size=(40, 6))
        m = entry.cls().fit(x, y)
        assert m.transform(x[:3]).shape[1] == m.transform_target(y[:3]).shape[1]
        assert m.transform(x[:0]).shape[0] == 0
