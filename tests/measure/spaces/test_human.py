import json

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure import compare_agreement, odd_one_out, rating_agreement, two_of_three


def rated(items: int = 60, pairs: int = 300, word: float = 1.0, seed: int = 0):
    """Ratings and the scores of a good and a bad model, each wrong about single items as well as about pairs."""
    rng = np.random.default_rng(seed)
    at = np.array([rng.choice(items, 2, replace=False) for _ in range(pairs)])
    truth = rng.normal(size=pairs)
    ratings = truth + 0.5 * rng.normal(size=pairs)
    models = {}
    for name, noise in (("good", 0.7), ("bad", 4.0)):
        effect = word * rng.normal(size=items)
        models[name] = truth + noise * rng.normal(size=pairs) + effect[at].sum(axis=1)
    return models, ratings, at


@pytest.mark.parametrize(("method", "reference"), [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)])
def test_the_value_is_that_of_scipy(method, reference):
    models, ratings, _ = rated()
    found = rating_agreement(models["good"], ratings, method=method)
    assert found.value == pytest.approx(reference(models["good"], ratings).statistic)
    assert found.low < found.value < found.high
    assert found.n == 300


def test_intervals_cover_the_truth_only_if_they_know_that_pairs_share_items():
    noise = np.sqrt(1 + 0.7**2 + 2)
    truth = 1 / np.sqrt(1.25) / noise
    inside = {"items": 0, "alone": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        at = np.array([rng.choice(25, 2, replace=False) for _ in range(200)])
        t, effect_r, effect_s = rng.normal(size=200), rng.normal(size=25), rng.normal(size=25)
        # Both sides have effects of items, independent of each other: that is what makes pairs hang together.
        ratings = t + 0.5 * rng.normal(size=200) + effect_r[at].sum(axis=1)
        scores = t + 0.7 * rng.normal(size=200) + effect_s[at].sum(axis=1)
        truth = 1 / np.sqrt((1.25 + 2) * (1.49 + 2))
        for name, items in (("items", at), ("alone", None)):
            e = rating_agreement(scores, ratings, method="pearson", items=items)
            inside[name] += e.low <= truth <= e.high
    assert inside["items"] >= 176  # 190 expected of a perfect interval; 25 items are few
    assert inside["alone"] < 165


def test_differences_are_those_of_the_values_and_find_the_better_model():
    models, ratings, at = rated()
    models["same"] = models["good"]
    found = {(c.a, c.b): c for c in compare_agreement(models, ratings, items=at)}
    one = found["good", "bad"]
    expected = [rating_agreement(models[m], ratings, items=at).value for m in ("good", "bad")]
    assert one.difference == pytest.approx(expected[0] - expected[1])
    assert one.low > 0
    assert one.p_value < 0.01
    assert one.p_value >= one.p_value_raw
    assert found["good", "same"].p_value == 1


def test_equal_models_are_rarely_told_apart():
    alarms = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        at = np.array([rng.choice(40, 2, replace=False) for _ in range(150)])
        t = rng.normal(size=150)
        models = {m: t + rng.normal(size=150) + rng.normal(size=40)[at].sum(axis=1) for m in "ab"}
        alarms += compare_agreement(models, t + rng.normal(size=150), items=at, method="pearson")[0].p_value <= 0.05
    assert alarms <= 10  # 4 expected; more has a chance below 1 %


def naive_two(to_a, to_b, votes):
    earned = []
    for a, b, v in zip(to_a, to_b, votes, strict=True):
        earned.append(v if a > b else 1 - v if b > a else 0.5)
    return earned


def test_two_of_three_earns_the_share_of_votes():
    rng = np.random.default_rng(0)
    a, b = np.round(rng.random((2, 80)), 1)
    votes = rng.integers(0, 6, 80) / 5
    found = two_of_three(a, b, votes, voters=5)
    np.testing.assert_allclose(found.accuracy.per_query, naive_two(a, b, votes))
    assert found.best.value == pytest.approx(np.maximum(votes, 1 - votes).mean())
    assert found.chance == 0.5
    assert found.accuracy.value <= found.best.value


def test_what_a_person_earns_is_the_agreement_of_two_voters():
    rng = np.random.default_rng(1)
    cast = rng.random((4000, 5)) < 0.7
    found = two_of_three(np.ones(4000), np.zeros(4000), cast.mean(axis=1), voters=5)
    assert found.person.value == pytest.approx(0.7**2 + 0.3**2, abs=0.015)
    assert found.best.value > 0.73  # the majority of few voters knows how they voted
    assert found.accuracy.value == pytest.approx(0.7, abs=0.02)


def test_the_odd_one_is_outside_the_most_similar_pair():
    similar = np.array([[0.9, 0.1, 0.2], [0.1, 0.9, 0.2], [0.5, 0.5, 0.1]])
    votes = np.array([[1.0, 0, 0], [0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
    found = odd_one_out(similar, votes)
    np.testing.assert_allclose(found.accuracy.per_query, [1, 0.5, 0.5])
    assert found.chance == pytest.approx(1 / 3)
    assert found.person is None
    assert "chance 0.333" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["best"]["n"] == 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rating_agreement([1, 2, 3, 4, 5], [1, 2, 3]), "3 ratings"),
        (lambda: rating_agreement([1, 2, 3, 4], [1, 2, 3, 4]), "at least 5"),
        (lambda: rating_agreement([1, 2, 3, 4, np.nan], [1, 2, 3, 4, 5]), "first at 4"),
        (lambda: rating_agreement(np.arange(5), np.ones(5)), "all the same"),
        (lambda: rating_agreement(np.arange(5), np.arange(5), items=np.ones(5)), "items must have shape"),
        (lambda: rating_agreement(np.arange(5), np.arange(5), items=np.ones((5, 2)), groups=np.ones(5)), "not both"),
        (lambda: compare_agreement({"a": np.arange(5)}, np.arange(5)), "at least two"),
        (lambda: two_of_three([1], [2], [1.5]), "shares"),
        (lambda: two_of_three([1], [2, 3], [0.5]), "same questions"),
        (lambda: two_of_three([1], [2], [0.5], voters=1), "at least 2"),
        (lambda: odd_one_out(np.ones((2, 2)), np.ones((2, 2))), "shape"),
        (lambda: odd_one_out(np.zeros((0, 3)), np.zeros((0, 3))), "same questions"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call()


def test_a_comparison_says_which_test_it_is_and_how_many_units_are_behind_it():
    models, ratings, at = rated()
    (pairs,), (items,) = compare_agreement(models, ratings), compare_agreement(models, ratings, items=at)
    assert (pairs.test, pairs.groups, pairs.n) == ("t", 300, 300)
    assert (items.test, items.groups, items.n) == ("t", len(np.unique(at)), 300)


def test_intervals_of_a_comparison_have_the_confidence_asked_for():
    models, ratings, at = rated()
    (narrow,), (wide,) = (compare_agreement(models, ratings, items=at, confidence=c) for c in (0.5, 0.99))
    assert (narrow.confidence, wide.confidence) == (0.5, 0.99)
    assert wide.low < narrow.low < narrow.difference < narrow.high < wide.high
    assert narrow.p_value == wide.p_value
