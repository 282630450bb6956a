"""Links and fields become queries, answers and splits that no cluster crosses."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge.benchmarks import from_fields, from_links

NOTES = [
    {"id": 1, "text": "a", "report": "r1"},
    {"id": 2, "text": "b", "report": "r1"},
    {"id": 3, "text": "c", "report": "r2"},
    {"id": 4, "text": "d", "report": None},
    {"id": 5, "text": "e", "report": None},
]
LINKS = [{"source": 1, "target": 3}, {"source": 3, "target": 4}, {"source": 4, "target": 4}]


def test_what_comes_from_one_source_has_grade_two_and_what_is_linked_grade_one_both_ways():
    made = from_links(NOTES, LINKS, same="report")
    assert made.qrels == {"1": {"3": 1.0, "2": 2.0}, "2": {"1": 2.0}, "3": {"1": 1.0, "4": 1.0}, "4": {"3": 1.0}}
    assert set(made.documents) == {"1", "2", "3", "4", "5"}
    assert "5" not in made.queries, "nothing is linked with it"
    assert made.itself


def test_of_several_links_of_a_pair_the_highest_grade_counts():
    links = [{"a": 1, "b": 2, "g": 1}, {"a": 2, "b": 1, "g": 3}, {"a": 1, "b": 2, "g": 2}]
    made = from_links(NOTES, links, ends=("a", "b"), grade="g")
    assert made.qrels == {"1": {"2": 3.0}, "2": {"1": 3.0}}


def test_no_source_lies_in_two_splits():
    rng = np.random.default_rng(0)
    items = [{"id": i, "text": f"t{i}", "of": int(rng.integers(40))} for i in range(200)]
    links = [{"source": int(a), "target": int(b)} for a, b in rng.integers(0, 200, (300, 2)) if a != b]
    made = from_links(items, links, same="of", random_state=3)
    splits = {}
    for query, split in made.split.items():
        splits.setdefault(made.clusters[query], set()).add(split)
    assert all(len(found) == 1 for found in splits.values())
    sizes = np.array([sum(split == s for split in made.split.values()) for s in ("train", "valid", "test")])
    assert (sizes > 0).all()
    assert made.split == from_links(items, links, same="of", random_state=3).split
    assert made.split != from_links(items, links, same="of", random_state=4).split


def test_items_without_a_content_are_left_out_with_their_links():
    items = [*NOTES, {"id": 6, "text": " ", "report": "r2"}]
    made = from_links(items, [*LINKS, {"source": 6, "target": 1}], same="report")
    assert "6" not in made.documents
    assert "6" not in made.qrels["1"]


@pytest.mark.parametrize(
    ("items", "links", "words"),
    [
        (NOTES, [{"source": 1, "target": 9}], "link 0 names '9'"),
        (NOTES, [{"source": 1, "target": 1}], "no links between different items"),
        ([*NOTES, NOTES[0]], LINKS, "'1' in column 'id' occurs twice"),
        ([*NOTES, {"id": None, "text": "x", "report": None}], LINKS, "an id is missing"),
    ],
)
def test_links_that_lead_nowhere_are_refused(items, links, words):
    with pytest.raises(BadInput, match=words):
        from_links(items, links)


BOOKS = [
    {"title": "Reefs", "abstract": "On corals.", "year": 1990},
    {"title": "Corals", "abstract": "On corals.", "year": 1991},
    {"title": "Dunes", "abstract": "On sand.", "year": 1991},
    {"title": "", "abstract": "On nothing.", "year": 1992},
    {"title": "Void", "abstract": None, "year": 1992},
]


def test_a_field_answers_another_and_equal_documents_are_one():
    made = from_fields(BOOKS, query="title", document="abstract")
    assert made.queries == {"q0": "Reefs", "q1": "Corals", "q2": "Dunes"}
    assert made.documents == {"d0": "On corals.", "d1": "On sand."}
    assert made.qrels == {"q0": {"d0": 1.0}, "q1": {"d0": 1.0}, "q2": {"d1": 1.0}}
    assert made.clusters["q0"] == made.clusters["q1"] != made.clusters["q2"]


def test_ids_of_documents_and_clusters_come_from_columns():
    rows = [{"q": "a", "d": "x", "doc": 7, "user": "u"}, {"q": "b", "d": "y", "doc": 8, "user": "u"}]
    made = from_fields(rows, query="q", document="d", document_id="doc", cluster="user")
    assert set(made.documents) == {"7", "8"}
    assert set(made.clusters.values()) == {"user=u"}
    with pytest.raises(BadInput, match="another content"):
        from_fields([*rows, {"q": "c", "d": "z", "doc": 7, "user": "u"}], query="q", document="d", document_id="doc")


def test_documents_of_other_kinds_need_ids():
    rows = [{"q": "a", "d": np.eye(2), "n": 1}, {"q": "b", "d": np.eye(2), "n": 1}]
    with pytest.raises(BadInput, match="name their document_id"):
        from_fields(rows, query="q", document="d")
    assert len(from_fields(rows, query="q", document="d", document_id="n").documents) == 1


def test_a_table_without_a_whole_row_and_shares_that_do_not_add_up_are_refused():
    with pytest.raises(BadInput, match="no row has both"):
        from_fields(BOOKS[3:], query="title", document="abstract")
    with pytest.raises(BadInput, match="add up to 1"):
        from_fields(BOOKS, query="title", document="abstract", shares={"train": 0.5})
    with pytest.raises(BadInput, match="occurs twice"):
        from_fields(BOOKS, query="title", document="abstract", id="year")
