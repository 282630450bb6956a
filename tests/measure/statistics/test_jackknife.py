import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure.statistics.jackknife import Parts, jackknifed, leave_one_out, moments, share
from commonspace.measure.statistics.streams import Rows


def test_parts_are_equal_to_one_row_whatever_the_blocks():
    deal = Parts(7, np.random.default_rng(0))
    found = np.concatenate([deal.deal(np.arange(n)) for n in (3, 20, 1, 40, 2)])
    counts = np.bincount(found, minlength=7)
    assert counts.max() - counts.min() <= 1


def test_rows_of_one_group_go_to_one_part():
    groups = np.random.default_rng(0).integers(0, 12, 60)
    found = Parts(5, np.random.default_rng(1), groups).deal(np.arange(60))
    assert all(len(set(found[groups == g])) == 1 for g in range(12))
    with pytest.raises(BadInput, match="60 labels, but there is a row 60"):
        Parts(5, np.random.default_rng(1), groups).deal(np.arange(61))


def test_moments_of_the_parts_add_up_to_those_of_all_rows():
    X = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    X[4] = np.nan
    sums = moments(Rows([X[:33], X[33:]]), 6, None, np.random.default_rng(0))
    good = np.delete(X, 4, axis=0).astype(float)
    for found, true in zip(sums, (89, good.sum(0), good.T @ good), strict=True):
        np.testing.assert_allclose(found.sum(0), true, atol=1e-9)
    left = list(leave_one_out(sums))
    assert len(left) == 6
    np.testing.assert_allclose(left[2][1], sums[1].sum(0) - sums[1][2])


def test_parts_are_fewer_where_their_matrices_would_not_fit():
    counts, _, _ = moments(Rows(np.ones((3, 4000), np.float32)), 20, None, np.random.default_rng(0))
    assert len(counts) == 5


def test_the_jackknife_of_a_mean_with_parts_of_one_row_is_the_t_interval():
    v = np.random.default_rng(0).normal(3, 2, 30)
    found = jackknifed("mean", v.mean(), (v.sum() - v) / 29, 30)
    low, high = stats.t.interval(0.95, 29, v.mean(), v.std(ddof=1) / np.sqrt(30))
    assert (found.value, found.low, found.high) == pytest.approx((v.mean(), low, high))


def test_the_jackknife_takes_the_bias_of_the_plain_variance_away():
    v = np.random.default_rng(0).normal(0, 2, 20)
    without = np.array([np.delete(v, i).var() for i in range(20)])
    assert jackknifed("variance", v.var(), without, 20).value == pytest.approx(v.var(ddof=1))
    assert jackknifed("variance", v.var(), without, 20, corrected=False).value == v.var()


def test_a_ratio_stays_positive_and_bounds_are_kept():
    found = jackknifed("ratio", 0.1, np.array([0.05, 0.2, 0.1]), 3, log=True)
    assert found.low > 0
    found = jackknifed("share", 0.9, np.array([0.2, 1.0]), 2, bounds=(0.0, 1.0))
    assert (found.low, found.high) == (0, 1)


def test_one_part_gives_the_value_alone():
    found = jackknifed("x", 2.0, np.zeros(0), 1)
    assert (found.value, found.low, found.high) == (2, 2, 2)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (1, 1000)])
def test_a_share_has_the_interval_of_clopper_and_pearson(hits, n):
    true = stats.binomtest(hits, n).proportion_ci(method="exact")
    found = share("x", hits, n)
    assert (found.low, found.high) == pytest.approx((true.low, true.high))
    assert found.value == hits / n


def test_a_confidence_that_cannot_be_is_refused():
    with pytest.raises(BadInput, match="confidence"):
        share("share", 3, 10, confidence=95)
