import numpy as np
import pytest

from commonspace.judge import Subject


def cloud():
    return np.random.default_rng(0).normal(size=(500, 20))


def test_a_cloud_has_nothing_wrong_with_its_dimensions(look):
    found = look("dimensions", Subject({"a": cloud()}))["a"]
    assert (found.score, found.flag) == (1.0, False)


def test_a_constant_column_is_dead_although_unit_rows_vary_there(look):
    x = cloud()
    x[:, [3, 8]] = 0.5
    found = look("dimensions", Subject({"a": x}))["a"]
    assert "2 dead (3, 8)" in found.summary
    assert found.score == pytest.approx(18 / 20)
    assert found.flag


def test_a_column_that_repeats_another_is_named_the_later_of_the_two(look):
    x = cloud()
    x[:, 7] = -2 * x[:, 6]
    found = look("dimensions", Subject({"a": x}))["a"]
    assert "1 repeating another (7)" in found.summary


def test_a_dimension_that_decides_every_cosine_is_named(look):
    x = cloud()
    x[:, 11] *= 30
    found = look("dimensions", Subject({"a": x}))["a"]
    assert found.flag
    assert "1 dominating (11)" in found.summary
    assert found.score < 0.2


def test_one_huge_row_does_not_make_all_columns_one(look):
    x = cloud()
    x[13] *= 1e6
    assert look("dimensions", Subject({"a": x}))["a"].score == 1
