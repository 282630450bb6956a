from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.align.edits import Edits, edit_records, edit_texts, slots_of
from commonspace.core.errors import BadInput

PEOPLE = ["man", "woman", "child"]
DOING = ["running", "swimming", "juggling"]
TEXTS = [f"{who} {what}" for who in PEOPLE for what in DOING]


def changes(edits: Edits, i: int) -> set[str]:
    return {item for item, source in zip(edits.items, edits.source, strict=True) if source == i}


def test_a_word_becomes_another_of_its_slot_and_of_no_other() -> None:
    edits = edit_texts(TEXTS, per_item=100)
    assert changes(edits, 0) == {"woman running", "child running", "man swimming", "man juggling"}
    assert set(edits.kind) == {"word"}


def test_slots_are_the_words_that_texts_differ_in() -> None:
    found = slots_of([t.split() for t in TEXTS], least=1)
    assert set(found["man"]) == {"woman", "child"}
    assert set(found["running"]) == {"swimming", "juggling"}
    # Three places with three fillers each: each counts 1 / (3 - 1).
    assert found["man"]["woman"] == pytest.approx(3 / 2)
    assert slots_of([t.split() for t in TEXTS], least=1.6) == {}


def test_a_place_that_anything_fills_says_little() -> None:
    specific = [("old", w, "house") for w in ("red", "blue")]
    anything = [("the", w) for w in ("red", "moon", "time", "soup", "idea")]
    found = slots_of([*specific, *anything], least=0.2)
    assert found["red"]["blue"] == 1
    assert found["red"]["moon"] == pytest.approx(1 / 4)


def test_slots_are_found_in_any_script() -> None:
    texts = ["красный круг", "синий круг", "красный квадрат", "синий квадрат"]
    assert changes(edit_texts(texts), 0) == {"синий круг", "красный квадрат"}


def test_strongly_bound_words_are_exchanged_more_often() -> None:
    places = [f"{w} {x}" for w in ("left", "right") for x in ("turn", "lane", "hand", "arm", "foot")]
    chance = [f"{w} wing" for w in ("left", "right", "far", "near", "iron", "bat")]
    now = [edit_texts([*places, *chance], least=0.1, per_item=1, random_state=s) for s in range(200)]
    of_left = [
        e.now[i] for e in now for i in np.flatnonzero(e.source == places.index("left turn")) if e.was[i] == "left"
    ]
    assert of_left.count("right") > 0.7 * len(of_left) > 0


def test_slots_may_be_given() -> None:
    edits = edit_texts(["a red door", "two windows"], slots={"colour": ["red", "blue", "green"]})
    assert changes(edits, 0) == {"a blue door", "a green door"}
    assert changes(edits, 1) == set()


def test_two_words_of_one_slot_change_places_unless_they_are_a_mere_list() -> None:
    colours = {"colour": ["red", "blue"]}

    def ordered(text: str) -> list[str]:
        return edit_texts([text], kinds=["order"], slots=colours).items

    assert ordered("red square left of blue disc") == ["blue square left of red disc"]
    assert ordered("Red square left of blue disc") == ["Blue square left of red disc"]
    assert ordered("red and blue") == ordered("red, blue") == ordered("red & blue") == []
    assert ordered("red square left of red disc") == []


def test_numbers_become_near_ones() -> None:
    assert changes(edit_texts(["3 people, room 09"], kinds=["number"]), 0) == {
        "2 people, room 09", "4 people, room 09", "3 people, room 08", "3 people, room 10"
    }  # fmt: skip
    assert changes(edit_texts(["0 left"], kinds=["number"]), 0) == {"1 left"}
    assert edit_texts(["R2D2 and x86"], kinds=["number"]).items == []


def test_negation_comes_and_goes() -> None:
    assert edit_texts(["the door is open"], kinds=["negation"]).items == ["the door is not open"]
    assert edit_texts(["the door is not open"], kinds=["negation"]).items == ["the door is open"]
    assert edit_texts(["what it is."], kinds=["negation"]).items == []


def test_an_edit_that_its_own_group_says_is_no_negative() -> None:
    groups = np.array([0, 0, 1, *range(3, 9)])  # man running and man swimming are one thing
    edits = edit_texts(TEXTS, groups=groups, per_item=100)
    assert changes(edits, 0) == {"woman running", "child running", "man juggling"}
    shouted = edit_texts(["MAN: Swimming!" if t == "man swimming" else t for t in TEXTS], groups=groups, per_item=100)
    assert "man swimming" not in changes(shouted, 0)  # case and punctuation do not make another text


def test_an_edit_that_says_what_an_item_elsewhere_says_names_it() -> None:
    edits = edit_texts(TEXTS[:-1], per_item=100)
    for item, owner in zip(edits.items, edits.owner, strict=True):
        assert (owner == -1) == (item == "child juggling")
        assert owner == -1 or TEXTS[owner] == item


@given(seed=st.integers(0, 5), per_item=st.integers(1, 5))
def test_edits_follow_their_seed_and_keep_their_number(seed: int, per_item: int) -> None:
    one, other = (edit_texts(TEXTS, per_item=per_item, random_state=seed) for _ in range(2))
    assert one.items == other.items
    assert np.bincount(one.source, minlength=9).tolist() == [min(4, per_item)] * 9
    assert len(set(zip(one.source.tolist(), one.items, strict=True))) == len(one)
    assert (np.diff(one.source) >= 0).all()


def test_the_table_says_what_was_changed() -> None:
    edits = edit_texts(["3 cats", "4 cats"], kinds=["number"])
    assert {"source": 0, "owner": 1, "kind": "number", "was": "3", "now": "4", "item": "4 cats"} in edits.table()
    assert len(edits.table()) == len(edits) == 4


def test_a_record_gets_one_value_of_another() -> None:
    records = [{"make": "x", "colour": "red", "doors": 3}, {"make": "y", "colour": "red", "doors": 5}, {"make": "x"}]
    edits = edit_records(records, per_item=10)
    assert [edits.items[i] for i in np.flatnonzero(edits.source == 0)] == [
        {"make": "y", "colour": "red", "doors": 3}, {"make": "x", "colour": "red", "doors": 5}
    ]  # fmt: skip
    assert [edits.items[i] for i in np.flatnonzero(edits.source == 2)] == [{"make": "y"}]
    assert records[0] == {"make": "x", "colour": "red", "doors": 3}
    assert set(edits.kind) == {"field"}
    assert edits.was[0] == "make: x"
    assert edits.now[0] == "make: y"


def test_only_the_fields_named_are_changed_and_empty_ones_stay() -> None:
    records = [{"id": 1, "size": "S", "note": None}, {"id": 2, "size": "M", "note": "new"}, {"id": 3, "size": ""}]
    edits = edit_records(records, fields=["size", "note"], per_item=10)
    assert [dict(r) for r in edits.items] == [
        {"id": 1, "size": "M", "note": None},
        {"id": 2, "size": "S", "note": "new"},
    ]


def test_a_record_that_another_of_its_group_has_is_no_negative() -> None:
    records = [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}]
    edits = edit_records(records, groups=[0, 0, 1], per_item=10)
    assert [edits.items[i] for i in np.flatnonzero(edits.source == 0)] == [{"a": 1, "b": 2}]
    assert edits.owner[0] == 2


@given(
    rows=st.lists(st.fixed_dictionaries({"a": st.integers(0, 3), "b": st.sampled_from(["x", "y", None])}), max_size=8)
)
def test_an_edited_record_differs_in_one_field(rows: list[dict[str, object]]) -> None:
    edits = edit_records(rows, per_item=3)
    for record, source in zip(edits.items, edits.source, strict=True):
        assert sum(record[f] != rows[source][f] for f in ("a", "b")) == 1
        assert record["b"] is not None or rows[source]["b"] is None


def test_nothing_to_edit_gives_nothing() -> None:
    for edits in (edit_texts([]), edit_texts(["", "alone"]), edit_records([{}, {"a": 1}]), edit_records([])):
        assert len(edits) == 0
        assert edits.source.shape == edits.owner.shape == (0,)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(BadInput, match="kind 'rhyme'"):
        edit_texts(TEXTS, kinds=["rhyme"])
    with pytest.raises(BadInput, match="text 1 is a NoneType"):
        edit_texts(["a", None])  # type: ignore[list-item]
    with pytest.raises(BadInput, match="groups must hold one number an item"):
        edit_texts(TEXTS, groups=[1, 2])
    with pytest.raises(BadInput, match="field 'colour'"):
        edit_records([{"a": 1}], fields=["colour"])
    with pytest.raises(BadInput, match="least must be positive"):
        edit_texts(TEXTS, least=0)
    with pytest.raises(BadInput, match="per_item"):
        edit_texts(TEXTS, per_item=0)
    with pytest.raises(BadInput, match="collection of words"):
        edit_texts(TEXTS, slots={"colour": "red"})


def test_words_with_vowel_signs_are_exchanged_whole() -> None:
    texts = ["लाल गाड़ी", "नीली गाड़ी", "लाल घर", "नीली घर"]
    assert set(edit_texts(texts).items) == set(texts)


def test_a_missing_number_is_no_value_to_exchange() -> None:
    records = [{"price": 3.0, "kind": "x"}, {"price": float("nan"), "kind": "x"}, {"price": 4.0, "kind": "x"}]
    edits = edit_records(records, fields=["price"])
    assert edits.source.tolist() == [0, 2]
    assert edits.now == ["price: 4.0", "price: 3.0"]


def test_one_name_in_place_of_several_is_refused() -> None:
    with pytest.raises(BadInput, match="kinds must be a collection"):
        edit_texts(["left arrow", "right arrow"], kinds="word")
    with pytest.raises(BadInput, match="fields must be a collection"):
        edit_records([{"colour": "red"}, {"colour": "blue"}], fields="colour")
