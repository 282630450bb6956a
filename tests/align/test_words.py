from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.align.words import word_pattern, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("लाल गाड़ी, हिन्दी!", ["लाल", "गाड़ी", "हिन्दी"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("cafe\u0301 au lait", ["cafe\u0301", "au", "lait"]),
        ("I \u2764\ufe0f it", ["I", "it"]),
        ("snake_case 42", ["snake_case", "42"]),
        ("", []),
    ],
)
def test_a_word_keeps_its_marks(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(st.characters(exclude_categories=["M"]), max_size=30))
def test_without_marks_words_are_those_of_python(text: str) -> None:
    assert words_of(text) == re.findall(word_pattern(), text) == re.findall(r"\w+", text)
