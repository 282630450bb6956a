import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.reshape import choose_anchors


def rows(n=80, d=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def naive_farthest(x, count, first):
    x, taken = unit(x.astype(np.float32)), [first]
    while len(taken) < count:
        left = [i for i in range(len(x)) if i not in taken]
        taken.append(min(left, key=lambda i: max(float(x[i] @ x[t]) for t in taken)))
    return taken


@pytest.mark.parametrize("choice", ["uniform", "farthest", "medoids"])
@pytest.mark.parametrize("count", [1, 10, 80])
def test_different_rows_are_chosen_and_a_seed_repeats(choice, count):
    taken = choose_anchors(rows(), count, choice=choice, random_state=3)
    assert len(np.unique(taken)) == count
    assert taken.min() >= 0
    assert taken.max() < 80
    np.testing.assert_array_equal(taken, choose_anchors(rows(), count, choice=choice, random_state=3))


def test_farthest_anchors_are_those_of_the_naive_loop():
    taken = choose_anchors(rows(), 12, choice="farthest")
    np.testing.assert_array_equal(taken, naive_farthest(rows(), 12, taken[0]))


@pytest.mark.parametrize("choice", ["uniform", "farthest"])
def test_a_shorter_list_is_the_start_of_a_longer_one(choice):
    long, short = (choose_anchors(rows(), k, choice=choice, random_state=1) for k in (20, 7))
    np.testing.assert_array_equal(long[:7], short)


@pytest.mark.parametrize("choice", ["uniform", "farthest", "medoids"])
def test_rotation_and_scale_do_not_change_the_choice(choice):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    a, b = (choose_anchors(x, 10, choice=choice) for x in (rows(), 3 * rows() @ turn))
    np.testing.assert_array_equal(a, b)


def test_medoids_take_one_row_of_each_planted_cluster_and_uniform_anchors_follow_the_crowd():
    rng = np.random.default_rng(2)
    centres = np.eye(6) * 10
    of = np.repeat(np.arange(6), [200, 10, 10, 10, 10, 10])
    x = centres[of] + 0.3 * rng.normal(size=(250, 6))
    # k-means begins at random rows, so not every run finds each small cluster; farthest rows always do.
    found = [len(set(of[choose_anchors(x, 6, choice="medoids", random_state=s)])) for s in range(20)]
    crowd = [len(set(of[choose_anchors(x, 6, choice="uniform", random_state=s)])) for s in range(20)]
    assert np.mean(found) > np.mean(crowd)
    assert all(len(set(of[choose_anchors(x, 6, choice="farthest", random_state=s)])) == 6 for s in range(20))


def test_equal_rows_can_be_chosen_in_any_way():
    for choice in ("uniform", "farthest", "medoids"):
        assert sorted(choose_anchors(np.ones((4, 2)), 4, choice=choice)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: choose_anchors(rows(), 81), "81 anchors"),
        (lambda: choose_anchors(rows(), 0), "count"),
        (lambda: choose_anchors(rows(), 3, choice="best"), "choice"),
        (lambda: choose_anchors(rows() * 0, 3), "zero vectors"),
        (lambda: choose_anchors(rows() * np.nan, 3), "NaN"),
        (lambda: choose_anchors(rows()[:0], 1), "of 0 rows"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(BadInput, match=says):
        call()
