"""A cut-off of the old space becomes one of the new space that lets the same pass, or what is as often right."""

import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.upgrade.cutoffs import migrate_cutoff


def answers(n=2000, seed=0, sharp=8.0):
    """Scores and whether each is right, with a chance that rises with the score."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0, 1, n)
    return s, rng.random(n) < 1 / (1 + np.exp(-sharp * (s - 0.5)))


@pytest.mark.parametrize("cutoff", [0.2, 0.5, 0.9])
def test_a_linear_change_of_scores_moves_the_cutoff_by_the_same_line(cutoff):
    s, _ = answers()
    found = migrate_cutoff(cutoff, s, 0.3 * s - 1, resamples=50)
    assert float(found) == pytest.approx(0.3 * cutoff - 1)
    assert found.by == "share"
    assert found.shares[0].value == found.shares[1].value


@pytest.mark.parametrize("change", [np.exp, lambda s: s**3, lambda s: -1 / (s + 0.1)])
def test_a_rising_change_of_scores_lets_the_same_answers_pass(change):
    s, right = answers()
    by_share = migrate_cutoff(0.6, s, change(s), resamples=20)
    assert np.array_equal(change(s) >= float(by_share), s >= 0.6)
    by_labels = migrate_cutoff(0.6, s, change(s), right, resamples=20)
    passed = change(s) >= float(by_labels)
    assert abs(passed.mean() - (s >= 0.6).mean()) < 0.02  # equal up to where the fit is flat
    assert right[passed].mean() == pytest.approx(right[s >= 0.6].mean(), abs=0.01)


def test_sides_of_different_answers_keep_the_share():
    rng = np.random.default_rng(0)
    old, new = rng.normal(0, 1, 5000), rng.normal(2, 3, 8000)
    found = migrate_cutoff(1.0, old, new, resamples=200)
    assert float(found) == pytest.approx(2 + 3 * 1.0, abs=0.15)
    assert found.value.low <= 5 <= found.value.high


def test_by_precision_it_is_the_lowest_cutoff_whose_answers_are_right_often_enough():
    s, right = answers(4000)
    found = migrate_cutoff(0.6, s, s, right, precision=0.9, resamples=200)
    # precision(c) = 0.9 of the truth, solved numerically
    grid = np.linspace(0, 1, 20001)
    p = 1 / (1 + np.exp(-8 * (grid - 0.5)))
    above = np.cumsum(p[::-1])[::-1] / np.arange(len(grid), 0, -1)
    truth = grid[np.argmax(above >= 0.9)]
    assert found.value.low <= truth <= found.value.high
    assert float(found) == pytest.approx(truth, abs=0.05)
    assert found.precisions[1].low <= 0.9 <= found.precisions[1].high
    assert found.goal == 0.9


def test_a_better_space_lets_more_pass_at_the_same_precision():
    s, right = answers(3000, sharp=6)
    rng = np.random.default_rng(1)
    better = right + rng.normal(0, 0.3, 3000)
    by_labels, by_share = (migrate_cutoff(0.7, s, better, r, resamples=50) for r in (right, None))
    assert by_labels.shares[1].low > by_labels.shares[0].high
    assert by_share.shares[1].value == pytest.approx(by_share.shares[0].value, abs=0.002)
    assert "another precision" in by_share.doubts[0]


def test_fitted_precision_is_that_of_a_naive_loop_where_the_share_right_rises():
    s = np.arange(30.0)
    right = np.r_[np.zeros(10), np.tile([0, 1], 5), np.ones(10)]
    found = migrate_cutoff(14.5, s, s, right, precision=0.7, resamples=5)
    # the first of the pairs is wrong and joins those below, the last is right and joins those above
    fitted = np.r_[np.zeros(11), np.full(8, 0.5), np.ones(11)]
    above = [fitted[i:].mean() for i in range(30)]
    first = next(i for i in range(30) if above[i] >= 0.7)
    assert float(found) == first - 0.5


def test_a_precision_that_no_cutoff_has_is_said():
    rng = np.random.default_rng(0)
    s = rng.random(400)
    found = migrate_cutoff(0.5, s, s, rng.random(400) < 0.4, precision=0.99, resamples=20)
    assert "no cut-off of the new space" in found.doubts[0]
    assert "no cut-off" in str(found)


def test_a_precision_that_other_answers_do_not_have_is_said():
    rng = np.random.default_rng(0)
    s = rng.random(300)
    right = rng.random(300) < s
    new = 0.5 * s + 0.05 * rng.normal(size=300)
    found = migrate_cutoff(0.6, s, new, right, precision=0.999)
    assert found.precisions[1].high < 0.999
    assert "fewer are right than the 0.999" in str(found)
    assert "fewer are right" not in str(migrate_cutoff(0.6, s, new, right))


@pytest.mark.parametrize("judged", [True, False])
def test_answers_to_few_queries_are_said_to_be_such(judged):
    s, right = answers(100)
    told = migrate_cutoff(0.5, s, s, right if judged else None, groups=np.arange(100) % 3)
    assert "to 3 queries" in str(told)
    assert "queries:" not in str(migrate_cutoff(0.5, s, s, right if judged else None))


def test_a_pair_may_be_a_list():
    s, right = answers(100)
    told = [migrate_cutoff(0.5, s, s, p, groups=g) for p, g in (((right,) * 2, (s,) * 2), ([right] * 2, [s] * 2))]
    assert told[0].to_dict() == told[1].to_dict()


def test_the_interval_covers_the_cutoff_of_many_answers():
    grid = np.linspace(0, 1, 20001)
    p = 1 / (1 + np.exp(-8 * (grid - 0.5)))
    truth = grid[np.argmax(np.cumsum(p[::-1])[::-1] / np.arange(len(grid), 0, -1) >= 0.85)]
    inside = []
    for seed in range(30):
        s, right = answers(400, seed)
        value = migrate_cutoff(0.6, s, s, right, precision=0.85, resamples=60, random_state=seed).value
        inside.append(value.low <= truth <= value.high)
    assert np.mean(inside) > 0.8


def test_answers_of_one_query_are_drawn_together():
    s, _ = answers(300)
    query = np.repeat(np.arange(30), 10)
    shifts = np.random.default_rng(2).normal(0, 0.5, 30)[query]
    alone = migrate_cutoff(0.6, s, s + shifts, resamples=300)
    together = migrate_cutoff(0.6, s, s + shifts, groups=query, resamples=300)
    assert float(alone) == float(together)
    assert together.value.high - together.value.low > 1.2 * (alone.value.high - alone.value.low)
    apart = migrate_cutoff(0.6, s, s[:200] + shifts[:200], groups=(query, query[:200]), resamples=20)
    assert apart.value.n == 200


def test_the_same_seed_gives_the_same_and_all_of_it_is_json():
    s, right = answers(200)
    a, b = (migrate_cutoff(0.5, s, s**2, right, resamples=30) for _ in range(2))
    assert a.to_dict() == b.to_dict()
    assert json.loads(json.dumps(a.to_dict()))["by"] == "precision"
    assert "cut-off 0.500 becomes" in str(a)


def test_equal_scores_and_half_precision_are_taken():
    s, right = answers(300)
    coarse = np.round(s, 1).astype(np.float16)
    found = migrate_cutoff(0.5, coarse, coarse, right, resamples=20)
    assert 0.4 <= float(found) <= 0.6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cutoff": 2.0}, "0 of 100 old scores"),
        ({"cutoff": -1.0}, "100 of 100"),
        ({"cutoff": np.nan}, "0 of 100"),
        ({"cutoff": "0.5"}, "the cut-off must be a number"),
        ({"cutoff": None}, "the cut-off must be a number"),
        ({"cutoff": True}, "the cut-off must be a number"),
        ({"cutoff": [0.5]}, "the cut-off must be a number"),
        ({"cutoff": 0.5j}, "the cut-off must be a number"),
        ({"old_scores": np.full(100, 0.5)}, "100 of 100"),
        ({"new_scores": np.full(100, 0.5)}, "all 100 new scores are 0.5: no cut-off"),
        ({"new_scores": np.full(100, 0.5), "right": np.arange(100) % 2}, "all 100 new scores are 0.5: no cut-off"),
        ({"old_scores": ["a"] * 100}, "old_scores must hold one number"),
        ({"right": np.zeros(100)}, r"none is right: .* precision=, or leave right out"),
        ({"right": ["yes"] * 100}, "yes or no"),
        ({"right": 1}, "yes or no"),
        ({"right": np.array(True)}, "yes or no"),
        ({"groups": 3}, "one label"),
        ({"confidence": 2}, "confidence must lie between"),
        ({"old_scores": np.zeros(5)}, "at least 20"),
        ({"new_scores": np.full(100, np.nan)}, "NaN"),
        ({"right": np.full(100, 0.5)}, "yes or no"),
        ({"right": np.zeros(99)}, "yes or no"),
        ({"precision": 0.9}, "with judgements"),
        ({"right": np.zeros(100), "precision": 1.5}, "precision"),
        ({"groups": np.zeros(3)}, "one label"),
    ],
)
def test_what_says_nothing_is_refused(changes, words):
    s, _ = answers(100)
    with pytest.raises(BadInput, match=words):
        migrate_cutoff(**{"cutoff": 0.5, "old_scores": s, "new_scores": s, **changes})


def test_a_cutoff_may_be_any_number():
    s, _ = answers(100)
    for cutoff in (0.5, np.float32(0.5), np.array(0.5)):
        assert migrate_cutoff(cutoff, s, s, resamples=5).old == 0.5
    assert migrate_cutoff(0, s - 0.5, s, resamples=5).old == 0.0


def test_what_cannot_be_kept_or_told_is_said():
    s, right = answers(200)
    two = np.where(s > 0.5, 0.8, 0.2)
    assert "many new answers are of one score: " in "\n".join(migrate_cutoff(0.9, s, two, resamples=20).doubts)
    assert not any("one score" in d for d in migrate_cutoff(0.9, s, s**2, resamples=20).doubts)
    every = migrate_cutoff(0.5, s, s, (right, np.ones(200)), resamples=20)
    assert every.doubts[0].startswith("all new answers are right")
    none = migrate_cutoff(0.5, s, s, (right, np.zeros(200)), resamples=20)
    assert none.doubts[0].startswith("no cut-off of the new space reaches")
