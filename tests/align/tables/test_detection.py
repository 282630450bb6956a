from __future__ import annotations

import numpy as np
import pytest

from commonspace.align.tables.detection import detect
from commonspace.core.errors import BadInput, NotFound

WORDS = ["old red cup", "small blue house", "tall green tree", "a grey dog runs", "the full moon", "one wooden boat"]


def roles_of(**columns):
    return {c.column: c.role for c in detect(columns).columns}


@pytest.mark.parametrize(
    ("name", "cells", "holds", "role"),
    [
        ("title", WORDS, "text", "side"),
        ("file", ["a.png", "b.JPG", "c.webp"], "image", "side"),
        ("photo", [{"bytes": b"\x89PNG..", "path": None}] * 3, "image", "side"),
        ("drawing", [b"\x89PNG1", b"\x89PNG2"], "image", "side"),
        ("pixels", [np.zeros((4, 4), np.uint8)] * 2, "image", "side"),
        ("embedding", [[0.1, 0.2]] * 3, "vector", "side"),
        ("keywords", [["a", "b"], [], ["c"]], "list", "tags"),
        ("negatives", [["a b", "b c"], ["c d"]], "list", "negatives"),
        ("wrong_answer", WORDS, "text", "negatives"),
        ("kind", ["x", "y", "z"], "text", "label"),
        ("colour", ["red", "blue"] * 20, "text", "label"),
        ("target_class", [1, 2, 2], "number", "label"),
        ("relevanceScore", [0, 0.5, 2], "number", "score"),
        ("score", [-1, 2, 3], "number", ""),
        ("row_id", [1, 2, 3], "number", "id"),
        ("sku", ["A1", "A2", "B7"], "text", "id"),
        ("price", [1.5, 2.5, 2.5], "number", ""),
        ("seen", [True, False, True], "truth value", ""),
        ("notes", ["", None, " "], "nothing", ""),
        ("status", ["done"] * 9, "text", ""),
        ("base_key", ["cup", "cup", "hat", "pen"], "text", "label"),
        ("ragged", [[1.0], [1.0, 2.0]], "something else", ""),
    ],
)
def test_a_column_is_taken_for_what_its_cells_and_its_name_say(name, cells, holds, role):
    (seen,) = detect({name: cells}).columns
    assert (seen.holds, seen.role) == (holds, role)
    assert seen.why


def test_nested_fields_are_columns_of_their_own():
    found = roles_of(item=[{"title": w, "tags": ["a"]} for w in WORDS], id=list(range(6)))
    assert found == {"item.title": "side", "item.tags": "tags", "id": "id"}


def test_a_long_table_is_judged_by_its_first_rows():
    assert detect({"a": WORDS * 1000}).n == 6000


def test_the_guess_is_a_recipe_that_can_be_applied():
    table = {
        "q": [f"question number {i} of many" for i in range(20)],
        "a": [f"the answer {i} to it" for i in range(20)],
        "negative": [f"no answer {i} at all" for i in range(20)],
        "topic": ["x", "y"] * 10,
        "score": [1, 2, 3, 4] * 5,
    }
    roles = detect(table).roles
    assert roles.to_dict() == {
        "sides": {"q": "q", "a": "a"}, "negatives": {"a": ["negative"]}, "label": "topic", "score": "score",
    }  # fmt: skip
    assert roles.apply(table).grades is not None


def test_a_score_counts_for_two_sides_only():
    table = {"a": WORDS, "b": WORDS, "c": WORDS, "score": [1, 2, 1, 2, 1, 2], "tags": [["t"]] * 6}
    roles = detect(table).roles
    assert roles.score is None
    assert roles.tags == "tags"


def test_names_of_kinds_are_the_other_side_where_there_is_no_better_one():
    table = {
        "file": [f"{i}.png" for i in range(40)],
        "kind": ["x", "y"] * 20,
        "name": ["cup", "hat", "pen", "key"] * 10,
    }
    roles = detect(table).roles
    assert list(roles.sides) == ["file", "name"]
    assert roles.label == "kind"


def test_of_several_labels_the_finest_is_taken():
    table = {
        "a": WORDS * 8,
        "b": [w[::-1] + " x" for w in WORDS * 8],
        "kind": ["x", "y"] * 24,
        "class": list("abcd") * 12,
    }
    assert detect(table).roles.label == "class"


def test_a_table_without_two_sides_says_what_was_seen():
    with pytest.raises(BadInput, match=r"1 column of the table can be a side.*title \(side\), kind \(label\)"):
        _ = detect({"title": WORDS, "kind": [1, 2] * 3}).roles


def test_an_empty_table_and_one_that_is_not_there_are_refused():
    with pytest.raises(BadInput, match="no rows"):
        detect({"a": []})
    with pytest.raises(NotFound):
        detect("nowhere.csv")


def test_a_language_beside_a_pair_is_not_what_the_pair_shows():
    rows = [
        {"text": f"satz {i} von vielen", "text_en": f"sentence {i} of many", "lang": ["de", "nl"][i % 2]}
        for i in range(40)
    ]
    assert [c.role for c in detect(rows).columns] == ["side", "side", "label"]
    assert detect(rows).roles.label is None
    assert detect([{**row, "thing_id": f"t{i // 2}"} for i, row in enumerate(rows)]).roles.label == "thing_id"
