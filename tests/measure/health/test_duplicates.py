import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.measure.health import duplicates as module
from commonspace.measure.health import streams
from commonspace.measure.health.duplicates import duplicates


def cloud(n: int = 300, dim: int = 16, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32))


def near(rows: np.ndarray, distance: float = 0.02, seed: int = 1) -> np.ndarray:
    """Rows at this distance of others."""
    away = np.random.default_rng(seed).normal(size=rows.shape)
    return unit((rows + distance * unit(away)).astype(np.float32))


def naive(X: np.ndarray, Y: np.ndarray, threshold: float, own: bool) -> list[tuple[int, int]]:
    return [
        (i, j)
        for i in range(len(X))
        for j in range(len(Y))
        if not (own and i == j) and X[i].astype(float) @ Y[j] >= threshold
    ]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.95])
def test_pairs_within_a_set_equal_the_naive_loop_whatever_the_blocks(threshold, monkeypatch):
    X = cloud(120, 6)
    pairs = naive(X, X, threshold, True)
    for entries in (1 << 22, 6 * 17):
        monkeypatch.setattr(streams, "ENTRIES", entries)
        monkeypatch.setattr(module, "_BLOCK", 13)
        monkeypatch.setattr(module, "_EDGES", 5)
        found = duplicates(X, threshold=threshold, show=200)
        assert found.share.value == pytest.approx(len({i for i, _ in pairs}) / 120)
        group = {r: g for g in found.groups for r in g.rows}
        assert all(group[i] is group[j] for i, j in pairs)
        assert sum(len(g.rows) - 1 for g in found.groups) == len(found.rows) <= len(pairs) / 2
        assert found.complete
        assert found.chosen == "given"


def test_pairs_between_two_sets_equal_the_naive_loop():
    X, Y = cloud(60, 5), cloud(80, 5, seed=1)
    pairs = naive(X, Y, 0.9, False)
    found = duplicates(X, Y, threshold=0.9, show=100)
    assert found.rows.tolist() == sorted({i for i, _ in pairs})
    assert found.share.value == len(found.rows) / 60
    group = {r: g for g in found.groups for r in g.rows}
    assert all(j in group[i].others for i, j in pairs)


def test_groups_are_the_components_of_what_is_near():
    X = cloud(100)
    X[[10, 20, 30]] = near(X[[5, 5, 5]])
    X[50] = X[40]
    found = duplicates(X)
    assert [g.rows for g in found.groups] == [(5, 10, 20, 30), (40, 50)]
    assert found.rows.tolist() == [10, 20, 30, 50]
    assert (found.share.value, found.equal.value) == (0.06, 0.02)
    assert found.n_groups == 2


def test_leaks_name_the_rows_of_both_sets():
    train, test = cloud(200), cloud(50, seed=1)
    test[7], test[8] = train[3], near(train[[4]])[0]
    found = duplicates(test, train)
    assert [(g.rows, g.others) for g in found.groups] == [((7,), (3,)), ((8,), (4,))]
    assert found.rows.tolist() == [7, 8]
    assert found.equal.value == 1 / 50


def test_equal_rows_are_found_beyond_the_sample_and_minus_zero_is_zero():
    X = cloud(400)
    X[399] = X[0]
    X[1, 0], X[2] = 0.0, X[1]
    X[2, 0] = -0.0
    found = duplicates(X, most=50)
    assert not found.complete
    rows = {r for g in found.groups for r in g.rows}
    assert {0, 399, 2} <= rows


def test_a_sample_estimates_the_share_of_all():
    X = np.concatenate([cloud(900), near(cloud(900)[:300])])
    whole = duplicates(X).share.value
    assert whole == 0.5
    found = [duplicates(X, most=200, random_state=s).share for s in range(20)]
    assert np.mean([f.value for f in found]) == pytest.approx(whole, abs=0.03)
    assert sum(f.low <= whole <= f.high for f in found) >= 17


def test_the_interval_draws_whole_groups():
    X = np.concatenate([cloud(60), near(np.repeat(cloud(60)[:5], 12, axis=0))])
    share = duplicates(X, threshold=0.99).share
    independent = 1.96 * np.sqrt(share.value * (1 - share.value) / 120)
    assert share.high - share.low > 3 * independent


@pytest.mark.parametrize("planted", [0.02, 0.3])
def test_the_threshold_of_the_data_finds_planted_copies_and_nothing_else(planted):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 24))
    spread = np.exp(rng.uniform(-1.5, 0, size=(40, 1)))
    which = rng.integers(0, 40, 1000)
    clusters = unit(centres[which] + spread[which] * rng.normal(size=(1000, 24)))
    digits = unit(load_digits().data[:1000])
    for X in (cloud(1000, 64), clusters.astype(np.float32), digits.astype(np.float32)):
        count = int(planted * 500)
        X[:count] = near(X[-count:], 0.02)
        found = duplicates(X, show=1000)
        rows = sorted(r for g in found.groups for r in g.rows)
        assert rows == [*range(count), *range(1000 - count, 1000)]
        assert found.chosen == "data"


def test_sets_without_copies_have_no_false_alarms():
    digits = unit(load_digits().data).astype(np.float32)
    for X in (cloud(2000, 8), cloud(2000, 64), digits):
        assert duplicates(X).share.value == 0
        assert duplicates(X[:200], X[200:]).share.value == 0


def test_rows_without_a_direction_are_no_duplicates_of_each_other():
    X = cloud(100)
    X[[3, 4]], X[[7, 8]] = 0, np.nan
    found = duplicates(X)
    assert found.n_groups == 0
    assert (found.share.n, found.share.skipped) == (96, 4)


def test_all_equal_rows_are_one_group():
    found = duplicates(np.ones((50, 4)))
    assert (found.share.value, found.equal.value, found.n_groups, len(found.rows)) == (1, 1, 1, 49)


def test_small_sets_and_wrong_arguments():
    assert duplicates(cloud(1)).share.value == 0
    assert duplicates(cloud(2)).n_groups == 0
    assert duplicates(cloud(3), cloud(0)).share.value == 0
    with pytest.raises(BadInput, match="rows with a direction"):
        duplicates(np.zeros((3, 4)))
    with pytest.raises(BadInput, match="threshold"):
        duplicates(cloud(), threshold=1.5)
    with pytest.raises(SpaceMismatch, match="different spaces"):
        duplicates(cloud(), cloud(dim=5))
    with pytest.raises(BadInput, match="several passes"):
        duplicates(iter([cloud()]))


def test_a_seed_repeats_and_the_report_is_plain_data():
    X = cloud(200)
    X[5] = X[6]
    one, other = duplicates(X, most=100, random_state=2), duplicates([X[:70], X[70:]], threshold=0.9)
    assert one == duplicates(X, most=100, random_state=2)
    assert other.groups[0].rows == (5, 6)
    json.dumps(one.to_dict())
    assert "near-duplicates" in str(one)
    assert "of a sample" in str(one)
