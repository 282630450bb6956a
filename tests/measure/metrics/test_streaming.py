import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.measure import Relevance, evaluate_retrieval
from commonspace.measure.metrics.streaming import _dot, is_stream, stream_ranks

METRICS = ["recall@1", "recall@5", "hit@5", "mrr", "ndcg@10", "map", "median_rank", "precision@3", "r_precision"]


def world(seed=0, q=23, n=300, dim=8, copies=0):
    """Return queries, gallery and labels; some gallery vectors stand in it several times."""
    rng = np.random.default_rng(seed)
    queries, gallery = (unit(rng.normal(size=(m, dim)).astype(np.float32)) for m in (q, n))
    if copies:
        gallery = gallery[rng.integers(0, n // copies, n)]
    return queries, gallery, (rng.integers(0, 9, q), rng.integers(0, 9, n))


def blocks(gallery, size):
    return lambda: (gallery[i : i + size] for i in range(0, len(gallery), size))


def assert_same(found, want):
    for name in METRICS:
        np.testing.assert_allclose(found[name].per_query, want[name].per_query, atol=1e-12, err_msg=name)
        assert found[name].to_dict() == pytest.approx(want[name].to_dict())


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
@pytest.mark.parametrize("copies", [0, 10])
def test_blocks_of_any_size_give_the_figures_of_the_whole(size, copies):
    q, g, keys = world(copies=copies)
    assert_same(evaluate_retrieval(q, blocks(g, size), keys, METRICS, block=5), evaluate_retrieval(q, g, keys, METRICS))


def test_grades_are_honoured():
    q, g, _ = world(1)
    rng = np.random.default_rng(2)
    grades = rng.integers(0, 4, (23, 300)) * (rng.random((23, 300)) < 0.02)
    names = ["ndcg", "ndcg@10"]
    found, want = (evaluate_retrieval(q, x, grades, names) for x in (blocks(g, 64), g))
    for name in names:
        np.testing.assert_allclose(found[name].per_query, want[name].per_query, atol=1e-12)


@pytest.mark.parametrize("made", ["memmap", "list", "object"])
def test_memory_maps_lists_of_blocks_and_whatever_can_be_gone_through_twice_are_read(made, tmp_path):
    q, g, keys = world(3)
    if made == "memmap":
        np.save(tmp_path / "g.npy", g)
        source = np.load(tmp_path / "g.npy", mmap_mode="r")
    elif made == "list":
        source = [g[:100], g[100:101], g[101:]]
    else:

        class Blocks:
            def __iter__(self):
                return iter([g[:200], g[200:]])

        source = Blocks()
    assert is_stream(source)
    assert_same(evaluate_retrieval(q, source, keys, METRICS), evaluate_retrieval(q, g, keys, METRICS))


def test_arrays_in_memory_are_not_taken_for_streams():
    assert not is_stream(np.eye(3))
    assert not is_stream([[1.0, 0.0], [0.0, 1.0]])
    assert not is_stream([])


def test_an_item_is_never_ranked_for_itself():
    _, g, (_, keys) = world(4, copies=3)
    found = evaluate_retrieval(g, blocks(g, 37), (keys, keys), METRICS, leave_one_out=True, block=11)
    assert_same(found, evaluate_retrieval(g, g, (keys, keys), METRICS, leave_one_out=True))


def test_equal_vectors_are_ties_in_whatever_blocks_they_stand():
    rng = np.random.default_rng(5)
    q, one = (unit(rng.normal(size=(m, 129)).astype(np.float32)) for m in (3, 1))
    g = np.repeat(one, 1003, axis=0)
    g[500] = -g[500]
    relevance = np.zeros((3, 1003))
    relevance[:, 0] = 1
    ranks = dict(stream_ranks(q, blocks(g, 77), Relevance.of(relevance)))[0]
    assert ranks.tied.tolist() == [1002] * 3
    assert set(ranks.above.tolist()) <= {0, 1}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), dim=st.integers(1, 300), rows=st.integers(1, 40))
def test_the_score_of_a_pair_does_not_depend_on_where_it_stands(seed, dim, rows):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=dim).astype(np.float32), rng.normal(size=(rows, dim)).astype(np.float32)
    i = rng.integers(rows)
    alone = _dot(a[None, :].astype(float), b[i : i + 1])[0]
    assert _dot(a[None, :].astype(float), b.astype(float))[i] == alone
    assert _dot(np.repeat(a[None, :], rows, 0).astype(float), b)[i] == alone


def test_scores_closer_than_single_precision_are_ranked_as_a_naive_loop_ranks_them():
    # Vectors that differ in the last bit only; many relevant items, so that both ways of counting are used.
    rng = np.random.default_rng(6)
    base = unit(rng.normal(size=(1, 33)).astype(np.float32))
    g = np.repeat(base, 400, axis=0)
    g[np.arange(400), rng.integers(0, 33, 400)] *= 1 + rng.integers(-2, 3, 400).astype(np.float32) * 2**-23
    q = unit(rng.normal(size=(6, 33)).astype(np.float32))
    relevance = rng.random((6, 400)) < np.array([[0.005], [0.01], [0.02], [0.1], [0.5], [0.9]])
    exact = np.array([[_dot(x[None].astype(float), y[None])[0] for y in g] for x in q])
    ranks = dict(stream_ranks(q, blocks(g, 31), Relevance.of(relevance), block=4))[0]
    want = sorted(
        (i, (exact[i] > exact[i, j]).sum(), (exact[i] == exact[i, j]).sum())
        for i, j in zip(*np.nonzero(relevance), strict=True)
    )
    assert list(zip(ranks.query, ranks.above, ranks.tied, strict=True)) == want


def test_queries_with_many_relevant_items_take_passes_of_their_own():
    q, g, keys = world(7)
    judged, passes = Relevance.of(keys), []

    def counted():
        passes.append(1)
        return blocks(g, 90)()

    parts = list(stream_ranks(q, counted, judged, pairs=100))
    assert len(parts) > 3
    assert len(passes) == 2 * len(parts)
    whole = dict(stream_ranks(q, blocks(g, 90), judged))[0]
    np.testing.assert_array_equal(np.concatenate([r.above for _, r in parts]), whole.above)
    np.testing.assert_array_equal(np.concatenate([r.query + s for s, r in parts]), whole.query)


def test_queries_without_relevant_items_are_counted():
    q, g, (asked, held) = world(8)
    asked = asked.copy()
    asked[3] = 77
    assert evaluate_retrieval(q, [g], (asked, held), ["mrr"])["mrr"].skipped == 1
    with pytest.raises(BadInput, match="first query 3"):
        evaluate_retrieval(q, [g], (asked, held), ["mrr"], on_empty="error")


def test_half_precision_blocks_are_read():
    q, g, keys = world(9)
    half = g.astype(np.float16)
    found = evaluate_retrieval(q, [half[:10], half[10:]], keys, ["mrr"])["mrr"]
    assert found.value == pytest.approx(evaluate_retrieval(q, half, keys, ["mrr"])["mrr"].value)


G = np.eye(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("gallery", "error", "says"),
    [
        ((x for x in [G]), BadInput, "once only"),
        ([G[:2]], BadInput, "2 rows in this pass, but the relevance speaks of 4"),
        ([G[:2], G[2:, :3]], SpaceMismatch, "block from row 2"),
        ([G[:3], np.full((1, 4), np.nan)], BadInput, "block from row 3"),
    ],
)
def test_bad_galleries_are_named(gallery, error, says):
    with pytest.raises(error, match=says):
        evaluate_retrieval(G, gallery, np.eye(4))


def test_metrics_that_need_all_scores_are_refused():
    with pytest.raises(BadInput, match="one array"):
        evaluate_retrieval(G, [G], np.eye(4), [lambda s, r: s[:, 0]])
