import math

import numpy as np
import pytest
from scipy import optimize, stats

from commonspace.core.errors import BadInput
from commonspace.measure import compare
from commonspace.measure.statistics.ratio import cautious, combined, fieller, joint_quantile, ratio


def values(n=80, seed=0, kept=0.8):
    rng = np.random.default_rng(seed)
    b = rng.random(n)
    return np.clip(b * kept + 0.1 * rng.normal(size=n), 0, 1), b


def test_a_ratio_of_means_is_not_the_mean_of_ratios():
    found = ratio([1.0, 0.0, 0.5], [1.0, 0.0, 1.0])
    assert found.value == pytest.approx(0.75)
    assert found.n == 3


def test_fieller_holds_exactly_the_ratios_that_a_t_test_does_not_reject():
    a, b = values()
    found = ratio(a, b, interval="fieller")

    def p_less(r):
        return stats.ttest_1samp(a - r * b, 0).pvalue - 0.05

    assert optimize.brentq(p_less, 0.1, found.value) == pytest.approx(found.low, abs=1e-9)
    assert optimize.brentq(p_less, found.value, 3) == pytest.approx(found.high, abs=1e-9)


def test_groups_are_one_unit_each():
    a, b = values(60)
    groups = np.repeat(np.arange(20), 3)
    by_group = ratio(a, b, groups=groups, interval="fieller")
    sums = (np.add.reduceat(v, np.arange(0, 60, 3)) for v in (a, b))
    whole = ratio(*(s / 3 for s in sums), interval="fieller")
    assert (by_group.low, by_group.high) == pytest.approx((whole.low, whole.high))
    copied = ratio(np.repeat(a, 5), np.repeat(b, 5), groups=np.repeat(np.arange(60), 5))
    once = ratio(a, b)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


def test_a_constant_denominator_gives_the_interval_of_a_mean_difference():
    a, _ = values()
    found, difference = ratio(a, np.ones(len(a)), interval="fieller"), compare(a, np.zeros(len(a)))
    assert (found.low, found.high) == pytest.approx((difference.low, difference.high))


@pytest.mark.parametrize("interval", ["cautious", "fieller", "delta", "bca"])
def test_all_intervals_agree_where_there_are_many_queries(interval):
    a, b = values(5000)
    found, plain = ratio(a, b, interval=interval), ratio(a, b, interval="fieller")
    width = plain.high - plain.low
    assert found.low == pytest.approx(plain.low, abs=0.2 * width)
    assert found.high == pytest.approx(plain.high, abs=0.2 * width)


def test_the_cautious_end_is_that_with_queries_more_that_keep_nothing():
    a, b = values(30)
    b[:5] = a[:5] = 0
    b[5:] = np.maximum(b[5:], 0.01)
    more, full = np.append(a, [0, 0]), np.append(b, np.full(2, b[5:].mean()))
    assert fieller(a, b, 2.8, lost=2) == pytest.approx(fieller(more, full, 2.8))
    assert cautious(a, b, 2 * math.sqrt(2))[0] == pytest.approx(fieller(more, full, 2 * math.sqrt(2))[0])
    assert cautious(a, b, 2.8)[0] < fieller(a, b, 2.8)[0]
    assert cautious(a, b, 2.8)[1] == fieller(a, b, 2.8)[1]


def test_the_lower_end_covers_where_losses_are_rare_and_lumpy():
    """Of 100 unequal groups that keep 0.99, the plain interval is too sure of itself; the cautious one is not."""
    rng = np.random.default_rng(0)
    above = {"cautious": 0, "fieller": 0}
    for _ in range(400):
        groups = np.repeat(np.arange(100), rng.geometric(1 / 3, 100).clip(1, 12))
        lost = (rng.random(100) < 0.01)[groups]
        b = np.ones(len(groups))
        for interval in above:
            above[interval] += ratio(b * ~lost, b, groups=groups, interval=interval).low > 0.99
    assert above["cautious"] <= 0.025 * 400
    assert above["fieller"] > above["cautious"]


def test_nothing_seen_is_not_nothing_there():
    b = np.tile([1.0, 0.0], 10)
    same = ratio(b, b)
    assert same.value == 1
    assert same.low < 0.9
    assert same.high == pytest.approx(1 + (1 - 0.025 ** (1 / 20)) / 0.5)
    nothing = ratio(np.zeros(20), b)
    assert (nothing.value, nothing.low) == (0, 0)
    assert nothing.high > 0.2


def test_a_denominator_that_may_be_nothing_leaves_the_ratio_open():
    a, b = np.array([0.0, 0.0, 0.5, 0.0]), np.array([0.0, 0.0, 1.0, 0.0])
    found = ratio(a, b)
    assert (found.value, found.low, found.high) == (0.5, 0.0, math.inf)
    empty = ratio(a, np.zeros(4))
    assert math.isnan(empty.value)
    assert empty.high == math.inf


def test_one_query_says_nothing_of_others():
    found = ratio([0.5], [1.0], interval="fieller")
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("a", "b", "says"), [([-1.0], [1.0], "not negative"), ([1.0, 0], [1.0], "same queries")])
def test_values_that_have_no_ratio_are_refused(a, b, says):
    with pytest.raises(BadInput, match=says):
        ratio(a, b)


def test_the_difference_of_two_ratios_covers_what_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        b, d = (rng.random(60) < 0.6) * 1.0, (rng.random(60) < 0.8) * 1.0
        a, c = b * (rng.random(60) < 0.7), d * (rng.random(60) < 0.9)
        if b.any() and d.any():
            found = combined([(1, a, b), (-1, c, d)], "difference")
            inside += found.low <= -0.2 <= found.high
    assert 0.91 <= inside / 300 <= 0.985


def test_a_weighted_sum_of_one_ratio_is_that_ratio():
    a, b = values(200)
    found, plain = combined([(1, a, b)], "kept"), ratio(a, b, interval="delta")
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high))
    twice = combined([(2, a, b), (-2, a, b)], "nothing")
    assert (twice.value, twice.low, twice.high) == pytest.approx((0, 0, 0))
    assert math.isnan(combined([(1, a, np.zeros(200))], "nothing").value)


def test_joint_lower_ends_of_the_same_ratio_are_no_lower_and_of_many_different_ones_are_nearly_bonferronis():
    rng = np.random.default_rng(2)
    u = rng.normal(size=(300, 20))
    single = stats.t.ppf(0.95, 299)
    same = joint_quantile(np.repeat(u[:, :1], 20, axis=1), 0.95, 4000, rng)
    many = joint_quantile(u, 0.95, 4000, rng)
    assert same == pytest.approx(single, abs=0.08)
    assert many == pytest.approx(stats.t.ppf(1 - 0.05 / 20, 299), abs=0.15)


def test_joint_lower_ends_hold_where_one_ratio_is_high_when_the_other_is_low():
    u = np.random.default_rng(3).normal(size=(300, 1))
    c = joint_quantile(np.hstack([u, -u]), 0.95, 4000, np.random.default_rng(4))
    assert c == pytest.approx(stats.t.ppf(0.975, 299), abs=0.08)  # either may be too high


def test_signs_that_are_too_few_for_a_confidence_give_bonferronis():
    u = np.random.default_rng(5).normal(size=(300, 20))
    c = joint_quantile(u, 0.999, 1000, np.random.default_rng(6))
    assert c == pytest.approx(stats.t.ppf(1 - 0.001 / 20, 299))
