"""The layout after a workload: what a filter selects lies in few leaves, and no row is lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.search.index.arranging import arrange
from commonspace.search.index.layout import _best_cut, leaves


def touched(selected, leaf, weights):
    """The rows that queries must pass, a naive loop: all of every leaf of which their filter selects any."""
    return sum(w * sum((leaf == i).sum() for i in set(leaf[s])) for s, w in zip(selected, weights, strict=True))


@given(seed=st.integers(0, 10**6), n=st.integers(0, 80), p=st.integers(0, 5), least=st.integers(1, 30))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_leaves_are_numbered_from_0_large_enough_and_never_part_rows_that_all_filters_treat_alike(seed, n, p, least):
    rng = np.random.default_rng(seed)
    selected, weights = rng.random((p, n)) < rng.random((p, 1)), rng.integers(1, 5, p)
    leaf = leaves(selected, weights, least=least)
    assert leaf.shape == (n,)
    assert sorted(set(leaf)) == list(range(leaf.max(initial=-1) + 1))
    sizes = np.bincount(leaf)
    assert len(sizes) <= 1 or sizes.min() >= least
    for column in set(map(tuple, selected.T)):
        assert len(set(leaf[(column == selected.T).all(axis=1)])) == 1
    assert touched(selected, leaf, weights) <= touched(selected, np.zeros(n, int), weights)


def test_filters_that_do_not_overlap_get_a_leaf_each_and_touch_nothing_else():
    kind = np.arange(900) % 3
    selected = np.stack([kind == i for i in range(3)])
    leaf = leaves(selected, [1, 1, 1])
    assert touched(selected, leaf, [1, 1, 1]) == 900
    assert len(set(leaf)) == 3


def test_a_filter_within_another_lies_beside_the_rest_of_it():
    rows = np.arange(1000)
    selected = np.stack([rows % 2 == 0, rows % 10 == 0, rows % 5 == 1])
    leaf = leaves(selected, [1, 1, 1], least=10)
    order = np.argsort(leaf, kind="stable")
    for some in selected[:2]:
        at = np.flatnonzero(some[order])
        assert at[-1] - at[0] + 1 == len(at)


def test_a_filter_asked_more_often_is_cut_by_first():
    rng = np.random.default_rng(0)
    selected = rng.random((2, 400)) < 0.3
    kinds, sizes = np.unique(selected.T, axis=0, return_counts=True)
    for weights, first in (([9, 1], 0), ([1, 9], 1)):
        assert _best_cut(kinds.astype(np.float32), sizes.astype(np.float32), np.float32(weights), 1) == first


@pytest.mark.parametrize("n", [0, 1, 100])
def test_a_cut_that_passes_nothing_over_is_not_made(n):
    for selected in (np.ones((3, n), bool), np.zeros((3, n), bool), np.zeros((0, n), bool)):
        assert set(leaves(selected, np.ones(len(selected)), least=1)) <= {0}


def test_the_gain_is_the_rows_that_are_passed_over():
    """Against the naive count before and after each cut."""
    rng = np.random.default_rng(1)
    selected, weights = rng.random((4, 200)) < [[0.05], [0.3], [0.6], [0.01]], np.array([3, 1, 2, 5])
    before = touched(selected, np.zeros(200, int), weights)
    gains = [before - touched(selected, cut.astype(int), weights) for cut in selected]
    kinds, sizes = np.unique(selected.T, axis=0, return_counts=True)
    best = _best_cut(kinds.astype(np.float32), sizes.astype(np.float32), weights.astype(np.float32), 1)
    assert max(gains) > 0
    assert gains[best] == max(gains)


def test_a_segment_keeps_leaves_together_in_cells_of_their_own_and_finds_the_same():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 6)).astype(np.float32)
    leaf = rng.permutation(np.repeat([0, 1, 2], [1500, 400, 100]))
    order, cells = arrange(X, 10, leaves=leaf, progress=False)
    assert sorted(order) == list(range(2000))
    assert leaf[order].tolist() == sorted(leaf)
    assert [len(set(leaf[order][a:b])) for a, b in pairwise(cells.starts)] == [1] * len(cells)
    assert 9 <= len(cells) <= 12
    for i, (a, b) in enumerate(pairwise(cells.starts)):
        np.testing.assert_allclose(X[order][a:b].mean(axis=0), cells.means[i], atol=1e-5)
    alone, plain = (arrange(X, 10, leaves=same, progress=False) for same in (np.zeros(2000, np.int64), None))
    assert np.array_equal(alone[0], plain[0])
