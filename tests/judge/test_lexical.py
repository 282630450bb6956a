"""Baselines of words find shared words, and nothing else."""

import numpy as np
import pytest

from commonspace.judge.lexical import bm25, ngram_match

GALLERY = ["a red car", "a blue boat", "Cars and boats", "", "red red wine"]


@pytest.mark.parametrize("score", [bm25, ngram_match])
def test_texts_that_share_words_score_and_others_do_not(score):
    if score is bm25:
        pytest.importorskip("bm25s")
    found = score(GALLERY)(["red", "boat", "zebra", ""])
    assert found.shape == (4, 5)
    assert found[0].argmax() in (0, 4)
    assert found[1].argmax() == 1
    assert not found[2:].any()


def test_bm25_is_its_formula():
    pytest.importorskip("bm25s")
    words = [t.lower().split() for t in GALLERY]
    n, mean = len(words), np.mean([len(w) for w in words])
    found = bm25(GALLERY)(["red boat"])[0]
    for i, text in enumerate(words):
        expected = 0.0
        for term in ("red", "boat"):
            df, tf = sum(term in w for w in words), text.count(term)
            idf = np.log(1 + (n - df + 0.5) / (df + 0.5))
            expected += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(text) / mean))
        assert found[i] == pytest.approx(expected, rel=1e-4)


def test_ngrams_see_that_a_plural_is_nearly_the_same_word():
    found = ngram_match(GALLERY)(["boats"])[0]
    assert found[1] > 0
    assert found[2] > found[1]


@pytest.mark.parametrize("score", [bm25, ngram_match])
def test_a_gallery_without_words_gives_no_scores(score):
    if score is bm25:
        pytest.importorskip("bm25s")
    assert not score(["", " "])(["red"]).any()
