import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import Adjudicator, adjudication_curves
from commonspace.measure.judgements.adjudication_curves import _Scored


def world(topics=25, systems=6, docs=120, seed=0):
    """Systems of graded skill that rank the same documents, and what is relevant."""
    rng = np.random.default_rng(seed)
    relevant = {t: {int(d): float(rng.integers(1, 4)) for d in rng.permutation(docs)[:8]} for t in range(topics)}
    runs = {}
    for s in range(systems):
        skill = 3 * s / (systems - 1)
        runs[f"s{s}"] = {
            t: np.argsort([-skill * (d in relevant[t]) - rng.normal() for d in range(docs)])[:40] for t in range(topics)
        }
    return runs, relevant


def test_scores_under_partial_judgements_equal_those_of_trec_eval():
    trec = pytest.importorskip("pytrec_eval")
    runs, relevant = world()
    seen = np.random.default_rng(1).random(25 * 8) < 0.5
    tables = {name: {t: list(map(int, ids)) for t, ids in run.items()} for name, run in runs.items()}
    for metric, theirs in (("map", "map"), ("ndcg@10", "ndcg_cut_10"), ("recall@30", "recall_30")):
        scored = _Scored(tables, relevant, metric, 40)
        values = scored.values(seen)
        qrels = {str(t): {} for t in relevant}
        for (t, d), s in zip(scored.ids, seen, strict=True):
            if s:
                qrels[str(t)][str(d)] = int(relevant[t][d])
        judge = trec.RelevanceEvaluator({t: q for t, q in qrels.items() if q}, {theirs})
        for name, run in runs.items():
            found = judge.evaluate({str(t): {str(d): -float(n) for n, d in enumerate(r)} for t, r in run.items()})
            want = [found.get(str(t), {theirs: 0.0})[theirs] for t in relevant]
            np.testing.assert_allclose(values[name], want, atol=1e-6)


def test_a_budget_counts_judgements_of_the_order_itself():
    runs, relevant = world()
    found = adjudication_curves(runs, relevant, methods=["max_mean"], budgets=[0.1, 0.3], resamples=10, depth=20)
    order = Adjudicator(runs, method="max_mean", depth=20)
    hits = np.zeros(25)
    for n, (t, d) in enumerate(order):
        if n == found.points[0].judged:
            break
        order.tell(t, d, relevant[t].get(d, 0))
        hits[t] += d in relevant[t]
    assert found.points[0].judged == round(0.1 * found.pool)
    np.testing.assert_allclose(found.points[0].found.per_query, hits / 8)


def test_all_judgements_keep_everything_and_few_keep_less():
    runs, relevant = world()
    pooled = {t: {d for run in runs.values() for d in run[t].tolist()} for t in relevant}
    relevant = {t: {d: g for d, g in grades.items() if d in pooled[t]} for t, grades in relevant.items()}
    found = adjudication_curves(runs, relevant, methods=["random", "max_mean"], budgets=[0.05, 1.0], resamples=20)
    for point in found.points[1::2]:
        assert (point.found.value, point.power.f1.value, point.power.tau.value) == (1, 1, 1)
    first = {p.method: p for p in found.points[::2]}
    assert first["random"].found.value < first["max_mean"].found.value < 1
    assert first["random"].power.f1.value < 1


def test_queries_without_a_relevant_document_are_left_out():
    runs, relevant = world()
    fewer = {t: grades if t else dict.fromkeys(grades, 0) for t, grades in relevant.items()}
    assert adjudication_curves(runs, fewer, methods=["depth_k"], resamples=5).topics == 24
    del fewer[1]
    assert adjudication_curves(runs, fewer, methods=["depth_k"], resamples=5).topics == 23


def test_curves_are_ready_for_a_picture():
    found = adjudication_curves(
        *world(), budgets=[0.2, 0.05], methods=["depth_k", "hedge"], metric="ndcg@10", resamples=10
    )
    back = json.loads(json.dumps(found.to_dict()))
    assert back["budgets"] == [0.05, 0.2]
    assert back["metric"] == "ndcg@10"
    assert set(back["curves"]) == {"depth_k", "hedge"}
    one = back["curves"]["hedge"]
    assert len(one["f1"]["value"]) == len(one["tau"]["low"]) == len(one["kept"]) == len(one["judged"]) == 2
    assert one["found"]["low"][0] <= one["found"]["value"][0] <= one["found"]["high"][0]
    assert set(found.best("tau")) == {0.05, 0.2}
    assert found.best("found")[0.05] == "hedge"
    assert "hedge" in str(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budgets": [0.0]}, "budgets are shares"),
        ({"budgets": []}, "budgets are shares"),
        ({"budgets": [1.5]}, "budgets are shares"),
        ({"methods": ["oracle"]}, "methods must be"),
        ({"relevant_from": 9}, "only 0 queries"),
        ({"depth": 0}, "depth must be"),
    ],
)
def test_bad_input_is_named(change, words):
    with pytest.raises(BadInput, match=words):
        adjudication_curves(*world(topics=3), **change)


def test_an_unknown_figure_is_named():
    found = adjudication_curves(*world(topics=3), methods=["random"], resamples=5)
    with pytest.raises(BadInput, match="figure must be one of 'found'"):
        found.best("beauty")


def test_metrics_of_which_less_is_better_are_refused():
    with pytest.raises(BadInput, match="median_rank"):
        adjudication_curves(*world(), metric="median_rank")
