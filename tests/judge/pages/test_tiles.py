"""Items become small pictures or words, and nothing of a file reaches the page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from commonspace.judge.pages.tiles import SIDE, WORDS, plain, tile, words
from commonspace.judge.report import Case


def opened(address):
    head, _, data = address.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def file_of(image, kind="PNG", **more):
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def test_pictures_are_made_anew_without_what_their_files_carry():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "secret words")
    given = file_of(Image.new("RGB", (20, 10), "red"), pnginfo=info) + b"<script>evil()</script>"
    shown = tile(Case(given, "c", "n", "image"))
    assert b"secret" not in base64.b64decode(shown.image.partition(",")[2])
    assert b"evil" not in base64.b64decode(shown.image.partition(",")[2])
    assert opened(shown.image).convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    assert (shown.width, shown.height, shown.tiny) == (20, 10, True)
    assert shown.alt == "c, n"


def test_large_pictures_become_small_and_keep_their_shape():
    noise = np.random.default_rng(0).integers(0, 256, (600, 1200, 3), dtype=np.uint8)
    shown = tile(Case(noise, kind="image"))
    assert opened(shown.image).size == (SIDE, SIDE // 2)
    assert len(shown.image) < 40_000
    assert shown.alt == "an image"


def test_what_is_transparent_lies_on_white():
    shown = tile(Case(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), kind="image"))
    assert opened(shown.image).convert("L").getextrema() == (255, 255)


@pytest.mark.parametrize("item", [b"nothing", "no/such.png", np.zeros((0, 3)), None, "http://a.b/c.png", {"path": 3}])
def test_what_cannot_be_shown_says_why(item):
    shown = tile(Case(item, kind="image"))
    assert shown.broken
    assert shown.image == ""


def test_colours_survive():
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, :10, 0], stripes[:, 10:20, 1], stripes[:, 20:, 2] = 250, 200, 150
    assert np.array_equal(np.asarray(opened(tile(Case(stripes, kind="image")).image).convert("RGB")), stripes)


def test_long_words_are_cut_and_other_items_are_written_out():
    assert words("x" * 1000) == "x" * WORDS + " …"
    assert words([1, 2]) == "[1, 2]"
    assert tile(Case(None, "name")).words is None


def test_what_is_no_character_becomes_a_mark():
    assert plain("a\x00b\ud800c\x1bd\u202ee") == "a\ufffdb?c\ufffdd\ufffde"
    assert plain("tab\tline\nü 漢 😀") == "tab\tline\nü 漢 😀"


@pytest.mark.parametrize(
    "text",
    [
        "\u6771\u4eac\u3000\u5927\u962a",  # a wide space between two words
        "\u0915\u094d\u200d\u0937",  # a joiner, without which other letters are drawn
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # a parting of letters
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",  # a family in one sign
        "10\u00a0kg, soft\u00adly",
    ],
)
def test_spaces_and_joiners_of_other_scripts_are_kept(text):
    assert plain(text) == text


def test_ends_of_lines_of_any_system_are_ends_of_lines():
    assert plain("a\r\nb\rc\u2028d\u2029e") == "a\nb\nc\nd\ne"


def test_answers_are_shown_in_order():
    shown = tile(Case("q", answers=(Case("a", right=True), Case("b", right=False), Case("c"))))
    assert [(a.words, a.right) for a in shown.answers] == [("a", True), ("b", False), ("c", False)]
