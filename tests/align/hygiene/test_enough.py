from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from commonspace.align.data import PairData
from commonspace.align.hygiene.enough import LEAST, enough_pairs
from commonspace.core.errors import BadInput


def data(n: int, b: int, c: int) -> PairData:
    """n items, all of which have a, the last b of which have b, the first c of which have c."""
    rows, each = np.ones((n, 2), np.float32), np.arange(n)
    return PairData.check({"a": rows, "b": rows, "c": rows}, {"b": each >= n - b, "c": each < c})


def test_ways_with_enough_pairs_are_kept_with_the_positions_of_their_items() -> None:
    found = enough_pairs(data(80, b=LEAST, c=LEAST - 1), combinations("abc", 2), "judge")
    assert list(found) == [("a", "b")]
    np.testing.assert_array_equal(found["a", "b"], np.arange(80 - LEAST, 80))


def test_too_few_everywhere_are_refused_with_what_they_are_needed_for_and_how_many_there_are() -> None:
    with pytest.raises(BadInput, match="at least 50 pairs are needed to judge, and there are 49"):
        enough_pairs(data(80, b=20, c=LEAST - 1), combinations("abc", 2), "judge")


def test_pairs_that_are_all_the_same_thing_are_refused() -> None:
    data = PairData.check({m: np.ones((60, 3)) for m in "ab"}, groups=np.zeros(60, int))
    with pytest.raises(BadInput, match="all 60 pairs are of one group"):
        enough_pairs(data, combinations("ab", 2), "judge them")
