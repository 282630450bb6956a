import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import read_table
from commonspace.encode.columns import check_columns, given, labels_of, rows_of

TABLE = {
    "text": ["a", "b", "a", None, None],
    "image": [b"1", b"2", None, b"4", b"5"],
    "kind": ["x", "y", "x", None, "y"],
}
KINDS = {"text": "text", "image": "vector"}


def test_without_labels_rows_with_an_equal_item_are_one_thing_and_missing_items_are_things_of_their_own():
    labels = labels_of(read_table(TABLE), None, TABLE["text"], "text")
    assert labels[0] == labels[2]
    assert len(set(labels)) == 4


def test_labels_may_be_a_column_or_a_sequence_and_a_missing_label_is_a_thing_of_its_own():
    table = read_table(TABLE)
    by_column = labels_of(table, "kind", TABLE["text"], "text")
    assert by_column.tolist() == labels_of(table, TABLE["kind"], TABLE["text"], "text").tolist() == [0, 1, 0, 2, 1]


def test_equal_labels_of_different_types_are_different_things():
    labels = labels_of(read_table({"t": ["a", "b", "c"]}), [1, "1", 1.0], ["a", "b", "c"], "text")
    assert len(set(labels)) == 3


def test_a_wrong_number_of_labels_is_said():
    with pytest.raises(BadInput, match="2 labels for 5 rows"):
        labels_of(read_table(TABLE), ["a", "b"], TABLE["text"], "text")


def test_taking_rows_keeps_their_positions_in_the_users_table():
    rows = rows_of(read_table(TABLE), KINDS, None, "kind").take(np.array([False, True, False, True, False]))
    assert rows.items == {"text": ["b", None], "image": [b"2", b"4"]}
    assert rows.positions.tolist() == [1, 3]
    assert given(rows.items["text"]).tolist() == [0]


def test_a_split_parts_the_labels_and_loses_no_row():
    labels = [f"g{i % 20}" for i in range(100)]
    rows = rows_of(read_table({"text": labels}), {"text": "text"}, None, labels)
    rest, held = rows.split(0.25, np.random.default_rng(0))
    assert not set(rest.labels) & set(held.labels)
    assert sorted([*rest.positions, *held.positions]) == list(range(100))
    assert len(set(held.labels)) == 5


def test_a_split_holds_out_at_least_two_labels_and_none_of_fewer_than_four():
    def split(n, share):
        return rows_of(read_table({"t": list("abcdefgh"[:n])}), {"t": "text"}, None, None).split(
            share, np.random.default_rng(0)
        )

    assert len(split(8, 0.01)[1]) == 2
    assert split(3, 0.5)[1] is None
    assert split(8, 0)[1] is None
    with pytest.raises(BadInput, match="below 1"):
        split(8, 1.0)


def test_a_column_of_another_name_and_a_missing_one():
    assert rows_of(read_table(TABLE), {"words": "text"}, {"words": "kind"}, None).items["words"] == TABLE["kind"]
    with pytest.raises(NotFound, match="no column 'words'"):
        rows_of(read_table(TABLE), {"words": "text"}, None, None)
    with pytest.raises(BadInput, match="'sound'"):
        check_columns({"sound": "text"}, ["text", "image"], read_table(TABLE))
    with pytest.raises(NotFound, match="no column 'txet'"):
        check_columns({"text": "txet"}, ["text", "image"], read_table(TABLE))
