import numpy as np
import pytest
from tests.measure import oracle

from commonspace.core.errors import BadInput
from commonspace.measure import RBP


@pytest.mark.parametrize(("k", "p"), [(None, 0.8), (None, 0.5), (2, 0.9), (6, 0.3)])
def test_ties_give_the_mean_over_all_orders(k, p):
    def plain(grades):
        return (1 - p) * sum(p**i for i, g in enumerate(grades[:k]) if g > 0)

    oracle.assert_exact_under_ties(RBP(k=k, p=p), plain)


def test_a_ranking_of_relevant_items_only_lacks_what_comes_after_it():
    assert RBP(p=0.8)([[1.0] * 10], np.ones((1, 10)))[0] == pytest.approx(1 - 0.8**10)


def test_a_share_outside_0_and_1_is_refused():
    with pytest.raises(BadInput, match="p must lie"):
        RBP(p=1.0)([[1.0]], [[1]])
