import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure.statistics.correlations import (
    METHODS,
    correlation,
    fisher_interval,
    influence,
    jackknife_error,
    redrawn_correlation,
    standard_error,
    without_items,
)


def linked(n: int = 60, seed: int = 0, decimals: int | None = None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + rng.normal(size=n)
    return (x, y) if decimals is None else (np.round(x, decimals), np.round(y, decimals))


def tau_a(x, y):
    n = len(x)
    signs = [np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i in range(n) for j in range(i)]
    return float(np.mean(signs))


@pytest.mark.parametrize("decimals", [None, 0])
def test_values_are_those_of_scipy_and_of_a_loop_over_pairs(decimals):
    x, y = linked(decimals=decimals)
    assert correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert correlation(x, y, "pearson") == pytest.approx(stats.pearsonr(x, y).statistic)
    assert correlation(x, y, "kendall") == pytest.approx(tau_a(x, y))


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("method", METHODS)
def test_influence_is_what_leaving_one_out_takes_away(method, decimals):
    x, y = linked(n=400, decimals=decimals)
    whole, every = correlation(x, y, method), np.arange(400)
    without = np.array([correlation(x[every != i], y[every != i], method) for i in range(400)])
    psi = influence(x, y, method)
    assert abs(psi.mean()) < 1e-12
    np.testing.assert_allclose(psi, 399 * (whole - without), atol=0.12)  # the rest is of order 1 / n
    assert np.corrcoef(psi, whole - without)[0, 1] > 0.999


@pytest.mark.parametrize("method", METHODS)
def test_the_standard_error_is_the_spread_over_samples(method):
    found, errors = [], []
    for seed in range(300):
        x, y = linked(seed=seed)
        found.append(correlation(x, y, method))
        errors.append(standard_error(influence(x, y, method))[0])
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.12)


def test_pairs_that_share_items_have_the_standard_error_of_a_double_loop():
    rng = np.random.default_rng(0)
    items = rng.integers(0, 12, (50, 2))
    items[:3, 1] = items[:3, 0]  # an item beside itself
    items[10] = items[11, ::-1]  # a pair twice, the other way round
    psi = rng.normal(size=12)[items].sum(axis=1) + 0.3 * rng.normal(size=50)
    shares = np.array([[bool(set(p) & set(q)) for q in items.tolist()] for p in items.tolist()])
    naive = float(psi @ shares @ psi)
    units = len(np.unique(items))
    assert naive > psi @ psi
    assert standard_error(psi, items)[0] == pytest.approx(np.sqrt(naive * units / (units - 1)) / 50)


def test_the_jackknife_over_items_is_the_spread_over_samples():
    found, errors = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        at = np.array([rng.choice(20, 2, replace=False) for _ in range(120)])
        x, y = (rng.normal(size=120) + rng.normal(size=20)[at].sum(axis=1) for _ in range(2))
        y = y + x
        found.append(correlation(x, y))
        errors.append(jackknife_error(without_items(x, y, at), influence(x, y)))
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.2)


def test_without_items_leaves_out_every_pair_of_each():
    x, y = linked(n=30)
    at = np.array([["a", "b"], ["b", "c"], ["c", "d"]] * 10)
    kept = (at != "b").all(axis=1)
    assert without_items(x, y, at)[1] == pytest.approx(stats.spearmanr(x[kept], y[kept]).statistic)


def test_groups_of_one_are_no_groups_and_larger_ones_widen():
    psi = np.repeat(np.random.default_rng(1).normal(size=30), 4)
    alone = standard_error(psi)[0]
    assert standard_error(psi, groups=np.arange(120))[0] == pytest.approx(alone)
    assert standard_error(psi, groups=np.repeat(np.arange(30), 4))[0] == pytest.approx(2 * alone, rel=0.02)


@pytest.mark.parametrize(("method", "reference"), [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)])
@pytest.mark.parametrize("decimals", [6, 1])
def test_redrawn_items_give_the_correlation_of_the_repeated_pairs(method, reference, decimals):
    rng = np.random.default_rng(2)
    n = 40
    z = rng.normal(size=(n, 4))
    a, b = (np.round(v @ v.T, decimals) for v in (z, z + 0.7 * rng.normal(size=z.shape)))
    counts = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(10)]).astype(float)
    found = redrawn_correlation(a, b, counts, method)
    for c, r in zip(counts.astype(int), found, strict=True):
        drawn = np.repeat(np.arange(n), c)
        i, j = np.triu_indices(n, 1)
        i, j = drawn[i], drawn[j]
        apart = i != j  # no item meets its copy
        assert r == pytest.approx(reference(a[i[apart], j[apart]], b[i[apart], j[apart]]).statistic, abs=2e-3)


def test_fisher_intervals_stay_within_bounds_and_are_plain_beyond_them():
    low, high = fisher_interval(0.95, 0.05, 30)
    assert 0.5 < low < 0.95 < high < 1
    assert fisher_interval(1.02, 0.1, 1000)[1] == pytest.approx(1.02 + 0.196, abs=1e-3)
    assert fisher_interval(1.0, 0.0, 30) == (1, 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(METHODS))
def test_order_and_monotone_changes_do_not_matter(seed, method):
    x, y = linked(n=20, seed=seed)
    p = np.random.default_rng(seed).permutation(20)
    assert correlation(x[p], y[p], method) == pytest.approx(correlation(x, y, method))
    assert correlation(-x, y, method) == pytest.approx(-correlation(x, y, method))
    if method != "pearson":
        assert correlation(np.exp(x), y**3, method) == pytest.approx(correlation(x, y, method))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: correlation([1, 2], [1, 2]), "3 or more"),
        (lambda: correlation([1, 2, 3], [1, 1, 1]), "all the same, 1"),
        (lambda: influence([1, 2, np.nan], [1, 2, 3]), "first at 2"),
        (lambda: correlation([1, 2, 3], [1, 2, 3], "cosine"), "method"),
        (lambda: influence(np.arange(30_000), np.arange(30_000), "kendall"), "at most 20000"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call()
