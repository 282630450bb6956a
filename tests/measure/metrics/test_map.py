import pytest
from tests.measure import oracle

from commonspace.measure import MAP


@pytest.mark.parametrize("k", [None, 1, 2, 4, 6, 9])
def test_under_ties_it_is_the_mean_over_all_orders(k):
    oracle.assert_exact_under_ties(MAP(k=k), oracle.average_precision(k))


@pytest.mark.parametrize(("k", "name"), [(None, "AP"), (5, "AP@5")])
def test_without_ties_it_equals_ir_measures(k, name):
    oracle.assert_equals_ir_measures(MAP(k=k), name)


def test_a_known_ranking_gives_the_textbook_value():
    # relevant at ranks 1, 3 and 5
    assert MAP()([[5, 4, 3, 2, 1]], [[1, 0, 1, 0, 1]])[0] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
