import numpy as np

from commonspace.reshape import shared_vocabulary


def test_words_match_without_case_marks_and_unicode_forms():
    a = ["Cat", "dog", "fish", "café"]
    b = ["▁dog", "Ġcat", "bird", "cafe\u0301</w>", "##fish"]
    found = shared_vocabulary(a, b)
    assert found.words == ("cat", "dog", "café")
    np.testing.assert_array_equal(found.first, [0, 1, 3])
    np.testing.assert_array_equal(found.second, [1, 0, 3])
    assert len(found) == 3
    assert str(found) == "3 words in both: cat, dog, café"


def test_of_several_spellings_the_same_one_counts_and_otherwise_the_first():
    found = shared_vocabulary(["US", "us", "it"], ["It", "us", "▁it"])
    assert dict(zip(found.words, zip(found.first, found.second, strict=True), strict=True)) == {
        "us": (1, 1),
        "it": (2, 0),
    }


def test_empty_words_and_vocabularies_match_nothing():
    assert len(shared_vocabulary(["", " ", "▁"], ["", "▁"])) == 0
    found = shared_vocabulary([], ["a"])
    assert (len(found), found.first.dtype, str(found)) == (0, np.int64, "no words in both")


def test_each_word_is_listed_once():
    found = shared_vocabulary(["a", "A", "a"], ["a", "a"])
    assert found.words == ("a",)
