"""Walks over a graph: what they find, with filters, after deletes, from damaged files and without Numba."""

import warnings

import numpy as np
import pytest

from commonspace.core.errors import Corrupt
from commonspace.core.registry import build as make
from commonspace.core.vectors import unit
from commonspace.search import planner
from commonspace.search.best import Gallery
from commonspace.search.exact import top_k
from commonspace.search.index import graph, indexed
from commonspace.search.index.graph import Graph, halves
from commonspace.search.index.indexed import Indexed, Part
from commonspace.search.index.segment import Origin, Segment, build
from commonspace.search.planner import Settings

pytest.importorskip("numba")
N, DIM, K = 4000, 32, 10


def world(n=N, m=400, seed=0):
    """Return vectors in clusters, and queries that mix pairs of clusters and lie off them all in one direction."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(60, DIM))
    pairs = np.random.default_rng(2).integers(60, size=(30, 2))
    X = centres[rng.integers(60, size=n)] + 0.6 * rng.normal(size=(n, DIM))
    Q = centres[pairs[rng.integers(30, size=m)]].mean(axis=1) + 0.3 * rng.normal(size=(m, DIM)) + 1.0
    return unit(X.astype(np.float32)), unit(Q.astype(np.float32))


X, LEARN = world()
Q = world(m=200, seed=5)[1]


def segment(vectors=X, code=None, *, degree=16, queries=LEARN, **options):
    code = (make("Code", "scalar") if code is None else code).fit(vectors)
    nowhere = np.zeros(len(vectors), np.int32)
    origin = Origin(("",), nowhere, np.arange(len(vectors), dtype=np.int32), np.empty((0, 2), np.int32))
    return build(vectors, origin, code, degree=degree, queries=queries, progress=False, **options)


@pytest.fixture(scope="module")
def made():
    return segment()


def recall(found, true):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, true, strict=True)])


@pytest.mark.parametrize("bits", [8, 4])
def test_a_walk_finds_nearly_all_that_exact_search_finds_and_scores_it_the_same(bits):
    made = segment(code=make("Code", {"name": "scalar", "bits": bits}))
    true, scores = top_k(Q, made.vectors, K)
    found, got = made.walk(Q, K, beam=80)
    assert recall(found, true) > 0.97
    same = found == true
    np.testing.assert_allclose(got[same], scores[same], atol=1e-6)
    assert (np.diff(got, axis=1) <= 0).all()


def test_links_from_queries_find_what_lies_scattered(made):
    """The same number of links, half of them learned, against all of them to neighbours."""
    true = top_k(Q, made.vectors, K)[0]
    plain = segment(queries=None)
    np.testing.assert_array_equal(plain.vectors, made.vectors)
    assert recall(made.walk(Q, K, beam=20)[0], true) > recall(plain.walk(Q, K, beam=20)[0], true) + 0.02


def test_the_same_vectors_and_queries_give_the_same_links(made):
    again = segment()
    np.testing.assert_array_equal(made.graph.links, again.graph.links)
    np.testing.assert_array_equal(made.graph.entries, again.graph.entries)


def test_every_row_can_be_reached_and_no_row_links_to_itself_or_twice_to_another(made):
    links = made.graph.links
    assert links.shape == (N, 16)
    assert np.bincount(links[links >= 0], minlength=N).min() >= 1
    assert (links != np.arange(N)[:, None]).all()
    for row in links[::37]:
        there = row[row >= 0]
        assert len(set(there)) == len(there) >= 4
    found, _ = made.walk(made.vectors, 1, beam=30)
    assert (found[:, 0] == np.arange(N)).mean() > 0.95


@pytest.mark.parametrize("n", [1, 2, 5, 200])
def test_few_vectors_are_all_found(n):
    made = segment(X[:n], degree=4)
    found, scores = made.walk(Q[:3], n + 2, beam=1)
    assert [sorted(r for r in row if r >= 0) for row in found] == [list(range(n))] * 3
    assert (scores[:, n:] == -np.inf).all()


def test_vectors_that_are_all_the_same_are_found():
    same = np.repeat(X[:2], 300, axis=0)
    made = segment(same, degree=16)
    found, scores = made.walk(X[:2], K, beam=20)
    assert (found >= 0).all()
    np.testing.assert_allclose(scores, 1, atol=1e-6)


def test_queries_are_scaled_to_integers_and_split_as_bytes_are():
    prepared = np.array([[1.0, -2.0, 0.5], [0, 0, 0]], np.float32)
    low_high = halves(prepared, 4, 2)
    assert low_high.shape == (2, 2, 64)
    assert low_high[0, :, :2].tolist() == [[64, 32], [-127, 0]]
    assert halves(prepared, 8, 3)[0, :, :3].tolist() == [[64, -127, 32]] * 2
    assert not low_high[1].any()
    assert not low_high[:, :, 2:].any()


# ---------------------------------------------------------------- as a collection searches


def ask(made, queries=Q, k=K, mask=None, *, gone=(), settings=None):
    """Return rows and the plan of a search of a segment some of whose vectors were deleted."""
    rows = np.arange(len(made))
    rows[list(gone)] = -1
    part = Part(made, rows, frozenset())
    fresh = Gallery("", np.empty(0, np.int64), np.empty((0, DIM), np.float32))
    whole = Indexed("", [part], fresh, settings or Settings(shortlist=60, beam=60))
    return whole.best(queries, k, mask)[0][:, :k], whole.plans[0]


@pytest.fixture
def _walks(monkeypatch):
    """Walk wherever there are links and the filter leaves enough."""
    assert graph.load()
    monkeypatch.setattr(planner, "_WORTH", np.inf)


@pytest.mark.usefixtures("_walks")
@pytest.mark.parametrize("share", [0.9, 0.5, 0.35])
def test_with_a_filter_only_its_rows_are_found_and_nearly_all_of_the_best(made, share):
    mask = np.random.default_rng(0).random(N) < share
    found, plan = ask(made, mask=mask)
    assert plan.way == "graph"
    assert plan.beam >= 60 / share * 0.9
    assert mask[found].all()
    true = np.flatnonzero(mask)[top_k(Q, made.vectors[mask], K)[0]]
    assert recall(found, true) > 0.95


@pytest.mark.usefixtures("_walks")
def test_a_filter_that_leaves_few_rows_is_never_walked(made):
    assert ask(made, mask=np.arange(N) % 5 == 0)[1].way != "graph"


@pytest.mark.usefixtures("_walks")
def test_where_the_filter_leaves_nothing_near_a_query_the_codes_are_scanned(made):
    """Half of the vectors take part, and none of those that are like the query."""
    query = Q[:1]
    mask = np.ones(N, bool)
    mask[np.argsort(-made.vectors @ query[0])[: N // 2]] = False
    found, plan = ask(made, query, mask=mask)
    assert plan.way == "graph"
    true = np.flatnonzero(mask)[top_k(query, made.vectors[mask], K)[0]]
    assert recall(found, true) == 1


@pytest.mark.usefixtures("_walks")
def test_deleted_vectors_are_walked_over_and_never_returned(made):
    true = top_k(Q, made.vectors, K)[0]
    gone = set(true[:, :3].ravel().tolist())
    found, plan = ask(made, gone=gone)
    assert plan.way == "graph"
    assert not gone & set(found.ravel().tolist())
    left = np.setdiff1d(np.arange(N), list(gone))
    assert recall(found, left[top_k(Q, made.vectors[left], K)[0]]) > 0.95


@pytest.mark.usefixtures("_walks")
def test_there_are_always_k_hits(made):
    broken = Segment(made.coded, made.vectors, made.origin, Graph(np.full((N, 3), -1, np.int32), made.graph.entries))
    found, plan = ask(broken)  # no link leads anywhere
    assert plan.way == "graph"
    np.testing.assert_array_equal(found, ask(broken, settings=Settings(beam=0, shortlist=60))[0])
    found, _ = ask(made, k=500)
    assert all(len(set(row)) == 500 for row in found)


def test_walks_are_loaded_when_searches_have_lost_as_much_time_without(monkeypatch):
    loaded = graph._Loaded()
    monkeypatch.setattr(graph, "_loaded", loaded)
    assert [graph.worth(200.0) for _ in range(4)] == [False, False, True, True]
    assert graph.worth(0.0)


def test_until_then_the_codes_are_scanned_and_the_plan_says_why(made, monkeypatch):
    monkeypatch.setattr(graph, "_loaded", graph._Loaded())
    plan = indexed.plan
    big = {"vectors": 10**8, "selected": 10**8, "dim": 384}
    monkeypatch.setattr(indexed, "plan", lambda **given: plan(**{**given, **big}))
    _, chosen = ask(made, Q[:1], settings=Settings(shortlist=50))
    assert chosen.way == "index"
    assert "until walking is worth being loaded" in chosen.why


def test_a_compiler_that_fails_is_said_once_and_costs_no_search(made, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "commonspace.search.index.walking", None)
    monkeypatch.delattr("commonspace.search.index.walking", raising=False)
    monkeypatch.setattr(graph, "_loaded", graph._Loaded())
    with pytest.warns(RuntimeWarning, match="searches are slower.*NUMBA_CACHE_DIR.*degree=0") as said:
        assert not graph.load()
    assert [w.filename for w in said] == [__file__]  # the line of whoever searches
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not graph.load()
        assert not graph.worth(10_000.0)


# ---------------------------------------------------------------- on disk


def test_a_saved_segment_walks_as_before_and_counts_its_links(made, tmp_path):
    made.save(tmp_path)
    again = Segment.load(tmp_path)
    for a, b in zip(made.walk(Q, K, beam=30), again.walk(Q, K, beam=30), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("links.npy", "entries.npy"):
        (tmp_path / name).unlink()
    older = Segment.load(tmp_path)  # as segments were before there were links
    assert older.graph is None
    assert again.bytes_in_memory - older.bytes_in_memory == made.graph.links.nbytes + made.graph.entries.nbytes
    with pytest.raises(ValueError, match="no graph"):
        older.walk(Q, K, beam=30)
    assert ask(older)[1].way != "graph"


def _write(folder, name, array):
    np.save(folder / f"{name}.npy", array)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f, g: _write(f, "links", np.where(g.links == 7, N, g.links).astype(np.int32)),
        lambda f, g: _write(f, "links", np.where(g.links == 7, -2, g.links).astype(np.int32)),
        lambda f, g: _write(f, "links", g.links[1:]),
        lambda f, g: _write(f, "links", g.links.astype(np.int64)),
        lambda f, g: _write(f, "links", np.asfortranarray(g.links)),
        lambda f, g: _write(f, "links", g.links[:, 0]),
        lambda f, g: _write(f, "entries", np.array([0, N], np.int32)),
        lambda f, g: _write(f, "entries", np.array([-1], np.int32)),
        lambda f, g: _write(f, "entries", np.array([3, 3], np.int32)),
        lambda f, g: _write(f, "entries", np.empty(0, np.int32)),
        lambda f, g: (f / "entries.npy").unlink(),
        lambda f, g: (f / "links.npy").write_bytes(b"no array"),
    ],
)
def test_links_that_lead_nowhere_make_a_segment_corrupt(made, tmp_path, spoil):
    made.save(tmp_path)
    spoil(tmp_path, made.graph)
    with pytest.raises(Corrupt):
        Segment.load(tmp_path)


def test_without_numba_or_a_packed_code_nothing_is_linked(monkeypatch):
    assert segment(X[:300], make("Code", {"name": "scalar", "bits": 2})).graph is None
    assert segment(X[:300], degree=0).graph is None
    monkeypatch.setattr(graph, "available", lambda: False)
    assert segment(X[:300]).graph is None
    assert graph.usual(10**6) == 0
    monkeypatch.setattr(graph, "available", lambda: True)
    assert (graph.usual(graph.LEAST - 1), graph.usual(graph.LEAST)) == (0, graph.DEGREE)


def test_links_are_ignored_where_numba_is_not_installed(made, monkeypatch):
    monkeypatch.setattr(graph, "available", lambda: False)
    monkeypatch.setattr(graph, "_loaded", graph._Loaded())
    assert not graph.worth(10_000.0)
    found, plan = ask(made)
    assert plan.way in ("index", "exact")
    assert recall(found, top_k(Q, made.vectors, K)[0]) > 0.98
