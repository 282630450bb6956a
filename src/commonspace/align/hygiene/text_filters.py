"""`filter_texts`: which texts of pairs found in the wild say too little to learn from, by counting alone.

Scraped texts are partly no descriptions at all: one line that stands beside thousands of pictures, a file name, a whole
page. Counting finds them before anything is encoded. A pair is dropped for the first of these that holds:

    empty       the text has no word
    shared      more than `most_items` different items have this very text
    crowded     the item has more than `most_texts` different texts
    short       fewer than `fewest_words` words
    long        more than `most_words` words
    rare        a word that occurs in fewer than `least_seen` texts

Texts are compared, and words counted, without case and outer blanks. What these limits should be depends on the data:
look at the audit before you train.

Source: the filters of "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision".
Theirs keep texts whose words and pairs of words are among the 100 million most frequent; a number of texts says the
same of words and needs no choice for each size of data. They filter pictures by size and shape, too: that is the work
of whoever has the pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.align.hygiene.audit import Audit, Columns, shown
from commonspace.align.words import words_of
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.vectors import check_positive

PAPER = Paper(
    "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision",
    2021,
    "https://arxiv.org/abs/2102.05918",
)
KEPT = "kept"


@dataclass(frozen=True)
class FilteredTexts(Audit):
    """What `filter_texts` decided.

    Parameters
    ----------
    texts : list of n str
        The texts as they were given.
    verdict : (n,) str
        "kept", or the name of what the text was dropped for.
    reason : list of n str
        The same in words, with the count that decided; empty for what is kept.
    """

    texts: list[str]
    verdict: np.ndarray
    reason: list[str]

    @property
    def kept(self) -> np.ndarray:
        """Positions of the pairs that stay, ascending."""
        return np.flatnonzero(self.verdict == KEPT)

    def table(self, items: Columns | None = None, *, ids: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Return the audit: one row a dropped pair, those dropped for one reason together, texts in order.

        Parameters
        ----------
        items : mapping of str to sequence of n, optional
            Further columns to be shown.
        ids : sequence of n, optional
            Names of the pairs; positions by default.
        """
        ids, columns = shown(len(self.texts), items, ids)
        dropped = sorted(np.flatnonzero(self.verdict != KEPT).tolist(), key=lambda i: (self.verdict[i], self.texts[i]))
        return [
            {
                "id": ids[i],
                "verdict": str(self.verdict[i]),
                "reason": self.reason[i],
                "text": self.texts[i],
                **{name: column[i] for name, column in columns.items()},
            }
            for i in dropped
        ]

    def __str__(self) -> str:
        counts = Counter(self.verdict.tolist())
        kept = counts.pop(KEPT, 0)
        dropped = ", ".join(f"{name} {n:,}" for name, n in counts.most_common()) or "none"
        return f"of {len(self.verdict):,} pairs {kept:,} are kept; dropped: {dropped}"


def filter_texts(
    texts: Sequence[str | None],
    *,
    items: Sequence[Hashable] | None = None,
    most_items: int = 10,
    most_texts: int = 1000,
    fewest_words: int = 3,
    most_words: int = 20,
    least_seen: int = 1,
) -> FilteredTexts:
    """Say of each pair whether its text says enough to learn from.

    Parameters
    ----------
    texts : sequence of n str
        The text of each pair; None, NaN (as tables spell a missing cell) and blanks are no text.
    items : sequence of n, optional
        What the text belongs to, for example a picture's digest; equal means the same. By default every pair is an item
        of its own.
    most_items : int
        The most items that may share a text.
    most_texts : int
        The most different texts that an item may have.
    fewest_words, most_words : int
        How long a text may be. Set the first to 1 for names and labels, and for languages that are written without
        blanks, of which a sentence counts as one word.
    least_seen : int
        In how many of the different texts every word must occur; 1 asks nothing.

    Returns
    -------
    FilteredTexts

    Raises
    ------
    BadInput
        A limit below 1, limits that leave nothing, one text in place of several, something that is no text, items of
        another number or that cannot be told apart.
    """
    limits = {"most_items": most_items, "most_texts": most_texts, "fewest_words": fewest_words}
    for name, value in {**limits, "most_words": most_words, "least_seen": least_seen}.items():
        check_positive(name, value)
    if fewest_words > most_words:
        raise BadInput(f"fewest_words={fewest_words} and most_words={most_words} leave no text")
    if isinstance(texts, str | bytes):
        raise BadInput(f"texts must be a sequence of texts, not the text {texts!r}")
    owners: Sequence[Hashable] = range(len(texts)) if items is None else list(items)
    if len(owners) != len(texts):
        raise BadInput(f"every text needs its item: got {len(texts)} texts and {len(owners)} items")
    for i, owner in enumerate(owners):
        if not isinstance(owner, Hashable):
            raise BadInput(f"item {i} is a {type(owner).__name__}, which cannot be counted: pass its name or digest")
    given = [_text(text, i) for i, text in enumerate(texts)]
    keys = [" ".join(text.lower().split()) for text in given]
    pairs = set(zip(owners, keys, strict=True))
    items_of, texts_of = Counter(key for _, key in pairs), Counter(owner for owner, _ in pairs)
    words = {key: words_of(key) for key in items_of}
    seen = Counter(word for own in words.values() for word in set(own))

    def verdict(owner: Hashable, key: str) -> tuple[str, str]:
        own, n = words[key], len(words[key])
        if not own:
            return "empty", "no word"
        if items_of[key] > most_items:
            return "shared", f"{items_of[key]:,} items have this text, at most {most_items:,} may"
        if texts_of[owner] > most_texts:
            return "crowded", f"its item has {texts_of[owner]:,} texts, at most {most_texts:,} are allowed"
        if n < fewest_words:
            return "short", f"{n} words, at least {fewest_words} are needed"
        if n > most_words:
            return "long", f"{n} words, at most {most_words} are allowed"
        rarest = min(own, key=lambda word: (seen[word], word))
        if seen[rarest] < least_seen:
            return "rare", f"{rarest!r} is in {seen[rarest]} texts, every word must be in {least_seen}"
        return KEPT, ""

    found = [verdict(owner, key) for owner, key in zip(owners, keys, strict=True)]
    return FilteredTexts(given, np.array([v for v, _ in found], dtype=str), [r for _, r in found])


def _text(cell: Any, i: int) -> str:
    """Return a text, empty where there is none."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    if not isinstance(cell, str):
        raise BadInput(f"text {i} is a {type(cell).__name__}, {cell!r}: pass texts, and None where there is none")
    return cell
