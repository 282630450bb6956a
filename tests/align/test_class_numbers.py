from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from commonspace import Space
from commonspace.align.basis import simplex_vectors
from commonspace.align.class_numbers import class_numbers, tells_classes
from commonspace.align.objectives.base import build_objective
from commonspace.align.objectives.simplex import Simplex
from commonspace.core.tables import read_table
from commonspace.encode.columns import Rows, rows_of

SIMPLEX = {"name": "simplex", "classes": 8, "share": 1.0}
QUICK: dict[str, Any] = {"recipe": "plain", "epochs": 60, "batch_size": 64, "lr": 0.02, "valid": 0.0, "cache": False}


def labelled(*labels: Any) -> Rows:
    return rows_of(read_table({"text": [str(i) for i in range(len(labels))]}), {"text": "text"}, None, list(labels))


class Earlier:
    """A space that knows classes."""

    def __init__(self, *classes: Any) -> None:
        self.classes = list(classes)

    def info(self) -> dict[str, Any]:
        return {"training": {"classes": self.classes}}


def test_numbers_follow_the_labels_and_not_the_rows() -> None:
    numbers, classes = class_numbers(labelled("owl", "cat", "owl", "bee"))
    assert (numbers.tolist(), classes) == ([2, 1, 2, 0], ["bee", "cat", "owl"])
    assert class_numbers(labelled(10, 9, 2, "x", 2))[0].tolist() == [2, 1, 0, 3, 0]
    assert class_numbers(labelled(*np.arange(3)))[1] == [0, 1, 2]


def test_classes_of_an_earlier_space_keep_their_numbers_and_new_ones_follow() -> None:
    numbers, classes = class_numbers(
        labelled("ant", "owl", "bee", "cow"), None, Earlier(), Earlier("cow", "elk", "bee")
    )
    assert classes == ["cow", "elk", "bee", "ant", "owl"]
    assert numbers.tolist() == [3, 4, 2, 0]


def test_rows_without_a_label_come_last_and_held_out_classes_have_their_numbers() -> None:
    rows = labelled(None, "b", "a", None, "b")
    assert class_numbers(rows)[0].tolist() == [2, 1, 0, 3, 1]
    assert class_numbers(rows.take(np.array([True, True, False, False, False])))[0].tolist() == [2, 1]


@pytest.mark.parametrize("gap", [None, float("nan"), np.float32("nan")])
def test_rows_whose_label_is_a_gap_are_not_of_one_class(gap: Any) -> None:
    rows = labelled("b", gap, gap, "b")
    assert rows.labels.tolist() == [0, 1, 2, 0]
    assert class_numbers(rows)[1] == ["b"]


def test_labels_of_other_kinds_have_a_number_that_does_not_depend_on_the_rows_either() -> None:
    labels = [1.5, True, (1, 2), 1, "1"]
    numbers, classes = class_numbers(labelled(*labels))
    again, same = class_numbers(labelled(*labels[::-1]))
    assert numbers.tolist() == again.tolist()[::-1]
    assert same == classes == json.loads(json.dumps(classes))
    assert len(set(classes)) == 5


def test_numbers_without_names_stay() -> None:
    rows = Rows({"text": ["a", "b"]}, np.array([5, 2]), np.arange(2))
    assert class_numbers(rows)[0].tolist() == [5, 2]


@pytest.mark.parametrize(
    "objective",
    [
        "simplex", SIMPLEX, ["infonce", "madacos"], Simplex(), Simplex, build_objective(["infonce", SIMPLEX]),
        {"name": "oca", "objective": {"name": "matryoshka", "objective": ["infonce", "equiangular"]}},
    ],
)  # fmt: skip
def test_what_has_a_vector_a_class_is_told_however_it_is_given(objective: Any) -> None:
    assert tells_classes(objective)


@pytest.mark.parametrize("objective", ["infonce", "auto", None, {"name": "oca"}, ["infonce", "bct"]])
def test_others_have_none(objective: Any) -> None:
    assert not tells_classes(objective)


def table(classes: list[str], seed: int, n: int = 20) -> dict[str, Any]:
    """Two views of things of some classes, in any order of the rows."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.repeat(classes, n)).tolist()
    centre = {c: np.random.default_rng(ord(c[0])).normal(size=10) for c in classes}
    a, b = ([centre[c] + 0.2 * rng.normal(size=10) for c in names] for _ in "ab")
    return {"a": a, "b": b, "kind": names}


def fitted(data: dict[str, Any], **options: Any) -> Space:
    precomputed = {"name": "precomputed", "dim": 10}
    space = Space({"a": precomputed, "b": precomputed}, dim=7)
    space.fit(data, group="kind", **{"objective": SIMPLEX, **QUICK, **options})
    return space


def corners(space: Space, data: dict[str, Any]) -> dict[str, int]:
    """Return class -> the corner of the simplex that its items are nearest to in the mean."""
    z = space.encode(data["a"], "a", cache=False) @ simplex_vectors(8, 7).T
    kinds = np.array(data["kind"])
    return {str(c): int(z[kinds == c].mean(axis=0).argmax()) for c in np.unique(kinds)}


def test_versions_agree_on_the_corners_whatever_the_order_of_their_tables(tmp_path: Any) -> None:
    few, more = ["cat", "dog", "fox"], ["ant", "cat", "dog", "eel", "fox"]
    one, other = (fitted(data) for data in (table(few, 0), table(few, 1)))
    assert corners(one, table(few, 2)) == corners(other, table(few, 2)) == {"cat": 0, "dog": 1, "fox": 2}
    one.save(tmp_path / "one")
    old = Space.load(tmp_path / "one")
    for earlier in ({"compatible_with": old, "compatibility": None}, {"start": old}):
        grown = fitted(table(more, 3), **earlier)
        assert corners(grown, table(more, 4)) == {"cat": 0, "dog": 1, "fox": 2, "ant": 3, "eel": 4}
        assert grown.info()["training"]["classes"] == ["cat", "dog", "fox", "ant", "eel"]


def test_a_fit_without_classes_keeps_none() -> None:
    assert "classes" not in fitted(table(["cat", "dog"], 0), objective="infonce", epochs=1).info()["training"]
