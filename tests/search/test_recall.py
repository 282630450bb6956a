"""Recall with ties, against a naive count."""

import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.search.exact import top_k
from commonspace.search.recall import among_best, kth_best, recall

RNG = np.random.default_rng(0)
X = unit(RNG.normal(size=(200, 16)).astype(np.float32))
Q = unit(RNG.normal(size=(9, 16)).astype(np.float32))


def of(found, vectors=X, queries=Q, k=10):
    return recall(among_best(np.asarray(found), queries, vectors, kth_best(queries, vectors, k)), k)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_without_ties_it_is_the_share_of_the_true_ids(scale):
    true = top_k(Q, scale * X, 10)[0]
    found = np.where(RNG.random(true.shape) < 0.5, true, -1)
    found[:, :3] = top_k(-Q, X, 3)[0]  # the worst
    want = [len(set(f) & set(t)) / 10 for f, t in zip(found, true, strict=True)]
    np.testing.assert_allclose(of(found, scale * X), want)


def test_a_copy_of_what_is_best_is_no_miss():
    copies = np.concatenate([X, X, X])  # 3 + 3 + 3 + 1 of them are the ten best
    true = top_k(Q, copies, 10)[0]
    others = (true + 200) % 600
    assert np.mean([len(set(a) & set(b)) for a, b in zip(others, true, strict=True)]) == 9  # ids alone say so
    assert (of(others, copies) == 1).all()
    assert (of(others[:, :7], copies) == 0.7).all()
    assert (of(top_k(Q, X, 10)[0], copies) == 0.4).all()  # but who finds one of each has missed two of each


def test_more_than_k_that_tie_make_no_more_than_one():
    same = np.repeat(X[:1], 50, axis=0)
    assert (of(np.tile(np.arange(30), (9, 1)), same) == 1).all()


def test_nothing_found_is_nothing():
    assert (of(np.full((9, 10), -1)) == 0).all()
    assert (of(np.empty((9, 0), np.int64)) == 0).all()


def test_fewer_vectors_than_hits_are_judged_on_what_there_is():
    few = X[:4]
    np.testing.assert_array_equal(kth_best(Q, few, 10), top_k(Q, few, 4)[1][:, -1])
