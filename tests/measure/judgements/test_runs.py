import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFound
from commonspace.measure.judgements.runs import by_query, check_judgements, check_runs, ranking


def test_a_ranking_by_score_is_best_first_and_keeps_the_order_of_ties():
    assert ranking({"a": 1.0, "b": 3.0, "c": 1.0, "d": -np.inf}) == ["b", "a", "c", "d"]
    assert ranking({"a": 1, "b": 3}, depth=1) == ["b"]


def test_ids_come_out_as_plain_strings_and_numbers():
    found = ranking(np.array([3, 1, 2], np.int32)) + ranking(np.array(["x", "y"]))
    assert found == [3, 1, 2, "x", "y"]
    assert {type(i) for i in found} == {int, str}
    assert ranking(i for i in (5, 4)) == [5, 4]


def test_rows_stand_for_queries_counted_from_zero():
    assert by_query([["a"], ["b"]]) == {0: ["a"], 1: ["b"]}
    assert by_query({np.int64(7): ["a"]}) == {7: ["a"]}


def test_runs_come_out_with_the_same_queries_in_the_same_order():
    found = check_runs({"a": {"q": ["x"], "p": ["y", "z"]}, "b": {"p": {"z": 1.0}, "q": []}}, depth=1)
    assert found == {"a": {"q": ["x"], "p": ["y"]}, "b": {"q": [], "p": ["z"]}}
    assert list(found["b"]) == ["q", "p"]


def test_judgements_are_read_by_query():
    found = check_judgements({"q": {np.str_("x"): 2, "y": -1}}, ["q", "p"])
    assert found == {"q": {"x": 2.0, "y": -1.0}}
    assert check_judgements([{"x": True}], [0, 1]) == {0: {"x": 1.0}}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ranking("abc"), BadInput, "sequence of ids"),
        (lambda: ranking(7), BadInput, "sequence of ids"),
        (lambda: ranking(["a", "b", "a"]), BadInput, "'a' twice"),
        (lambda: ranking({"a": np.nan}), BadInput, "'a' is NaN"),
        (lambda: ranking([None]), BadInput, "NoneType"),
        (lambda: ranking([True]), BadInput, "bool"),
        (lambda: by_query("abc"), BadInput, "one ranking a row"),
        (lambda: check_runs([["a"]]), BadInput, "not list"),
        (lambda: check_runs({"a": {"q": ["x"]}}, least=2), BadInput, "at least 2 systems"),
        (lambda: check_runs({"a": {}}), BadInput, "no queries"),
        (lambda: check_runs({"a": {"q": [], "p": []}, "b": {"q": []}}), BadInput, "'p' of the run 'a' is not in 'b'"),
        (lambda: check_judgements({"z": {}}, ["q"]), NotFound, "agree in kind"),
        (lambda: check_judgements({"q": 1}, ["q"]), BadInput, "map ids to grades"),
        (lambda: check_judgements({"q": {"x": np.inf}}, ["q"]), BadInput, "a grade is a number"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
