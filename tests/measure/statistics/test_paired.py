from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from commonspace.measure.statistics.paired import (
    Paired,
    interval,
    joint_quantile,
    sign_flip,
    signed_sums,
    student,
    t_quantile,
)


def paired(values, member=None):
    k = values.shape[1]
    a, b = np.array(list(combinations(range(k), 2))).T
    return Paired.of(values, np.arange(len(values)) if member is None else member, a, b)


def uneven(seed=0, groups=12, k=3):
    rng = np.random.default_rng(seed)
    member = np.repeat(np.arange(groups), rng.integers(1, 9, groups))
    return rng.normal(size=(groups, k))[member] + rng.normal(size=(len(member), k)), member


def test_the_t_test_and_its_interval_are_those_of_scipy_for_single_queries():
    values = np.random.default_rng(0).normal([0, 0.2, 0.7], 1, (25, 3))
    pairs = paired(values)
    low, high = interval(pairs, t_quantile(0.9, 24))
    for c, (i, j) in enumerate(combinations(range(3), 2)):
        want = stats.ttest_rel(values[:, i], values[:, j])
        assert student(pairs)[c] == pytest.approx(want.pvalue, rel=1e-9)
        np.testing.assert_allclose((low[c], high[c]), want.confidence_interval(0.9), rtol=1e-9)


def test_groups_of_one_size_are_tested_by_their_means():
    rng = np.random.default_rng(1)
    values, member = rng.normal(size=(40, 2)), np.repeat(np.arange(8), 5)
    means = values.reshape(8, 5, 2).mean(axis=1)
    want = stats.ttest_rel(*means.T)
    pairs = paired(values, member)
    assert student(pairs)[0] == pytest.approx(want.pvalue)
    np.testing.assert_allclose(np.ravel(interval(pairs, t_quantile(0.95, 7))), want.confidence_interval(0.95))


def test_the_interval_holds_what_the_test_does_not_reject_for_groups_of_any_size():
    values, member = uneven()
    low, high = interval(paired(values, member), t_quantile(0.95, 11))
    for c, (i, j) in enumerate(combinations(range(3), 2)):
        for end in (low[c], high[c]):
            moved = values.copy()
            moved[:, i] -= end
            assert student(paired(moved[:, [i, j]], member))[0] == pytest.approx(0.05, abs=1e-9)
        assert low[c] < (values[:, i] - values[:, j]).mean() < high[c]


def test_an_interval_without_end_becomes_the_linearised_one():
    member = np.array([0] + [1] * 500)
    values = np.random.default_rng(2).normal(size=(501, 2))
    low, high = interval(paired(values, member), t_quantile(0.95, 1))
    assert np.isfinite([low, high]).all()
    assert low < high


def test_the_linearised_error_is_that_of_single_queries_without_groups():
    values = np.random.default_rng(3).normal(size=(30, 2))
    assert paired(values).errors()[0] == pytest.approx(stats.sem(values[:, 0] - values[:, 1]))


def test_signed_sums_are_sums_under_signs_drawn_evenly():
    values = np.array([[1.0, 10], [2, 20], [4, 40]])
    found = np.concatenate(list(signed_sums(values, 4000, np.random.default_rng(4))))
    patterns = {tuple(np.dot(s, values)) for s in product([-1, 1], repeat=3)}
    seen, counts = np.unique(found, axis=0, return_counts=True)
    assert set(map(tuple, seen)) == patterns
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("units", [1, 7, 8, 9, 100])
def test_every_unit_takes_part_in_the_sums_whatever_their_number(units):
    values = np.random.default_rng(5).normal(size=(units, 1))
    (found,) = signed_sums(values, 3000, np.random.default_rng(6))
    assert found.var() == pytest.approx(np.square(values).sum(), rel=0.15)
    assert abs(found.mean()) < 4 * np.sqrt(np.square(values).sum() / 3000)


def test_pairs_tested_together_have_the_p_values_of_each_alone():
    values = np.random.default_rng(7).normal(size=(50, 4)) * 0.1 + [0, 0, 0.02, 0.03]
    together = sign_flip(paired(values), 20_000, np.random.default_rng(8))
    for c, (i, j) in enumerate(combinations(range(4), 2)):
        d = values[:, i] - values[:, j]
        signs = np.random.default_rng(9).choice([-1, 1], (20_000, 50))
        want = (np.abs(signs @ d) >= abs(d.sum()) - 1e-12).mean()
        assert together[c] == pytest.approx(want, abs=0.015)


def test_pairs_that_differ_in_few_queries_are_counted_out_beside_others_that_are_drawn():
    rng = np.random.default_rng(10)
    values = rng.random((60, 3))
    values[:, 1] = values[:, 0]
    values[:5, 1] += [0.3, 0.2, 0.1, 0.4, -0.1]
    p = sign_flip(paired(values), 999, rng)
    assert p[0] == 6 / 32  # only the two differences of 0.1 may turn


def test_joint_intervals_of_one_pair_are_those_of_the_t_test():
    values = np.random.default_rng(11).normal(size=(200, 2))
    c = joint_quantile(paired(values), 0.95, 20_000, np.random.default_rng(12))
    assert c == pytest.approx(t_quantile(0.95, 199), abs=0.05)


def test_joint_intervals_of_independent_pairs_are_those_of_the_largest_of_many():
    # Systems 0 and 1, 2 and 3, ...: ten independent differences.
    values = np.random.default_rng(13).normal(size=(400, 20))
    pairs = Paired.of(values, np.arange(400), np.arange(0, 20, 2), np.arange(1, 20, 2))
    want = stats.norm.ppf((1 + 0.95 ** (1 / 10)) / 2)
    assert joint_quantile(pairs, 0.95, 20_000, np.random.default_rng(14)) == pytest.approx(want, abs=0.06)


def test_a_single_group_proves_nothing():
    pairs = paired(np.random.default_rng(15).random((9, 2)), np.zeros(9, int))
    assert student(pairs)[0] == sign_flip(pairs, 99, np.random.default_rng(0))[0] == 1
    low, high = interval(pairs, 0.0)
    assert low == high == pairs.means()
