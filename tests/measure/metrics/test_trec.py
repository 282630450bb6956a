import gzip

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.core.errors import BadInput, NotFound
from commonspace.measure.metrics.trec import as_qrels, as_run, read_qrels, read_run, to_table, write_qrels, write_run

RUN = {"q1": {"d2": 3.5, "d1": 1.25}, "q2": {"d9": -0.1}}
QRELS = {"q1": {"d1": 2, "d7": 0}, "q3": {"d9": 1}}
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=6)


@pytest.mark.parametrize("name", ["a.run", "b.txt.gz"])
def test_a_run_is_read_as_it_was_written(tmp_path, name):
    write_run(RUN, tmp_path / name, name="mine")
    assert read_run(tmp_path / name) == as_run(tmp_path / name) == RUN


def test_a_run_is_written_best_first_with_ranks_from_1(tmp_path):
    write_run({"q": {"a": 1, "b": 2}}, tmp_path / "run", name="mine")
    assert (tmp_path / "run").read_text() == "q Q0 b 1 2.0 mine\nq Q0 a 2 1.0 mine\n"


@pytest.mark.parametrize("name", ["a.qrels", "b.qrels.gz"])
def test_judgements_are_read_as_they_were_written(tmp_path, name):
    write_qrels(QRELS, tmp_path / name)
    assert read_qrels(tmp_path / name) == as_qrels(str(tmp_path / name)) == QRELS


def test_whole_grades_are_written_as_whole_numbers(tmp_path):
    write_qrels({"q": {"a": 2.0, "b": 0.5, "c": np.int64(1)}}, tmp_path / "qrels")
    assert (tmp_path / "qrels").read_text() == "q 0 a 2\nq 0 b 0.5\nq 0 c 1\n"


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.floats(-1e300, 1e300), min_size=1), max_size=4))
def test_any_names_and_scores_survive_the_file(tmp_path_factory, run):
    path = tmp_path_factory.mktemp("t") / "x.run"
    write_run(run, path)
    assert read_run(path) == run


def test_files_of_other_tools_are_read(tmp_path):
    (tmp_path / "x.run").write_bytes("\ufeffq1\tQ0\td1\t0\t1e-3\tx\r\n\r\nq1   Q0 d2 1  -inf x\n".encode())
    assert read_run(tmp_path / "x.run") == {"q1": {"d1": 0.001, "d2": -np.inf}}
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"1 0 d1 -1\n2 0 d1 1\n1 0 d2 3"))
    assert read_qrels(tmp_path / "x.gz") == {"1": {"d1": -1, "d2": 3}, "2": {"d1": 1}}


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "list", "columns"])
def test_tables_go_in_and_out(kind):
    assert as_run(to_table(RUN, kind=kind)) == RUN
    assert as_qrels(to_table(QRELS, "relevance", kind=kind)) == QRELS


def test_the_names_of_other_tools_are_understood(tmp_path):
    frame = pd.DataFrame({"qid": ["q1", "q1", "q2"], "docno": ["d2", "d1", "d9"], "score": [3.5, 1.25, -0.1]})
    assert as_run(frame) == RUN
    assert as_qrels(pl.DataFrame({"qid": ["q"], "docno": ["d"], "label": [2]})) == {"q": {"d": 2}}
    frame.to_csv(tmp_path / "run.csv", index=False)
    assert as_run(tmp_path / "run.csv") == RUN


def test_results_of_a_search_stand_in_a_run_as_they_are():
    from commonspace.search.hits import Hit, Hits

    hits = Hits([Hit(3, 0.9), Hit(1, 0.5)])
    assert as_run({"q": hits, "p": {7: 1.0}}) == {"q": {3: 0.9, 1: 0.5}, "p": {7: 1.0}}


def test_a_list_of_items_is_a_judgement_of_grade_1():
    assert as_qrels({"q": ["a", "b"], "p": {"c"}}) == {"q": {"a": 1, "b": 1}, "p": {"c": 1}}


def test_nothing_is_left_behind_if_writing_fails(tmp_path):
    with pytest.raises(BadInput, match="white space"):
        write_run({"q 1": {"d": 1.0}}, tmp_path / "x.run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("q Q0 d 1 0.5\n", "line 1: 5 columns, but a line of run has 6"),
        ("q Q0 d 1 0.5 x\nq Q0 d 2 0.4 x\n", "line 2: document 'd' a second time"),
        ("q Q0 d 1 good x\n", "line 1: could not convert"),
        ("q Q0 d 1 nan x\n", "line 1: 'nan' is no number"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, says):
    (tmp_path / "x.run").write_text(text)
    with pytest.raises(BadInput, match=says):
        read_run(tmp_path / "x.run")


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: read_run("nowhere.run"), NotFound, "nowhere.run"),
        (lambda: as_run({"q": {"d": np.nan}}), BadInput, "score of item 'd' for query 'q' is no number"),
        (lambda: as_run({"q": {"d": "high"}}), BadInput, "'high'"),
        (lambda: as_run({"q": ["d"]}), BadInput, "must map item ids to numbers"),
        (lambda: as_run({"query_id": ["q"], "score": [1.0]}), BadInput, "needs a column named doc_id"),
        (lambda: as_run(pd.DataFrame({"qid": "q", "docno": "d", "score": [1.0, 2.0]})), BadInput, "row 1 has item 'd'"),
        (lambda: as_qrels({"q": {"d": np.inf}}), BadInput, "relevance of item 'd'"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_broken_archive_is_named(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"1 0 d1 1\n" * 1000)[:-20])
    with pytest.raises(BadInput, match=r"x\.gz as qrels"):
        read_qrels(tmp_path / "x.gz")
