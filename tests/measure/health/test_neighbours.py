import numpy as np
import pytest

from commonspace.core.errors import SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.measure.health import streams
from commonspace.measure.health.neighbours import nearest
from commonspace.measure.health.streams import Rows


@pytest.mark.parametrize("leave_out", [True, False])
def test_neighbours_are_those_of_a_full_sort_whatever_the_blocks(leave_out, monkeypatch):
    monkeypatch.setattr(streams, "ENTRIES", 60)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(70, 6)).astype(np.float32)
    X[11] = 0
    asked = np.array([2, 5, 40, 69])
    scores, rows = nearest(unit(X[asked]), Rows([X[:31], X[31:]]), 8, own=asked if leave_out else None)
    every = unit(X[asked]) @ unit(X).T
    every[:, 11] = -np.inf
    if leave_out:
        every[np.arange(4), asked] = -np.inf
    order = np.argsort(-every, axis=1)[:, :8]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(scores, np.take_along_axis(every, order, 1), atol=1e-6)


def test_fewer_rows_than_neighbours_give_fewer_columns():
    X = unit(np.eye(3, dtype=np.float32))
    assert nearest(X, Rows(X), 10)[1].shape == (3, 3)
    scores, rows = nearest(X, Rows(X), 10, own=np.arange(3))
    assert rows.shape == (3, 2)
    assert np.isfinite(scores).all()
    assert all(i not in r for i, r in enumerate(rows))
    assert nearest(X, Rows(X[:0]), 10)[1].shape == (3, 0)


def test_another_dimension_is_refused():
    with pytest.raises(SpaceMismatch, match="different spaces"):
        nearest(np.ones((1, 3), np.float32), Rows(np.ones((2, 4), np.float32)), 1)
