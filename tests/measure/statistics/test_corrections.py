import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure import benjamini_hochberg, holm
from commonspace.measure.statistics.corrections import corrected, rejected

P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_holm_matches_the_example_worked_by_hand():
    # sorted: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 -> not below 0.06
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1, 1]


@given(P)
def test_benjamini_hochberg_equals_scipy(p):
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), atol=1e-15)


@given(P)
def test_holm_rejects_what_stepping_down_rejects(p):
    ascending, rejected = sorted(p), 0
    while rejected < len(p) and ascending[rejected] <= 0.05 / (len(p) - rejected):
        rejected += 1
    assert abs((holm(p) <= 0.05 + 1e-12).sum() - rejected) <= np.isclose(holm(p), 0.05).sum()


@given(P)
def test_corrected_values_keep_the_order_and_holm_is_the_stricter(p):
    order = np.argsort(p, kind="stable")
    for how in (holm, benjamini_hochberg):
        assert (np.diff(how(p)[order]) >= 0).all()
    assert (holm(p) >= benjamini_hochberg(p) - 1e-12).all()
    assert (benjamini_hochberg(p) >= np.array(p) - 1e-12).all()


def test_no_correction_returns_the_values_and_no_tests_need_none():
    assert corrected([0.3, 0.1], "none").tolist() == [0.3, 0.1]
    assert corrected([], "bh").tolist() == corrected([], "holm").tolist() == []


@pytest.mark.parametrize("p", [[1.5], [-0.1], [np.nan], [[0.1]]])
def test_bad_input_is_named(p):
    with pytest.raises(BadInput, match="between 0 and 1"):
        holm(p)


@pytest.mark.parametrize("how", ["holm", "bh", "none"])
def test_rejections_by_critical_values_are_those_of_corrected_p_values(how):
    z = np.abs(np.random.default_rng(0).normal(1.5, 1.2, (200, 9)))
    found = rejected(z, lambda p: stats.norm.isf(p / 2), 0.05, how)
    expected = [corrected(2 * stats.norm.sf(row), how) <= 0.05 for row in z]
    np.testing.assert_array_equal(found, expected)
    assert 0 < found.sum() < found.size
