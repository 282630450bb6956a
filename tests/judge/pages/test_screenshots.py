"""The page in a real browser: light, dark, narrow and printed."""

import re
from html import unescape

import numpy as np
import pytest
from tests.judge import chromium
from tests.judge.example_report import report

from commonspace.judge import Case, Report, Section, Sheet, write_html
from commonspace.judge.pages.page import style_sheet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with one of everything."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_html(report(), path)
    return path


def colours(dark):
    """Return the colours of the style sheet, by name."""
    blocks = re.findall(r":root \{([^}]*)\}", style_sheet())
    found = {}
    for block in blocks[: 1 + dark]:
        found |= dict(re.findall(r"--(\w+): (#\w{6})", block))
    return found


def luminance(colour):
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_can_be_read_and_lines_can_be_seen_on_either_ground(dark):
    c = colours(dark)
    for ground in ("paper", "soft"):
        for text in ("ink", "dim", "mark", "well", "mend"):
            assert contrast(c[text], c[ground]) >= 4.5, (text, ground)
    for series in (f"c{i}" for i in range(1, 8)):
        assert contrast(c[series], c["paper"]) >= 3, series  # what the guidelines ask of graphics


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_takes_the_readers_side_and_is_not_blank(page, tmp_path, dark):
    shot = chromium.picture(page, tmp_path / "s.png", 1000, 1400, *(chromium.DARK if dark else chromium.LIGHT))
    ground = np.array([int(colours(dark)["paper"][i : i + 2], 16) for i in (1, 3, 5)])
    assert shot.shape == (1400, 1000, 3)
    assert (np.abs(shot[:, :8].astype(int) - ground) <= 2).all()  # the margin
    assert bool(shot[5, 5].mean() < 60) == dark
    written = (np.abs(shot.astype(int) - ground).max(axis=2) > 60).mean()
    assert 0.01 < written < 0.6
    upper, lower = shot[:700], shot[700:]
    assert min(upper.std(), lower.std()) > 5


MEASURE = """
<script>
addEventListener("load", () => {
  const d = document.documentElement;
  const cells = [...document.querySelectorAll("table button")].length;
  const over = [...document.querySelectorAll(".wide")].map((t) => t.scrollWidth - t.clientWidth);
  const seen = {width: innerWidth, scroll: d.scrollWidth, buttons: cells, over: Math.max(0, ...over)};
  document.body.dataset.seen = JSON.stringify(seen);
});
</script>
"""


def measured(page, tmp_path, width):
    """Return what a script finds in the page at a width; only tests let one in, through a policy made weaker."""
    text = page.read_text(encoding="utf-8")
    weaker = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    assert weaker != text
    copy = tmp_path / "measured.html"
    # A frame has the width it is given; windows have a least one.
    copy.write_text(weaker.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<!doctype html><iframe id="f" src="measured.html" width="{width}" height="900" style="border:0"></iframe>'
        '<script>addEventListener("load", () => { document.body.dataset.seen = '
        "document.getElementById('f').contentDocument.body.dataset.seen; });</script>",
        encoding="utf-8",
    )
    found = chromium.run(frame, "--dump-dom", "--allow-file-access-from-files")
    import json

    return json.loads(unescape(re.search(r'<body data-seen="([^"]*)"', found).group(1)))


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_only_tables_scroll_sideways_never_the_page(page, tmp_path, width):
    seen = measured(page, tmp_path, width)
    assert seen["width"] == width
    assert seen["scroll"] <= width


def test_a_page_too_wide_would_be_noticed(tmp_path):
    path = tmp_path / "wide.html"
    write_html(Report("t", "v", [Section("s", sheets=(Sheet(["a"], [["b"]]),))]), path)
    path.write_text(path.read_text().replace("</main>", '<div style="width: 900px">x</div></main>'))
    assert measured(path, tmp_path, 390)["scroll"] > 390


def test_long_words_and_many_columns_do_not_widen_the_page(tmp_path):
    path = tmp_path / "long.html"
    word = "Donaudampfschifffahrt" * 20
    sheet = Sheet([f"column {i}" for i in range(30)], [[word, *range(29)]] * 3, word, word)
    cases = (Case(word, word, word, answers=(Case(word, word, word),)), Case(word))
    write_html(Report(word, word, [Section(word, word, (sheet,), (), cases)] * 3, {word: word}), path)
    assert measured(path, tmp_path, 390)["scroll"] <= 390


def test_one_long_word_does_not_push_the_other_rows_of_its_table_out_of_sight(tmp_path):
    path = tmp_path / "word.html"
    rows = [["hubness", f"The worst class is {'a' * 300}."], ["gap", "The centres lie apart. " * 8]]
    write_html(Report("t", "v", [Section("s", sheets=(Sheet(["finding", "said"], rows),))]), path)
    assert measured(path, tmp_path, 900)["over"] == 0


def test_the_pages_own_script_runs_under_its_policy_and_no_other_does(page, tmp_path):
    assert '<button type="button"' in chromium.run(page, "--dump-dom")
    tampered = tmp_path / "t.html"
    evil = "<script>document.body.dataset.evil = 1</script><img src='x' onerror='document.body.dataset.evil = 1'>"
    tampered.write_text(page.read_text(encoding="utf-8").replace("</main>", evil + "</main>"), encoding="utf-8")
    seen = chromium.run(tampered, "--dump-dom")
    assert "onerror" in seen
    assert "data-evil=" not in seen


def test_it_prints_on_white_paper_in_several_pages(page, tmp_path):
    target = tmp_path / "p.pdf"
    chromium.run(page, f"--print-to-pdf={target}", "--no-pdf-header-footer", *chromium.DARK)
    printed = target.read_bytes()
    assert printed.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12
    # What print looks like, on the screen: its rules made everybody's, those of dark screens nobody's.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    as_printed = text.replace("@media print", "@media all").replace("@media screen and", "@media speech and")
    copy = tmp_path / "as_printed.html"
    copy.write_text(as_printed, encoding="utf-8")
    shot = chromium.picture(copy, tmp_path / "s.png", 700, 900, *chromium.DARK)
    assert np.median(shot) > 250
    assert "<nav" in as_printed
    assert measured(page, tmp_path, 700)["scroll"] <= 700
