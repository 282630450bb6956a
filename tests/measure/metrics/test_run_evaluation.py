import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import compare, evaluate, evaluate_run, judged_share, metric

OURS = {
    "map": "map", "map_cut_10": "map@10", "recip_rank": "mrr", "ndcg": "ndcg", "ndcg_cut_10": "ndcg@10",
    "recall_10": "recall@10", "recall_100": "recall@100", "P_10": "precision@10", "Rprec": "r_precision",
    "success_5": "hit@5",
}  # fmt: skip


def world(seed=0, queries=30, items=60, depth=25, ties=False):
    """Return a run of the best `depth` items and qrels with grades, some of them for items not in the run."""
    rng = np.random.default_rng(seed)
    run, qrels = {}, {}
    for q in range(queries):
        found = rng.permutation(items)[: rng.integers(1, depth + 1)]
        score = rng.integers(0, 6, len(found)) if ties else rng.permutation(len(found))
        run[f"q{q}"] = {f"d{i}": float(s) for i, s in zip(found, score, strict=True)}
        judged = rng.permutation(items)[:15]
        qrels[f"q{q}"] = {f"d{i}": int(g) for i, g in zip(judged, rng.integers(0, 4, 15), strict=True)}
        qrels[f"q{q}"][f"d{judged[0]}"] = 1
    return run, qrels


def trec_eval(run, qrels):
    import pytrec_eval

    return pytrec_eval.RelevanceEvaluator(qrels, set(OURS)).evaluate(run)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ties", ["mean", "trec"])
def test_every_metric_equals_trec_eval_on_runs_without_ties(seed, ties):
    run, qrels = world(seed)
    found, want = evaluate_run(run, qrels, list(OURS.values()), ties=ties), trec_eval(run, qrels)
    for theirs, ours in OURS.items():
        values = [want[q][theirs] for q in found[ours].ids]
        np.testing.assert_allclose(found[ours].per_query, values, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_ties_broken_as_trec_eval_does_give_its_figures(seed):
    run, qrels = world(seed, ties=True)
    found, want = evaluate_run(run, qrels, list(OURS.values()), ties="trec"), trec_eval(run, qrels)
    for theirs, ours in OURS.items():
        np.testing.assert_allclose(found[ours].per_query, [want[q][theirs] for q in found[ours].ids], atol=1e-6)


def test_ties_count_as_the_mean_over_what_trec_eval_says_of_every_naming_of_the_items():
    run = {"q": {"a": 1.0, "b": 1.0, "c": 1.0}}
    qrels = {"q": {"a": 1}}
    lucky = {"q": {"c": 1}}
    assert trec_eval(run, qrels)["q"]["recip_rank"] == pytest.approx(1 / 3)
    assert trec_eval(run, lucky)["q"]["recip_rank"] == 1
    for judged in (qrels, lucky):
        assert evaluate_run(run, judged, ["mrr"])["mrr"].value == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_scores_that_single_precision_cannot_tell_are_ties_for_trec_eval_only():
    run, qrels = {"q": {"a": 1.0 + 1e-12, "b": 1.0}}, {"q": {"a": 1}}
    assert trec_eval(run, qrels)["q"]["recip_rank"] == 0.5
    assert evaluate_run(run, qrels, ["mrr"], ties="trec")["mrr"].value == 0.5
    assert evaluate_run(run, qrels, ["mrr"])["mrr"].value == 1


def test_rank_biased_precision_is_that_of_a_naive_loop_over_the_run():
    run, qrels = world(5)
    found = evaluate_run(run, qrels, [{"name": "rbp", "p": 0.7}])["rbp (p=0.7)"]
    for q, value in zip(found.ids, found.per_query, strict=True):
        order = sorted(run[q], key=run[q].get, reverse=True)
        assert value == pytest.approx(sum(0.3 * 0.7**i for i, d in enumerate(order) if qrels[q].get(d, 0) > 0))


def test_a_run_of_everything_has_the_figures_of_the_matrix():
    rng = np.random.default_rng(6)
    scores, grades = rng.integers(0, 9, (12, 30)), rng.integers(0, 3, (12, 30)) * (rng.random((12, 30)) < 0.3)
    grades[:, 0] = 1
    names = [*OURS.values(), "median_rank", "rbp", "precision@40"]
    run = {q: dict(enumerate(map(float, row))) for q, row in enumerate(scores)}
    qrels = {q: dict(enumerate(map(int, row))) for q, row in enumerate(grades)}
    by_run, by_matrix = evaluate_run(run, qrels, names), evaluate(scores, grades, names)
    for name in names:
        np.testing.assert_allclose(by_run[name].per_query, by_matrix[name].per_query, atol=1e-12)
        assert (by_run[name].low, by_run[name].high) == pytest.approx((by_matrix[name].low, by_matrix[name].high))


def test_a_query_without_results_counts_0_or_is_left_out_or_refused():
    run, qrels = {"a": {"x": 1.0}}, {"a": {"x": 1}, "b": {"y": 1}}
    zero = evaluate_run(run, qrels, ["mrr"])["mrr"]
    assert (zero.value, zero.n, zero.skipped, zero.ids) == (0.5, 2, 0, ("a", "b"))
    skipped = evaluate_run(run, qrels, ["mrr"], missing="skip")["mrr"]
    assert (skipped.value, skipped.n, skipped.skipped, skipped.ids) == (1, 1, 1, ("a",))
    with pytest.raises(BadInput, match="lacks 1 of 2 judged queries, first 'b'"):
        evaluate_run(run, qrels, missing="error")


def test_a_query_without_relevant_items_has_no_value_or_0_or_is_refused():
    run, qrels = {"a": {"x": 1.0}, "b": {"y": 1.0}}, {"a": {"x": 1}, "b": {"y": 0, "z": -1}}
    skipped = evaluate_run(run, qrels, ["map"])["map"]
    assert (skipped.value, skipped.n, skipped.skipped) == (1, 1, 1)
    assert evaluate_run(run, qrels, ["map"], on_empty="zero")["map"].value == 0.5
    with pytest.raises(BadInput, match="'b' has no relevant item"):
        evaluate_run(run, qrels, on_empty="error")


def test_queries_nobody_judged_are_passed_over_and_items_nobody_judged_are_not_relevant():
    run = {"a": {"unjudged": 2.0, "x": 1.0}, "stranger": {"x": 1.0}}
    found = evaluate_run(run, {"a": {"x": 1}}, ["mrr"])["mrr"]
    assert (found.value, found.ids) == (0.5, ("a",))


def test_relevant_items_that_were_not_found_never_count_however_short_the_run():
    found = evaluate_run(
        {"q": {"x": 1.0}}, {"q": {"x": 1, "lost": 1, "gone": 2}}, ["map", "recall@100", "mrr", "hit@9"]
    )
    assert [e.value for e in found.values()] == [1 / 3, 1 / 3, 1, 1]
    assert evaluate_run({"q": {"y": 1.0}}, {"q": {"x": 1}}, ["mrr"])["mrr"].value == 0


def test_runs_are_compared_query_by_query_whatever_their_order():
    run, qrels = world(7)
    backwards = dict(reversed(run.items()))
    worse = {q: {d: -s for d, s in found.items()} for q, found in backwards.items()}
    a = evaluate_run(run, qrels, ["ndcg"])["ndcg"]
    b = evaluate_run(backwards, dict(reversed(qrels.items())), ["ndcg"])["ndcg"]
    assert a.ids == b.ids[::-1]
    assert compare(a, b).difference == 0
    assert compare(a, b).p_value == 1
    c = compare(a, evaluate_run(worse, qrels, ["ndcg"])["ndcg"])
    assert c.n == 30
    with pytest.raises(BadInput, match="same queries"):
        compare(a, evaluate_run(run, {**dict(list(qrels.items())[1:]), "new": {"d1": 1}}, ["ndcg"])["ndcg"])


def test_groups_are_given_by_query_or_in_order():
    run, qrels = world(8)
    labels = [i // 5 for i in range(30)]
    by_order = evaluate_run(run, qrels, ["map"], groups=labels)["map"]
    by_id = evaluate_run(run, qrels, ["map"], groups=dict(zip(qrels, labels, strict=True)))["map"]
    assert (by_id.low, by_id.high) == (by_order.low, by_order.high)
    assert by_id.low != evaluate_run(run, qrels, ["map"])["map"].low


def test_the_share_that_was_judged_is_counted_over_the_first_k_that_there_are():
    run = {"a": {"x": 3.0, "y": 2.0, "z": 1.0}, "b": {"x": 1.0}, "c": {"x": 1.0}}
    qrels = {"a": {"x": 1, "y": 0}, "b": {"w": 1}, "d": {"x": 1}}
    found = judged_share(run, qrels, 2)
    assert (found.per_query.tolist(), found.ids, found.skipped) == ([1, 0], ("a", "b"), 1)
    assert judged_share(run, qrels, 3).per_query.tolist() == pytest.approx([2 / 3, 0])
    assert found.metric == "judged@2"


def test_cut_offs_below_the_end_of_a_short_run_agree_with_a_naive_loop():
    run, qrels = world(9, depth=5)
    found = evaluate_run(run, qrels, ["precision@10", "recall@3"])
    for i, q in enumerate(found["recall@3"].ids):
        order = sorted(run[q], key=run[q].get, reverse=True)
        relevant = {d for d, g in qrels[q].items() if g > 0}
        assert found["precision@10"].per_query[i] == pytest.approx(len(relevant & set(order[:10])) / 10)
        assert found["recall@3"].per_query[i] == pytest.approx(len(relevant & set(order[:3])) / len(relevant))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: evaluate_run({"1": {"d": 1.0}}, {1: {"d": 1}}), "like '1'.*like 1"),
        (lambda: evaluate_run({}, {"q": {"d": 1}}), "no query in the run"),
        (lambda: evaluate_run({"q": {}}, {}), "no query in the qrels"),
        (lambda: evaluate_run({"q": {"d": 1.0}}, {"q": {"e": 1}}, ["median_rank"]), "none for query 'q'"),
        (lambda: evaluate_run({"q": {"d": 1.0}}, {"q": {"e": 0}}), "relevant item"),
        (lambda: evaluate_run({"q": {"d": 1.0}}, {"q": {"d": 1}}, ties="random"), "ties"),
        (lambda: evaluate_run({"q": {"d": 1.0}}, {"q": {"d": 1}}, [lambda s, r: s]), "needs all scores"),
        (lambda: judged_share({"q": {"d": 1.0}}, {"p": {"d": 1}}), "share no query"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(BadInput, match=says):
        call()


def test_names_of_trec_are_synonyms():
    assert metric("p@5").label == "precision@5"
    assert metric("Rprec").label == "r_precision"
