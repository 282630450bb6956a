import numpy as np
import pytest
from tests.measure import oracle

from commonspace.measure import MedianRank, evaluate


def test_under_ties_it_is_the_mean_over_all_orders():
    oracle.assert_exact_under_ties(MedianRank(), oracle.first_rank)


def test_the_figure_of_many_queries_is_the_median_of_their_ranks():
    scores = np.array([[3.0, 2, 1], [3, 2, 1], [3, 2, 1]])
    found = evaluate(scores, np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), ["median_rank"])["median_rank"]
    assert found.value == 2
    assert found.per_query.tolist() == [1, 2, 3]


def test_it_takes_no_cut_off():
    with pytest.raises(ValueError, match="no argument k"):
        evaluate([[1.0]], [[1]], ["median_rank@5"])
