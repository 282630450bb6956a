"""Classes that are harder are found, and others are not invented."""

import numpy as np

from commonspace.judge.slices import slices


def drawn(seed=0, n=600, hard="c0", by=0.0):
    rng = np.random.default_rng(seed)
    classes = rng.choice([f"c{i}" for i in range(6)], n)
    return (rng.random(n) < np.where(classes == hard, 0.5 - by, 0.5)).astype(float), classes


def test_a_planted_hard_class_is_found_and_stands_first():
    found = slices(*drawn(by=0.35), metric="hit@1", bounds=(0, 1))
    assert found[0].name == "c0"
    assert found[0].difference.p_value < 0.01
    assert found[0].difference.high < 0
    # To the others the rest, with the hard class in it, is a low bar: none is said to be worse.
    assert [s.name for s in found[1:] if s.difference.p_value < 0.05 and s.difference.difference < 0] == []


def test_the_figures_are_plain_means():
    values, classes = drawn()
    for s in slices(values, classes):
        mine = classes == s.name
        assert s.figure.value == values[mine].mean()
        assert s.figure.n == s.difference.n == mine.sum()
        assert np.isclose(s.difference.difference, values[mine].mean() - values[~mine].mean())
        assert s.difference.low < s.difference.difference < s.difference.high


def test_a_class_in_which_nothing_is_found_has_an_interval_that_its_number_allows():
    values, classes = np.tile([0.0, 1.0], 100), np.full(200, "all", dtype=object)
    classes[:20:2] = "none"
    (s, *_) = [s for s in slices(values, classes, bounds=(0, 1)) if s.name == "none"]
    assert (s.figure.value, s.figure.n) == (0, 10)
    assert s.difference.high > s.difference.difference + 0.2


def test_without_a_difference_classes_are_rarely_told_apart():
    alarms = sum(any(s.difference.p_value < 0.05 for s in slices(*drawn(seed), resamples=400)) for seed in range(40))
    assert alarms <= 6  # 2 are expected; 7 or more would happen once in 200 runs


def test_queries_of_one_group_count_as_one():
    # Ten copies of every query are no more evidence than one.
    values, classes = drawn(3, n=60, by=0.3)
    groups = np.tile(np.arange(60), 10)
    once = {s.name: s.difference for s in slices(values, classes)}
    copied = slices(np.tile(values, 10), np.tile(classes, 10), groups=groups)
    for s in copied:
        if s.name in once:
            assert abs(s.difference.p_value_raw - once[s.name].p_value_raw) < 0.06
    alone = {s.name: s.difference for s in slices(np.tile(values, 10), np.tile(classes, 10))}
    assert min(c.p_value_raw for c in alone.values()) < min(s.difference.p_value_raw for s in copied)


def test_small_classes_and_queries_without_a_class_are_left_out():
    values, classes = drawn()
    named = classes.astype(object)
    named[:5], named[5:200] = "rare", None
    found = slices(values, named)
    assert "rare" not in {s.name for s in found}
    assert sum(s.figure.n for s in found) == 400
    assert slices(values, np.full(600, "all")) == []
