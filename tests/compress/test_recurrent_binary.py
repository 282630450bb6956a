"""Recurrent binarisation: the recurrence against a naive loop, the two distances, training and compatibility."""

import numpy as np
import pytest

from commonspace.compress import RecurrentBinary, recurrent_binary
from commonspace.compress.recurrent_binary import _few, _planes_of
from commonspace.compress.recurrent_training import goal, neighbours, one_of
from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit


def clusters(n, dim, seed=0, groups=20):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(9).normal(size=(groups, dim))
    return unit(centers[rng.integers(0, groups, n)] + 0.8 * rng.normal(size=(n, dim))).astype(np.float32)


X, Q = clusters(400, 24), clusters(60, 24, seed=1)


def recall(code, k=10):
    true = np.argsort(-(Q @ X.T), axis=1)[:, :k]
    found = np.argsort(-code.score(Q, code.encode(X)), axis=1)[:, :k]
    return np.mean([np.isin(t, f).mean() for t, f in zip(true, found, strict=True)])


@pytest.mark.parametrize("hidden", [0, 5])
def test_the_planes_follow_the_recurrence(hidden):
    pytest.importorskip("torch")
    code = RecurrentBinary(bits=3, dim=10, hidden=hidden, steps=3, random_state=0).fit(X)

    def net(name, u, x):
        A, U, V = (getattr(code, f"{name}_{part}").astype(float)[u] for part in ("", "in_", "out_"))
        x = np.append(x, 1)
        return x @ A + np.maximum(x @ U, 0) @ V

    def unit_row(x):
        return x / np.linalg.norm(x)

    for x, got in zip(X[:20], code._grid(code.encode(X[:20])), strict=True):
        f = unit_row(x.astype(float))
        b = np.sign(net("binarize", 0, f))
        for u in range(2):
            b = b + 2.0 ** -(u + 1) * np.sign(net("binarize", u + 1, f - unit_row(net("rebuild", u, b))))
        np.testing.assert_array_equal(got, 4 * b)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_codes_are_points_of_the_odd_grid(bits):
    code = RecurrentBinary(bits=bits, steps=0, random_state=0).fit(X)
    grid = code._grid(code.encode(X))
    assert set(np.unique(grid)) <= set(range(1 - 2**bits, 2**bits, 2))
    planes = _planes_of(grid, bits)
    np.testing.assert_array_equal(sum(p * 2 ** (bits - 1 - u) for u, p in enumerate(planes)), grid)


@pytest.mark.parametrize("bits", [1, 3])
def test_the_symmetric_distance_is_the_cosine_of_two_codes(bits):
    code = RecurrentBinary(bits=bits, steps=0, random_state=0).fit(X)
    a, b = unit(code._grid(code.encode(Q))), unit(code._grid(code.encode(X)))
    scores = code.score(Q, code.encode(X))
    constant = 0 if bits > 1 else a.sum(axis=1, keepdims=True) / np.sqrt(24)  # of the query alone, dropped
    np.testing.assert_allclose(scores - constant, a @ b.T, atol=1e-5)


def test_the_asymmetric_distance_is_the_product_with_the_decoded_vector_but_for_a_constant():
    code = RecurrentBinary(bits=2, steps=0, symmetric=False, random_state=0).fit(X)
    codes = code.encode(X)
    assert code.expand(codes).dtype == np.uint8
    want = Q @ (code._grid(codes) @ code.decoder_).T
    got = code.score(Q, codes)
    np.testing.assert_allclose(
        got - got.mean(axis=1, keepdims=True), want - want.mean(axis=1, keepdims=True), atol=1e-4
    )


def test_more_bits_find_more():
    found = [recall(RecurrentBinary(bits=bits, steps=0, random_state=0).fit(X)) for bits in (1, 2, 3, 4)]
    assert np.all(np.diff(found) > 0)
    assert found[-1] > 0.8


def test_training_finds_more_than_the_closed_form_start():
    pytest.importorskip("torch")
    start, trained = (RecurrentBinary(bits=2, steps=s, random_state=0).fit(X) for s in (0, 150))
    assert recall(trained) > recall(start) + 0.02


def test_unlike_networks_of_another_seed_the_same_seed_gives_the_same_code():
    pytest.importorskip("torch")
    one, same, other = (RecurrentBinary(bits=2, hidden=4, steps=5, random_state=s).fit(X, Q) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.encode(X), same.encode(X))
    assert (one.encode(X) != other.encode(X)).any()


def test_new_queries_search_old_codes_after_compatible_training():
    pytest.importorskip("torch")
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(24, 24)))[0]
    noise = 0.1 * np.random.default_rng(4).normal(size=X.shape)
    before = (X @ turn + noise).astype(np.float32)  # another encoder of the same items
    old = RecurrentBinary(bits=2, steps=0, random_state=0).fit(before)
    old_codes = old.encode(before)
    apart = RecurrentBinary(bits=2, steps=60, random_state=1).fit(X)
    new = RecurrentBinary(bits=2, steps=60, random_state=1).fit(X, compatible_with=old, old=before)
    true = np.argsort(-(Q @ X.T), axis=1)[:, :10]

    def found(code, codes):
        top = np.argsort(-code.score(Q, codes), axis=1)[:, :10]
        return np.mean([np.isin(t, f).mean() for t, f in zip(true, top, strict=True)])

    assert found(apart, old_codes) < 0.1
    assert found(new, old_codes) > 0.4
    assert found(new, new.encode(X)) > 0.4
    new.symmetric = False
    assert found(new, old_codes) > 0.4


def test_compatible_training_needs_a_code_of_that_shape_and_the_vectors_of_the_same_items():
    old = RecurrentBinary(bits=2, steps=0, random_state=0).fit(X)
    for arguments in ({"compatible_with": old}, {"old": X}, {"compatible_with": old, "old": X[:-1]}):
        with pytest.raises(BadInput, match="old"):
            RecurrentBinary(bits=2, steps=0).fit(X, **arguments)
    for other in (RecurrentBinary(bits=3, steps=0), RecurrentBinary(bits=2, dim=8, steps=0)):
        with pytest.raises(BadInput, match="bits"):
            other.fit(X, compatible_with=old, old=X)
    with pytest.raises(
        BadInput, match="compatible_with must be the fitted RecurrentBinary of the older codes, not 'co"
    ):
        RecurrentBinary(bits=2, steps=0).fit(X, compatible_with="codes", old=X)


def test_relevance_is_one_positive_or_the_softmax_of_the_full_vectors():
    code = RecurrentBinary(temperature=0.5)
    q, x, items = Q[:2], X[:3], np.array([7, 5, 9])
    soft, added = goal(q, x, np.array([[7, 9], [5, 1]]), items, code)
    e = np.exp(q @ x.T / 0.5)
    np.testing.assert_allclose(soft, e / e.sum(axis=1, keepdims=True), rtol=1e-5)
    assert not added.any()
    code.relevance = "nearest"
    one, added = goal(q, x, np.array([[7, 9], [5, 1]]), items, code)
    np.testing.assert_array_equal(one, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(added < 0, [[False, False, True], [False, False, False]])


def matches(n, seed):
    """Vectors, queries that share half of their numbers with one and are noise in the others, and the pairs."""
    rng = np.random.default_rng(seed)
    right = rng.normal(size=(n, 24)).astype(np.float32)
    asking = right + 0.2 * rng.normal(size=right.shape)
    asking[:, 12:] = 2 * rng.normal(size=(n, 12))
    return unit(right), unit(asking).astype(np.float32), np.column_stack([np.arange(n), np.arange(n)])


def hits(code, queries, codes):
    """Share of queries that find the vector of their own row among the first 10."""
    top = np.argsort(-code.score(queries, codes), axis=1)[:, :10]
    return np.mean((top == np.arange(len(queries))[:, None]).any(axis=1))


def test_known_matches_teach_what_the_vectors_alone_cannot():
    pytest.importorskip("torch")
    (right, asking, pairs), (unseen, asked, _) = matches(1500, 0), matches(300, 1)
    code = RecurrentBinary(bits=2, random_state=0, steps=150)
    alone = code.fit(right, asking)
    found = hits(alone, asked, alone.encode(unseen))
    told = RecurrentBinary(bits=2, random_state=0, steps=150).fit_pairs(right, asking, pairs)
    assert hits(told, asked, told.encode(unseen)) > found + 0.1


def test_new_queries_find_their_known_matches_by_old_codes():
    pytest.importorskip("torch")
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(24, 24)))[0].astype(np.float32)
    (right, asking, pairs), (unseen, asked, _) = matches(1500, 0), matches(300, 1)
    old = RecurrentBinary(bits=2, random_state=0, steps=0).fit(right @ turn)
    old_codes = old.encode(unseen @ turn)
    arguments = {"compatible_with": old, "old": right @ turn}
    blind = RecurrentBinary(bits=2, random_state=1, steps=150).fit(right, asking, **arguments)
    told = RecurrentBinary(bits=2, random_state=1, steps=150).fit_pairs(right, asking, pairs, **arguments)
    assert hits(told, asked, old_codes) > max(hits(blind, asked, old_codes), hits(old, asked @ turn, old_codes)) + 0.1


def test_other_known_matches_of_a_query_are_no_negatives():
    one, added = one_of(np.array([[True, False, True], [False, False, True]]))
    np.testing.assert_array_equal(one, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(added < 0, [[False, False, True], [False, False, True]])


def test_of_many_pairs_some_are_learned_from_with_all_that_is_known_of_them(monkeypatch):
    monkeypatch.setattr(recurrent_binary, "_SAMPLE", 4)
    pairs = np.array([[0, 9], [0, 8], [2, 9], [3, 3], [5, 1], [6, 0], [7, 7], [9, 5]])
    rows, asking, kept = _few(pairs, np.array([2, 6]))
    assert {2, 6} < set(rows)
    assert len(asking) == 4
    named = set(zip(asking[kept[:, 0]], rows[kept[:, 1]], strict=True))
    assert named == {(q, x) for q, x in pairs.tolist() if q in asking and x in rows}
    assert set(asking) == {q for q, _ in named}


def test_a_large_collection_is_learned_from_by_a_sample_and_its_pairs(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(recurrent_binary, "_SAMPLE", 50)
    old = RecurrentBinary(bits=2, steps=0, random_state=0).fit(X)
    pairs = np.column_stack([np.arange(len(Q)), np.arange(len(Q)) * 5 + 3])
    code = RecurrentBinary(bits=2, steps=2, random_state=0).fit_pairs(X, Q, pairs, compatible_with=old, old=X)
    assert code.encode(X).shape == (len(X), 6)


def test_pairs_must_name_queries_and_vectors():
    code = RecurrentBinary(steps=1)
    for pairs in ([[0, len(X)]], [[len(Q), 0]], [[0.5, 1.0]]):
        with pytest.raises(BadInput, match="pairs"):
            code.fit_pairs(X, Q, np.array(pairs))
    with pytest.raises(BadInput, match="call fit"):
        code.fit_pairs(X, Q, np.zeros((0, 2), int))


def test_neighbours_come_best_first_and_leave_the_query_itself_out():
    near = neighbours(Q, X, itself=False)
    np.testing.assert_array_equal(near[:, 0], np.argmax(Q @ X.T, axis=1))
    assert near.shape == (len(Q), 60)
    own = neighbours(X[:30], X[:30], itself=True)
    assert own.shape == (30, 29)
    assert not (own == np.arange(30)[:, None]).any()


@pytest.mark.parametrize(
    "wrong", [{"bits": 0}, {"bits": 5}, {"dim": 0}, {"steps": -1}, {"temperature": 0}, {"relevance": "hard"}]
)
def test_other_parameters_are_refused(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        RecurrentBinary(**wrong).fit(X)
