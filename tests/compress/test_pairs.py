"""Pairs of queries and vectors: what names nothing is refused, and what is known is found again."""

import numpy as np
import pytest

from commonspace.compress.pairs import check_pairs, known_pairs
from commonspace.core.errors import BadInput


def test_a_vector_that_a_query_wants_is_known_as_its_pair():
    positive = known_pairs(np.array([[0, 3], [1, 3], [1, 0]]), 5)
    np.testing.assert_array_equal(
        positive(np.array([0, 1]), np.array([3, 0, 2])), [[True, False, False], [True, True, False]]
    )


@pytest.mark.parametrize("pairs", [[[0, 9]], [[9, 0]], [[-1, 0]], [0, 1], [[0.0, 1.0]], [[0, 1, 2]]])
def test_pairs_that_point_nowhere_are_refused(pairs):
    with pytest.raises(BadInput, match="pairs"):
        check_pairs(np.array(pairs), 5, 5)
