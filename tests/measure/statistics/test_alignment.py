import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import compare, estimate
from commonspace.measure.statistics.alignment import aligned, labels_of, members


def known(values, ids):
    return estimate(np.asarray(values, float), ids=tuple(ids))


def test_estimates_that_know_their_queries_are_put_in_one_order():
    a, b = known([1, 2, 3], "xyz"), known([30, 10, 20], "zxy")
    (x, y), ids = aligned({"a": a, "b": b})
    assert (x.tolist(), y.tolist(), ids) == ([1, 2, 3], [10, 20, 30], ("x", "y", "z"))
    assert compare(a, b).difference == pytest.approx(-18)


def test_plain_arrays_are_taken_to_be_in_the_order_of_those_that_know():
    (x, y), ids = aligned({"a": [5.0, 6.0], "b": known([1, 2], "pq")})
    assert (x.tolist(), y.tolist(), ids) == ([5, 6], [1, 2], ("p", "q"))


def test_groups_by_query_id_follow_the_queries():
    a, b = known(range(4), "wxyz"), known(range(4, 0, -1), "wxyz")
    by_id = compare(a, b, groups={"z": 1, "y": 1, "x": 0, "w": 0})
    assert by_id == compare(a, b, groups=[0, 0, 1, 1])
    assert by_id.groups == 2
    assert members({"b": "u", "a": "v"}, ("a", "b"), 2).tolist() == [1, 0]
    assert labels_of(None, ()) is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: aligned({"a": [1.0], "b": [1.0, 2.0]}), "a has 1 values and b has 2 values"),
        (lambda: aligned({"a": known([1, 2], "xy"), "b": known([1, 2], "xz")}), "b lacks 1 of the 2 queries.*'y'"),
        (lambda: members({"x": 1}, (), 1), "know their queries"),
        (lambda: members({"x": 1}, ("x", "y"), 2), "lack 1 of the 2 queries, first 'y'"),
        (lambda: members([1], ("x", "y"), 2), "2 queries"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(BadInput, match=says):
        call()
