import json
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.core.errors import BadInput, Corrupt, NotFound
from commonspace.measure import Adjudicator, judge_next
from commonspace.measure.judgements.judging_orders import ORDERS

METHODS = tuple(ORDERS)
RUNS = {
    "good": {"q": ["r1", "r2", "r3", "n1"], "p": ["s1", "m1"]},
    "fair": {"q": ["r1", "n2", "r4", "n3"], "p": ["m2", "s1"]},
    "bad": {"q": ["n4", "n5", "n1", "n6"], "p": ["m3", "m4"]},
}


def judge(query, document):
    return float(document[0] in "rs")


def judged_in_order(order, n=None):
    seen = []
    for query, document in islice(order, n):
        seen.append((query, document))
        order.tell(query, document, judge(query, document))
    return seen


@pytest.mark.parametrize("method", METHODS)
def test_every_document_of_the_pool_is_proposed_once(method):
    order = Adjudicator(RUNS, method=method)
    seen = judged_in_order(order)
    assert len(seen) == len(set(seen)) == order.pool_size == 15
    assert set(seen) == {(q, d) for run in RUNS.values() for q, docs in run.items() for d in docs}
    assert order.judged["p"] == {"s1": 1, "m1": 0, "m2": 0, "m3": 0, "m4": 0}


@pytest.mark.parametrize("method", METHODS)
def test_effort_is_spread_evenly_over_queries_until_a_pool_is_exhausted(method):
    queries = [q for q, _ in judged_in_order(Adjudicator(RUNS, method=method))]
    assert queries == ["q", "p"] * 5 + ["q"] * 5


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_settles_everything(method):
    once, again = (judged_in_order(Adjudicator(RUNS, method=method, random_state=4)) for _ in range(2))
    others = {tuple(judged_in_order(Adjudicator(RUNS, method=method, random_state=s))) for s in range(8)}
    assert once == again
    assert len(others) > 1


@pytest.mark.parametrize("method", ["move_to_front", "hedge", "max_mean", "max_mean_recent"])
def test_learning_finds_relevant_documents_sooner_than_chance(method):
    rng = np.random.default_rng(0)
    relevant = {f"d{i}" for i in range(30)}
    everything = [f"d{i}" for i in range(300)]

    def run(skill):
        return sorted(everything, key=lambda d: -(skill * (d in relevant) + rng.normal()))[:60]

    runs = {f"s{i}": {"q": run(s)} for i, s in enumerate([3, 1, 0, 0, 0, 0])}

    def found(name):
        order = Adjudicator(runs, method=name)
        for query, document in islice(order, 40):
            order.tell(query, document, document in relevant)
        return sum(order.judged["q"].values())

    assert found(method) >= found("random") + 8


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(METHODS), st.integers(0, 2**16), st.data())
def test_a_resumed_adjudicator_goes_on_as_if_nothing_had_happened(method, seed, data):
    rng = np.random.default_rng(seed)
    relevant = set(rng.permutation(30)[:10].tolist())
    runs = {f"s{i}": [rng.permutation(30)[:8].tolist() for _ in range(2)] for i in range(4)}
    order, out = Adjudicator(runs, method=method, random_state=seed), []
    for _ in range(data.draw(st.integers(1, 12))):
        out.append(next(order))
        while out and data.draw(st.booleans()):  # grades come late and in any order
            query, document = out.pop(data.draw(st.integers(0, len(out) - 1)))
            order.tell(query, document, document in relevant)
    again = Adjudicator.resume(runs, json.loads(json.dumps(order.state())))
    assert sorted(again.pending) == sorted(order.pending) == sorted(out)
    for _ in range(10):
        a, b = next(order), next(again)
        assert a == b
        for one in (order, again):
            one.tell(*a, a[1] in relevant)
    assert again.state() == order.state()


@pytest.mark.parametrize("method", METHODS)
def test_judge_next_goes_on_from_plain_judgements(method):
    order = Adjudicator(RUNS, method=method)
    judged_in_order(order, 6)
    assert judge_next(RUNS, order.judged, 1, method=method) == [next(order)]


@pytest.mark.parametrize("method", METHODS)
def test_documents_out_with_a_judge_are_not_proposed_again(method):
    batch = judge_next(RUNS, n=100, method=method)
    assert len(batch) == len(set(batch)) == 15


def test_runs_may_be_arrays_or_scores_and_the_depth_cuts_the_pool():
    array = np.array([[3, 1, 2], [1, 2, 3]])
    scores = {0: {1: 0.5, 3: 0.9, 2: 0.1}, 1: {3: -3.0, 1: 2.0, 2: 1.0}}
    for run in (array, scores):
        assert judge_next({"a": run}, n=9, method="depth_k", depth=2) == [(0, 3), (1, 1), (0, 1), (1, 2)]


def test_judgements_from_outside_the_pool_do_no_harm():
    order = Adjudicator(RUNS, judged={"q": {"elsewhere": 2, "r1": 1}}, method="random")
    assert order.judged == {"q": {"elsewhere": 2, "r1": 1}}
    assert len(list(order)) == 14


def test_grades_below_the_line_count_as_not_relevant():
    strict = Adjudicator({"a": {"q": ["x", "y"]}, "b": {"q": ["z"]}}, relevant_from=2, method="max_mean")
    first = next(strict)[1]
    strict.tell("q", first, 1)
    assert next(strict)[1] == ({"x": "z", "z": "x"})[first]


def test_an_empty_ranking_holds_nothing():
    assert judge_next({"a": {"q": []}, "b": {"q": ["x"]}}, n=5, method="hedge") == [("q", "x")]
    assert list(Adjudicator({"a": {"q": []}})) == []


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Adjudicator(RUNS, method="guess"), BadInput, "max_mean"),
        (lambda: Adjudicator(RUNS, beta=0.1), BadInput, "no parameters"),
        (lambda: Adjudicator(RUNS, method="hedge", beta=1.0), BadInput, "beta must lie"),
        (lambda: Adjudicator(RUNS, method="max_mean_recent", memory=2), BadInput, "memory must lie"),
        (lambda: Adjudicator(RUNS, random_state=None), BadInput, "random_state"),
        (lambda: Adjudicator({}), BadInput, "at least 1 systems"),
        (lambda: Adjudicator({"a": {}}), BadInput, "no queries"),
        (lambda: Adjudicator({"a": {"q": []}, "b": {"p": []}}), BadInput, "'q' of the run 'a' is not in 'b'"),
        (lambda: Adjudicator({"a": {"q": ["x", "x"]}}), BadInput, "'x' twice"),
        (lambda: Adjudicator({"a": {"q": "xyz"}}), BadInput, "sequence of ids"),
        (lambda: Adjudicator({"a": {"q": {"x": float("nan")}}}), BadInput, "NaN"),
        (lambda: Adjudicator({"a": {"q": [1.5]}}), BadInput, "whole number"),
        (lambda: Adjudicator(RUNS, judged={"z": {}}), NotFound, "'z'"),
        (lambda: Adjudicator(RUNS, judged={"q": ["r1"]}), BadInput, "map ids to grades"),
        (lambda: Adjudicator(RUNS).tell("z", "r1", 1), NotFound, "'z'"),
        (lambda: Adjudicator(RUNS).tell("q", "r1", None), BadInput, "a grade is a number"),
        (lambda: Adjudicator(RUNS, judged={"q": {"r1": 1}}).tell("q", "r1", 0), BadInput, "judged already"),
        (lambda: Adjudicator.resume(RUNS, {}), Corrupt, "not the state"),
        (lambda: Adjudicator.resume(RUNS, {"format": 1}), Corrupt, "not the state"),
        (lambda: judge_next(RUNS, n=0), BadInput, "n must be"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_state_of_other_runs_is_refused():
    order = Adjudicator(RUNS)
    next(order)
    other = {**RUNS, "bad": {**RUNS["bad"], "p": ["m4", "m3"]}}
    with pytest.raises(Corrupt, match="pass judged="):
        Adjudicator.resume(other, order.state())


def test_ids_of_numpy_do_not_get_into_the_state():
    order = Adjudicator({"a": np.array([[3, 1, 2]])}, method="depth_k")
    next(order)
    order.tell(np.int64(0), np.int64(3), np.float32(1))
    assert json.loads(json.dumps(order.state()))["judged"] == [[0, 3, 1.0]]
    assert list(Adjudicator.resume({"a": {0: [3, 1, 2]}}, order.state())) == [(0, 1), (0, 2)]
