import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import evaluate, evaluate_hits, evaluate_retrieval, evaluate_run

METRICS = ["recall@1", "recall@5", "hit@5", "mrr@10", "ndcg@10", "map@10", "precision@3", "rbp@10"]


def world(seed=0, q=20, n=60, k=15, ties=False):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(n * 1.0), (q, 1)), axis=1)
    if ties:
        scores = np.floor(scores / 8)
    grades = rng.integers(0, 3, (q, n)) * (rng.random((q, n)) < 0.2)
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return scores, grades, ids, np.take_along_axis(scores, ids, axis=1)


@pytest.mark.parametrize("block", [1, 7, 4096])
@pytest.mark.parametrize("given", ["scores", "order"])
def test_cut_off_metrics_are_those_of_the_whole_ranking(block, given):
    scores, grades, ids, best = world()
    found = evaluate_hits(ids, best if given == "scores" else None, grades, METRICS, block=block)
    want = evaluate(scores, grades, METRICS)
    for name in METRICS:
        np.testing.assert_allclose(found[name].per_query, want[name].per_query, atol=1e-12)
        assert found[name].to_dict() == want[name].to_dict()


def test_labels_are_relevance_too_and_lists_need_no_order():
    rng = np.random.default_rng(1)
    scores, _, ids, best = world(1)
    keys = rng.integers(0, 5, 20), rng.integers(0, 5, 60)
    shuffle = rng.permutation(15)
    found = evaluate_hits(ids[:, shuffle], best[:, shuffle], keys, METRICS)
    want = evaluate(scores, keys, METRICS)
    for name in METRICS:
        np.testing.assert_allclose(found[name].per_query, want[name].per_query, atol=1e-12)


def test_ties_within_the_cut_off_count_as_all_their_orders():
    grades = np.array([[1, 0, 0, 0]])
    found = evaluate_hits([[0, 1, 2]], [[0.5, 0.5, 0.5]], grades, ["mrr@3", "recall@1"])
    assert [e.value for e in found.values()] == pytest.approx([11 / 18, 1 / 3])
    assert evaluate_hits([[0, 1, 2]], None, grades, ["mrr@3"])["mrr@3"].value == 1


def test_short_lists_end_with_minus_one_whatever_their_scores():
    grades = np.array([[1, 1, 0, 0], [0, 0, 0, 2]])
    found = evaluate_hits([[2, 0, -1], [-1, -1, -1]], [[0.9, 0.5, 7.0], [9.0, 9.0, 9.0]], grades, ["recall@3", "mrr@3"])
    assert found["recall@3"].per_query.tolist() == [0.5, 0]
    assert found["mrr@3"].per_query.tolist() == [0.5, 0]


def test_lists_say_the_same_as_a_run():
    _, grades, ids, best = world(2, ties=True)
    pairs = [zip(row.tolist(), s.tolist(), strict=True) for row, s in zip(ids, best, strict=True)]
    run = {q: dict(found) for q, found in enumerate(pairs)}
    qrels = {q: dict(enumerate(row.tolist())) for q, row in enumerate(grades)}
    by_list, by_run = evaluate_hits(ids, best, grades, METRICS), evaluate_run(run, qrels, METRICS)
    for name in METRICS:
        np.testing.assert_allclose(by_list[name].per_query, by_run[name].per_query, atol=1e-12)


def test_what_a_search_returns_is_evaluated_in_one_call():
    from commonspace.search import top_k

    rng = np.random.default_rng(3)
    gallery = rng.normal(size=(200, 16)).astype(np.float32)
    queries = gallery[:50] + 0.3 * rng.normal(size=(50, 16)).astype(np.float32)
    keys = np.arange(50), np.arange(200)
    found = evaluate_hits(*top_k(queries, gallery, 10), keys, ["hit@1", "mrr@10"])
    for name, want in evaluate_retrieval(queries, gallery, keys, ["hit@1", "mrr@10"]).items():
        np.testing.assert_allclose(found[name].per_query, want.per_query)


def test_queries_without_relevant_items_are_counted():
    grades = np.array([[0, 0], [0, 1]])
    assert evaluate_hits([[0], [1]], None, grades, ["hit@1"])["hit@1"].skipped == 1
    with pytest.raises(BadInput, match="first query 0"):
        evaluate_hits([[0], [1]], None, grades, ["hit@1"], on_empty="error")


E2 = np.eye(2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: evaluate_hits([[0], [1]], None, E2, ["recall@2"]), "recall@2 looks further than lists of 1"),
        (lambda: evaluate_hits([[0], [1]], None, E2, ["map"]), "cut-off of at most 1"),
        (lambda: evaluate_hits([[0], [1]], None, E2, ["r_precision"]), "cut-off"),
        (lambda: evaluate_hits([[0], [1]], None, E2, [lambda s, r: s]), "needs all scores"),
        (lambda: evaluate_hits([[0], [2]], None, E2, ["hit@1"]), "query 1 found item 2"),
        (lambda: evaluate_hits([[0, 0], [0, 1]], None, E2, ["hit@1"]), "query 0 found item 0 twice"),
        (lambda: evaluate_hits([[0]], None, E2, ["hit@1"]), "1 queries but the relevance of 2"),
        (lambda: evaluate_hits([["a"], ["b"]], None, E2, ["hit@1"]), "positions in the gallery"),
        (lambda: evaluate_hits([[0], [1]], [[1.0, 2.0]], E2, ["hit@1"]), "shape"),
        (lambda: evaluate_hits([[0], [1]], [[np.nan], [1.0]], E2, ["hit@1"]), "NaN"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(BadInput, match=says):
        call()
