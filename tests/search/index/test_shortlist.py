from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.search.index.codes import Integers, Whole

from commonspace.search.index import shortlist as module
from commonspace.search.index.products import Float32
from commonspace.search.index.shortlist import Cells, Coded, shortlist


def coded(X, cells=1, code=None, sample=None):
    starts = np.linspace(0, len(X), cells + 1).astype(np.int64)
    means = np.array([X[a:b].mean(axis=0) if b > a else np.zeros(X.shape[1]) for a, b in pairwise(starts)])
    code = (code or Whole()).fit(X)
    sample = np.arange(len(X)) if sample is None else sample
    return Coded(code, code.encode(X), Cells(starts, means.astype(np.float32)), sample)


def naive(X, q, c, keep):
    """The best scores, by sorting them all."""
    scores = np.where(keep, X @ q, -np.inf)
    return np.sort(scores)[::-1][: min(c, keep.sum())]


@pytest.fixture(autouse=True)
def _exact_products(monkeypatch):
    monkeypatch.setattr(module, "product", Float32)


@given(
    seed=st.integers(0, 10**6), n=st.integers(0, 300), q=st.integers(0, 9), c=st.integers(1, 40),
    cells=st.integers(1, 6), share=st.sampled_from([None, 0.0, 0.03, 0.4, 0.9]), code=st.sampled_from(["whole", 8, 4]),
)  # fmt: skip
@settings(max_examples=150, deadline=None, derandomize=True)
def test_without_probes_it_holds_the_best_scores_of_all_rows_that_take_part(seed, n, q, c, cells, share, code):
    rng = np.random.default_rng(seed)
    X = rng.integers(-8, 8, (n, 6)).astype(np.float32)
    Q = rng.integers(-5, 6, (q, 6)).astype(np.float32)
    keep = np.ones(n, bool) if share is None else rng.random(n) < share
    made = coded(X, cells, Whole() if code == "whole" else Integers(bits=code))
    rows, scores = shortlist(made, Q, c, keep=None if share is None else keep)
    assert rows.shape == scores.shape == (q, c)
    for i in range(q):
        there = rows[i][rows[i] >= 0]
        assert len(set(there)) == len(there)
        assert keep[there].all()
        np.testing.assert_array_equal(np.sort(X[there] @ Q[i])[::-1], naive(X, Q[i], c, keep))
        assert (scores[i][rows[i] < 0] == -np.inf).all()


def best_cells(cells, q, probes, keep):
    """The cells with rows that take part whose means score best."""
    near = cells.means @ q
    near[[not keep[a:b].any() for a, b in pairwise(cells.starts)]] = -np.inf
    return [i for i in np.argsort(-near)[:probes] if near[i] > -np.inf]


@given(
    seed=st.integers(0, 10**6), q=st.sampled_from([1, 8, 12]), probes=st.integers(1, 7), masked=st.booleans()
)  # fmt: skip
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_query_alone_or_as_if_alone_gets_the_best_of_the_cells_whose_means_score_best(seed, q, probes, masked):
    rng = np.random.default_rng(seed)
    X, Q = rng.integers(-8, 8, (400, 6)).astype(np.float32), rng.normal(size=(q, 6)).astype(np.float32)
    keep = rng.random(400) < 0.2 if masked else np.ones(400, bool)
    made = coded(X, 7, Integers())
    cell = np.repeat(np.arange(7), np.diff(made.cells.starts))
    rows, _ = shortlist(made, Q, 9, probes=probes, keep=keep if masked else None, apart=q > 8)
    for i in range(q):
        inside = keep & np.isin(cell, best_cells(made.cells, Q[i], probes, keep))
        want = np.sort((X @ Q[i])[inside])[::-1][:9]
        np.testing.assert_allclose(np.sort(X[rows[i][rows[i] >= 0]] @ Q[i])[::-1], want, rtol=1e-3, atol=1e-2)


@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 500), q=st.sampled_from([1, 12]), cells=st.integers(1, 9),
    probes=st.integers(1, 9), share=st.sampled_from([None, 0.02, 0.2, 0.7]),
)  # fmt: skip
@settings(max_examples=150, deadline=None, derandomize=True)
def test_of_many_queries_each_gets_the_best_of_the_tiles_that_touch_its_cells(seed, n, q, cells, probes, share):
    rng = np.random.default_rng(seed)
    X, Q = rng.normal(size=(n, 5)).astype(np.float32), rng.normal(size=(q, 5)).astype(np.float32)
    keep = np.ones(n, bool) if share is None else rng.random(n) < share
    made = coded(X, cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TILE", 32)
        patch.setattr(module, "SPARED", 0)
        rows, _ = shortlist(made, Q, 9, probes=probes, keep=None if share is None else keep)
    cell, tile = np.repeat(np.arange(cells), np.diff(made.cells.starts)), np.arange(n) // 32
    for i in range(q):
        touched = tile[np.isin(cell, best_cells(made.cells, Q[i], probes, keep))]
        inside = keep & np.isin(tile, touched) if probes < cells else keep
        want = np.sort((X @ Q[i])[inside])[::-1][:9]
        np.testing.assert_allclose(np.sort(X[rows[i][rows[i] >= 0]] @ Q[i])[::-1], want, rtol=1e-5)


def test_where_a_tile_would_be_spared_few_queries_all_ask_for_all():
    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(5000, 5)).astype(np.float32), rng.normal(size=(1100, 5)).astype(np.float32)
    made = coded(X, cells=10)
    some, every = (shortlist(made, Q[:q], 20, probes=2)[0] for q in (1100, 100))
    best = np.argsort(-(Q @ X.T), axis=1)[:, :20]
    assert every.shape == (100, 20)
    assert all(set(a) == set(b) for a, b in zip(every.tolist(), best.tolist(), strict=False))
    assert not all(set(a) == set(b) for a, b in zip(some.tolist(), best.tolist(), strict=True))


def test_a_query_that_needs_few_rows_is_not_asked_again_for_more():
    """All good rows lie outside the sample, which therefore promises 40 more than there are."""
    X = np.linspace(1, 2, 20_000, dtype=np.float32)[:, None].copy()
    q = np.ones((9, 1), np.float32)
    made = coded(X, sample=np.arange(20_000 - 8192 - 15, 20_000 - 15))
    full, part = shortlist(made, q, 50)[0], shortlist(made, q, 50, least=10)[0]
    assert (np.sort(full) == np.arange(20_000 - 50, 20_000)).all()
    found = (part >= 0).sum(axis=1)
    assert (found >= 10).all()
    assert (found < 50).all()
    assert all(set(row[row >= 0]) == set(range(20_000 - n, 20_000)) for row, n in zip(part, found, strict=True))


def test_very_many_queries_are_answered_part_by_part(monkeypatch):
    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(300, 5)).astype(np.float32), rng.normal(size=(50, 5)).astype(np.float32)
    whole = shortlist(coded(X), Q, 10)
    monkeypatch.setattr(module, "_BATCH", 20)
    for a, b in zip(whole, shortlist(coded(X), Q, 10), strict=True):
        np.testing.assert_array_equal(np.sort(a), np.sort(b))


@pytest.mark.parametrize("probes", [None, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("q", [1, 2, 4])
@pytest.mark.parametrize("bits", [8, 4])
def test_threads_that_share_the_rows_of_a_query_find_what_one_finds(monkeypatch, probes, masked, q, bits):
    rng = np.random.default_rng(q)
    X, Q = rng.integers(-8, 8, (3000, 6)).astype(np.float32), rng.integers(-9, 9, (q, 6)).astype(np.float32)
    made = coded(X, 7, Integers(bits=bits))
    keep = rng.random(3000) < 0.01 if masked else None
    rows, scores = shortlist(made, Q, 40, probes=probes, keep=keep)
    monkeypatch.setattr(module, "_LONG", 100)
    monkeypatch.setattr(module, "threads", lambda: 3)
    found, same = shortlist(made, Q, 40, probes=probes, keep=keep)
    np.testing.assert_array_equal(np.sort(same), np.sort(scores))
    assert ((found >= 0).sum(axis=1) == (rows >= 0).sum(axis=1)).all()
    for i in range(q):
        there = found[i][found[i] >= 0]
        assert len(set(there)) == len(there)
        np.testing.assert_array_equal(np.sort(X[there] @ Q[i]), np.sort(X[rows[i][rows[i] >= 0]] @ Q[i]))


@given(runs=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=6), parts=st.integers(1, 5))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_runs_are_cut_into_no_more_parts_than_asked_for_and_lose_nothing(runs, parts):
    runs = [(start, start + size) for start, size in runs]
    cut = module._cut(runs, parts)
    assert len(cut) <= parts
    assert [i for part in cut for run in part for i in range(*run)] == [i for run in runs for i in range(*run)]


def test_a_sample_that_misleads_costs_time_and_no_rows():
    """All good rows lie outside the sample, or nearly all of it is good."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 4)).astype(np.float32)
    q = np.ones((6, 4), np.float32)
    order = np.argsort(-(X @ q[0]))
    for sample in (order[-8192:], order[:8192]):
        rows, _ = shortlist(coded(X, sample=np.sort(sample)), q, 50)
        assert all(set(row) == set(order[:50]) for row in rows)


def test_rows_of_equal_scores_are_not_lost():
    X = np.ones((5000, 3), np.float32)
    rows, scores = shortlist(coded(X, cells=3), X[:7], 100)
    assert all(len(set(row)) == 100 for row in rows.tolist())
    assert (scores == 3).all()


def test_of_very_many_equal_rows_few_are_kept_for_each_query(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.integers(-8, 8, (20_000, 6)).astype(np.float32)
    X[rng.permutation(20_000)[:9000]] = 8
    Q = np.full((50, 6), 5, np.float32) + rng.integers(0, 2, (50, 6))
    kept, collect = [], module._collect
    monkeypatch.setattr(module, "_collect", lambda *a: (kept.append(collect(*a)), kept[-1])[1])
    rows, scores = shortlist(coded(X), Q, 10)
    assert (np.sort(X @ Q.T, axis=0)[-10:] == np.sort(scores.T, axis=0)).all()
    assert all(len(set(row)) == 10 for row in rows.tolist())
    blocks = -(-len(X) // module._ROWS)
    assert max(len(query) for query, _, _ in kept) <= len(Q) * blocks * module._CROWD * 10 < 50 * 9000


def test_scores_below_zero_are_found_too():
    X = -np.abs(np.random.default_rng(0).normal(size=(20_000, 4))).astype(np.float32)
    Q = np.ones((6, 4), np.float32)
    rows, _ = shortlist(coded(X, sample=np.arange(0, 20_000, 3)), Q, 20)
    assert set(rows[0]) == set(np.argsort(-X.sum(axis=1))[:20])
