import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import Ranks


def test_ties_are_counted_with_what_stands_above_them():
    ranks = Ranks.of([[5, 3, 3, 3, 1]], [[1, 1, 0, 1, 1]])
    assert ranks.above.tolist() == [0, 1, 1, 4]
    assert ranks.tied.tolist() == [1, 3, 3, 1]
    ties = ranks.ties
    assert (ties.above.tolist(), ties.size.tolist()) == ([0, 1, 4], [1, 3, 1])
    assert (ties.relevant.tolist(), ties.before.tolist()) == ([1, 2, 1], [0, 1, 3])


@pytest.mark.parametrize("answers", ["some", "one each", "as many as queries"])
def test_places_agree_with_a_naive_count_on_random_scores(answers):
    rng = np.random.default_rng(0)
    scores, relevance = rng.integers(0, 9, (20, 40)).astype(np.float32), rng.random((20, 40)) < 0.2
    scores[:, ::7] = -np.inf
    if answers != "some":  # one each is counted in another way
        relevance = np.arange(40) == rng.integers(0, 40, 20)[:, None]
    if answers == "as many as queries":
        relevance[3], relevance[4] = False, np.isin(np.arange(40), [1, 2])
    ranks = Ranks.of(scores, relevance)
    want = sorted(
        (q, (scores[q] > scores[q, i]).sum(), (scores[q] == scores[q, i]).sum())
        for q, i in zip(*np.nonzero(relevance), strict=True)
    )
    assert sorted(zip(ranks.query, ranks.above, ranks.tied, strict=True)) == want


def test_plus_and_minus_zero_are_the_same_score_and_minus_infinity_ranks_last():
    assert Ranks.of([[0.0, -0.0]], [[1, 0]]).tied.tolist() == [2]
    assert Ranks.of([[-np.inf, -5.0]], [[1, 0]]).above.tolist() == [1]


def test_a_block_without_queries_or_relevant_items_is_empty_not_an_error():
    assert Ranks.of(np.zeros((0, 3)), np.zeros((0, 3))).ties.query.shape == (0,)
    assert Ranks.of(np.zeros((2, 3)), np.zeros((2, 3))).relevant.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("scores", "relevance", "says"),
    [
        ([[1.0, np.nan]], [[1, 0]], "query 0 and item 1"),
        ([1.0, 2.0], [[1, 0]], "shape"),
        ([["a"]], [[1]], "numeric"),
        ([[1.0, 2.0]], [[1, 0, 0]], "1 queries x 2 items"),
        ([[1.0, 2.0]], [[1, -1]], "not negative"),
        ([[1.0, 2.0]], [[1, np.nan]], "finite"),
    ],
)
def test_bad_input_is_named(scores, relevance, says):
    with pytest.raises(BadInput, match=says):
        Ranks.of(scores, relevance)
