"""Words in any script that sets them apart: letters and digits with the marks that belong to them.

Python's own class of word characters leaves out the vowel signs of Devanagari, Tamil or Khmer and accents that stand
by themselves, and so cuts words where no reader would. Of scripts that are written without blanks (Chinese, Japanese,
Thai) a run of letters is one word.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache
from itertools import groupby


@lru_cache(maxsize=1)
def word_pattern() -> str:
    """Return the regular expression of one word."""
    return rf"\w[\w{_marks()}]*"


def words_of(text: str) -> list[str]:
    """Return the words of a text."""
    return re.findall(r"\w+" if text.isascii() else word_pattern(), text)


def _marks() -> str:
    """Return all combining marks as ranges of a character class; beyond the second plane there are only selectors."""
    found = [c for c in range(0x300, min(0x20000, sys.maxunicode)) if unicodedata.category(chr(c)).startswith("M")]
    runs = [[c for _, c in run] for _, run in groupby(enumerate(found), lambda place: place[1] - place[0])]
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)
