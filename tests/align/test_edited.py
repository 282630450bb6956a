from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commonspace.align.edited import DRAWS, Edited, edited_rows
from commonspace.align.edits import edit_records, edit_texts
from commonspace.core.errors import BadInput
from commonspace.core.protocols import Encoder
from commonspace.encode.cache import Cache
from commonspace.encode.columns import Rows

TEXTS = ["left arrow", "right arrow", "left hand", "right hand", "3 left hands", "the left hand is open"]
RECORDS = [{"shape": "mug", "colour": c} for c in ("red", "blue", "green", "red", "blue", "green")]


class Words(Encoder):
    """Length and number of words; refuses what has a 4, and counts what it was asked."""

    kind = "text"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, items: Sequence[Any]) -> np.ndarray:
        self.asked += items
        rows = [[len(t), np.nan if "4" in t else len(t.split())] for t in items]
        return np.array(rows, np.float32).reshape(len(items), 2)


class Fields(Encoder):
    """Length of a record's values."""

    kind = "record"

    def encode(self, items: Sequence[Any]) -> np.ndarray:
        return np.array([[sum(len(str(v)) for v in r.values())] for r in items], np.float32).reshape(len(items), 1)


class Pixels(Words):
    """Takes pictures."""

    kind = "image"


def rows(labels: Sequence[int] = range(6), texts: Sequence[Any] = TEXTS) -> Rows:
    items = {"text": list(texts), "product": list(RECORDS), "image": [None] * 6}
    return Rows(items, np.array(labels), np.arange(6) + 10)


def edited(asked: Any, given: Rows | None = None) -> dict[str, Edited]:
    encoders = {"text": [Words()], "product": [Fields()], "image": [Pixels()]}
    return edited_rows(asked, given or rows(), encoders, np.random.default_rng(0))


@pytest.mark.parametrize("asked", ["text", ["text"], {"text": None}, {"text": True}, {"text": {}}])
def test_a_modality_alone_is_edited_in_every_way(asked: Any) -> None:
    found = edited(asked)
    assert list(found) == ["text"]
    want = edit_texts(TEXTS, random_state=np.random.default_rng(0))
    assert found["text"].edits.items == want.items
    assert set(found["text"].edits.kind) >= {"word", "number"}
    assert found["text"].draws == DRAWS


@pytest.mark.parametrize(
    "asked", [{"text": "number"}, {"text": ["number"]}, {"text": {"kinds": ("number",), "draws": 2}}]
)
def test_kinds_and_options_are_those_of_the_edits_of_texts(asked: Any) -> None:
    found = edited(asked)["text"]
    assert set(found.edits.kind) == {"number"}
    assert found.edits.items == ["2 left hands", "4 left hands"] or found.edits.items == [
        "4 left hands",
        "2 left hands",
    ]
    assert found.draws == (2 if isinstance(asked["text"], dict) else DRAWS)


def test_records_are_edited_in_the_fields_that_are_named() -> None:
    found = edited({"product": ["colour"]})["product"].edits
    assert found.items == edit_records(RECORDS, fields=["colour"], random_state=np.random.default_rng(0)).items
    assert all(item["shape"] == "mug" for item in found.items)
    assert list(edited(["product", "text"])) == ["product", "text"]


def test_rows_of_one_label_are_not_edited_into_one_another() -> None:
    apart, together = (
        edited({"text": "word"}, rows(labels))["text"].edits for labels in (range(6), [0, 0, 1, 1, 2, 3])
    )
    assert "right arrow" in [item for item, i in zip(apart.items, apart.source, strict=True) if i == 0]
    assert "right arrow" not in [item for item, i in zip(together.items, together.source, strict=True) if i == 0]


def test_missing_items_and_what_is_no_text_are_left_alone() -> None:
    found = edited("text", rows(texts=[*TEXTS[:4], None, 7]))["text"].edits
    assert set(found.source.tolist()) <= {0, 1, 2, 3}


def test_nothing_asked_is_nothing_edited() -> None:
    assert edited(None) == {}
    assert edited([]) == {}


def test_negatives_are_the_encoded_edits_and_come_from_the_cache_the_second_time(tmp_path: Path) -> None:
    found, cache = edited("text")["text"], Cache(tmp_path)
    encoder = Words()
    made = found.negatives([encoder], "text", cache)
    kept = [i for i, item in enumerate(found.edits.items) if "4" not in item]
    assert len(kept) < len(found.edits)  # what cannot be encoded is left out
    want = [[len(found.edits.items[i]), len(found.edits.items[i].split())] for i in kept]
    np.testing.assert_array_equal(made.X, want)
    np.testing.assert_array_equal(made.source, found.edits.source[kept])
    np.testing.assert_array_equal(made.owner, found.edits.owner[kept])
    assert made.draws == DRAWS
    asked = len(encoder.asked)
    np.testing.assert_array_equal(found.negatives([encoder], "text", cache).X, made.X)
    assert set(encoder.asked[asked:]) == {item for item in found.edits.items if "4" in item}


def test_positions_can_be_those_of_the_users_table() -> None:
    found = edited("text")["text"]
    placed = found.placed(rows().positions)
    np.testing.assert_array_equal(placed.source, found.edits.source + 10)
    has = found.edits.owner >= 0
    assert has.any()
    np.testing.assert_array_equal(placed.owner[has], found.edits.owner[has] + 10)
    assert (placed.owner[~has] == -1).all()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("sound", "unknown modality 'sound'; there is text, product, image"),
        ("image", "'image', whose items are of the kind 'image': only texts and records can be edited"),
        ({"text": {"kind": ["word"]}}, "unknown option 'kind'; there is draws, kinds, least, per_item, slots"),
        ({"product": {"slots": {}}}, "unknown option 'slots'; there is draws, fields, per_item"),
        ({"text": "swap"}, "no edit of the kind 'swap'; the kinds are word, order, number, negation"),
        ({"text": False}, "must be kinds, a mapping of options or None, not False"),
        ({"text": {"draws": 0}}, "draws of edits"),
        ({"product": ["size"]}, "no record has the field 'size'"),
        ({"product": "shape"}, "none of the 6 product items could be edited: name fields"),
        ({"text": {"kinds": ["negation"], "least": 9.0}}, None),
        ([1], "must name modalities"),
    ],
)
def test_what_cannot_be_edited_is_named(asked: Any, words: str | None) -> None:
    if words is None:  # "is open" -> "is not open": negations need no slot
        assert set(edited(asked)["text"].edits.kind) == {"negation"}
        return
    with pytest.raises(BadInput, match=words.replace("(", r"\(")):
        edited(asked)


def test_texts_without_slots_numbers_or_verbs_say_what_would_help() -> None:
    with pytest.raises(BadInput, match="none of the 6 text items could be edited: lower least, or name words"):
        edited("text", rows(texts=["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]))
