import json

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import hubness


def even(n: int = 400, dim: int = 8, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32))


def hubby(n: int = 600, hubs: int = 3, dim: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Queries in a cone, a gallery around them, and a few items on the axis, which everybody finds."""
    rng = np.random.default_rng(seed)
    queries, gallery = rng.normal(size=(2, n, dim))
    queries[:, 0] += 3
    gallery[rng.permutation(n)[:hubs]] = np.eye(dim)[0] * 5 + 0.1 * rng.normal(size=(hubs, dim))
    return unit(queries), unit(gallery)


def naive(queries: np.ndarray, gallery: np.ndarray, k: int, own: bool) -> np.ndarray:
    counts = np.zeros(len(gallery), int)
    for i, q in enumerate(queries):
        scores = gallery @ q
        if own:
            scores[i] = -np.inf
        counts[np.argsort(-scores)[:k]] += 1
    return counts


@pytest.mark.parametrize("own", [True, False])
def test_counts_and_figures_equal_the_naive_loop(own):
    X, Y = even(), even(300, seed=1)
    found = hubness(X, None if own else Y, k=5)
    counts = naive(X, X if own else Y, 5, own)
    np.testing.assert_array_equal(found.counts, counts)
    assert found.skewness.value == pytest.approx(stats.skew(counts))
    assert found.robin_hood.value == pytest.approx(np.abs(counts - counts.mean()).sum() / (2 * counts.sum()))
    assert found.antihubs.value == np.mean(counts == 0)
    assert (found.queries, found.items, found.k) == (400, len(counts), 5)


def test_planted_hubs_are_named_and_an_even_cloud_has_none():
    queries, gallery = hubby()
    found = hubness(queries, gallery)
    planted = set(np.flatnonzero(gallery[:, 0] > 0.9))
    assert {h.row for h in found.hubs[:3]} == planted
    assert found.hubs[0].share.low > 0.5
    assert found.skewness.low > 2
    assert found.taken.low > 0.2  # the planted ones alone have 0.22
    assert len(found.hubs) == min(found.n_hubs, 10)
    assert all(h.count > 50 for h in found.hubs)  # five times the fair share of 10
    assert f"row {found.hubs[0].row}" in str(found)
    none = hubness(even(1000))
    assert none.n_hubs == 0
    assert none.hubs == ()
    assert none.taken.value == 0


def test_by_chance_is_what_items_of_equal_chances_show():
    rng = np.random.default_rng(0)
    drawn = rng.binomial(500, 10 / 2000, size=400_000)
    found = hubness(even(500, 64), even(2000, 64, seed=1))
    assert found.chance["robin_hood"] == pytest.approx(np.abs(drawn - 2.5).mean() / 5, rel=0.01)
    assert found.chance["antihubs"] == pytest.approx(np.mean(drawn == 0), rel=0.02)
    assert found.chance["skewness"] == pytest.approx(stats.skew(drawn), rel=0.03)


def test_a_sample_of_the_queries_estimates_the_skewness_of_all():
    X = unit(np.random.default_rng(0).normal(size=(3000, 24)) * np.arange(1, 25) ** -0.5 + 0.4)
    whole = hubness(X).skewness.value
    sampled = [hubness(X, most=150, random_state=s) for s in range(20)]
    assert np.mean([s.skewness.value for s in sampled]) == pytest.approx(whole, abs=0.2)
    plain = np.mean([stats.skew(s.counts) for s in sampled])
    assert plain > whole + 0.3  # what the sampling alone would make of it
    assert sum(s.skewness.low <= whole <= s.skewness.high for s in sampled) >= 17


def test_places_taken_by_hubs_are_those_that_other_queries_would_give_them():
    _, gallery = hubby()
    truth = hubness(hubby(n=4000, seed=99)[0], gallery)
    inside, gaps = 0, []
    for seed in range(30):
        found = hubness(hubby(n=200, seed=seed + 1)[0], gallery, show=600, random_state=seed)
        expected = truth.counts[[h.row for h in found.hubs]].sum() / truth.counts.sum()
        inside += found.taken.low <= expected <= found.taken.high
        gaps.append(found.taken.value - expected)
    assert abs(np.mean(gaps)) < 0.01
    assert inside >= 24  # 28 expected


def test_blocks_forms_and_seeds_give_the_same(tmp_path):
    X = even()
    X.tofile(tmp_path / "x")
    held = np.memmap(tmp_path / "x", dtype=np.float32, mode="r", shape=X.shape)
    one = hubness(X, most=200).to_dict()
    assert hubness(held, most=200).to_dict() == one
    assert hubness([X[:150], X[150:]], k=10).skewness.value == pytest.approx(hubness(X).skewness.value)
    json.dumps(one)


def test_sick_rows_are_no_items_and_no_queries():
    X = even(100)
    X[4], X[9] = 0, np.nan
    found = hubness(X, k=3)
    assert (found.items, found.queries, found.skewness.skipped) == (98, 98, 2)
    healthy = hubness(np.delete(X, [4, 9], axis=0), k=3)
    assert found.skewness.value == pytest.approx(healthy.skewness.value)
    assert found.antihubs.value == healthy.antihubs.value


def test_two_rows_are_measured_and_one_is_refused():
    two = hubness(even(2))
    assert two.k == 1
    assert two.skewness.value == 0
    with pytest.raises(BadInput, match="queries and items"):
        hubness(even(1))
    with pytest.raises(BadInput, match="queries and items"):
        hubness(even(3), even(0))
    with pytest.raises(BadInput, match="searched and searching"):
        hubness(iter([even(3)]))
    with pytest.raises(BadInput, match="k must be"):
        hubness(even(3), k=0)


def test_equal_rows_break_no_figure():
    found = hubness(np.ones((30, 4), np.float32))
    assert np.isfinite(found.skewness.value)
    assert found.counts.sum() == 300
