import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFound, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.measure import NDCG, evaluate, evaluate_retrieval, metric

METRICS = ["recall@1", "recall@5", "hit@5", "mrr", "ndcg@10", "map", "median_rank"]


def vectors(seed=0, q=23, n=50, dim=8):
    rng = np.random.default_rng(seed)
    make = lambda m: unit(rng.normal(size=(m, dim)).astype(np.float32))  # noqa: E731
    return make(q), make(n), (rng.integers(0, 9, q), rng.integers(0, 9, n))


@pytest.mark.parametrize("block", [1, 5, 23, 256])
def test_blocks_do_not_change_any_value(block):
    q, g, keys = vectors()
    dense = keys[0][:, None] == keys[1]
    got = evaluate_retrieval(q, g, keys, METRICS, block=block)
    for name in METRICS:
        np.testing.assert_allclose(got[name].per_query, metric(name)(q @ g.T, dense), atol=1e-12)


def test_scores_and_vectors_give_the_same_estimates():
    q, g, keys = vectors()
    from_scores = evaluate(q @ g.T, keys, METRICS)
    from_vectors = evaluate_retrieval(q, g, keys, METRICS)
    assert {k: v.to_dict() for k, v in from_scores.items()} == {k: v.to_dict() for k, v in from_vectors.items()}


def test_results_stand_under_the_names_that_were_asked_for():
    found = evaluate([[1.0, 0.0]], [[1, 0]], ["Success@1", {"name": "ndcg", "k": 2}, NDCG(gain="exponential")])
    assert list(found) == ["Success@1", "ndcg@2", "ndcg (gain=exponential)"]


def test_equal_gallery_vectors_are_ties_wherever_they_stand():
    rng = np.random.default_rng(1)
    q = unit(rng.normal(size=(3, 129)).astype(np.float32))
    one = unit(rng.normal(size=(1, 129)).astype(np.float32))
    g = np.repeat(one, 1003, axis=0)
    relevance = np.zeros((3, 1003))
    relevance[:, 0] = 1
    found = evaluate_retrieval(q, g, relevance, ["median_rank"])["median_rank"]
    assert found.per_query.tolist() == [502.0] * 3


def test_queries_without_relevant_items_are_counted_and_left_out_or_refused():
    scores, relevance = np.eye(3), np.diag([1, 0, 1])
    found = evaluate(scores, relevance, ["mrr"], groups=["a", "b", "c"])["mrr"]
    assert (found.n, found.skipped, found.value) == (2, 1, 1)
    with pytest.raises(BadInput, match="1 of 3 queries have no relevant item, first query 1"):
        evaluate(scores, relevance, on_empty="error")
    with pytest.raises(BadInput, match="none of the 3 queries"):
        evaluate(scores, np.zeros((3, 3)))


def test_leaving_one_out_never_ranks_an_item_for_itself():
    _, g, (_, keys) = vectors()
    scores = g @ g.T
    np.fill_diagonal(scores, -np.inf)
    dense = (keys[:, None] == keys) & ~np.eye(len(keys), dtype=bool)
    got = evaluate_retrieval(g, g, (keys, keys), METRICS, leave_one_out=True, block=7)
    for name in METRICS:
        want = metric(name)(scores, dense)
        np.testing.assert_allclose(got[name].per_query, want[~np.isnan(want)], atol=1e-12)


def test_a_metric_that_only_keeps_the_protocol_takes_part():
    class TopScore:
        def __call__(self, scores, relevance):
            return (scores * relevance).max(axis=1)

    found = evaluate(np.eye(3), np.eye(3), [TopScore()])
    assert [e.value for e in found.values()] == [1]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: evaluate(np.eye(2), np.eye(3)), BadInput, "2 queries x 2 items"),
        (lambda: evaluate([[np.nan]], [[1]]), BadInput, "NaN"),
        (lambda: evaluate(np.eye(2), np.eye(2), ["recall@0"]), BadInput, "cut-off"),
        (lambda: evaluate(np.eye(2), np.eye(2), ["recall"]), BadInput, "needs a cut-off"),
        (lambda: evaluate(np.eye(2), np.eye(2), "mrr"), BadInput, "list"),
        (lambda: evaluate(np.eye(2), np.eye(2), ["mmr"]), NotFound, "mrr"),
        (lambda: evaluate(np.eye(2), np.eye(2), groups=[1]), BadInput, "groups"),
        (lambda: evaluate(np.eye(2), np.eye(2), block=0), BadInput, "block"),
        (lambda: evaluate_retrieval(np.eye(2), np.eye(3), np.eye(2)), SpaceMismatch, "dimension 3"),
        (lambda: evaluate_retrieval(np.eye(2), np.eye(2), (["a"], ["a", "b"])), BadInput, "1 x 2"),
        (
            lambda: evaluate_retrieval(np.eye(2), np.eye(2)[:1], np.eye(2)[:, :1], leave_one_out=True),
            BadInput,
            "2 and 1",
        ),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
