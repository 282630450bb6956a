"""A page holds all of its report and nothing that could run or that lies elsewhere."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.judge.example_report import EVIL, report

from commonspace.judge import Report, Section, Sheet, write_html, write_json
from commonspace.judge.cells import number
from commonspace.judge.page import jsonable, render
from commonspace.measure import estimate

VOID = {"meta", "img", "br", "input", "link", "hr"}


class Reader(HTMLParser):
    """Reads a page, checks that every element ends where it should, and keeps what tests ask for."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.ids, self.text = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [k for k, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> is there twice"
        self.elements.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def page():
    return render(report())


@pytest.fixture(scope="module")
def read(page):
    return Reader(page)


def test_every_element_ends_and_no_name_is_used_twice(read):
    assert len(read.ids) == len(set(read.ids))
    assert {"html", "head", "body", "main", "h1", "h2", "table", "figure", "svg"} <= {t for t, _ in read.elements}
    assert len(read.all("h1")) == 1
    assert read.all("html")[0]["lang"] == "en"


def test_what_points_inside_the_page_finds_its_place(read, page):
    targets = {a["href"][1:] for _, a in read.elements if a.get("href", "").startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]+)\)", page))
    targets |= {i for _, a in read.elements for i in a.get("aria-labelledby", "").split()}
    assert len(targets) > 10
    assert targets <= set(read.ids)


def test_nothing_lies_outside_the_page(read, page):
    for _, attrs in read.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert re.match(r"(#|data:image/png;base64,)", attrs.get(name, "#")), attrs
    assert not re.search(r"(?i)https?:|@import|url\((?!#)", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page))
    assert {"link", "iframe", "object", "embed", "base", "form"} & {t for t, _ in read.elements} == set()


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else(read, page):
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    # Styles of single elements are what such a policy refuses, so there must be none; nor any handler.
    assert [a for _, a in read.elements if "style" in a or any(k.startswith("on") for k in a)] == []


def test_words_from_data_stay_words(page, read):
    assert EVIL not in page
    assert len(read.all("script")) == 1
    for place in ("A report", "First", "broken", "id"):
        assert f"{place} {html.escape(EVIL)}".replace("&#x27;", "&#39;") in page


def test_every_picture_says_what_it_shows(read):
    svgs = [a for a in read.all("svg") if a.get("role") == "img"]
    assert len(svgs) == 4
    assert all(a["aria-labelledby"] in read.ids for a in svgs)
    assert "Lines of share against rank: text->image goes from 0 at 1 to 0.968 at 1,000" in read.words
    images = read.all("img")
    assert len(images) == 5
    assert {a["alt"] for a in images} >= {"answer 1, score 0.10", "asks, rank 3"}
    assert all(a.get("aria-hidden") == "true" for a in read.all("svg") if a.get("role") != "img")


def test_an_item_that_cannot_be_shown_says_why(read):
    assert "This image cannot be shown: the file is not an image" in read.words
    assert "This image cannot be shown: there is no file no/such/file.png" in read.words


def test_tables_have_heads_and_a_region_that_can_be_scrolled_by_keyboard(read):
    assert all(a.get("scope") == "col" for a in read.all("th"))
    regions = [a for a in read.all("div") if a.get("role") == "region"]
    assert len(regions) == len(read.all("table")) == 3
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)


def test_the_document_holds_the_figures_of_the_page(tmp_path, read):
    write_json(report(), tmp_path / "deep" / "r.json")
    document = json.loads((tmp_path / "deep" / "r.json").read_text())
    assert [s["title"] for s in document["sections"]] == ["What is found", "What fails", "More"]
    shown = 0
    for sheet in document["sections"][0]["sheets"]:
        for row in sheet["rows"]:
            for c in row:
                if isinstance(c, dict):
                    names = ("value", "low", "high") if "value" in c else ("difference", "low", "high")
                    for name in names:
                        assert number(c[name]) in read.words
                        shown += 1
    assert shown == 18
    assert document["extra"] is None  # NaN is no JSON
    assert document["about"]["by"] == EVIL


def test_the_number_of_units_stands_in_the_head_where_all_share_it_and_else_beside_the_figure():
    same, other = estimate(np.ones(50), "hit@1"), estimate(np.ones(7), "hit@1")
    alike = Reader(render(Report("t", "v", [Section("s", sheets=(Sheet(["a"], [[same], [same]]),))])))
    mixed = Reader(render(Report("t", "v", [Section("s", sheets=(Sheet(["a"], [[same], [other]]),))])))
    assert alike.words.count("n=50") == 1
    assert (mixed.words.count("n=50"), mixed.words.count("n=7")) == (1, 1)


def test_a_page_without_sections_is_a_page():
    read = Reader(render(Report("Nothing", "Nothing was measured.", [])))
    assert "Nothing was measured." in read.words
    assert read.all("nav") == []


def test_broken_unicode_is_shown_as_such_and_can_be_written(tmp_path):
    odd = Report("a\udcff\x00b", "c\ud800", [Section("\x1b[31m")], {"k": "\udcff"})
    write_html(odd, tmp_path / "p.html")
    write_json(odd, tmp_path / "p.json")
    assert "\x00" not in (tmp_path / "p.html").read_text(encoding="utf-8")
    json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))


def test_facts_about_a_report_are_written_out():
    about = {"rows": {"image": 900, "text": 856}, "seeds": [1, 2], "limit": 0.5, "by": None}
    words = Reader(render(Report("t", "v", [], about))).words
    for said in ("rows image: 900; text: 856", "seeds 1, 2", "limit 0.500", "by –"):
        assert said in words


def test_numbers_of_arrays_become_plain_numbers():
    given = {"a": np.float32(0.5), 1: np.arange(2), "c": (np.bool_(True), np.inf, None), "d": np.nan}
    assert jsonable(given) == {"a": 0.5, "1": [0, 1], "c": [True, None, None], "d": None}


def test_without_matplotlib_a_picture_is_a_table_of_its_figures(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    read = Reader(render(report()))
    assert [a for a in read.all("svg") if a.get("role") == "img"] == []
    assert read.words.count("pip install 'commonspace[plots]'") == 4
    assert "0.500 to 1 " in read.words  # a bin of the histogram
