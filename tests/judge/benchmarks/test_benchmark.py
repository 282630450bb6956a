"""A benchmark is checked when it is made, has an identity, and goes through a folder and back."""

import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput, Corrupt, NotFound
from commonspace.judge.benchmarks import Benchmark
from commonspace.judge.benchmarks.rankers import ranker

QUERIES = {"q1": "rot", "q2": "blau", "q3": "grün"}
DOCUMENTS = {"d1": "red", "d2": "blue", "d3": "green", "d4": "grey"}
QRELS = {"q1": {"d1": 1.0}, "q2": {"d2": 2.0, "d4": 1.0}, "q3": {"d3": 1.0}}
SPLIT = {"q1": "train", "q2": "test", "q3": "test"}


def colours(**changes):
    given = {"queries": QUERIES, "documents": DOCUMENTS, "qrels": QRELS, "split": SPLIT, **changes}
    return Benchmark("colours", **given)


def test_relevance_follows_the_order_of_queries_and_documents():
    dense = colours().relevance(["q2", "q1"]).toarray()
    np.testing.assert_array_equal(dense, [[0, 2, 0, 1], [1, 0, 0, 0]])


def test_a_query_that_is_a_document_does_not_answer_itself():
    same = Benchmark("same", {"a": "x"}, {"a": "x", "b": "y"}, {"a": {"a": 1, "b": 1}}, itself=True)
    np.testing.assert_array_equal(same.relevance(["a"]).toarray(), [[0, 1]])
    assert same.own_places(["a"]).tolist() == [0]


def test_a_split_names_its_queries_and_nothing_split_is_all():
    assert colours().ids("test") == ["q2", "q3"]
    assert colours(split={}).ids("test") == ["q1", "q2", "q3"]
    assert colours().ids(None) == ["q1", "q2", "q3"]


def test_queries_without_a_cluster_stand_alone():
    groups = colours(clusters={"q1": "a", "q2": "a"}).groups(["q1", "q2", "q3"])
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize(
    "changes",
    [
        {"queries": {**QUERIES, "q1": "rouge"}},
        {"documents": {**DOCUMENTS, "d5": "black"}},
        {"qrels": {**QRELS, "q1": {"d1": 2.0}}},
        {"split": {**SPLIT, "q1": "valid"}},
    ],
)
def test_the_identity_changes_with_anything_that_changes_a_figure(changes):
    assert colours(**changes).id != colours().id
    assert colours().id == colours().id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queries": {}}, "at least one query"),
        ({"qrels": {"q1": {"d1": 1.0}, "q2": {"d2": 1.0}}}, "no document answers the query 'q3'"),
        ({"qrels": {**QRELS, "q1": {"d9": 1.0}}}, "no document answers the query 'q1'"),
        ({"qrels": {**QRELS, "q1": {"d1": -1.0}}}, "above 0"),
        ({"qrels": {**QRELS, "q9": {"d1": 1.0}}}, "not among the queries"),
        ({"split": {"q1": "dev"}}, "a split is one of"),
    ],
)
def test_what_makes_no_benchmark_is_refused(changes, words):
    with pytest.raises(BadInput, match=words):
        colours(**changes)


def test_a_pool_keeps_all_right_answers_and_draws_the_rest_by_seed():
    many = colours(documents={**DOCUMENTS, **{f"x{i}": f"colour {i}" for i in range(50)}})
    pool = many.with_pool(10, random_state=1)
    assert len(pool.documents) == 10
    assert {"d2", "d3", "d4"} <= set(pool.documents)
    assert pool.ids("test") == ["q2", "q3"]
    assert set(pool.queries) <= {"q1", "q2", "q3"}
    assert pool.id == many.with_pool(10, random_state=1).id != many.with_pool(10, random_state=2).id
    with pytest.raises(BadInput, match="cannot hold the 3 right answers"):
        many.with_pool(2)


def test_a_pool_still_knows_what_is_popular():
    split = {"q1": "train", "q2": "test", "q3": "valid"}
    pool = colours(qrels={**QRELS, "q1": {"d4": 1.0, "d1": 1.0}}, split=split).with_pool(2, random_state=0)
    assert set(pool.documents) == {"d2", "d4"}
    assert pool.qrels == {"q1": {"d4": 1.0}, "q2": {"d2": 2.0, "d4": 1.0}}
    assert ranker("popularity", pool)(["blau"]).tolist() == [[0, 1]]


def test_a_folder_gives_back_what_was_saved(tmp_path):
    given = colours(clusters={"q1": "a", "q2": "b", "q3": "b"}, about={"made": "by hand"})
    given.save(tmp_path / "colours")
    back = Benchmark.load(tmp_path / "colours")
    assert back == given
    assert back.id == given.id


def test_a_folder_of_another_tool_is_read_with_titles_and_without_unjudged_queries(tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "7", "title": "Red", "text": "A colour."}\n\n', encoding="utf-8")
    rows = [{"_id": "1", "text": "rot", "metadata": {}}, {"_id": "2", "text": "nie"}]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "qrels/dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\t7\t2\n2\t7\t0\n", encoding="utf-8")
    found = Benchmark.load(tmp_path)
    assert found.documents == {"7": "Red\nA colour."}
    assert found.queries == {"1": "rot"}
    assert found.split == {"1": "valid"}
    assert found.qrels == {"1": {"7": 2.0}}


def test_a_folder_that_is_none_or_broken_is_refused_with_the_line(tmp_path):
    with pytest.raises(NotFound, match=r"queries\.jsonl"):
        Benchmark.load(tmp_path)
    colours().save(tmp_path / "c")
    with pytest.raises(BadInput, match="not an empty folder"):
        colours().save(tmp_path / "c")
    (tmp_path / "c/corpus.jsonl").write_text('{"_id": "7", "text": "x"}\n{"id": 8}\n')
    with pytest.raises(Corrupt, match="line 2"):
        Benchmark.load(tmp_path / "c")
    colours().save(tmp_path / "d")
    (tmp_path / "d/qrels/test.tsv").write_text("q2\td2\n")
    with pytest.raises(Corrupt, match="line 1"):
        Benchmark.load(tmp_path / "d")


def test_items_that_are_no_texts_cannot_be_saved_but_have_an_identity(tmp_path):
    pictures = colours(documents={d: np.full((2, 2), i) for i, d in enumerate(DOCUMENTS)})
    assert pictures.id == colours(documents={d: np.full((2, 2), i) for i, d in enumerate(DOCUMENTS)}).id
    with pytest.raises(BadInput, match="only texts"):
        pictures.save(tmp_path / "p")
