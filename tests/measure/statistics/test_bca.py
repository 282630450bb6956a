import numpy as np
import pytest
from scipy import stats

from commonspace.measure import bootstrap
from commonspace.measure.statistics.bca import ends


def test_without_the_expansion_the_ends_are_those_of_scipy():
    # The expansion is less than a thousandth for 400 values.
    v = np.random.default_rng(0).exponential(size=400)
    want = stats.bootstrap((v,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1))
    low, high = bootstrap(v, resamples=20_000)
    np.testing.assert_allclose((low, high), want.confidence_interval, rtol=0.006)


def test_a_symmetric_sample_gets_expanded_percentiles():
    rng = np.random.default_rng(2)
    half = rng.normal(size=10)
    v = np.concatenate([half, -half])
    found = rng.choice(v, (50_000, 20)).mean(axis=1)
    level = stats.norm.cdf(-np.sqrt(20 / 19) * stats.t.ppf(0.975, 19))
    np.testing.assert_allclose(ends(found, 0.0, v, 0.95), np.quantile(found, [level, 1 - level]), atol=0.02)


def test_the_interval_leans_towards_the_long_tail():
    v = np.random.default_rng(3).exponential(size=30)
    (low, high), (plain_low, plain_high) = bootstrap(v), bootstrap(v, interval="percentile")
    assert low > plain_low - 0.02
    assert high > plain_high


@pytest.mark.parametrize("n", [2, 3, 5])
def test_very_few_units_get_all_that_was_seen(n):
    v = np.arange(n, dtype=float)
    low, high = bootstrap(v, resamples=2000)
    assert (low, high) == (0, n - 1) if n == 2 else low < v.mean() < high


def test_one_far_value_does_not_turn_the_ends_round():
    v = np.zeros(12)
    v[0] = 1
    low, high = bootstrap(v)
    assert 0 <= low < 1 / 12 < high <= 1


def test_samples_that_do_not_vary_have_no_width():
    assert bootstrap(np.full(9, 0.3)) == pytest.approx((0.3, 0.3))
    assert bootstrap([0.7]) == (0.7, 0.7)
