"""What a check-up looks at is checked once, at the door."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge import Subject

X = np.eye(4, 3)


def test_a_matrix_alone_is_a_subject():
    subject = Subject({"vectors": X})
    assert subject.modalities == ["vectors"]
    assert subject.name_of("vectors", 2) == "row 2"


def test_rows_are_called_by_their_names():
    assert Subject({"image": X}, names={"image": list("abcd")}).name_of("image", 2) == "c"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"vectors": {}}, "nothing to check"),
        ({"vectors": {"a": np.zeros((0, 3))}}, "with rows"),
        ({"vectors": {"a": X[0]}}, "shape"),
        ({"vectors": {"a": X, "b": X[:, :2]}}, "share a dimension"),
        ({"vectors": {"a": X}, "things": {"b": range(4)}}, "no vectors"),
        ({"vectors": {"a": X}, "things": {"a": range(3)}}, "3 rows"),
    ],
)
def test_what_does_not_fit_together_is_refused(given, words):
    with pytest.raises(BadInput, match=words):
        Subject(**given)


# What findings get to see


def sick() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(50, 4))
    x[[3, 10, 20, 30]] = np.array([0, np.nan, np.inf, 1e300])[:, None]
    return x


def test_rows_without_a_direction_are_never_sampled_and_the_others_have_length_one():
    subject = Subject({"a": sick()})
    rows, units = subject.sample("a", 100, np.random.default_rng(0))
    assert set(range(50)) - set(rows.tolist()) == {3, 10, 20, 30}  # 1e300 is infinite in single precision
    assert units.dtype == np.float32
    assert np.allclose(np.linalg.norm(units, axis=1), 1, atol=1e-6)


def test_a_sample_is_no_larger_than_asked_in_order_and_without_repeats():
    rows, _ = Subject({"a": sick()}).sample("a", 10, np.random.default_rng(0))
    assert len(rows) == 10
    assert (np.diff(rows) > 0).all()


def test_a_subject_of_nothing_but_zeros_says_so():
    with pytest.raises(BadInput, match="finite and longer than zero"):
        Subject({"a": np.zeros((5, 2))}).sample("a", 3, np.random.default_rng(0))


def test_every_row_of_the_fuller_side_gets_a_partner_of_its_thing_and_partners_take_turns():
    many, few = np.array([7, 7, 7, 8, 9]), np.array([8, 7, 7, 5])
    subject = Subject({"a": np.ones((5, 2)), "b": np.ones((4, 2))}, things={"a": many, "b": few})
    a, b, things = subject.pairs("a", "b")
    assert sorted(zip(a.tolist(), b.tolist(), strict=True)) == [(0, 1), (1, 2), (2, 1), (3, 0)]
    assert (many[a] == few[b]).all()
    assert len(np.unique(things)) == 2
    swapped = subject.pairs("b", "a")
    assert sorted(zip(swapped[1].tolist(), swapped[0].tolist(), strict=True)) == sorted(
        zip(a.tolist(), b.tolist(), strict=True)
    )


def test_rows_without_a_direction_are_nobodys_partner():
    x = np.ones((3, 2))
    x[1] = np.nan
    a, _, _ = Subject({"a": x, "b": np.ones((3, 2))}, things={"a": [0, 1, 2], "b": [0, 1, 2]}).pairs("a", "b")
    assert a.tolist() == [0, 2]


def test_things_of_different_spelling_are_compared_as_text():
    ones = np.ones((4, 2))
    subject = Subject({"a": ones, "b": ones}, things={"a": np.array([1, 2, 3, 4]), "b": np.array(["1", "2", "9", "4"])})
    assert subject.pairs("a", "b")[0].tolist() == [0, 1, 3]


def test_halves_share_no_thing_and_hold_every_row_once():
    things = {"a": np.arange(60) % 20, "b": np.arange(20)}
    x = np.random.default_rng(0).normal(size=(60, 3))
    subject = Subject({"a": x, "b": x[:20]}, things=things, names={"a": [f"a{i}" for i in range(60)]})
    one, two = subject.halves(np.random.default_rng(1), most=1000)
    assert set(one.things["a"]) & set(two.things["a"]) == set()
    assert set(one.things["a"]) == set(one.things["b"])
    assert sorted([*one.names["a"], *two.names["a"]]) == sorted(subject.names["a"])
    assert np.array_equal(one.vectors["a"][0], x[int(one.names["a"][0][1:])])


def test_large_halves_keep_the_same_things_in_all_modalities():
    x = np.random.default_rng(0).normal(size=(6000, 3))
    once, thrice = np.arange(2000), np.repeat(np.arange(2000), 3)
    subject = Subject({"text": x[:2000], "image": x}, things={"text": once, "image": thrice})
    for half in subject.halves(np.random.default_rng(0), most=100):
        assert {m: len(rows) for m, rows in half.vectors.items()} == {"text": 100, "image": 100}
        assert set(half.things["image"]) <= set(half.things["text"])
        assert np.unique(half.things["image"], return_counts=True)[1].tolist() == [2] * 50


def test_large_halves_of_few_things_keep_all_of_them():
    x = np.random.default_rng(0).normal(size=(4000, 3))
    halves = Subject({"a": x}, things={"a": np.arange(4000) % 40}).halves(np.random.default_rng(0), most=200)
    for half in halves:
        assert np.unique(half.things["a"], return_counts=True)[1].tolist() == [10] * 20


def test_rows_that_are_not_labelled_are_halved_one_by_one():
    one, two = Subject({"a": sick()}).halves(np.random.default_rng(0), most=10)
    assert len(one.vectors["a"]) == len(two.vectors["a"]) == 10


def test_an_item_is_shown_with_its_name_and_stands_for_itself():
    subject = Subject({"a": X}, items={"a": ["w", "x", "y", "z"]}, kinds={"a": "text"})
    case = subject.case("a", 2, "why")
    assert (case.item, case.caption, case.note, case.kind) == ("y", "row 2", "why", "text")
    bare = Subject({"a": X}, kinds={"a": "image"}).case("a", 1)
    assert (bare.item, bare.kind) == ("row 1", "text")
