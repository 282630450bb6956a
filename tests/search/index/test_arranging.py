import numpy as np
import pytest

from commonspace.search.index.arranging import arrange

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 5, 200, 3000])
def test_cells_hold_every_row_once_next_to_rows_of_its_mean(n):
    X = RNG.normal(size=(n, 4)).astype(np.float32)
    order, cells = arrange(X, progress=False)
    assert sorted(order) == list(range(n))
    assert (cells.starts[0], cells.starts[-1]) == (0, n)
    for i in np.flatnonzero(np.diff(cells.starts)):
        mine = X[order[cells.starts[i] : cells.starts[i + 1]]]
        np.testing.assert_allclose(mine.mean(axis=0), cells.means[i], rtol=1e-4, atol=1e-5)


def test_cells_next_to_each_other_are_alike():
    X = np.concatenate([RNG.normal(size=(3000, 4)), 20 + RNG.normal(size=(3000, 4))]).astype(np.float32)
    order, cells = arrange(X, 40, progress=False)
    assert len(cells) == 40
    assert np.count_nonzero(np.diff(order >= 3000)) == 1  # from one cloud to the other once
    steps = np.linalg.norm(np.diff(cells.means, axis=0), axis=1)
    shuffled = np.linalg.norm(np.diff(RNG.permutation(cells.means), axis=0), axis=1)
    assert np.median(steps) < 0.5 * np.median(shuffled)
