"""A collection's check-up: its vectors, its items, its fields."""

import numpy as np
import pytest
from tests.fake_space import FakeSpace

from commonspace.collection import Collection
from commonspace.core.errors import BadInput, NotFound

N = 60


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("examined") / "i.cs"
    rows = {
        "id": [f"i{k}" for k in range(N)],
        "text": [f"word{k // 2} thing" for k in range(N)],
        "image": [rng.normal(size=8).tolist() for _ in range(N)],
        "concept": [f"c{k // 2}" for k in range(N)],
        "family": [["x", "y", None][k % 3] for k in range(N)],
    }
    with Collection.create(path, FakeSpace()) as made:
        made.add(rows, columns={"text": "text", "image": "image"}, keep=["text"])
    with Collection.open(path, space=FakeSpace()) as opened:
        yield opened


def test_an_item_is_a_thing_of_all_its_modalities(filled):
    subject = filled.subject()
    assert subject.modalities == ["text", "image"]
    a, b, _ = subject.pairs("text", "image")
    assert [subject.name_of("text", i) for i in a] == [subject.name_of("image", j) for j in b]
    assert len(a) == N
    ids, vectors = filled.vectors("image")
    row = ids.index("i7")
    np.testing.assert_array_equal(subject.vectors["image"][row], vectors[row])


def test_a_field_can_say_what_is_the_same_thing_and_what_is_of_one_class(filled):
    subject = filled.subject(group="concept", class_column="family")
    assert len(np.unique(subject.codes("text"))) == N // 2
    classes = subject.classes["image"]
    assert {"x", "y"} < set(classes)
    assert len(set(classes)) == 2 + N // 3  # items without a family are classes of their own
    assert len(subject.vectors["text"]) == N // 2  # the same words of the same concept count once
    assert len(subject.vectors["image"]) == N


def test_items_are_read_when_they_are_shown(filled):
    subject = filled.subject()
    row = list(subject.names["text"]).index("i6")
    case = subject.case("text", row, "why")
    assert (case.item, case.caption, case.kind) == ("word3 thing", "i6", "text")
    assert subject.case("image", row).item == subject.name_of("image", row)  # not kept: its name stands for it


def test_a_check_up_looks_at_all_of_it(filled):
    done = filled.doctor(findings=["norms", "isotropy", "gap"], group="concept", progress=False)
    assert {f.finding for f in done.found} == {"norms", "isotropy", "gap"}
    assert done.about["items"] == N


def test_what_is_not_there_is_named(filled, tmp_path):
    with pytest.raises(NotFound, match="no field 'nosuch'"):
        filled.subject(group="nosuch")
    with (
        Collection.create(tmp_path / "empty.cs", FakeSpace()) as empty,
        pytest.raises(BadInput, match="nothing to check"),
    ):
        empty.doctor()
