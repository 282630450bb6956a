from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.align.data import PairData
from commonspace.core.errors import BadInput


def pairs(n: int = 10, **kwargs: object) -> PairData:
    rng = np.random.default_rng(0)
    return PairData.check({"a": rng.normal(size=(n, 3)), "b": rng.normal(size=(n, 4))}, **kwargs)  # type: ignore[arg-type]


@given(n=st.integers(8, 60), fraction=st.floats(0.25, 0.75), seed=st.integers(0, 9))
def test_a_split_keeps_every_item_once_and_never_crosses_a_group(n: int, fraction: float, seed: int) -> None:
    groups = np.repeat(np.arange(n), 1 + np.arange(n) % 3)
    data = pairs(len(groups), groups=groups)
    training, held = data.split(fraction, np.random.default_rng(seed))
    assert sorted([*training.rows, *held.rows]) == list(range(len(groups)))
    assert not set(training.groups) & set(held.groups)
    assert len(set(held.groups)) == round(fraction * n)


def test_rows_of_absent_items_may_hold_anything() -> None:
    X = {"a": np.ones((4, 2)), "b": np.array([[np.nan, 1], [1, 1], [1, 1], [np.inf, 0]])}
    data = PairData.check(X, {"b": np.array([False, True, True, False])})
    assert (data.X["b"][[0, 3]] == 0).all()
    assert np.isnan(X["b"][0, 0])  # the caller's array is left alone


def test_variants_come_stacked_or_as_a_list() -> None:
    first, second = np.zeros((5, 2)), np.ones((5, 2))
    listed = PairData.check({"a": [first, second], "b": first})
    stacked = PairData.check({"a": np.stack([first, second], 1), "b": first})
    np.testing.assert_array_equal(listed.X["a"], stacked.X["a"])
    np.testing.assert_array_equal(listed.first("a"), first)


def test_items_that_share_two_modalities_are_found() -> None:
    data = PairData.check({"a": np.ones((4, 2)), "b": np.ones((4, 2))}, {"a": np.arange(4) != 1, "b": np.arange(4) > 0})
    np.testing.assert_array_equal(data.shared("a", "b"), [2, 3])


def test_a_group_may_be_paired_across_items() -> None:
    half = np.array([True, False] * 3)
    data = pairs(6, present={"a": half, "b": ~half}, groups=np.array([0, 0, 1, 1, 2, 2]))
    assert data.paired_groups() == 3
    data.check_trainable()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": {"a": np.ones((3, 2))}}, "at least two modalities"),
        ({"X": np.ones((3, 2))}, "at least two modalities"),
        ({"X": {"a": np.ones((3, 2)), "b": np.ones((4, 2))}}, "one row an item"),
        ({"X": {"a": np.ones((3, 2)), "b": np.full((3, 2), np.nan)}}, r"X\['b'\] holds NaN"),
        ({"X": {"a": np.ones((3, 2)), "b": np.ones(3)}}, "must have shape"),
        ({"X": {"a": np.ones((3, 2)), "b": [np.ones((3, 2)), np.ones((3, 1))]}}, "one shape"),
        ({"present": {"c": np.ones(3, bool)}}, "names the modality 'c'"),
        ({"present": {"a": np.ones(2, bool)}}, r"must be \(3,\) bool"),
        ({"present": {"a": np.ones(3)}}, r"must be \(3,\) bool"),
        ({"groups": np.zeros(2, int)}, "whole numbers"),
        ({"groups": np.zeros(3)}, "whole numbers"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"X": {"a": np.ones((3, 2)), "b": np.ones((3, 2))}}
    with pytest.raises(BadInput, match=message):
        PairData.check(**{**good, **arguments})  # type: ignore[arg-type]


def test_too_few_pairs_are_counted() -> None:
    with pytest.raises(BadInput, match="holds 1 pairs"):
        pairs(5, groups=np.zeros(5, int)).check_trainable()


def test_a_modality_that_is_always_alone_is_named() -> None:
    rng = np.random.default_rng(0)
    X = {m: rng.normal(size=(6, 2)) for m in "abc"}
    lonely = np.array([False] * 5 + [True])
    data = PairData.check(X, {"a": ~lonely, "b": ~lonely, "c": lonely})
    with pytest.raises(BadInput, match="leave 'c' out"):
        data.check_trainable()


@pytest.mark.parametrize("fraction", [0.0, 1.0, 0.01])
def test_an_impossible_split_is_refused(fraction: float) -> None:
    with pytest.raises(BadInput):
        pairs(10).split(fraction, np.random.default_rng(0))


def test_old_vectors_follow_their_items_as_unit_rows_and_absent_ones_are_zero() -> None:
    earlier = np.random.default_rng(1).normal(size=(20, 5)) * 7
    earlier[3] = np.nan  # absent: may hold anything
    here = np.arange(20) != 3
    data = pairs(20, present={"b": here}, old={"b": earlier})
    assert data.old["b"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(data.old["b"][here], axis=1), 1, atol=1e-6)
    assert (data.old["b"][3] == 0).all()
    for part in (data.take(np.array([7, 3, 1])), *data.split(0.5, np.random.default_rng(0))):
        np.testing.assert_array_equal(part.old["b"], data.old["b"][part.rows])


def test_an_item_that_has_no_old_vector_keeps_its_row_of_zeros() -> None:
    earlier = np.eye(10)
    earlier[4] = 0
    assert (pairs(10, old={"a": earlier}).old["a"][4] == 0).all()


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ({"c": np.ones((10, 2))}, "old names the modality 'c', but there is a, b"),
        ({"a": np.ones((9, 2))}, r"old\['a'\] must have one row an item, \(10, d_old\), not \(9, 2\)"),
        ({"a": np.ones(10)}, r"old\['a'\] must have one row an item"),
        ({"a": np.full((10, 2), np.nan)}, r"old\['a'\] holds NaN"),
        ({"a": np.ones((10, 2)), "b": np.ones((10, 3))}, "one earlier space"),
    ],
)
def test_old_vectors_that_do_not_fit_are_refused(old: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        pairs(10, old=old)


def test_groups_that_are_names_are_refused_with_how_to_number_them() -> None:
    with pytest.raises(BadInput, match=r"whole numbers, not \(3,\) <U1; labels are numbered by np.unique"):
        PairData.check({m: np.eye(3) for m in "ab"}, groups=np.array(["x", "y", "x"]))
