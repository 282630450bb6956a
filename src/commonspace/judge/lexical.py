"""Baselines that read words: what a search without any space finds, where both sides are texts.

    bm25      Okapi's weighting with k1 = 1.5 and b = 0.75, words in lower case (`bm25s`)
    n-grams   cosine of tf-idf weights of character n-grams of 3 to 5 within words

Source: Robertson and Walker, "Some simple effective approximations to the 2-Poisson model for probabilistic weighted
retrieval", 1994.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from commonspace.core.registry import need


def bm25(queries: Sequence[str], gallery: Sequence[str]) -> np.ndarray:
    """Return (q, n) scores by shared words.

    Raises
    ------
    NotInstalled
        Without `bm25s`.
    """
    bm25s = need("bm25s")
    words = [_words(text) for text in gallery]
    known = {w for text in words for w in text}
    scores = np.zeros((len(queries), len(gallery)), np.float32)
    if not known:
        return scores
    index = bm25s.BM25(k1=1.5, b=0.75)
    index.index(words, show_progress=False)
    for i, query in enumerate(queries):
        if asked := [w for w in _words(query) if w in known]:
            scores[i] = index.get_scores(asked)
    return scores


def ngram_match(queries: Sequence[str], gallery: Sequence[str]) -> np.ndarray:
    """Return (q, n) scores by shared character n-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(map(_words, gallery)):
        return np.zeros((len(queries), len(gallery)), np.float32)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), dtype=np.float32)
    known = grams.fit_transform(gallery)
    scores: np.ndarray = (grams.transform(queries) @ known.T).toarray()
    return scores


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
