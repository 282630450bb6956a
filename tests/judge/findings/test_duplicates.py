import numpy as np
import pytest

from commonspace.judge import Subject


def twins(things=None):
    x = np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32)
    x[100:110] = x[:10] + 1e-4
    return Subject({"a": x}, things={} if things is None else {"a": things})


def test_the_share_counts_both_of_a_pair_and_the_cases_show_them(look):
    found = look("duplicates", twins())["a"]
    assert found.score == pytest.approx(1 - 20 / 200)
    assert found.flag
    assert found.evidence["groups"] == 10
    case = found.cases[0]
    assert int(case.answers[0].caption[4:]) - int(case.caption[4:]) == 100


def test_rows_of_one_thing_are_no_duplicates_of_each_other(look):
    things = np.arange(200)
    things[100:110] = things[:10]
    assert look("duplicates", twins(things))["a"].score == 1


def test_a_threshold_of_ones_own_is_taken(look):
    assert look("duplicates", twins(), threshold=0.5)["a"].evidence["cosine from which rows count as duplicates"] == 0.5
