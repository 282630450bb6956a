"""Probabilities of the old space become probabilities of the new one."""

import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import calibration
from commonspace.upgrade.calibrators import migrate_calibrator


def answers(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    s = rng.uniform(0, 1, n)
    return s, rng.random(n) < s**2


def test_without_judgements_a_change_of_scores_that_rises_carries_the_function_along():
    s, right = answers()
    old = calibration(s, right, resamples=10)
    moved = migrate_calibrator(old, s, 5 * s + 2)
    at = np.linspace(0.05, 0.95, 19)
    assert np.allclose(moved.probability(5 * at + 2), old.probability(at), atol=0.02)
    assert moved.by == "share"
    assert moved.error is None
    assert "not checked" in str(moved)


def test_with_judgements_it_is_the_fit_on_the_new_scores_and_tells_what_leaving_it_would_do():
    s, right = answers()
    old = calibration(s, right, resamples=10)
    new = np.sqrt(s)
    found = migrate_calibrator(old, s, new, right, resamples=200)
    want = calibration(new, right, resamples=200)
    assert np.array_equal(found.fit[1], want.fit[1])
    assert found.error == want.error
    grid = np.linspace(0.1, 0.95, 10)
    assert np.allclose(found.probability(grid), grid**4, atol=0.1)
    assert found.left.value > 0.1 > 2 * found.error.value
    assert found.left.low < found.left.value < found.left.high


def test_the_error_of_what_is_left_is_that_of_a_naive_loop():
    s, right = answers(100)
    old = calibration(s, right, resamples=10)
    new = s[::-1].copy()
    found = migrate_calibrator(old, s, new, right, resamples=10)
    p = old.probability(new)
    order = np.argsort(p, kind="stable")
    bins = [order[10 * i : 10 * i + 10] for i in range(10)]
    assert found.left.value == pytest.approx(sum(abs((p[b] - right[b]).sum()) for b in bins) / 100)


def test_it_can_move_twice():
    s, right = answers()
    once = migrate_calibrator(calibration(s, right, resamples=10), s, 2 * s)
    twice = migrate_calibrator(once, 2 * s, s)
    assert np.allclose(twice.probability(s), once.probability(2 * s), atol=0.01)


def test_probabilities_rise_and_are_json():
    s, right = answers(200)
    new = np.round(s, 1)  # many equal scores
    for found in (migrate_calibrator(calibration(s, right), s, new, r, resamples=20) for r in (None, right)):
        p = found.probability(np.linspace(-1, 2, 60))
        assert (np.diff(p) >= 0).all()
        assert 0 <= p.min() <= p.max() <= 1
        assert (np.diff(found.fit[0]) > 0).all()
        assert json.loads(json.dumps(found.to_dict()))["by"] == found.by


def test_few_right_answers_are_said():
    s, _ = answers(200)
    right = s > 0.97
    found = migrate_calibrator(calibration(s, right, resamples=10), s, s, right, resamples=10)
    assert "differ from the rest" in found.doubts[0]


def test_too_few_scores_are_refused():
    s, right = answers(200)
    with pytest.raises(BadInput, match="at least 20"):
        migrate_calibrator(calibration(s, right, resamples=10), s, s[:5])


def test_what_cannot_be_moved_is_refused():
    s, right = answers(200)
    old = calibration(s, right, resamples=10)
    with pytest.raises(BadInput, match="not float"):
        migrate_calibrator(0.5, s, s)
    with pytest.raises(BadInput, match=r"all 200 new scores are 0.5"):
        migrate_calibrator(old, s, np.full(200, 0.5))
    with pytest.raises(BadInput, match="right must hold one number"):
        migrate_calibrator(old, s, s, ["yes"] * 200)
