"""The words that two vocabularies share: pairs for a bridge between two text encoders that cost nothing.

Words are compared without case, without marks that tokenisers put on them ("▁cat", "Ġcat", "cat</w>") and in one
Unicode form. Pieces that go on a word ("##ing") are no words and match nothing.

Source: lexical matching of tokens, in "SITTA: A Semantic Image-Text Alignment for Image Captioning".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_BEGINS = ("▁", "Ġ")  # sentencepiece and byte-level BPE: a word begins here
_GOES_ON = "##"  # WordPiece: this is not the beginning of a word
_ENDS = "</w>"


@dataclass(frozen=True)
class SharedVocabulary:
    """Words of two vocabularies that are the same.

    Parameters
    ----------
    words : tuple of str
        In the order of the first vocabulary.
    first, second : (k,) int64
        Where each stands in the first and in the second.
    """

    words: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    def __str__(self) -> str:
        shown = ", ".join(self.words[:5]) + (" ..." if len(self) > 5 else "")
        return f"{len(self)} words in both: {shown}" if len(self) else "no words in both"


def shared_vocabulary(a: Sequence[str], b: Sequence[str]) -> SharedVocabulary:
    """Return the words that are in both vocabularies and where they stand.

    Of several spellings of one word in a vocabulary the one counts that is spelt as in the other, otherwise the first.

    Parameters
    ----------
    a, b : sequence of str
        Words or tokens; position i is that of row i of the encoder's vectors.
    """
    places_a, places_b = _places(a), _places(b)
    words, first, second = [], [], []
    for word, of_a in places_a.items():
        of_b = places_b.get(word)
        if of_b is None:
            continue
        i, j = next(((i, j) for i in of_a for j in of_b if str(a[i]) == str(b[j])), (of_a[0], of_b[0]))
        words.append(word)
        first.append(i)
        second.append(j)
    return SharedVocabulary(tuple(words), np.array(first, np.int64), np.array(second, np.int64))


def _places(vocabulary: Iterable[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for i, token in enumerate(vocabulary):
        if word := _plain(str(token)):
            places.setdefault(word, []).append(i)
    return places


def _plain(token: str) -> str:
    """Return the word that a token stands for; nothing for a piece that goes on a word."""
    if token.startswith(_GOES_ON):
        return ""
    for mark in _BEGINS:
        token = token.removeprefix(mark)
    return unicodedata.normalize("NFKC", token.removesuffix(_ENDS)).strip().casefold()
