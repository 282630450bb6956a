import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.reshape import Centring


def cloud(n: int, shift: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 5)) + shift).astype(np.float32)


def test_each_side_loses_its_own_mean():
    x, y = cloud(40, 3), cloud(60, -2, 1)
    m = Centring().fit(x, y)
    assert np.allclose(m.transform(x).mean(axis=0), 0, atol=1e-6)
    assert np.allclose(m.transform_target(y).mean(axis=0), 0, atol=1e-6)


def test_new_rows_are_measured_from_the_mean_that_was_learned():
    m = Centring().fit(cloud(40, 3))
    new = cloud(7, 0, 2)
    assert np.allclose(m.transform(new), new - cloud(40, 3).mean(axis=0), atol=1e-6)
    assert np.array_equal(m.transform(new), m.transform_target(new))  # one side only: one mean


def test_differences_of_rows_stay_as_they_are():
    x = cloud(30, 5)
    z = Centring().fit(x).transform(x)
    assert np.allclose(z[3] - z[8], x[3] - x[8], atol=1e-5)


def test_what_it_cannot_use_is_refused():
    with pytest.raises(NotFitted):
        Centring().transform(cloud(3, 0))
    with pytest.raises(BadInput, match="rows"):
        Centring().fit(np.zeros((0, 4)))
    with pytest.raises(SpaceMismatch):
        Centring().fit(cloud(3, 0), np.zeros((4, 9)))
