import numpy as np
import pytest
from sklearn.decomposition import PCA

from commonspace.core.errors import BadInput, NotFitted
from commonspace.reshape import AllButTheTop


def cloud(n: int = 200, dim: int = 8, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, dim)) * np.geomspace(8, 0.5, dim) + rng.normal(size=dim)).astype(np.float32)


def test_it_is_the_residual_of_a_reconstruction_by_principal_components():
    x = cloud()
    pca = PCA(2).fit(x)
    expected = x - pca.inverse_transform(pca.transform(x))
    assert np.allclose(AllButTheTop(count=2).fit(x).transform(x), expected, atol=1e-3)


def test_nothing_is_left_along_the_directions_taken_off_and_doing_it_twice_changes_nothing():
    x = cloud()
    m = AllButTheTop(count=3).fit(x)
    z = m.transform(x)
    assert np.allclose(z @ m.top_, 0, atol=1e-4)
    assert np.allclose(m.transform(z + m.mean_x_), z, atol=1e-4)


def test_a_hundredth_of_the_dimension_goes_by_default_and_at_least_one():
    assert AllButTheTop().fit(cloud()).top_.shape == (8, 1)
    assert AllButTheTop().fit(np.random.default_rng(0).normal(size=(50, 300))).top_.shape == (300, 3)


def test_two_sides_lose_the_same_directions_and_their_own_means():
    x, y = cloud(), cloud(150, seed=1) + 9
    m = AllButTheTop(count=1).fit(x, y)
    both = np.concatenate([x - x.mean(axis=0), y - y.mean(axis=0)])
    top = PCA(1).fit(both).components_[0]
    assert abs(top @ m.top_[:, 0]) == pytest.approx(1, abs=1e-4)
    assert np.allclose(m.transform_target(y).mean(axis=0), 0, atol=1e-4)


def test_what_it_cannot_use_is_refused():
    with pytest.raises(NotFitted):
        AllButTheTop().transform(cloud())
    with pytest.raises(BadInput, match="cannot be taken off"):
        AllButTheTop(count=8).fit(cloud())
    with pytest.raises(BadInput, match="two rows"):
        AllButTheTop().fit(cloud(1))
