import numpy as np
import pytest
from tests.measure import oracle

from commonspace.measure import MRR


@pytest.mark.parametrize("k", [None, 1, 2, 4, 6, 9])
def test_under_ties_it_is_the_mean_over_all_orders(k):
    oracle.assert_exact_under_ties(MRR(k=k), oracle.reciprocal_rank(k))


@pytest.mark.parametrize(("k", "name"), [(None, "RR"), (5, "RR@5")])
def test_without_ties_it_equals_ir_measures(k, name):
    oracle.assert_equals_ir_measures(MRR(k=k), name)


def test_one_relevant_item_among_n_tied_gives_the_mean_of_the_harmonic_numbers():
    n = 16_000
    relevance = np.zeros((1, n))
    relevance[0, 5] = 1
    np.testing.assert_allclose(MRR()(np.ones((1, n)), relevance), (1 / np.arange(1, n + 1)).mean(), rtol=1e-9)
