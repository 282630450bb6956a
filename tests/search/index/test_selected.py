import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.core.vectors import unit
from commonspace.search.exact import top_k
from commonspace.search.index import products, selected


def vectors(n, d=24, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32))


def ways():
    return [products.Float32(), products.BFloat16()]


@pytest.fixture(params=ways(), ids=lambda way: way.name, autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(selected, "product", lambda: request.param)
    return request.param


def check(Q, X, places, k):
    """Compare with an exact search of a copy of the rows; scores that differ by rounding alone may change places."""
    found, scores = selected.search(Q, X, places, k)
    want = top_k(Q, X[places], k)[1]
    assert found.shape == scores.shape == want.shape
    assert np.isin(found, places).all()
    assert all(len(set(row)) == len(row) for row in found.tolist())
    np.testing.assert_allclose(scores, want, atol=1e-6)
    np.testing.assert_allclose(np.einsum("qd,qkd->qk", Q, X[found]), scores, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    q=st.sampled_from([1, 3, 8, 9, 40, 300]),
    m=st.integers(1, 900),
    k=st.integers(1, 40),
    seed=st.integers(0, 2**31 - 1),
)
def test_the_best_of_the_selected_rows_are_those_of_an_exact_search(q, m, k, seed):
    rng = np.random.default_rng(seed)
    check(vectors(q, seed=seed), vectors(1000, seed=seed + 1), np.sort(rng.permutation(1000)[:m]), k)


@pytest.mark.parametrize(("q", "m"), [(2, 2900), (150, 2900)])
def test_rows_that_fill_several_tiles_and_threads_are_all_searched(monkeypatch, q, m):
    for name, value in {"_TILE": 300, "_TILES": 2, "_QUERIES": 64, "_SORTED": 5000, "WORTH": 1000}.items():
        monkeypatch.setattr(selected, name, value)
    places = np.sort(np.random.default_rng(0).permutation(3000)[:m])
    check(vectors(q, seed=1), vectors(3000), places, 10)


@pytest.mark.parametrize(("q", "m", "k"), [(1, 3000, 2999), (1, 3000, 3000), (20, 1100, 1100), (20, 1100, 700)])
def test_more_hits_may_be_asked_for_than_a_thread_compares(q, m, k):
    check(vectors(q, 384, seed=1), vectors(3000, 384), np.arange(m), k)


def test_negative_scores_are_ranked_as_well():
    X = vectors(2000)
    Q = vectors(50, seed=1)
    places = np.flatnonzero((X @ Q.T).max(axis=1) < 0.55)  # for some queries nothing but negative ones is left
    away = -unit(X.sum(axis=0, keepdims=True)) + 0.2 * Q
    check(unit(away), X, places, 10)
    check(-X[places][:1].repeat(50, axis=0), np.abs(X), np.arange(2000), 10)


def test_rows_so_alike_that_the_product_cannot_tell_them_apart_are_compared_in_full():
    rng = np.random.default_rng(3)
    X = unit(vectors(1, d=64) + 1e-4 * rng.standard_normal((700, 64)).astype(np.float32))
    check(unit(vectors(1, d=64) + 0.01 * vectors(30, d=64, seed=2)), X, np.arange(0, 700, 2), 5)


def test_equal_rows_stand_in_their_order():
    X = np.tile(vectors(7, d=33), (60, 1))
    found, scores = selected.search(X[2:3].repeat(40, axis=0), X, np.arange(200, 420), 8)
    alike = [place for place in range(200, 420) if place % 7 == 2]
    np.testing.assert_array_equal(found, np.tile(alike[:8], (40, 1)))
    assert len(np.unique(scores)) == 1


def test_a_query_without_length_finds_something():
    found, scores = selected.search(np.zeros((20, 24), np.float32), vectors(500), np.arange(300), 4)
    np.testing.assert_array_equal(found, np.tile(np.arange(4), (20, 1)))
    assert not scores.any()


def test_the_product_loses_no_more_than_it_says(way):
    Q, X = vectors(64, d=128), vectors(640, d=128, seed=1)
    seen = way.values(way.scores(way.left(Q), way.left(X), slice(0, len(X))))[: len(Q), : len(X)]
    lost = np.abs(seen - Q.astype(np.float64) @ X.T.astype(np.float64)).max()
    assert lost <= way.rounding + 128 * 2.0**-23
