from math import comb

import numpy as np
import pytest
from tests.measure import oracle

from commonspace.measure import Hit, Recall


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6, 9])
def test_under_ties_it_is_the_mean_over_all_orders(k):
    oracle.assert_exact_under_ties(Hit(k=k), oracle.hit(k))


@pytest.mark.parametrize("k", [1, 5, 10])
def test_without_ties_it_equals_ir_measures(k):
    oracle.assert_equals_ir_measures(Hit(k=k), f"Success@{k}")


def test_when_everything_is_tied_it_is_the_hypergeometric_chance():
    n, r, k = 5000, 7, 40
    relevance = np.zeros((1, n))
    relevance[0, :r] = 1
    chance = 1 - comb(n - r, k) / comb(n, k)
    np.testing.assert_allclose(Hit(k=k)(np.zeros((1, n)), relevance), chance, rtol=1e-9)


def test_with_one_relevant_item_it_is_recall():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (20, 30))
    np.testing.assert_allclose(Hit(k=5)(scores, np.eye(20, 30)), Recall(k=5)(scores, np.eye(20, 30)), atol=1e-12)
