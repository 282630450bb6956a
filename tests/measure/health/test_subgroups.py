"""Curves are found where they are, lines where there is no curve, and the front is the front."""

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure import pareto_front, subgroup_curve

X = np.linspace(0.3, 0.95, 30)


def noisy(y, sd=0.01, seed=0):
    return y + np.random.default_rng(seed).normal(size=len(y)) * sd


def test_a_moon_is_found_and_its_rising_end_named():
    found = subgroup_curve(X, noisy(0.5 + 2 * (X - 0.5) ** 2), resamples=200)
    assert found.curvature.value == pytest.approx(2, abs=0.3)
    assert found.curvature.low > 0
    assert found.p_value < 1e-6
    assert found.aic_gain > 10
    assert "helps the minority. The relation is curved" in found.verdict


def test_a_line_is_not_called_a_curve():
    found = subgroup_curve(X, noisy(0.1 + 0.8 * X), resamples=200)
    assert found.slope.value == pytest.approx(0.8, abs=0.05)
    assert found.p_value > 0.05
    assert found.r2_line > 0.98
    assert found.verdict == "Among the better models a gain on the majority helps the minority."


def test_a_trade_off_is_named_and_the_worse_group_chosen():
    found = subgroup_curve(X, noisy(1.2 - X), resamples=200)
    assert "hurts the minority: choose by the worse group" in found.verdict
    assert abs(X[found.best_worst] - 0.6) < 0.05
    assert len(found.front) > 15


def test_the_f_test_is_that_of_two_nested_regressions():
    y = noisy(X + 0.3 * X**2, 0.05)
    found = subgroup_curve(X, y, resamples=10)
    small, big = np.polyfit(X, y, 1), np.polyfit(X, y, 2)
    rss = [np.square(y - np.polyval(c, X)).sum() for c in (small, big)]
    assert found.p_value == pytest.approx(stats.f.sf((rss[0] - rss[1]) / (rss[1] / 27), 1, 27))
    assert found.aic_gain == pytest.approx((30 * np.log(rss[0] / 30) + 4) - (30 * np.log(rss[1] / 30) + 6))
    np.testing.assert_allclose(found.coefficients, big[::-1])


def test_false_alarms_of_the_curve_are_as_rare_as_they_should_be():
    p = [subgroup_curve(X, noisy(0.5 * X, 0.05, seed), resamples=2).p_value for seed in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_probit_straightens_what_is_straight_in_normal_quantiles():
    y = stats.norm.cdf(stats.norm.ppf(X) - 1)
    assert subgroup_curve(X, y, scale="probit", resamples=5).r2_line > 0.9999
    assert subgroup_curve(X, y, resamples=5).r2_line < 0.99
    assert np.isfinite(subgroup_curve([0, 0.2, 0.4, 0.6, 0.8, 1], [0, 0, 0, 0, 0.5, 1], scale="probit").slope.value)


def test_the_front_agrees_with_a_naive_loop():
    rng = np.random.default_rng(1)
    for _ in range(30):
        x, y = rng.integers(0, 6, (2, 12))
        naive = {
            (x[i], y[i]) for i in range(12)
            if not any(x[j] >= x[i] and y[j] >= y[i] and (x[j], y[j]) != (x[i], y[i]) for j in range(12))
        }  # fmt: skip
        front = pareto_front(x, y)
        assert {(x[i], y[i]) for i in front} == naive
        assert list(x[list(front)]) == sorted(x[list(front)])


def test_a_perfect_fit_and_equal_minorities_stay_finite():
    assert subgroup_curve(X, X, resamples=5).p_value >= 0
    flat = subgroup_curve(X, np.full(30, 0.5), resamples=5)
    assert flat.p_value == 1
    assert flat.r2_curve == 0
    assert "not shown" in flat.verdict
    assert flat.to_dict()["verdict"] == flat.verdict


@pytest.mark.parametrize(
    ("x", "y", "scale", "words"),
    [
        (X[:5], X[:5], "plain", "at least 6 models"),
        (X, X[:9], "plain", "same models"),
        ([0.5] * 10, X[:10], "plain", "three different"),
        (X, X + 1, "probit", r"within \[0, 1\]"),
        (X, X, "log", "scale"),
    ],
)
def test_what_has_no_curve_is_refused(x, y, scale, words):
    with pytest.raises(BadInput, match=words):
        subgroup_curve(x, y, scale=scale)


@pytest.mark.parametrize("options", [{"resamples": 0}, {"confidence": 1.5}])
def test_options_that_cannot_be_are_named(options):
    with pytest.raises(BadInput, match=next(iter(options))):
        subgroup_curve(X, X**2, **options)
