import numpy as np
import pytest

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.search import name_items


def data(n=12, v=50, d=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(v, d)), [f"word{i}" for i in range(v)]


def test_names_are_the_words_of_largest_cosine():
    x, V, words = data()
    cosines = unit(x) @ unit(V).T
    for names, row in zip(name_items(x, V, words, 5), cosines, strict=True):
        order = np.argsort(-row)[:5]
        assert names.ids == [words[i] for i in order]
        np.testing.assert_allclose(names.scores, row[order], atol=1e-6)


def test_length_does_not_matter():
    x, V, words = data()
    assert [h.ids for h in name_items(9 * x, 3 * V, words)] == [h.ids for h in name_items(x, V, words)]


def test_a_word_with_several_vectors_is_named_once_by_its_best():
    x, V, _ = data(v=6)
    words = ["a", "a", "a", "b", "b", "c"]
    cosines = unit(x) @ unit(V).T
    for names, row in zip(name_items(x, V, words, 3), cosines, strict=True):
        assert sorted(names.ids) == ["a", "b", "c"]
        best = {w: max(row[[i for i, u in enumerate(words) if u == w]]) for w in "abc"}
        np.testing.assert_allclose(names.scores, sorted(best.values(), reverse=True), atol=1e-6)


def test_a_bank_takes_words_off_that_are_near_everything():
    rng = np.random.default_rng(1)
    x = unit(rng.normal(size=(40, 6)) + 1.5)
    V = np.vstack([np.ones((1, 6)), x + 0.4 * rng.normal(size=x.shape)])
    words = ["hub", *map(str, range(40))]
    bank = unit(rng.normal(size=(300, 6)) + 1.5)
    plain, corrected = name_items(x, V, words, 1), name_items(x, V, words, 1, bank=bank)
    assert sum(h.ids == ["hub"] for h in corrected) < sum(h.ids == ["hub"] for h in plain)
    assert sum(h.ids == [str(i)] for i, h in enumerate(corrected)) > sum(h.ids == [str(i)] for i, h in enumerate(plain))


def test_fewer_words_than_asked_for_are_all_named_and_no_items_have_no_names():
    x, V, words = data(v=3)
    assert all(len(h) == 3 for h in name_items(x, V, words, 8))
    assert name_items(x[:0], V, words) == []
    assert name_items(x[:1], V, words, 1)[0].to_table()[0]["word"] in words


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x, V, w: name_items(x, V, w[:-1]), BadInput, "49 words and 50 vectors"),
        (lambda x, V, w: name_items(x, V[:, :3], w), SpaceMismatch, "vocabulary_vectors"),
        (lambda x, V, w: name_items(x, V[:0], []), BadInput, "empty"),
        (lambda x, V, w: name_items(x * 0, V, w), BadInput, "zero vectors"),
        (lambda x, V, w: name_items(x * np.nan, V, w), BadInput, "NaN"),
        (lambda x, V, w: name_items(x, V, w, 0), BadInput, "k must be"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call(*data())


def test_an_empty_bank_is_not_taken_for_a_correction():
    with pytest.raises(BadInput, match="the bank is empty"):
        name_items(np.eye(3), np.eye(3), ["a", "b", "c"], bank=np.zeros((0, 3)))
