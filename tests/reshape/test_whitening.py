import numpy as np
import pytest
from sklearn.decomposition import PCA

from commonspace.core.errors import BadInput, NotFitted
from commonspace.reshape import Whitening


def cloud(n: int = 500, dim: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, dim)) * np.geomspace(10, 0.1, dim) @ rng.normal(size=(dim, dim)) + 4).astype(np.float32)


def covariance(z: np.ndarray) -> np.ndarray:
    return np.cov(z.T, bias=True)


def test_rows_get_the_identity_as_covariance():
    x = cloud()
    z = Whitening(shrinkage=0).fit(x).transform(x)
    assert np.allclose(covariance(z), np.eye(6), atol=2e-2)


def test_with_a_dimension_it_is_the_whitening_of_principal_components_up_to_signs():
    x = cloud()
    z = Whitening(shrinkage=0, dim=3).fit(x).transform(x)
    known = PCA(3, whiten=True).fit_transform(x.astype(np.float64)) * np.sqrt(500 / 499)
    signs = np.sign((z * known).sum(axis=0))
    assert np.allclose(z, known * signs, atol=1e-3)


def test_the_map_is_symmetric_and_power_zero_only_centres():
    x = cloud()
    m = Whitening().fit(x)
    assert np.allclose(m.weights_, m.weights_.T, atol=1e-5)
    assert np.allclose(Whitening(power=0).fit(x).transform(x), x - x.mean(axis=0), atol=1e-3)


def test_two_half_steps_are_one_whole_step():
    x = cloud()
    half = Whitening(power=0.5, shrinkage=0).fit(x)
    whole = Whitening(power=1, shrinkage=0).fit(x)
    assert np.allclose(half.weights_ @ half.weights_, whole.weights_, rtol=1e-3, atol=1e-4)


def test_shrinkage_is_a_ridge_in_units_of_the_mean_variance():
    x = cloud(dim=3)
    c = covariance(x.astype(np.float64))
    energy, V = np.linalg.eigh(c + 0.5 * np.trace(c) / 3 * np.eye(3))
    expected = V @ np.diag(energy**-0.5) @ V.T
    assert np.allclose(Whitening(shrinkage=0.5).fit(x).weights_, expected, rtol=1e-3)


def test_both_sides_are_stretched_alike_and_measured_from_their_own_means():
    x, y = cloud(), cloud(300, seed=1) - 20
    m = Whitening(shrinkage=0).fit(x, y)
    zx, zy = m.transform(x), m.transform_target(y)
    assert np.allclose(zx.mean(axis=0), 0, atol=1e-3)
    assert np.allclose(zy.mean(axis=0), 0, atol=1e-3)
    assert np.allclose((covariance(zx) + covariance(zy)) / 2, np.eye(6), atol=2e-2)


def test_directions_without_variation_are_left_out_not_blown_up():
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    x[:, 2] = 7
    z = Whitening(shrinkage=0).fit(x).transform(x + np.array([0, 0, 1e-3, 0], np.float32))
    assert np.abs(z).max() < 10


@pytest.mark.parametrize(
    "wrong", [{"power": 2}, {"power": -0.1}, {"shrinkage": -1}, {"shrinkage": float("nan")}, {"dim": 0}]
)
def test_arguments_without_sense_are_refused(wrong):
    with pytest.raises(BadInput):
        Whitening(**wrong).fit(cloud())


def test_what_it_cannot_use_is_refused():
    with pytest.raises(NotFitted):
        Whitening().transform(cloud())
    with pytest.raises(BadInput, match="the same"):
        Whitening().fit(np.ones((5, 3)))
    with pytest.raises(BadInput, match="two rows"):
        Whitening().fit(np.ones((1, 3)))
