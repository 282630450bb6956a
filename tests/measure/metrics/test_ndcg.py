import numpy as np
import pytest
from tests.measure import oracle

from commonspace.core.errors import BadInput
from commonspace.measure import NDCG


@pytest.mark.parametrize("k", [None, 1, 2, 4, 6, 9])
def test_under_ties_it_is_the_mean_over_all_orders(k):
    oracle.assert_exact_under_ties(NDCG(k=k), oracle.ndcg(k))


@pytest.mark.parametrize("k", [None, 3])
def test_exponential_gain_under_ties_is_the_mean_over_all_orders(k):
    oracle.assert_exact_under_ties(NDCG(k=k, gain="exponential"), oracle.ndcg(k, lambda g: 2.0**g - 1))


@pytest.mark.parametrize(("k", "name"), [(None, "nDCG"), (1, "nDCG@1"), (10, "nDCG@10")])
def test_without_ties_it_equals_ir_measures(k, name):
    oracle.assert_equals_ir_measures(NDCG(k=k), name)


def test_the_best_order_scores_one_and_the_grades_decide_which_that_is():
    grades = np.array([[3, 2, 1, 0]])
    assert NDCG(k=3)([[4, 3, 2, 1]], grades) == 1
    assert NDCG(k=3)([[3, 4, 2, 1]], grades) < 1


def test_an_unknown_gain_is_refused():
    with pytest.raises(BadInput, match="gain"):
        NDCG(gain="cubic")([[1.0]], [[1]])
