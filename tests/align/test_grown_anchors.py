import json

import numpy as np
import pytest

from commonspace.align import grow_anchors
from commonspace.core.errors import BadInput


def spaces(n=150, d=20, noise=0.0, seed=0):
    """Two noisy rotations of the same rows, the second in another order; returns that order as well."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(4, size=(n, 15)) @ rng.normal(size=(15, d)) + 0.1 * rng.normal(size=(n, d))
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    order = rng.permutation(n)
    y = (x @ turn + noise * rng.normal(size=x.shape))[order]
    return x, y, order


def known(order, p):
    return np.stack([np.arange(p), np.argsort(order)[:p]], axis=1)


def test_a_noisy_rotation_is_matched_from_twelve_pairs_and_the_check_says_so():
    x, y, order = spaces(n=400, noise=3, seed=1)
    found = grow_anchors(x, y, known(order, 12), count=100)
    np.testing.assert_array_equal(found.pairs[:12], known(order, 12))
    assert len(found.pairs) == 100
    assert (order[found.pairs[:, 1]] == found.pairs[:, 0]).mean() > 0.97
    assert found.shown
    assert found.trusted is found.pairs
    assert found.found.value > found.before.value + 0.5
    assert len(np.unique(found.pairs[:, 0])) == len(np.unique(found.pairs[:, 1])) == 100


def test_the_same_goes_wrong_from_eight_pairs_and_is_not_trusted():
    x, y, order = spaces(n=400, noise=3, seed=1)
    found = grow_anchors(x, y, known(order, 8), count=100)
    assert (order[found.pairs[:, 1]] == found.pairs[:, 0]).mean() < 0.5
    assert not found.shown


def test_unrelated_spaces_are_matched_as_well_and_the_check_does_not_trust_it():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(100, 12)), rng.normal(size=(90, 9))
    pairs = np.stack([np.arange(12)] * 2, axis=1)
    found = grow_anchors(x, y, pairs)
    assert not found.shown
    np.testing.assert_array_equal(found.trusted, pairs)
    assert found.found.value <= 0.1
    assert found.chance == 1 / 90
    assert "not shown to work" in str(found)


def test_with_five_pairs_nothing_can_be_shown_even_if_all_is_right():
    x, y, order = spaces()
    found = grow_anchors(x, y, known(order, 5))
    assert found.found.value == 1
    assert not found.shown


def test_growing_stops_where_no_candidates_are_left():
    x, y, order = spaces(n=12)
    found = grow_anchors(x, y, known(order, 10), count=50)
    assert 10 <= len(found.pairs) <= 12


def test_pairs_given_are_enough_where_no_more_are_asked_for():
    x, y, order = spaces()
    found = grow_anchors(x, y, known(order, 6), count=6)
    assert len(found.pairs) == found.given == 6
    np.testing.assert_array_equal(found.trusted, known(order, 6))


def test_a_seed_repeats_and_the_report_is_plain_data():
    x, y, order = spaces(noise=0.3)
    one, other = (grow_anchors(x, y, known(order, 9), random_state=2) for _ in range(2))
    assert one.to_dict() == other.to_dict()
    assert json.loads(json.dumps(one.to_dict()))["given"] == 9


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (np.zeros((2, 2), int), "at least 3"),
        (np.zeros((4, 3), int), "shape"),
        (np.zeros((4, 2)), "integer"),
        ([[0, 0], [1, 1], [0, 2]], "row of X twice"),
        ([[0, 0], [1, 1], [2, 1]], "row of Y twice"),
        ([[0, 0], [1, 1], [2, 999]], "row 999 of Y"),
        ([[0, 0], [1, 1], [-2, 3]], "rows 0 to"),
    ],
)
def test_bad_pairs_are_named(pairs, says):
    x, y, _ = spaces(n=30)
    with pytest.raises(BadInput, match=says):
        grow_anchors(x, y, pairs)
