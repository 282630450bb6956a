import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from commonspace.core import BadInput, SpaceMismatch
from commonspace.core.vectors import check_codes, check_number, check_positive, check_share, check_vectors, unit


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint16, bool, ">f4"])
def test_numbers_of_every_kind_become_contiguous_float32(dtype):
    a = check_vectors(np.asfortranarray(np.ones((3, 2), dtype)))
    assert (a.dtype, a.shape, a.flags.c_contiguous) == (np.float32, (3, 2), True)


def test_float32_rows_are_not_copied_and_an_empty_set_is_a_set():
    X = np.ones((3, 2), np.float32)
    assert check_vectors(X) is X
    assert check_vectors(np.zeros((0, 5)), dim=5).shape == (0, 5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_rows_with_nan_or_inf_are_counted_and_the_first_is_named(bad):
    X = np.ones((5, 2))
    X[[2, 4], 1] = bad
    with pytest.raises(BadInput, match="queries holds NaN or Inf in 2 of 5 rows, first at row 2"):
        check_vectors(X, name="queries")


def test_zero_rows_pass_unless_directions_are_needed():
    X = np.array([[1.0, 0], [0, 0], [-0.0, 0]])
    check_vectors(X)
    with pytest.raises(BadInput, match="2 zero vectors, first at row 1"):
        check_vectors(X, allow_zero=False)


@pytest.mark.parametrize(
    "X", [["a", "b"], [[1, 2], [3]], [[object()]], np.array([["1"]]), None, [[1j]], np.ma.array, "text"]
)
def test_what_is_no_numeric_array_is_refused(X):
    with pytest.raises(BadInput, match="X must"):
        check_vectors(X)


def test_one_vector_is_refused_with_the_way_to_pass_it():
    with pytest.raises(BadInput, match=r"v\[None, :\]"):
        check_vectors(np.ones(3))


def test_another_dimension_is_another_space():
    with pytest.raises(SpaceMismatch, match="dimension 3 but 4"):
        check_vectors(np.ones((2, 3)), dim=4)


def test_a_tensor_that_requires_grad_is_refused_as_bad_input():
    torch = pytest.importorskip("torch")
    with pytest.raises(BadInput, match="requires grad"):
        check_vectors(torch.ones(2, 2, requires_grad=True))
    assert check_vectors(torch.ones(2, 2)).shape == (2, 2)


directions = hnp.arrays(np.float64, (4, 3), elements=st.floats(-1, 1, width=16))


@given(directions, st.integers(-290, 290))
def test_a_row_of_any_magnitude_keeps_its_direction(X, power):
    peak = np.abs(X).max(1, keepdims=True)
    X = np.where(peak > 0, X / np.where(peak > 0, peak, 1), 0)  # entries of about 1, or a zero row
    lengths = np.linalg.norm(unit(X * 10.0**power), axis=1)
    np.testing.assert_allclose(lengths, (peak[:, 0] > 0).astype(float), atol=1e-12)
    np.testing.assert_allclose(unit(X * 10.0**power), unit(X), atol=1e-9)


@pytest.mark.parametrize("value", [np.float32(1e-45), np.float32(3e38), 5e-324, 1.7e308])
def test_the_smallest_and_the_largest_numbers_have_a_direction_too(value):
    row = unit(np.array([[value, -value]]))
    np.testing.assert_allclose(row, [[0.5**0.5, -(0.5**0.5)]], rtol=1e-6)
    assert row.dtype == np.asarray(value).dtype


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, bool])
def test_rows_of_other_kinds_come_out_as_float32(dtype):
    row = unit(np.array([[1, 1]], dtype))
    assert row.dtype == np.float32
    np.testing.assert_allclose(row, [[0.5**0.5] * 2], rtol=1e-6)


def test_the_most_negative_integer_keeps_its_sign():
    np.testing.assert_allclose(unit(np.array([[-128, 0]], np.int8)), [[-1, 0]])


def test_unit_leaves_its_input_alone_and_takes_single_vectors_and_empty_sets():
    X = np.array([[3.0, 4.0], [0.0, 0.0]])
    before = X.copy()
    np.testing.assert_allclose(unit(X), [[0.6, 0.8], [0, 0]])
    np.testing.assert_array_equal(X, before)
    np.testing.assert_allclose(unit(np.array([3.0, 4.0])), [0.6, 0.8])
    assert unit(np.zeros((0, 4))).shape == (0, 4)
    assert unit(np.zeros((4, 0))).shape == (4, 0)


def test_a_count_is_a_whole_number_of_at_least_one():
    assert check_positive("k", np.int64(3)) == 3
    assert type(check_positive("k", np.int64(3))) is int
    for value in (0, -1, 1.0, "1", True, None):
        with pytest.raises(BadInput, match="k must be a whole number"):
            check_positive("k", value)


def test_a_share_lies_between_none_and_all():
    assert check_share("target_recall", np.float32(0.5)) == 0.5
    assert type(check_share("target_recall", np.float32(0.5))) is float
    for value in (0, 1, -0.1, 95, np.nan, np.inf, "0.9", True, None):
        with pytest.raises(BadInput, match="target_recall must lie between 0 and 1"):
            check_share("target_recall", value)


def test_a_number_lies_between_zero_and_a_bound():
    assert check_number("noise", 0) == 0.0
    assert type(check_number("noise", np.float32(0.5))) is float
    assert check_number("noise", 1e300) == 1e300
    for value in (-0.1, np.nan, np.inf, "0.9", True, None):
        with pytest.raises(BadInput, match="noise must be a number from 0 to below inf"):
            check_number("noise", value)
    with pytest.raises(BadInput, match="dropout must be a number from 0 to below 1, not 1"):
        check_number("dropout", 1.0, below=1)


def test_codes_come_back_as_they_are():
    codes = np.zeros((2, 3), np.uint8)
    assert check_codes(codes, 3) is codes
    assert check_codes(codes[:0], 3).shape == (0, 3)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 4), np.uint8), np.zeros(3, np.uint8), np.zeros((2, 3)), np.zeros((2, 3), np.int8), "abc"]
)
def test_what_is_no_code_of_this_width_is_refused(wrong):
    with pytest.raises(BadInput, match=r"uint8 array of shape \(n, 3\)"):
        check_codes(wrong, 3)
