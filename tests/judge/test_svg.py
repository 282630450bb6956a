"""Pictures follow the page's colours, are named, and stay small."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.judge.example_report import EVIL, pictures

from commonspace.core.errors import NotInstalled
from commonspace.judge.pictures import Bars, Curve, Histogram, Scatter
from commonspace.judge.svg import MOST, describe, draw, figures

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("picture", pictures(), ids=lambda p: type(p).__name__)
def test_a_picture_has_only_the_colours_of_the_page(picture):
    drawn = draw(picture, "p")
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b(?![\w-])", drawn)) == set()
    assert "var(--c1)" in drawn
    assert "style=" not in drawn


@pytest.mark.parametrize("picture", pictures(), ids=lambda p: type(p).__name__)
def test_text_stays_text_and_what_is_named_belongs_to_the_picture(picture):
    root = ElementTree.fromstring(draw(picture, "one"))
    texts = ["".join(t.itertext()) for t in root.iter("text")]
    assert picture.y_label in texts or isinstance(picture, Bars)
    names = {e.attrib["id"] for e in root.iter() if "id" in e.attrib}
    assert names
    assert all(name.startswith("one-") for name in names)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', draw(picture, "one")))
    assert used <= names
    assert root.find("title").text == describe(picture)


def test_two_pictures_of_a_page_share_no_name():
    a, b = (set(re.findall(r'id="([^"]+)"', draw(pictures()[0], id))) for id in ("a", "b"))
    assert a & b == set()


def test_the_same_picture_is_drawn_the_same():
    assert draw(pictures()[3], "p") == draw(pictures()[3], "p")


def test_words_of_data_are_not_read_as_markup_or_mathematics():
    drawn = draw(pictures()[1], "p")
    assert EVIL not in drawn
    assert "cost $1_000$" in drawn
    assert "<script" not in drawn


def test_lines_differ_by_dash_and_groups_by_marker():
    lines = {f"line {i}": ([1, 2, 3], [i, i + 1, i]) for i in range(4)}
    drawn = draw(Curve("t", "x", "y", lines), "p")
    assert len(set(re.findall(r'stroke-dasharray="([^"]+)"', drawn))) >= 3
    root = ElementTree.fromstring(drawn)
    shapes = {p.attrib["d"] for d in root.iter("defs") for p in d.iter("path") if "d" in p.attrib}
    assert len(shapes) >= 4 + 2  # four markers, two ticks


def test_many_points_are_thinned_out_and_each_group_keeps_its_share():
    rng = np.random.default_rng(0)
    given = {"many": (rng.normal(size=30_000), rng.normal(size=30_000)), "few": ([0.0, 1.0], [0.0, 1.0])}
    drawn = draw(Scatter("t", "x", "y", given), "p")
    assert MOST - 20 < drawn.count("<use") < MOST + 30
    assert len(drawn) < 160_000
    long = draw(Curve("t", "x", "y", {"a": (np.arange(1, 100_001), np.arange(100_000))}, log_x=True), "p")
    assert len(long) < 40_000


@pytest.mark.parametrize(
    "picture",
    [
        Curve("t", "x", "y", {}),
        Curve("t", "x", "y", {"a": ([1], [2])}),
        Bars("t", "x", "y", [], []),
        Bars("t", "x", "y", ["a"], [float("nan")]),
        Histogram("t", "x", "y", [0, 1], {}),
        Scatter("t", "x", "y", {}),
        Scatter("t", "x", "y", {"a": ([], [])}),
        Curve("", "", "", {"_hidden": ([1, 2], [1, 2]), "": ([1, 2], [2, 1])}),
    ],
    ids=str,
)
def test_next_to_nothing_can_be_drawn_and_told(picture):
    assert draw(picture, "p").startswith("<svg")
    assert describe(picture)
    figures(picture)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(NotInstalled, match=r"commonspace\[plots\]"):
        draw(pictures()[0], "p")


def test_the_table_that_stands_for_a_picture_has_its_figures():
    curve, bars, histogram, scatter = pictures()
    rows = figures(curve).rows
    assert (rows[0][0], rows[0][1], rows[0][2]) == ("text->image", "1", 0.0)
    assert {r[0] for r in rows} == {"text->image", EVIL}
    assert list(figures(bars).rows[1]) == [EVIL, 9, "7 to 11"]
    assert figures(histogram).rows[0] == ("0 to 0.500", 1, 4)
    assert len(figures(scatter).rows) <= 60


def test_a_long_name_of_the_vertical_axis_goes_on_in_a_second_line():
    label = "queries that have it among their ten nearest items"
    root = ElementTree.fromstring(draw(Curve("t", "x", label, {"a": ([1, 2], [1, 2])}), "p"))
    texts = ["".join(t.itertext()) for t in root.iter("text")]
    assert label not in texts
    assert "queries that have it among their" in texts
