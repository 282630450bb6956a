from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from tests.align.conftest import random_views, two_views

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.relevance import by_sets, by_text, of_rows, views_of_paths, views_of_records
from commonspace.core.errors import BadInput
from commonspace.core.views import Views

PATHS = [("animal", "bird", "owl"), ("animal", "bird", "hen"), ("animal", "fish"), ("tool",), ()]


def jaccard(a: set[Any], b: set[Any]) -> float | None:
    return len(a & b) / len(a | b) if a | b else None


@settings(deadline=None)  # the first call imports SciPy
@given(seed=st.integers(0, 50))
def test_shared_parts_are_the_mean_jaccard_over_the_views_that_say_something(seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = {v: [set(rng.integers(0, 5, rng.integers(0, 4)).tolist()) for _ in range(8)] for v in "xyz"}
    index = rng.permutation(8)[:5]
    found = by_sets(views)(index)
    for r, i in enumerate(index):
        for c, j in enumerate(index):
            scores = [s for v in views.values() if (s := jaccard(v[i], v[j])) is not None]
            expected = 1.0 if i == j else float(np.mean(scores)) if scores else 0.0
            assert found[r, c] == pytest.approx(expected)


def test_labels_close_in_the_tree_are_closer() -> None:
    grades = by_sets(views_of_paths(PATHS))(np.arange(5))
    assert grades[0, 1] == pytest.approx(2 / 3)
    assert grades[0, 2] == pytest.approx(1 / 3)
    assert grades[0, 3] == 0
    assert grades[3].tolist() == grades[4][[0, 1, 2, 4, 3]].tolist() == [0, 0, 0, 1, 0]
    np.testing.assert_array_equal(grades, grades.T)


def test_equal_words_under_different_parents_are_different() -> None:
    grades = by_sets(views_of_paths([("fruit", "orange"), ("colour", "orange")]))(np.arange(2))
    assert grades[0, 1] == 0


def test_records_agree_by_field_by_the_fields_they_fill_and_by_value() -> None:
    records = [{"make": "x", "tags": ["a", "b"]}, {"make": "x", "tags": ["b"], "size": None}, {"size": 3}, {}]
    grades = by_sets(views_of_records(records))(np.arange(4))
    # make 1, tags 1/2, fields 1, values 2/3; size is empty in both and has no say
    assert grades[0, 1] == pytest.approx((1 + 1 / 2 + 1 + 2 / 3) / 4)
    assert grades[0, 2] == 0
    assert grades[3].tolist() == [0, 0, 0, 1]


def test_rows_of_texts_are_the_softmax_of_the_source() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 3))
    e = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    index = np.array([4, 1, 2])
    grades = by_text(vectors, temperature=0.25)(index)
    expected = np.exp(e[index] @ e[index].T / 0.25)
    np.testing.assert_allclose(
        grades / grades.sum(1, keepdims=True), expected / expected.sum(1, keepdims=True), rtol=1e-5
    )
    assert grades.dtype == np.float32
    assert (np.diagonal(grades) == 1).all()


def test_a_strict_temperature_leaves_equal_texts_only() -> None:
    vectors = np.eye(3)[[0, 1, 0, 2]]
    np.testing.assert_array_equal(
        by_text(vectors, temperature=1e-3)(np.arange(4)), (vectors @ vectors.T).astype(np.float32)
    )


def test_a_power_leaves_the_broad_levels_less() -> None:
    views = views_of_paths(PATHS)
    np.testing.assert_allclose(by_sets(views, power=3.0)(np.arange(5)), by_sets(views)(np.arange(5)) ** 3, rtol=1e-6)


@pytest.mark.parametrize("labelled", [None, np.array([True, True, False])])
def test_an_item_without_a_label_is_relevant_to_itself_alone(labelled: np.ndarray | None) -> None:
    vectors = np.array([[1.0, 0], [1, 1], [0, 0] if labelled is None else [1, 0]])
    grades = by_text(vectors, labelled=labelled)(np.arange(3))
    assert grades[2].tolist() == grades[:, 2].tolist() == [0, 0, 1]
    assert grades[0, 1] > 0.4


def test_items_without_labels_leave_the_loss_at_infonce() -> None:
    views = random_views(5)
    relevance = torch.from_numpy(by_sets({"x": [set()] * 5})(np.arange(5)))
    graded = Views(z=views.z, present=views.present, relevance=relevance)
    assert InfoNCE().double()(graded).item() == pytest.approx(InfoNCE().double()(views).item())


def test_an_empty_batch_and_one_item_are_fine() -> None:
    for relevance in (by_sets({"x": [{1}, {2}]}), by_text(np.eye(2))):
        assert relevance(np.arange(0)).shape == (0, 0)
        assert relevance(np.arange(1)).tolist() == [[1.0]]


def test_training_takes_them() -> None:
    X = two_views(60)
    labels = [("even" if i % 2 else "odd", str(i % 6)) for i in range(60)]
    for relevance in (by_sets(views_of_paths(labels)), by_text(X["b"])):
        result = fit_heads(X, relevance=relevance, dim=4, epochs=1, batch_size=20, valid=None, baselines=())
        assert np.isfinite(result.history[0]["loss"])


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: by_sets({}), "at least one"),
        (lambda: by_sets({"x": [{1}], "y": []}), "one set an item"),
        (lambda: by_sets({"x": [{1}, "ab"]}), "the text 'ab' for item 1"),
        (lambda: by_sets({"x": [{1}]}, power=0), "power must be positive"),
        (lambda: views_of_paths(["animal/bird"]), "give a list"),
        (lambda: by_text(np.eye(2), temperature=0), "positive"),
        (lambda: by_text(np.eye(2), labelled=[True]), r"\(2,\) bool"),
    ],
)
def test_bad_input_is_named(build: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        build()


def test_relevance_of_a_table_is_looked_up_for_the_rows_that_are_left() -> None:
    whole = np.random.default_rng(0).random((6, 6)).astype(np.float32)
    positions, at = np.array([4, 1, 5]), np.array([2, 0])
    expected = whole[np.ix_([5, 4], [5, 4])]
    np.testing.assert_array_equal(of_rows(lambda i: whole[np.ix_(i, i)], positions)(at), expected)
    np.testing.assert_array_equal(of_rows(csr_array(whole), positions)[at][:, at].toarray(), expected)
    assert of_rows(None, positions) is None
    assert of_rows(csr_array(whole), np.arange(3)).shape == (3, 3)
    with pytest.raises(BadInput, match="all rows of the table"):
        of_rows(csr_array(whole[:5, :5]), positions)


def test_a_missing_number_is_no_value_that_records_share() -> None:
    nan = float("nan")
    views = views_of_records([{"price": nan, "kind": "x"}, {"price": nan, "kind": "y"}, {"price": [nan, 3.0]}])
    assert views["field price"] == [set(), set(), {3.0}]
    assert views["fields"] == [{"kind"}, {"kind"}, {"price"}]
