import numpy as np
import pytest

from commonspace.core.rotation import rotation_between


@pytest.mark.parametrize(("d_x", "d_y"), [(5, 5), (3, 6), (6, 3)])
def test_no_other_orthogonal_map_agrees_better(d_x, d_y):
    rng = np.random.default_rng(0)
    cross = rng.normal(size=(d_x, d_y))
    best = rotation_between(cross)
    assert (best * cross).sum() == pytest.approx(np.linalg.svd(cross)[1].sum())
    small = best @ best.T if d_x <= d_y else best.T @ best
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-9)
    for _ in range(20):
        other = np.linalg.qr(rng.normal(size=(max(d_x, d_y),) * 2))[0][:d_x, :d_y]
        assert (other * cross).sum() < (best * cross).sum()


def test_directions_that_nothing_touches_stay_where_they_are():
    cross = np.zeros((4, 4))
    cross[0, 1] = cross[1, 0] = 2.0
    np.testing.assert_allclose(rotation_between(cross)[2:, 2:], np.eye(2), atol=1e-6)
