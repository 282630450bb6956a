"""Tables: whatever comes in keeps its ids and its cells, and the same kind goes out."""

import datetime
import json
import os
import sys
import types

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from commonspace.core import BadInput, NotFound
from commonspace.core.tables import SUFFIXES, Table, read_table, to_arrow, write_table

ROWS = [{"id": 7, "text": "a"}, {"id": 3, "text": None}]
COLUMNS = {"id": [7, 3], "text": ["a", None]}


class Dataset:
    """What a Hugging Face dataset looks like from outside, as far as tables use it."""

    __module__ = "datasets.arrow_dataset"

    def __init__(self, columns):
        self.columns = columns

    @classmethod
    def from_dict(cls, columns):
        return cls(columns)

    @property
    def column_names(self):
        return list(self.columns)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key):
        return {n: c[key] for n, c in self.columns.items()}


@pytest.fixture
def datasets(monkeypatch):
    module = types.ModuleType("datasets")
    module.Dataset = Dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


SOURCES = {
    "list": ROWS,
    "columns": COLUMNS,
    "pandas": pd.DataFrame(COLUMNS),
    "polars": pl.DataFrame(COLUMNS),
    "arrow": pa.table(COLUMNS),
    "batch": pa.RecordBatch.from_pydict(COLUMNS),
    "datasets": Dataset(COLUMNS),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_comes_in_with_the_same_cells_and_goes_out_as_what_it_was(kind, datasets):
    table = read_table(SOURCES[kind])
    assert (table.kind, len(table), list(table.columns)) == (kind, 2, ["id", "text"])
    assert {n: list(c) for n, c in table.columns.items()} == COLUMNS
    out = table.take([1, 0]).with_columns(score=[0.5, 1.0]).to_native()
    assert type(out) is type(SOURCES[kind])
    back = read_table(out)
    assert {n: list(c) for n, c in back.columns.items()} == {"id": [3, 7], "text": [None, "a"], "score": [0.5, 1.0]}


@pytest.mark.parametrize("kind", [k for k in SOURCES if k != "list"])
def test_an_empty_table_of_every_kind_keeps_its_columns(kind, datasets):
    empty = read_table(SOURCES[kind]).take([])
    assert (len(empty), list(empty.columns)) == (0, ["id", "text"])
    out = empty.to_native()
    assert type(out) is type(SOURCES[kind])
    assert list(read_table(out).columns) == ["id", "text"]


def test_a_table_is_read_as_itself_and_no_rows_are_an_empty_table():
    table = Table(COLUMNS)
    assert read_table(table) is table
    assert len(read_table([])) == 0


def test_a_matrix_comes_in_as_vectors_and_goes_out_as_a_matrix():
    X = np.arange(6, dtype=np.float32).reshape(3, 2)
    table = read_table(X)
    assert list(table.columns) == ["vector"]
    np.testing.assert_array_equal(table.to_native(), X)
    out = table.with_columns(id=[5, 6, 7]).take([2]).to_native()
    assert out.dtype.names == ("vector", "id")
    np.testing.assert_array_equal(out["vector"], X[2:])


def test_a_structured_array_keeps_its_fields_and_their_types():
    a = np.array([(7, "a", [1, 2]), (3, "bc", [3, 4])], dtype=[("id", "i8"), ("text", "U2"), ("v", "f4", 2)])
    out = read_table(a).take([True, False]).to_native()
    assert out.dtype == a.dtype
    np.testing.assert_array_equal(out, a[:1])


@pytest.mark.parametrize("a", [np.zeros(3), np.zeros((2, 2, 2)), np.array(1.0)])
def test_an_array_of_another_shape_is_no_table(a):
    with pytest.raises(BadInput, match=r"structured or of shape \(n, d\)"):
        read_table(a)


@pytest.mark.parametrize("ids", [[7, 3], ["007", "x"], [2**62 + 1, -1]])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ids_come_back_exactly_from_every_file(tmp_path, suffix, ids):
    path = tmp_path / f"t{suffix}"
    texts = ['a, "b"\tc\nd', "é\u2028\U0001f600"]
    write_table(Table({"id": ids, "text": texts}), path)
    table = read_table(path)
    assert list(table["id"]) == ids
    assert [type(i) for i in table["id"]] == [type(i) for i in ids]
    assert list(table["text"]) == texts
    assert (table.kind, table.base) == (suffix, tmp_path)
    assert isinstance(table.to_native(), pa.Table)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("cells", "meant"),
    [
        (["7", "-3", "0"], [7, -3, 0]),
        (["7", "", "3"], [7, None, 3]),
        (["7", "NA", "3"], [7, None, 3]),
        (["1.5", "2", ".5", "1e-3", "nan"], [1.5, 2.0, 0.5, 0.001, None]),
        (["true", "False", ""], [True, False, None]),
        (["007", "8"], ["007", "8"]),
        (["+7", "8"], ["+7", "8"]),
        (["00.5", "1.5"], ["00.5", "1.5"]),
        (["9223372036854775807", "1"], [2**63 - 1, 1]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        (["12345678901234567890", "1.5"], ["12345678901234567890", "1.5"]),
        (["1e5", "2B7"], ["1e5", "2B7"]),
        (["NA", "NZ"], ["NA", "NZ"]),
        (["NA", "NA"], ["NA", "NA"]),
        (["2020-01-31", "2021-12-01"], ["2020-01-31", "2021-12-01"]),
        (["", ""], [None, None]),
        (["a", ""], ["a", None]),
        (["a", '""'], ["a", ""]),
        (["0x1F", "1"], ["0x1F", "1"]),
    ],
)
def test_a_csv_column_becomes_numbers_only_if_none_loses_its_spelling(tmp_path, cells, meant):
    (tmp_path / "t.csv").write_text("other,cell\n" + "".join(f"x,{c}\n" for c in cells))
    column = list(read_table(tmp_path / "t.csv")["cell"])
    assert column == meant
    assert [type(c) for c in column] == [type(c) for c in meant]


@settings(deadline=None)  # a slow disk is no defect
@given(st.lists(st.integers(-(2**70), 2**70) | st.from_regex(r"[0-9]{1,20}", fullmatch=True), min_size=1, max_size=4))
def test_no_id_of_digits_changes_its_spelling_in_a_csv(tmp_path_factory, ids):
    path = tmp_path_factory.getbasetemp() / "ids.csv"
    path.write_text("id\n" + "".join(f"{i}\n" for i in ids))
    assert [str(i) for i in read_table(path)["id"]] == [str(i) for i in ids]


def test_a_csv_with_line_breaks_in_cells_may_be_larger_than_one_block(tmp_path):
    text = "line\n" * 500
    (tmp_path / "t.csv").write_text("id,text\n" + "".join(f'{i},"{text}"\n' for i in range(1000)))
    table = read_table(tmp_path / "t.csv")
    assert list(table["id"]) == list(range(1000))
    assert set(table["text"]) == {text}


def test_files_with_a_byte_order_mark_read_as_without(tmp_path):
    for name, text in (("t.csv", "id\n1\n"), ("t.jsonl", '{"id": 1}\n'), ("t.json", '[{"id": 1}]')):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert list(read_table(tmp_path / name)["id"]) == [1]


def test_json_holds_rows_or_columns(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(ROWS))
    assert read_table(tmp_path / "t.json").columns == COLUMNS
    (tmp_path / "t.json").write_text(json.dumps(COLUMNS))
    assert read_table(str(tmp_path / "t.json")).columns == COLUMNS


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.csv", b"", "Empty CSV"),
        ("t.csv", b"a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("t.csv", "a\né\n".encode("latin-1"), "UTF8"),
        ("t.csv", b"a,a\n1,2\n", "two columns of one name: 'a'"),
        ("t.parquet", b"PAR1", "Parquet|smaller"),
        ("t.jsonl", b'{"a": 1}\n\n{"a": \n', "line 3 is not a JSON object"),
        ("t.jsonl", b'{"a": 1}\n\n2\n', "line 3 is not a JSON object"),
        ("t.jsonl", b"\xff\n", "utf-8"),
        ("t.json", b"[{]", "Expecting property name"),
        ("t.json", b"3", "list of objects"),
        ("t.json", b'"t.csv"', "list of objects"),
        ("t.json", b'[{"a": 1}, 2]', "row 1 of the list is a int"),
        ("t.json", b'{"a": 1}', "column 'a' must be a sequence"),
        ("t.json", b'{"a": [1, 2], "b": [1]}', "one length"),
        ("t.json", b'{"a": {"0": 1}}', "column 'a' must be a sequence of values, not dict"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_the_place(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=words) as e:
        read_table(tmp_path / name)
    assert str(e.value).startswith(f"cannot read {tmp_path / name}")


def test_a_missing_file_an_unknown_ending_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(NotFound, match=r"no file .*nothing.csv"):
        read_table(tmp_path / "nothing.csv")
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(BadInput, match=r"'t.xlsx' as a table: the name must end in \.parquet"):
        read_table(tmp_path / "t.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInput, match=r"folder\.csv"):
        read_table(tmp_path / "folder.csv")


def test_the_folder_of_a_parquet_file_adds_no_columns(tmp_path):
    write_table(Table(COLUMNS), tmp_path / "year=2020" / "t.parquet")
    assert list(read_table(tmp_path / "year=2020" / "t.parquet").columns) == ["id", "text"]


@pytest.mark.parametrize(
    "source", [None, 3, object(), "abc", b"abc", pl.LazyFrame(COLUMNS), pd.Series([1]), iter([{}])]
)
def test_what_is_no_table_is_refused(source):
    with pytest.raises((BadInput, NotFound)):
        read_table(source)


@pytest.mark.parametrize("source", [pa.array([1]), pa.chunked_array([[1]])])
def test_an_arrow_column_is_no_table(source):
    with pytest.raises(BadInput, match="give a Table or a RecordBatch"):
        read_table(source)


def test_a_list_of_something_else_names_the_row():
    with pytest.raises(BadInput, match="row 1 of the list is a str"):
        read_table([{"a": 1}, "b"])


def test_rows_may_lack_keys_and_keys_need_not_be_text():
    assert read_table([{"a": 1}, {"b": 2}, {}]).columns == {"a": [1, None, None], "b": [None, 2, None]}
    assert read_table([{1: "x"}]).columns == {"1": ["x"]}
    assert list(read_table(pd.DataFrame({0: ["x"], 1: ["y"]}))["1"]) == ["y"]


def test_two_columns_of_one_name_are_refused():
    for source in (pd.DataFrame([[1, 2]], columns=["a", "a"]), pa.table([[1], [2]], names=["a", "a"])):
        with pytest.raises(BadInput, match=r"two columns of one name: .*'a'"):
            read_table(source)


def test_columns_whose_names_spell_alike_are_refused():
    with pytest.raises(BadInput, match="two columns of one name: '0'"):
        read_table(pd.DataFrame([[1, 2]], columns=[0, "0"]))


@pytest.mark.parametrize("source", [{"a": [1, 2], "b": [1]}, {"a": "xyz"}, {"a": 3}, {"a": {1: 2}}, {"a": {1}}])
def test_columns_that_are_ragged_or_no_sequences_are_refused(source):
    with pytest.raises(BadInput, match="column"):
        read_table(source)


def test_every_spelling_of_an_absent_cell_in_a_frame_is_none():
    frame = pd.DataFrame(
        {
            "float": [1.5, float("nan")],
            "whole": pd.array([2**60 + 1, None], dtype="Int64"),
            "time": pd.to_datetime(["2020-01-01", None]),
            "text": ["a", None],
            "mixed": ["a", pd.NA],
        }
    )
    table = read_table(frame)
    assert all(table[n][1] is None for n in table.columns)
    assert table["whole"][0] == 2**60 + 1
    assert list(read_table(pl.DataFrame({"x": [1.5, None, float("nan")]}))["x"]) == [1.5, None, None]


def test_the_index_of_a_frame_is_no_column_and_does_not_move_rows():
    assert read_table(pd.DataFrame({"id": [7, 3]}, index=[1, 0])).columns == {"id": [7, 3]}


def test_nested_lists_and_images_pass_through_as_they_are():
    image = Image.new("L", (2, 2))
    columns = {"image": [image, None], "tags": [["a", "b"], []]}
    rows = [{"image": image, "tags": ["a", "b"]}, {"image": None, "tags": []}]
    for source in (columns, rows, pd.DataFrame(columns), Dataset(columns)):
        table = read_table(source)
        assert table["image"][0] is image
        assert list(table["tags"]) == [["a", "b"], []]
    assert read_table(rows).to_native() == rows
    assert read_table(pd.DataFrame(columns)).to_native()["image"][0] is image


def test_vectors_stay_matrices_on_the_way_through_arrow_parquet_and_polars(tmp_path):
    X = np.arange(6, dtype=np.float32).reshape(3, 2)
    write_table(Table({"id": [1, 2, 3], "v": X}), tmp_path / "t.parquet")
    assert pq.read_schema(tmp_path / "t.parquet").field("v").type == pa.list_(pa.float32(), 2)
    arrow = to_arrow(Table({"v": X}))
    frame = pl.DataFrame({"v": X})
    for source in (tmp_path / "t.parquet", arrow, frame):
        v = read_table(source)["v"]
        assert isinstance(v, np.ndarray)
        assert v.dtype == np.float32
        np.testing.assert_array_equal(v, X)
    np.testing.assert_array_equal(read_table(pa.concat_tables([arrow, arrow]).slice(2, 3))["v"], X[[2, 0, 1]])
    assert read_table(frame).to_native().schema == frame.schema
    assert read_table(arrow).to_native().schema == arrow.schema


def test_ragged_and_absent_vectors_stay_lists():
    absent = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    table = read_table(pa.table({"v": pa.array([[1.0, 2.0], [3.0]]), "w": absent}))
    assert table["v"] == [[1.0, 2.0], [3.0]]
    assert table["w"] == [[1.0, 2.0], None]


@pytest.mark.parametrize("dtype", ["f4", "i4", "u8", "?", ">i4", "M8[s]", "U3", "O"])
def test_arrays_keep_their_type_in_arrow(dtype):
    column = np.array([1, 0]).astype(dtype)
    array = to_arrow(Table({"x": column}))["x"]
    assert array.to_pylist() == column.tolist()
    if dtype in ("f4", "i4", "u8"):
        assert array.type == pa.from_numpy_dtype(np.dtype(dtype))


@pytest.mark.parametrize("column", [[1, "a"], [object()], [Image.new("L", (1, 1))], [2**70], np.zeros((2, 0))])
def test_a_column_that_arrow_cannot_hold_is_named(column):
    with pytest.raises(BadInput, match="column 'odd' cannot be stored"):
        to_arrow(Table({"odd": column}))


def test_rows_and_columns_are_asked_for_by_name():
    table = Table(COLUMNS)
    assert list(table.rows()) == ROWS
    assert "id" in table
    assert "nope" not in table
    with pytest.raises(NotFound, match="no column 'nope'; it has id, text"):
        table["nope"]


def test_rows_are_taken_by_position_in_order_or_by_mask():
    table = Table({"id": [5, 6, 7], "v": np.eye(3)})
    assert list(table.take([2, 0, 2])["id"]) == [7, 5, 7]
    assert list(table.take(np.array([False, True, True]))["id"]) == [6, 7]
    np.testing.assert_array_equal(table.take([1])["v"], [[0, 1, 0]])
    assert table.take([])["v"].shape == (0, 3)


def test_a_list_of_rows_goes_out_as_plain_python():
    out = Table({"v": np.eye(2, dtype=np.float32), "n": np.array([1, 2])}).to_native("list")
    assert out == [{"v": [1.0, 0.0], "n": 1}, {"v": [0.0, 1.0], "n": 2}]
    assert json.dumps(out)


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_json_has_no_nan_so_it_leaves_as_null_and_comes_in_as_none(tmp_path, suffix):
    days = [datetime.date(2020, 1, 31), None]
    write_table(Table({"x": [float("nan"), 1.0], "day": days, "v": np.eye(2)}), tmp_path / f"t{suffix}")
    assert "NaN" not in (tmp_path / f"t{suffix}").read_text()
    back = read_table(tmp_path / f"t{suffix}").columns
    assert back == {"x": [None, 1.0], "day": ["2020-01-31", None], "v": [[1.0, 0.0], [0.0, 1.0]]}
    (tmp_path / "theirs.jsonl").write_text('{"x": NaN}\n{"x": -Infinity}\n')
    assert list(read_table(tmp_path / "theirs.jsonl")["x"]) == [None, -np.inf]


@pytest.mark.parametrize("cell", [object(), b"bytes", [float("nan")], float("inf")])
def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, cell):
    path = tmp_path / "t.jsonl"
    write_table(Table(COLUMNS), path)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="row 1 cannot be stored as JSON"):
        write_table(Table({"x": ["fine", cell]}), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t.jsonl"]


def test_lists_are_spelt_as_json_in_a_csv(tmp_path):
    path = tmp_path / "new" / "t.csv"
    write_table(Table({"id": ["007"], "tags": [["a", "b"]], "v": np.ones((1, 2))}), path)
    assert read_table(path).columns == {"id": ["007"], "tags": ['["a", "b"]'], "v": ["[1.0, 1.0]"]}


def test_an_ending_that_cannot_be_written_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(BadInput, match="the name must end in"):
        write_table(Table(COLUMNS), tmp_path / "new" / "t.xlsx")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("name", "base"), [("DatasetDict", dict), ("IterableDataset", object)])
def test_several_splits_or_a_stream_are_not_one_table(name, base):
    kind = type(name, (base,), {"__module__": "datasets.any", "column_names": ["id"], "__getitem__": None})
    with pytest.raises(BadInput, match=f"a {name} is not one table in memory: pick a split"):
        read_table(kind())


def test_a_real_dataset_reads_like_its_stand_in():
    datasets = pytest.importorskip("datasets")
    real = datasets.Dataset.from_dict(COLUMNS)
    assert read_table(read_table(real).take([1]).to_native()).columns == {"id": [3], "text": [None]}
    for source in (datasets.DatasetDict({"train": real}), real.to_iterable_dataset()):
        with pytest.raises(BadInput, match="pick a split"):
            read_table(source)
