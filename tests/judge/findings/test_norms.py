import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.judge import Subject

X = unit(np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32))


def spoiled(rows, value):
    x = X.copy()
    x[rows] = value
    return Subject({"a": x})


def test_unit_rows_are_well(look):
    found = look("norms", Subject({"a": X}))["a"]
    assert found.score == pytest.approx(1, abs=1e-6)
    assert not found.flag


@pytest.mark.parametrize(
    ("rows", "value", "words"),
    [
        ([3], np.nan, "NaN or Inf: 1 row (row 3)"),
        ([3, 9], np.inf, "NaN or Inf: 2 rows (row 3, row 9)"),
        ([5], 0, "zero: 1 row (row 5)"),
        ([5], X[5] * 50, "far longer or shorter than all others: 1 row (row 5)"),
        ([5, 6, 7, 8], X[5] * 1.01, "not of length one, as the others are: 4 rows (row 5, row 6, row 7 ...)"),
    ],
)
def test_every_row_at_fault_is_named(look, rows, value, words):
    found = look("norms", spoiled(rows, value))["a"]
    assert found.flag
    assert words in found.summary
    assert found.evidence["share at fault"].value == pytest.approx(len(rows) / 400)


def test_a_row_that_is_at_fault_twice_counts_once(look):
    found = look("norms", spoiled([5], X[5] * 50))["a"]  # neither of length one nor in range
    assert found.evidence["share at fault"].value == pytest.approx(1 / 400)


def test_lengths_that_vary_are_flagged_and_lengths_that_are_all_two_are_not(look):
    assert not look("norms", Subject({"a": 2 * X}))["a"].flag
    lengths = np.random.default_rng(1).uniform(0.6, 1.4, (400, 1)) * 3
    found = look("norms", Subject({"a": X * lengths}))["a"]
    assert found.flag
    assert found.score == pytest.approx(1 / (1 + lengths.std() / lengths.mean()), abs=1e-4)


def test_nothing_but_rows_without_a_direction_scores_zero(look):
    assert look("norms", Subject({"a": np.zeros((10, 3))}))["a"].score == 0
    assert look("norms", Subject({"a": np.full((10, 3), np.nan)}))["a"].score == 0
