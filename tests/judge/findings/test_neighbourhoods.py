import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.findings.neighbourhoods import Neighbourhoods, _purity


def naive(units, classes, things, k):
    pure, chance = [], []
    for i in range(len(units)):
        others = [j for j in range(len(units)) if things[j] != things[i]]
        near = sorted(others, key=lambda j: -float(units[i] @ units[j]))[:k]
        pure.append(np.mean([classes[j] == classes[i] for j in near]))
        chance.append(np.mean([classes[j] == classes[i] for j in others]))
    return np.array(pure), np.array(chance)


def test_purity_and_chance_equal_the_naive_loop_without_rows_of_the_same_thing():
    rng = np.random.default_rng(0)
    things = np.repeat(np.arange(20), 3)
    classes = rng.integers(0, 4, 20)[things]
    units = unit(rng.normal(size=(60, 5)).astype(np.float32))
    pure, chance = _purity(units, classes, things, 4)
    expected = naive(units, classes, things, 4)
    np.testing.assert_allclose(pure, expected[0])
    np.testing.assert_allclose(chance, expected[1])


def test_classes_that_are_clusters_score_one_and_names_the_worst(look):
    classes = np.repeat(["cat", "dog", "owl"], 40)
    x = np.repeat(np.eye(3), 40, axis=0) * 9 + np.random.default_rng(0).normal(size=(120, 3)) * 0.1
    found = look("neighbourhoods", Subject({"a": x}, classes={"a": classes}))["a"]
    assert found.score == pytest.approx(1)
    x[:20] = x[40:60] + 0.01
    worse = look("neighbourhoods", Subject({"a": x}, classes={"a": classes}))["a"]
    assert worse.score < found.score
    assert "The worst class is cat" in worse.summary or "The worst class is dog" in worse.summary


def test_it_needs_classes_and_more_than_one():
    x = np.random.default_rng(0).normal(size=(50, 4))
    assert "no classes" in Neighbourhoods().lacks(Subject({"a": x}))
    one = Subject({"a": x}, classes={"a": np.zeros(50)})
    assert Neighbourhoods().look(one, np.random.default_rng(0)) == []
