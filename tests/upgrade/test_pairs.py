import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.upgrade.pairs import Pairs


def rows(n, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def test_vectors_become_unit_rows_and_modalities_may_have_other_numbers():
    pairs = Pairs({"a": rows(3, 4), "b": rows(5, 4)}, {"a": rows(3, 6), "b": rows(5, 6)})
    assert len(pairs) == 8
    assert pairs.dims == (4, 6)
    assert np.allclose(np.linalg.norm(pairs.new["b"], axis=1), 1, atol=1e-6)


def test_taking_rows_leaves_out_modalities_without_any():
    pairs = Pairs({"a": rows(3, 4), "b": rows(5, 4)}, {"a": rows(3, 6), "b": rows(5, 6)})
    some = pairs.take({"a": np.array([2, 0]), "b": np.array([], int)})
    assert some.modalities == ["a"]
    assert np.array_equal(some.old["a"], pairs.old["a"][[2, 0]])
    assert np.array_equal(some.new["a"], pairs.new["a"][[2, 0]])


def test_rows_that_are_taken_know_how_many_there_were():
    pairs = Pairs({"a": rows(3, 4), "b": rows(5, 4)}, {"a": rows(3, 6), "b": rows(5, 6)})
    some = pairs.take({"a": np.array([2, 0, 1]), "b": np.array([1])}).take({"b": np.array([0])})
    assert some.sizes == pairs.sizes == {"a": 3, "b": 5}
    assert len(some) == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ({}, {}, "same modalities"),
        ({"a": rows(2, 3)}, {"b": rows(2, 3)}, "same modalities"),
        ({"a": rows(2, 3)}, {"a": rows(3, 3)}, "row i of both"),
        ({"a": rows(2, 3), "b": rows(2, 4)}, {"a": rows(2, 3), "b": rows(2, 3)}, "share a dimension"),
        ({"a": rows(0, 3)}, {"a": rows(0, 3)}, "no items"),
        ({"a": np.zeros((2, 3))}, {"a": rows(2, 3)}, "old vectors of a"),
        ({"a": rows(2, 3)}, {"a": np.full((2, 3), np.nan)}, "new vectors of a"),
    ],
)
def test_sides_that_do_not_fit_are_refused_with_the_reason(old, new, says):
    with pytest.raises(BadInput, match=says):
        Pairs(old, new)
