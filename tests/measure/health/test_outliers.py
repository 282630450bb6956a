import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import outliers, pair_outliers


def clusters(n: int = 600, dim: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, dim))
    return unit((centres[rng.integers(0, 20, n)] + 0.4 * rng.normal(size=(n, dim))).astype(np.float32))


def pairs(n: int = 500, wrong: float = 0.0, noise: float = 0.6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, set]:
    """Two noisy views of the same things; the partners of some were exchanged."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 16))
    y = x + noise * rng.normal(size=(n, 16))
    moved = rng.permutation(n)[: round(wrong * n)]
    y[moved] = y[np.roll(moved, 1)]
    return unit(x.astype(np.float32)), unit(y.astype(np.float32)), set(moved.tolist())


def test_distances_equal_the_naive_ones():
    X = clusters(100)
    found = outliers(X, k=4)
    d = np.sqrt(np.maximum(2 - 2 * X.astype(float) @ X.T, 0))
    np.fill_diagonal(d, np.inf)
    fourth = np.sort(d, axis=1)[:, 3]
    assert found.distance.value == pytest.approx(np.median(fourth), abs=1e-4)
    log = np.log(fourth)
    away = log - np.median(log)
    np.testing.assert_allclose(found.z, away / max(1.4826 * np.median(np.abs(away)), 0.01), atol=1e-2)


def test_planted_outliers_are_found_and_none_where_there_are_none():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(32, 32)))[0][:, :8]
    X = unit((rng.normal(size=(600, 8)) @ basis.T + 0.02 * rng.normal(size=(600, 32))).astype(np.float32))
    assert outliers(X).rows == ()
    X[[5, 50]] = unit(rng.normal(size=(2, 32)))
    found = outliers(X)
    assert set(found.rows) == {5, 50}
    assert found.share.value == 2 / 600
    assert "farthest rows" in str(found)


def test_a_small_group_of_outliers_does_not_hide_itself():
    rng = np.random.default_rng(1)
    X = np.zeros((500, 24), np.float32)
    X[:, :6] = rng.normal(size=(500, 6))
    X[:6] = 0.01 * rng.normal(size=(6, 24))
    X[:6, 20] = 1
    assert set(outliers(unit(X), k=10).rows) == set(range(6))


def test_false_alarms_among_healthy_vectors_are_rare():
    shares = [outliers(np.random.default_rng(s).normal(size=(800, 24))).share.value for s in range(6)]
    assert np.mean(shares) < 0.001
    assert outliers(clusters()).share.value < 0.005


def test_a_sample_is_looked_at_against_all_rows_and_sick_rows_are_skipped():
    X = clusters()
    X[3] = np.nan
    found = outliers(X, most=100)
    assert len(found.z) == len(found.positions) in (99, 100)
    whole = dict(zip(outliers(X).positions, outliers(X).z, strict=True))
    some = dict(zip(found.positions, found.z, strict=True))
    order = sorted(some, key=lambda i: some[i])
    assert order == sorted(some, key=lambda i: whole[i])  # the same distances, in units of the sample


@pytest.mark.parametrize("wrong", [0.0, 0.05, 0.2])
def test_the_share_of_wrong_pairs_is_estimated_and_they_are_named(wrong):
    x, y, moved = pairs(1000, wrong)
    found = pair_outliers(x, y)
    assert found.wrong.value == pytest.approx(wrong, abs=0.04)
    assert found.wrong.low <= wrong <= found.wrong.high
    named = set(found.rows)
    assert len(named & moved) >= 0.9 * len(moved)
    assert len(named - moved) <= 5


def test_the_estimate_is_right_on_average_and_covered_where_pairs_are_clear():
    values, inside = [], 0
    for seed in range(30):
        x, y, _ = pairs(300, 0.1, seed=seed)
        found = pair_outliers(x, y, random_state=seed).wrong
        values.append(found.value)
        inside += found.low <= 0.1 <= found.high
    assert np.mean(values) == pytest.approx(0.1, abs=0.015)
    assert inside >= 24


def test_a_space_that_understands_nothing_says_that_all_pairs_may_be_wrong():
    x, _, _ = pairs()
    _, y, _ = pairs(seed=9)
    found = pair_outliers(x, y)
    assert found.wrong.value == pytest.approx(1, abs=0.12)
    assert found.wrong.high <= 1
    ranks = np.sort(found.rank)
    np.testing.assert_allclose(ranks, np.linspace(0, 1, 500), atol=0.1)  # uniform, as they should be


def test_pairs_of_one_thing_are_no_better_partners_of_each_other():
    x, y, _ = pairs(100, noise=0.2)
    many = [np.repeat(v, 4, axis=0) for v in (x, y)]
    apart, together = pair_outliers(*many), pair_outliers(*many, groups=np.repeat(np.arange(100), 4))
    assert together.wrong.value <= apart.wrong.value
    assert together.rows == ()
    assert together.similarity.high - together.similarity.low > apart.similarity.high - apart.similarity.low


def test_sides_can_be_exchanged_and_blocks_do_not_matter():
    x, y, _ = pairs(300, 0.1)
    one = pair_outliers(x, y)
    other = pair_outliers([y[:100], y[100:]], [x[:50], x[50:]])
    assert len(set(one.rows) ^ set(other.rows)) <= 5  # other partners are dealt
    assert other.similarity.value == pytest.approx(one.similarity.value)


def test_equal_pairs_and_small_sets_break_nothing():
    same = pair_outliers(np.ones((20, 3)), np.ones((20, 3)))
    assert np.isfinite(same.wrong.value)
    tiny = pair_outliers(*pairs(3)[:2])
    assert tiny.k == 1
    x, y, _ = pairs(50)
    x[4], y[6] = 0, np.nan
    found = pair_outliers(x, y)
    assert (found.wrong.n, found.wrong.skipped) == (48, 2)
    assert 4 not in found.positions


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: pair_outliers(x, y[:-1]), "same items in one space"),
        (lambda x, y: pair_outliers(x, y[:, :3]), "same items in one space"),
        (lambda x, y: pair_outliers(x[:2], y[:2]), "at least three pairs"),
        (lambda x, y: pair_outliers(x, y, groups=[1]), "one label for each"),
        (lambda x, y: outliers(x[:1]), "at least two rows"),
        (lambda x, y: outliers(iter([x])), "searched and searching"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(call, words):
    with pytest.raises(BadInput, match=words):
        call(*pairs()[:2])


def test_the_reports_are_plain_data():
    x, y, _ = pairs(200, 0.1)
    for found in (outliers(x), pair_outliers(x, y)):
        json.dumps(found.to_dict())
    assert "most doubtful" in str(pair_outliers(x, y))
    assert pair_outliers(x, y, random_state=3) == pair_outliers(x, y, random_state=3)


def test_no_neighbour_is_of_the_same_group_even_where_few_others_are_left():
    x, y, _ = pairs(40)
    groups = np.repeat([0, *range(1, 5)], [36, 1, 1, 1, 1])
    assert pair_outliers(x, y, k=10, groups=groups).k == 4
    with pytest.raises(BadInput, match="groups"):
        pair_outliers(x, y, groups=np.zeros(40))
