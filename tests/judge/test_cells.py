"""Figures are shown with their interval, and bars can be compared."""

import numpy as np
import pytest

from commonspace.judge.cells import EDGE, WIDTH, alike, cell, grid, number
from commonspace.judge.report import Sheet
from commonspace.measure import Comparison, Estimate


def figure(value, low, high, n=100, metric="hit@1"):
    return Estimate(metric, value, low, high, n)


def difference(value, low, high, p):
    return Comparison(value, low, high, p, 50, "a", "b")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (3, "3"), (12345, "12,345"), (0.12345, "0.123"), (12.345, "12.3"), (0.00001, "1.0e-05"), (0.0, "0.000"),
        (np.float32(0.5), "0.500"), (np.int64(7), "7"), (float("nan"), "–"), (float("-inf"), "-∞"),
    ],
)  # fmt: skip
def test_numbers_are_shown_as_people_read_them(given, shown):
    assert number(given) == shown


def test_figures_that_belong_together_have_the_same_decimals():
    assert alike(9.5, 8.0, 11.0) == ["9.5", "8.0", "11.0"]
    assert alike(0.00004, -0.1, 0.1, sign="+") == ["+0.000", "-0.100", "+0.100"]


def test_a_figure_shows_value_interval_and_number_of_units():
    shown = cell(figure(0.5, 0.4, 0.6, 1234))
    assert (shown.text, shown.between, shown.n) == ("0.500", "0.400 to 0.600", "1,234")


def test_a_difference_shows_its_sign_and_p_value_and_is_quiet_where_it_may_be_none():
    sure, unsure = cell(difference(0.2, 0.1, 0.3, 0.0001)), cell(difference(-0.02, -0.1, 0.1, 0.6))
    assert (sure.text, sure.p, sure.sure) == ("+0.200", "p<0.001", True)
    assert (unsure.text, unsure.p, unsure.sure) == ("-0.020", "p=0.600", False)


def test_bars_of_one_metric_share_a_scale_throughout_a_table():
    table = grid(Sheet(["", "a", "b"], [
        ["x", figure(0.2, 0.1, 0.3), figure(0.2, 0.1, 0.3)],
        ["y", figure(40, 30, 50, metric="median_rank"), figure(100, 90, 200, metric="median_rank")],
    ]))  # fmt: skip
    (x, y) = table.rows
    assert x[1].bar == x[2].bar
    assert x[1].bar.value == pytest.approx(EDGE + 0.2 * (WIDTH - 2 * EDGE), abs=0.1)
    assert y[2].bar.high == pytest.approx(WIDTH - EDGE)
    assert y[1].bar.high == pytest.approx(EDGE + 0.25 * (WIDTH - 2 * EDGE), abs=0.1)


def test_differences_have_their_zero_in_the_middle():
    table = grid(Sheet(["a"], [[difference(0.2, 0.1, 0.4, 0.01)], [difference(-0.1, -0.2, 0.1, 0.5)]]))
    bars = [row[0].bar for row in table.rows]
    assert {b.zero for b in bars} == {WIDTH / 2}
    assert bars[0].high == pytest.approx(WIDTH - EDGE)
    assert bars[1].value < WIDTH / 2 < bars[1].high


def test_a_figure_that_is_not_known_has_no_bar():
    assert grid(Sheet(["a"], [[figure(float("nan"), float("nan"), float("nan"))]])).rows[0][0].bar is None
    assert grid(Sheet(["a"], [[figure(0.0, 0.0, 0.0)]])).rows[0][0].bar is not None


def test_other_cells_are_words():
    assert [cell(v).text for v in (None, True, "x", np.bool_(False))] == ["–", "yes", "x", "no"]


def test_directions_are_written_with_an_arrow_and_other_words_as_they_are():
    assert cell("text->image").text == "text → image"
    assert [cell(v).text for v in ("if a -> b then", "x->y?")] == ["if a -> b then", "x->y?"]


def test_rows_of_another_length_than_the_head_are_refused():
    with pytest.raises(ValueError):
        grid(Sheet(["a", "b"], [[1]]))
