import numpy as np
import pytest

from commonspace.measure.statistics.pair_means import pair_means, summed_pairs


def test_the_mean_is_that_of_a_loop_over_pairs_of_different_things_each_as_often_as_drawn():
    rng = np.random.default_rng(0)
    values, member = rng.normal(size=(7, 7)), np.array([2, 0, 0, 1, 2, 2, 1])
    counts = np.array([[1.0, 1, 1], [0, 2, 1], [3, 0, 0]])
    found = pair_means(summed_pairs(values, member), np.bincount(member).astype(float), counts)
    for draw, mean in zip(counts[:2], found, strict=False):
        met = [
            (values[i, j], draw[member[i]] * draw[member[j]])
            for i in range(7)
            for j in range(7)
            if member[i] != member[j]
        ]
        assert mean == pytest.approx(sum(v * w for v, w in met) / sum(w for _, w in met))
    assert found[2] == 0  # one thing alone meets nobody
