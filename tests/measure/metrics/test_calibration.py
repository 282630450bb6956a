"""Scores that say how probable it is to be right are told from scores that do not."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import calibration


def drawn(n=4000, seed=0, truth=lambda s: s):
    rng = np.random.default_rng(seed)
    s = rng.random(n)
    return s, rng.random(n) < truth(s)


def test_the_share_of_right_answers_follows_the_truth_in_every_bin():
    s, right = drawn(truth=lambda s: s**2)
    found = calibration(s, right)
    assert len(found.scores) == 10
    assert sum(r.n for r in found.right) == 4000
    for score, share in zip(found.scores, found.right, strict=True):
        assert share.low - 0.02 <= score**2 <= share.high + 0.02


def test_each_bin_holds_the_plain_share_of_its_answers():
    s, right = drawn(200)
    found = calibration(s, right, bins=4)
    order = np.argsort(s)
    for i, share in enumerate(found.right):
        assert share.value == right[order[50 * i : 50 * i + 50]].mean()
        assert found.scores[i] == pytest.approx(s[order[50 * i : 50 * i + 50]].mean())


def test_after_a_monotone_fit_the_error_is_what_perfect_probabilities_show():
    found = calibration(*drawn(truth=lambda s: 0.1 + 0.6 * s**3))
    assert found.error.value < 2.5 * found.least < 0.08
    assert found.error.low <= found.error.value <= found.error.high
    assert found.error.n == 2000


def test_a_score_that_says_nothing_is_calibrated_and_its_curve_is_flat():
    rng = np.random.default_rng(1)
    found = calibration(rng.random(2000), rng.random(2000) < 0.3)
    assert found.error.value < 0.06
    assert all(r.low < 0.3 < r.high or abs(r.value - 0.3) < 0.08 for r in found.right)


def test_another_truth_in_the_other_half_is_an_error():
    # Whole groups are in one half: two groups of opposite truth cannot both be fitted.
    s, right = drawn(2000)
    wrong = np.where(np.arange(2000) < 1000, right, ~right)
    errors = [calibration(s, wrong, groups=np.arange(2000) // 500, random_state=i).error.value for i in range(8)]
    assert max(errors) > 0.2


def test_the_fit_rises_and_stays_between_nought_and_one():
    s, right = drawn(500)
    p = calibration(s, right).probability(np.linspace(-1, 2, 50))
    assert (np.diff(p) >= 0).all()
    assert (p >= 0).all()
    assert (p <= 1).all()


def test_equal_scores_are_in_one_bin():
    s = np.repeat([0.1, 0.9], 100)
    found = calibration(s, np.repeat([0, 1], 100))
    assert found.scores == pytest.approx((0.1, 0.9))
    assert [r.value for r in found.right] == [0, 1]
    assert found.error.value == 0


def test_the_same_seed_gives_the_same_figures_and_the_order_of_answers_does_not_matter_to_bins():
    s, right = drawn(300)
    turn = np.random.default_rng(0).permutation(300)
    a, b = calibration(s, right), calibration(s, right)
    assert (a.error, a.right) == (b.error, b.right)
    assert [r.value for r in calibration(s[turn], right[turn]).right] == [r.value for r in a.right]


@pytest.mark.parametrize(
    ("scores", "right", "groups", "words"),
    [
        (np.zeros(10), np.zeros(10), None, "at least 40"),
        (np.zeros(50), np.zeros(49), None, "yes or no"),
        (np.zeros(50), np.full(50, 0.5), None, "yes or no"),
        (np.full(50, np.nan), np.zeros(50), None, "NaN"),
        (np.zeros(50), np.zeros(50), np.zeros(50), "4 groups"),
        (np.zeros(50), np.zeros(50), np.zeros(3), "one label"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores, right, groups, words):
    with pytest.raises(BadInput, match=words):
        calibration(scores, right, groups=groups)
