import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import norms
from commonspace.measure.statistics.robust import robust_z


def healthy(n: int = 500, dim: int = 16, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32))


SHARES = ("zero", "non_finite", "non_unit", "outlying", "saturated", "unfit")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_unit_rows_of_any_precision_have_nothing_wrong(dtype):
    found = norms(healthy().astype(dtype))
    assert all(getattr(found, name).value == 0 for name in SHARES)
    assert found.length.value == pytest.approx(1, abs=1e-3)


def test_each_kind_of_sick_row_is_counted_and_named():
    X = healthy()
    X[3], X[10], X[11, 4], X[20], X[30] = 0, np.nan, np.inf, 1.1 * X[20], 40 * X[30]
    found = norms([X[:100], X[100:]])
    rows = {k: v.tolist() for k, v in found.rows.items()}
    assert rows == {
        "zero": [3], "non_finite": [10, 11], "non_unit": [20, 30], "outlying": [20, 30], "saturated": [11], "unfit": [],
    }  # fmt: skip
    assert (found.zero.value, found.zero.n) == (1 / 500, 500)
    assert found.zero.low > 0
    assert found.largest == pytest.approx(np.abs(X[30]).max())


def test_raw_lengths_are_not_unit_but_only_far_ones_are_outlying():
    X = healthy() * np.random.default_rng(1).lognormal(2, 0.2, size=(500, 1))
    X[7] *= 30
    X[8] /= 30
    found = norms(X)
    assert found.non_unit.value > 0.99
    assert found.rows["outlying"].tolist() == [7, 8]
    assert found.length.low < np.exp(2) < found.length.high


def test_false_alarms_over_lengths_of_random_vectors_are_rare():
    alarms = [norms(np.random.default_rng(s).normal(size=(2000, 32))).outlying.value for s in range(6)]
    assert sum(alarms) == 0


def test_numbers_beyond_half_precision_are_seen_before_they_are_lost():
    X = np.ones((4, 3), np.float32)
    X[1, 0], X[2] = 70_000, 1e-9  # beyond its range; below its smallest number
    found = norms(X)
    assert found.rows["unfit"].tolist() == [1, 2]
    clipped = np.array([[65504, 1], [1, 1]], np.float16)
    assert norms(clipped).rows["saturated"].tolist() == [0]


def test_huge_lengths_do_not_overflow():
    assert norms(np.full((3, 4), 1e300)).length.value == pytest.approx(2e300)
    assert norms(np.full((3, 4), 3e38, np.float32)).non_finite.value == 0


def test_integers_and_one_row_are_measured_and_none_is_refused():
    assert norms(np.array([[3, 4]])).length.value == 5
    assert norms(np.full((2, 2), np.nan)).non_finite.value == 1
    with pytest.raises(BadInput, match="at least one row"):
        norms(np.zeros((0, 4)))


def test_the_report_is_plain_data():
    assert "non unit" in str(norms(healthy()))
    json.dumps(norms(healthy()).to_dict())


def test_robust_z_is_the_plain_one_for_normal_values_and_blind_to_outliers():
    v = np.random.default_rng(0).normal(5, 2, size=100_000)
    np.testing.assert_allclose(robust_z(v), (v - 5) / 2, atol=0.05)
    v[:1000] = 1e6
    assert robust_z(v)[1000:].std() == pytest.approx(1, abs=0.05)
    assert robust_z(np.array([1.0, 1, 1, 2])).tolist() == [0, 0, 0, np.inf]
    assert robust_z(np.array([1.0, 1, 1, 2]), least=0.5).tolist() == [0, 0, 0, 2]
    assert len(robust_z(np.zeros(0))) == 0


def test_rows_without_a_length_are_not_counted_for_the_median():
    for X in (np.zeros((5, 3)), np.full((5, 3), np.nan)):
        length = norms(X).length
        assert (length.value, length.n) == (0, 0)
