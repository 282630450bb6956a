"""Scores across a bridge come to the scale of the new space, in order and in level."""

import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.upgrade.scale import Level, Scale, fit_scale, level


def scores(q=40, n=60, seed=0):
    return np.random.default_rng(seed).normal(0.3, 0.2, (q, n))


def test_a_known_line_is_found_again():
    x = scores()
    found = fit_scale(x, 1.7 * x - 0.2)
    assert found.slope == pytest.approx(1.7)
    assert found.shift == pytest.approx(-0.2)
    assert found.slopes == pytest.approx((1.7, 1.7))
    assert found.n == 40
    assert np.allclose(found(x), 1.7 * x - 0.2)


def test_it_is_the_least_squares_line_through_the_best_scores_rank_by_rank():
    x, y = scores(seed=1), scores(seed=2)
    found = fit_scale(x, y, depth=7)
    best = [np.sort(s, axis=1)[:, ::-1][:, :7].ravel() for s in (x, y)]
    assert [found.slope, found.shift] == pytest.approx(list(np.polyfit(*best, 1)))


def test_noise_in_single_scores_does_not_push_old_items_below_new_ones():
    rng = np.random.default_rng(1)
    native = scores(200, 300)
    across = native + rng.normal(0, 0.2, native.shape)
    found = fit_scale(across, native)
    half = np.arange(300) < 150
    merged = np.where(half, native, found(across))
    share = (np.argsort(-merged, axis=1)[:, :10] < 150).mean()
    plain = np.polyfit(across.ravel(), native.ravel(), 1)
    guessed = np.where(half, native, np.polyval(plain, across))
    assert abs(share - 0.5) < 0.05
    assert (np.argsort(-guessed, axis=1)[:, :10] < 150).mean() > 0.6  # what the best guess of a score would do


def test_what_lies_far_down_does_not_count():
    x = scores()
    low = np.concatenate([x, np.full((40, 200), -5.0)], axis=1)
    other = np.concatenate([2 * x, np.full((40, 200), -300.0)], axis=1)
    assert fit_scale(low, other).slope == pytest.approx(2.0)


def test_pairs_that_are_not_compared_are_left_out():
    x = scores()
    y = 2 * x + 1
    hidden = x.copy()
    hidden[:, 0] = np.nan
    hidden[3, 5] = -np.inf
    y[:, 0] = 99.0
    assert [fit_scale(hidden, y).slope, fit_scale(hidden, y).shift] == pytest.approx([2, 1])


def test_equal_scores_and_falling_ones_keep_the_order():
    flat = np.full((5, 20), 0.4)
    assert fit_scale(flat, flat + 0.1).slope == 1
    assert fit_scale(flat, flat + 0.1).shift == pytest.approx(0.1)
    # queries with high scores across have low ones natively: a regression over all of them would fall
    q = np.linspace(0, 1, 30)[:, None]
    within = np.linspace(0, 0.01, 20)
    found = fit_scale(q + within, -2 * q + within)
    assert found.slope == pytest.approx(2, rel=0.1)


def test_the_interval_covers_the_line_of_the_population():
    rng = np.random.default_rng(3)
    hits = []
    for i in range(60):
        x = rng.normal(0.3, 0.1, (25, 1)) + rng.normal(0, 0.05, (25, 30))
        y = 1.5 * np.sort(x, axis=1) + rng.normal(0, 0.05, (25, 1))
        found = fit_scale(x, y, random_state=i, resamples=300)
        hits.append(found.slopes[0] <= 1.5 <= found.slopes[1])
    assert np.mean(hits) > 0.8


def test_queries_that_hang_together_widen_the_interval():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(0.3, 0.1, (12, 30)), 8, axis=0)
    y = x + np.repeat(rng.normal(0, 0.1, (12, 1)), 8, axis=0)
    alone, together = fit_scale(x, y), fit_scale(x, y, groups=np.repeat(np.arange(12), 8))
    assert np.diff(together.slopes) > 1.5 * np.diff(alone.slopes)
    assert together.slope == pytest.approx(alone.slope)


def test_standard_scores_take_out_the_level_of_each_query():
    rng = np.random.default_rng(0)
    x = scores(50, 200)
    tilt, stretch = rng.normal(0, 3, (50, 1)), rng.uniform(0.5, 2, (50, 1))
    levels = [Level(s.mean(1, keepdims=True), s.std(1, keepdims=True)) for s in (tilt + stretch * x, x)]
    found = fit_scale(tilt + stretch * x, x, levels=tuple(levels))
    assert found.standard
    assert np.allclose(found(tilt + stretch * x, *levels), x)
    plain = fit_scale(tilt + stretch * x, x)
    assert np.abs(plain(tilt + stretch * x) - x).mean() > 0.1
    one = [Level(a.mean[7], a.spread[7]) for a in levels]
    assert np.allclose(found.of(*one)(tilt[7] + stretch[7] * x[7]), x[7])
    with pytest.raises(BadInput, match="level"):
        found(x)


def test_a_level_is_the_mean_and_the_spread_of_scores():
    rng = np.random.default_rng(0)
    queries, sample = unit(rng.normal(size=(6, 5))), unit(rng.normal(size=(80, 5)))
    found = level(queries, sample)
    assert np.allclose(found.mean[:, 0], [np.mean([q @ s for s in sample]) for q in queries], atol=1e-6)
    assert np.allclose(found.spread[:, 0], [np.std([q @ s for s in sample]) for q in queries], atol=1e-6)
    assert level(queries[2], sample).mean == pytest.approx(found.mean[2])
    assert level(queries[0], np.tile(sample[:1], (3, 1))).spread > 0
    with pytest.raises(BadInput, match="at least 2"):
        level(queries, sample[:1])
    with pytest.raises(BadInput, match="queries holds NaN"):
        level(np.full_like(queries, np.nan), sample)
    with pytest.raises(SpaceMismatch, match="queries"):
        level(queries[:, :-1], sample)


def test_it_goes_through_json_and_comes_back():
    for one in (Scale(), Scale(2.0, -0.5), fit_scale(scores(), scores(seed=1))):
        assert Scale(**json.loads(json.dumps(one.to_dict()))) == one
        assert str(one)
    assert [e.value for e in fit_scale(scores(), scores()).estimates] == pytest.approx([1, 0])


def test_float16_and_one_query_are_enough():
    found = fit_scale(scores(1).astype(np.float16), 2 * scores(1).astype(np.float16))
    assert found.slope == pytest.approx(2, rel=1e-3)
    assert found.slopes == (found.slope, found.slope)


@pytest.mark.parametrize(
    ("across", "native", "words"),
    [
        (np.zeros((3, 4)), np.zeros((3, 5)), "same pairs"),
        (np.zeros((0, 4)), np.zeros((0, 4)), "same pairs"),
        (np.full((3, 4), np.nan), np.zeros((3, 4)), "query 0 has 0"),
        (np.zeros((3, 1)), np.zeros((3, 1)), "at least 2"),
    ],
)
def test_what_gives_no_line_is_refused(across, native, words):
    with pytest.raises(BadInput, match=words):
        fit_scale(across, native)


@pytest.mark.parametrize("line", [(0.0, 0.0), (-1.0, 0.0), (np.nan, 0.0), (1.0, np.inf)])
def test_a_line_that_does_not_rise_is_refused(line):
    with pytest.raises(BadInput, match="above 0"):
        Scale(*line)
    with pytest.raises(BadInput, match="not fitted"):
        _ = Scale().estimates
