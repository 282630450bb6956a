import pytest
from tests.measure import oracle

from commonspace.measure import Precision, metric


@pytest.mark.parametrize("k", [1, 3, 6, 9])
def test_ties_give_the_mean_over_all_orders(k):
    oracle.assert_exact_under_ties(Precision(k=k), lambda grades: sum(g > 0 for g in grades[:k]) / k)


def test_it_equals_trec_eval_without_ties():
    oracle.assert_equals_ir_measures(metric("precision@7"), "P@7")
