"""Baselines that read words: what a search without any space finds, where both sides are texts.

    bm25      Okapi's weighting with k1 = 1.5 and b = 0.75 (`bm25s`), words in lower case, English stop words left in
    n-grams   cosine of tf-idf weights of character n-grams of 3 to 5 within words

Both are made from a gallery, once, and then score queries against all of it.

Source: Robertson and Walker, "Some simple effective approximations to the 2-Poisson model for probabilistic weighted
retrieval", 1994.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from commonspace.core.registry import need

#: Texts -> (q, n) scores of a gallery, higher is better.
Score = Callable[[Sequence[str]], np.ndarray]


def bm25(gallery: Sequence[str]) -> Score:
    """Return what scores by shared words.

    Raises
    ------
    NotInstalled
        Without `bm25s`.
    """
    bm25s = need("bm25s")
    texts = [words(text) for text in gallery]
    known = {w for text in texts for w in text}
    index = bm25s.BM25(k1=1.5, b=0.75)
    if known:
        index.index(texts, show_progress=False)

    def score(queries: Sequence[str]) -> np.ndarray:
        scores = np.zeros((len(queries), len(texts)), np.float32)
        for i, query in enumerate(queries):
            if asked := [w for w in words(query) if w in known]:
                scores[i] = index.get_scores(asked)
        return scores

    return score


def ngram_match(gallery: Sequence[str]) -> Score:
    """Return what scores by shared character n-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(map(words, gallery)):
        return lambda queries: np.zeros((len(queries), len(gallery)), np.float32)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), dtype=np.float32)
    known = grams.fit_transform(gallery)

    def score(queries: Sequence[str]) -> np.ndarray:
        scores: np.ndarray = (grams.transform(queries) @ known.T).toarray()
        return scores

    return score


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return re.findall(r"\w+", text.lower())
