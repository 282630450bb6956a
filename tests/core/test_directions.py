import numpy as np
import pytest
import scipy.linalg

from commonspace.core.directions import canonical, principal
from commonspace.core.errors import BadInput


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


@pytest.mark.parametrize("n", [200, 7])  # more rows than columns, and fewer
def test_canonical_directions_solve_the_generalised_eigenproblem(n):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(n, 9)), rng.normal(size=(n, 8))
    y[:, :3] += x[:, :3]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    a, b, rho = canonical(x, y, 0.2)
    inner = {k: m.T @ m + 0.2 * np.trace(m.T @ m) / m.shape[1] * np.eye(m.shape[1]) for k, m in (("x", x), ("y", y))}
    np.testing.assert_allclose(a.T @ inner["x"] @ a / n, np.eye(len(rho)), atol=1e-8)
    np.testing.assert_allclose(a.T @ x.T @ y @ b / n, np.diag(rho), atol=1e-8)
    whole = x.T @ y @ np.linalg.solve(inner["y"], y.T @ x)
    want = scipy.linalg.eigh(whole, inner["x"], eigvals_only=True)[::-1][: len(rho)]
    np.testing.assert_allclose(rho**2, np.maximum(want, 0), atol=1e-8)


def test_canonical_directions_need_variance_and_a_ridge_that_is_not_negative():
    x = np.random.default_rng(2).normal(size=(10, 3))
    with pytest.raises(BadInput, match="variance"):
        canonical(x, np.zeros((10, 2)), 0.1)
    with pytest.raises(BadInput, match="reg"):
        canonical(x, x, -1)
