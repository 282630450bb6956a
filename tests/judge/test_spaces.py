"""A space and a table become a subject: what is encoded, which rows show the same thing, and what to compare with."""

import numpy as np
import pytest
from tests.fake_space import FakeSpace as Fake

from commonspace.core.errors import BadInput, NotFound
from commonspace.judge.spaces import subject_of


class FakeSpace(Fake):
    """The space for tests, which takes a cache as a real one does."""

    def encode_items(self, items, modality, *, on_error="raise", cache=None):
        return super().encode_items(items, modality, on_error=on_error)


def table(n=6):
    rng = np.random.default_rng(0)
    return {
        "text": [f"thing {i // 2}" for i in range(n)],
        "image": [rng.normal(size=8).tolist() for _ in range(n)],
        "family": ["a" if i % 2 else "b" for i in range(n)],
    }


def test_equal_vectors_of_one_thing_count_once_and_partners_share_their_label():
    subject = subject_of(FakeSpace(), table())
    assert {m: len(x) for m, x in subject.vectors.items()} == {"text": 3, "image": 6}
    a, b, _ = subject.pairs("image", "text")
    assert [subject.items["text"][int(j)] for j in b] == [f"thing {i // 2}" for i in sorted(a.tolist())]
    assert subject.kinds == {"text": "text", "image": "image"}
    assert subject.name_of("image", 4) == "row 4"


def test_a_column_of_groups_says_what_is_the_same_thing():
    subject = subject_of(FakeSpace(), table(), group="family")
    assert len(np.unique(subject.codes("image"))) == 2
    own = subject_of(FakeSpace(), table(), group=[0, 0, 0, 1, 1, None])
    assert len(np.unique(own.codes("image"))) == 3


def test_classes_come_from_a_column():
    subject = subject_of(FakeSpace(), table(), class_column="family")
    assert subject.classes["image"].tolist() == ["b", "a"] * 3
    with pytest.raises(NotFound, match="no column"):
        subject_of(FakeSpace(), table(), class_column="nosuch")


def test_a_row_without_a_class_is_of_no_class_of_others():
    rows = {**table(), "family": ["a", None, float("nan"), "a", None, "a"]}
    classes = subject_of(FakeSpace(), rows, class_column="family").classes["image"].tolist()
    assert classes == ["a", "row 1", "row 2", "a", "row 4", "a"]


def test_a_column_that_was_named_must_be_there():
    with pytest.raises(NotFound, match="no column 'nme'"):
        subject_of(FakeSpace(), table(), columns={"text": "nme"})


def test_missing_cells_are_missing_rows_and_unreadable_ones_can_be_left_out():
    rows = table()
    rows["image"][2] = None
    rows["image"][4] = "broken"
    subject = subject_of(FakeSpace(), rows, on_error="skip")
    assert [subject.name_of("image", i) for i in range(4)] == ["row 0", "row 1", "row 3", "row 5"]
    with pytest.raises(BadInput):
        subject_of(FakeSpace(), rows)


def test_things_of_the_training_table_are_the_same_things():
    training = {"text": ["thing 1", "thing 9"], "image": table()["image"][:2]}
    subject = subject_of(FakeSpace(), table(), training=training)
    assert subject.training is not None
    assert set(subject.things["text"]) & set(subject.training.things["text"]) == {subject.things["text"][1]}


def test_an_earlier_space_encodes_the_same_table():
    subject = subject_of(FakeSpace(), table(), earlier=FakeSpace("older"))
    assert subject.earlier is not None
    assert subject.earlier.name_of("image", 3) == subject.name_of("image", 3)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ({"other": [1]}, {}, "none of the columns text, image"),
        ({"text": [], "image": []}, {}, "no rows"),
        (table(), {"columns": {"sound": "x"}}, "unknown modality"),
        (table(), {"group": [1, 2]}, "2 labels for 6 rows"),
    ],
)
def test_what_does_not_fit_is_refused(rows, options, words):
    with pytest.raises(BadInput, match=words):
        subject_of(FakeSpace(), rows, **options)
