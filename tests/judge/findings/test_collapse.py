import numpy as np
import pytest

from commonspace.judge import Subject


def rows(n, dim, rank, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank)) @ np.linalg.qr(rng.normal(size=(dim, dim)))[0][:rank]


def test_an_even_cloud_scores_one_and_rows_in_r_directions_r_of_them(look):
    assert look("collapse", Subject({"a": rows(4000, 20, 20)}))["a"].score == pytest.approx(1, abs=0.02)
    found = look("collapse", Subject({"a": rows(4000, 20, 4)}))["a"]
    assert found.score == pytest.approx(4 / 20, abs=0.01)
    assert found.flag


def test_turning_and_scaling_change_nothing(look):
    x = rows(500, 10, 5)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(10, 10)))[0]
    one, two = (look("collapse", Subject({"a": v}))["a"].score for v in (x, 3 * x @ turn))
    assert one == pytest.approx(two, abs=1e-3)


def test_a_common_mean_does_not_count_as_a_direction(look):
    x = rows(3000, 12, 12)
    assert look("collapse", Subject({"a": x + 30}))["a"].score > 0.9


def test_one_point_is_a_collapse_whatever_its_rounding(look):
    found = look("collapse", Subject({"a": np.full((100, 8), 0.1)}))["a"]
    assert (found.score, found.flag) == (0.0, True)


def test_fewer_rows_than_dimensions_are_measured_against_what_they_could_show(look):
    found = look("collapse", Subject({"a": rows(30, 200, 200)}))["a"]
    assert found.score > 0.7
    assert "fewer than two rows a dimension" in found.summary
