import json
from itertools import product

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput, NotFound
from commonspace.measure import benjamini_hochberg, compare, compare_many, estimate, holm


def test_few_queries_are_tested_exactly_over_all_sign_patterns():
    rng = np.random.default_rng(0)
    d = rng.normal(0.5, 1, 10)
    signed = [abs(np.dot(s, d)) for s in product([-1, 1], repeat=10)]
    want = np.mean([x >= abs(d.sum()) - 1e-9 for x in signed])
    assert compare(d, np.zeros(10)).p_value == want


def test_the_sampled_test_agrees_with_the_exact_one():
    d = np.random.default_rng(1).normal(0.4, 1, 13)
    exact = compare(d, d * 0, resamples=10_000).p_value
    assert compare(d, d * 0, resamples=8_000).p_value == pytest.approx(exact, abs=0.02)


def test_queries_without_a_difference_do_not_change_the_p_value():
    d = np.array([1.0, 1, 1, 1, -1])
    assert compare(d, d * 0).p_value == compare(np.append(d, np.zeros(500)), np.zeros(505)).p_value == 12 / 32


def test_equal_systems_have_difference_0_and_p_value_1():
    c = compare([0.1, 0.7], [0.1, 0.7])
    assert (c.difference, c.p_value) == (0, 1)


def test_a_clear_difference_is_found_and_its_interval_excludes_0():
    rng = np.random.default_rng(2)
    base = rng.random(400)
    c = compare(estimate(base + 0.05 + rng.normal(0, 0.1, 400)), estimate(base))
    assert 0 < c.low < 0.05 < c.high
    assert c.p_value == pytest.approx(1 / 10_001)
    assert str(c).startswith("a - b: +0.0")
    assert json.loads(json.dumps(c.to_dict()))["n"] == 400


def test_under_the_null_small_p_values_are_as_rare_as_they_say():
    rng = np.random.default_rng(3)
    p = [compare(rng.normal(size=30), rng.normal(size=30), resamples=500, random_state=rng).p_value for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.08


def test_dependent_queries_are_not_mistaken_for_independent_evidence():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(8), 40)
    d = np.repeat(rng.normal(0.4, 1, 8), 40)
    assert compare(d, d * 0).p_value < 0.01 < compare(d, d * 0, groups=groups).p_value


def test_many_systems_are_compared_with_a_baseline_or_in_all_pairs():
    rng = np.random.default_rng(5)
    systems = {name: rng.random(50) + shift for name, shift in [("a", 0), ("b", 0.3), ("c", 0.31)]}
    against = compare_many(systems, baseline="a")
    assert [(c.a, c.b) for c in against] == [("b", "a"), ("c", "a")]
    pairs = compare_many(systems)
    assert [(c.a, c.b) for c in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    np.testing.assert_allclose([c.p_value for c in pairs], holm([c.p_value_raw for c in pairs]))
    assert all(c.p_value == c.p_value_raw for c in compare_many(systems, correction="none"))


def test_the_t_test_is_an_alternative_and_agrees_for_many_queries():
    rng = np.random.default_rng(6)
    d = rng.normal(0.06, 1, 1000)
    by_signs, by_t = compare(d, d * 0), compare(d, d * 0, test="t")
    assert by_t.p_value == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    assert by_signs.p_value == pytest.approx(by_t.p_value, abs=0.02)
    assert (by_t.test, by_signs.test) == ("t", "randomisation")
    assert (by_t.low, by_t.high) == (by_signs.low, by_signs.high)


def test_the_interval_leaves_out_0_exactly_if_the_t_test_rejects():
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(15), rng.integers(1, 6, 15))
    for _ in range(200):
        d = rng.normal(0.3, 1, 15)[groups] + rng.normal(size=len(groups))
        c = compare(d, d * 0, test="t", groups=groups)
        assert (c.p_value < 0.05) == (not c.low <= 0 <= c.high)


def test_groups_are_honoured_by_both_tests_and_counted():
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(8), 40)
    d = np.repeat(rng.normal(0.4, 1, 8), 40)
    for test in ("randomisation", "t"):
        alone, together = compare(d, d * 0, test=test), compare(d, d * 0, test=test, groups=groups)
        assert alone.p_value < 0.01 < together.p_value
        assert (alone.groups, together.groups, together.n) == (320, 8, 320)
        assert together.high - together.low > 3 * (alone.high - alone.low)


def test_false_discoveries_are_bounded_on_request():
    rng = np.random.default_rng(9)
    systems = {str(i): rng.random(40) + 0.03 * i for i in range(6)}
    found = compare_many(systems, correction="bh")
    np.testing.assert_allclose([c.p_value for c in found], benjamini_hochberg([c.p_value_raw for c in found]))


def test_simultaneous_intervals_are_wider_and_hold_the_same_differences():
    rng = np.random.default_rng(10)
    systems = {str(i): rng.random(60) for i in range(8)}
    each, joint = compare_many(systems), compare_many(systems, intervals="simultaneous")
    for e, j in zip(each, joint, strict=True):
        assert e.difference == j.difference
        assert j.low < e.low < e.high < j.high
    one = compare_many({k: systems[k] for k in "01"}, intervals="simultaneous", resamples=50_000)[0]
    assert one.high - one.low == pytest.approx(each[0].high - each[0].low, rel=0.03)


def test_simultaneous_intervals_hold_all_at_once_as_often_as_they_say():
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(300):
        systems = {str(i): rng.exponential(size=40) for i in range(5)}
        found = compare_many(systems, test="t", intervals="simultaneous", resamples=500, random_state=rng)
        inside += all(c.low <= 0 <= c.high for c in found)
    assert 0.91 <= inside / 300 <= 0.985


def test_what_is_not_known_is_null_in_json():
    assert json.dumps(compare([1.0], [0.0]).to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: compare([1.0], [1.0, 2.0]), BadInput, "same queries"),
        (lambda: compare([np.nan], [1.0]), BadInput, "a hold NaN"),
        (lambda: compare([1.0], [1.0], test="z"), BadInput, "randomisation"),
        (lambda: compare_many({"a": [1.0]}), BadInput, "two systems"),
        (lambda: compare_many({"a": [1.0], "b": [1.0]}, baseline="c"), NotFound, "'c'"),
        (lambda: compare_many({"a": [1.0], "b": [1.0]}, correction="bonferoni"), BadInput, "holm"),
        (lambda: compare_many({"a": [1.0], "b": [1.0]}, correction="bh", intervals="simultaneous"), BadInput, "each"),
        (lambda: compare([1.0], [1.0], confidence=95), BadInput, "confidence"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
