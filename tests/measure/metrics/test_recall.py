import numpy as np
import pytest
from tests.measure import oracle

from commonspace.core.errors import BadInput
from commonspace.measure import Recall


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6, 9])
def test_under_ties_it_is_the_mean_over_all_orders(k):
    oracle.assert_exact_under_ties(Recall(k=k), oracle.recall(k))


@pytest.mark.parametrize("k", [1, 5, 10, 100])
def test_without_ties_it_equals_ir_measures(k):
    oracle.assert_equals_ir_measures(Recall(k=k), f"R@{k}")


def test_half_of_the_relevant_items_found_is_one_half_and_not_a_hit():
    assert Recall(k=2)([[3, 2, 1, 0]], [[1, 0, 0, 1]]) == 0.5


def test_two_tied_items_for_one_place_share_it():
    assert Recall(k=1)([[1.0, 1.0]], [[1, 0]]) == 0.5


def test_a_query_without_relevant_items_has_no_value():
    assert np.isnan(Recall(k=1)([[1.0, 0.0]], [[0, 0]])).all()


def test_without_a_cut_off_it_says_that_it_needs_one():
    with pytest.raises(BadInput, match="recall@10"):
        Recall()([[1.0]], [[1]])
