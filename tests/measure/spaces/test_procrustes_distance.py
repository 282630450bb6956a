import json

import numpy as np
import pytest
from scipy.spatial import procrustes

from commonspace.core.errors import BadInput
from commonspace.measure import procrustes_distance


def spaces(n: int = 80, noise: float = 1.0, seed: int = 0, more: int = 0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 4)) * np.array([3, 2, 1, 1])
    turn = np.linalg.qr(np.random.default_rng(7).normal(size=(4, 4)))[0]
    return z, np.hstack([z @ turn + noise * rng.normal(size=z.shape), 0.3 * rng.normal(size=(n, more))])


def test_the_distance_is_that_of_scipy():
    x, y = spaces()
    disparity = procrustes(x, y)[2]  # 1 - s^2 where s is the sum of singular values
    s = 1 - procrustes_distance(x, y).in_sample.value ** 2 / 2
    assert 1 - s**2 == pytest.approx(disparity, abs=1e-5)


def test_unequal_dimensions_are_padded_with_zeros():
    x, y = spaces(more=3)
    padded = np.hstack([x, np.zeros((80, 3))])
    one, other = procrustes_distance(x, y), procrustes_distance(padded, y)
    assert one.in_sample.value == pytest.approx(other.in_sample.value, abs=1e-6)
    back = procrustes_distance(y, x)
    assert back.in_sample.value == pytest.approx(one.in_sample.value, abs=1e-6)


def test_rotation_shift_and_scale_leave_no_distance():
    x, _ = spaces()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    found = procrustes_distance(x, 3 * x @ turn + 5)
    assert found.distance.value == pytest.approx(0, abs=2e-3)
    assert found.held_out.value == pytest.approx(0, abs=2e-3)


def test_few_rows_flatter_unrelated_spaces_and_held_out_rows_do_not():
    rng = np.random.default_rng(2)
    found = [procrustes_distance(rng.normal(size=(30, 40)), rng.normal(size=(30, 40))) for _ in range(20)]
    assert np.mean([f.in_sample.value for f in found]) < 0.7
    assert all(f.distance.high > np.sqrt(2) - 0.15 for f in found)
    assert np.mean([f.held_out.value for f in found]) == pytest.approx(np.sqrt(2), abs=0.05)


def test_the_two_figures_bracket_the_truth_on_average_and_their_intervals_cover_it():
    truth = procrustes_distance(*spaces(n=50_000, seed=999, more=6)).distance.value
    found = [procrustes_distance(*spaces(n=100, seed=s, more=6), random_state=s) for s in range(80)]
    assert np.mean([f.in_sample.value for f in found]) < truth < np.mean([f.held_out.value for f in found])
    for name in ("in_sample", "held_out"):
        inside = sum(getattr(f, name).low <= truth <= getattr(f, name).high for f in found)
        assert inside >= 68, name  # 76 expected where rows are many beside dimensions
    assert sum(f.distance.low <= truth <= f.distance.high for f in found) >= 74


def test_the_interval_of_the_distance_covers_where_rows_are_too_few_to_turn_by():
    def wide(n: int, seed: int):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(n, 25))
        return z, z + 1.5 * rng.normal(size=z.shape)

    truth = np.sqrt(2 - 2 / np.sqrt(1 + 1.5**2))
    found = [procrustes_distance(*wide(60, s), random_state=s) for s in range(40)]
    assert sum(f.in_sample.low <= truth <= f.in_sample.high for f in found) < 10
    assert sum(f.distance.low <= truth <= f.distance.high for f in found) >= 38


def test_groups_are_kept_together_and_widen_the_interval():
    x, y = spaces(n=40)
    twice = [np.repeat(v, 3, axis=0) for v in (x, y)]
    groups = np.repeat(np.arange(40), 3)
    one, other = procrustes_distance(x, y).in_sample, procrustes_distance(*twice, groups=groups).in_sample
    assert (other.low, other.high) == (pytest.approx(one.low, abs=1e-4), pytest.approx(one.high, abs=1e-4))
    naive = procrustes_distance(*twice).in_sample
    assert naive.high - naive.low < 0.7 * (one.high - one.low)
    pure = np.random.default_rng(3).normal(size=(2, 20, 30)).repeat(3, axis=1)
    held = procrustes_distance(*pure, groups=np.repeat(np.arange(20), 3)).held_out.value
    assert held > 1.2 > procrustes_distance(*pure).held_out.value  # copies on both sides of a fold would leak


def test_a_seed_repeats_and_the_report_reads_well():
    x, y = spaces()
    one, other = (procrustes_distance(x, y, random_state=3) for _ in range(2))
    assert one == other
    assert json.loads(json.dumps(one.to_dict()))["held_out"]["seed"] == 3
    assert "procrustes distance" in str(one)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: procrustes_distance(x, y[:-1]), "same items in both"),
        (lambda x, y: procrustes_distance(x[:9], y[:9]), "two or more a fold"),
        (lambda x, y: procrustes_distance(x[:0], y[:0]), "two or more a fold"),
        (lambda x, y: procrustes_distance(np.ones_like(x), y), "all the same"),
        (lambda x, y: procrustes_distance(x * np.nan, y), "NaN"),
        (lambda x, y: procrustes_distance(x, y, groups=[1]), "one label for each"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(*spaces())
