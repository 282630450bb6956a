"""What users do with a collection, one behaviour a test; many writers and processes: test_collection_writes.py."""

import sys
import types
import weakref

import numpy as np
import pytest
from tests.fake_space import DIM, FakeSpace, text_vector

from commonspace import BadInput, BadItems, Collection, Corrupt, NotFound, SpaceMismatch
from commonspace.core.vectors import unit

TABLE = [
    {"id": "bin", "text": "trash bin", "image": [1, 0, 0, 0, 0, 0, 0, 0], "family": "mdi6", "size": 3},
    {"id": "car", "text": "red car", "image": [0, 1, 0, 0, 0, 0, 0, 0], "family": "mdi6", "size": 5},
    {"id": "dog", "text": "small dog", "image": None, "family": "remix", "size": None},
    {"id": "cat", "text": None, "image": [0, 0, 1, 0, 0, 0, 0, 0], "family": "remix", "size": 2},
]


@pytest.fixture
def space():
    return FakeSpace()


@pytest.fixture
def empty(tmp_path, space):
    with Collection.create(tmp_path / "icons.cs", space) as c:
        yield c


@pytest.fixture
def icons(empty):
    empty.add(TABLE)
    return empty


def axis(i):
    v = np.zeros(DIM, np.float32)
    v[i] = 1
    return v


# ---------------------------------------------------------------- create, open, close


def test_a_collection_is_found_again_as_it_was_left(icons, tmp_path, space):
    icons.close()
    with Collection.open(tmp_path / "icons.cs", space=space) as again:
        assert len(again) == 4
        assert again.get("bin") == [{"id": "bin", "family": "mdi6", "size": 3}]
        assert again.search(text="trash bin", k=1).ids == ["bin"]


def test_the_space_is_loaded_from_the_folder_when_none_is_given(icons, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "commonspace.space", types.SimpleNamespace(Space=FakeSpace))
    with Collection.open(tmp_path / "icons.cs") as again:
        assert again.space.id == "fake0001"
        assert again.search(text="red car").ids[0] == "car"


def test_a_changed_byte_in_the_saved_space_is_noticed(icons, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "commonspace.space", types.SimpleNamespace(Space=FakeSpace))
    config = tmp_path / "icons.cs" / "spaces" / "fake0001" / "config.json"
    config.write_text(config.read_text().replace("text", "tekst"))
    with Collection.open(tmp_path / "icons.cs") as again, pytest.raises(Corrupt, match="not the one that was saved"):
        again.search(text="x")


def test_creating_over_something_is_refused_unless_it_is_the_same_collection(icons, tmp_path, space):
    with pytest.raises(BadInput, match="exists already"):
        Collection.create(icons.path, space)
    with Collection.create(icons.path, space, exist_ok=True) as same:
        assert len(same) == 4
    with pytest.raises(SpaceMismatch, match="other"):
        Collection.create(icons.path, FakeSpace("other"), exist_ok=True)
    with pytest.raises(BadInput, match="id column"):
        Collection.create(icons.path, space, id="sku", exist_ok=True)


def test_a_failed_create_leaves_nothing(tmp_path):
    class Unsaveable(FakeSpace):
        def save(self, path):
            super().save(path)
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        Collection.create(tmp_path / "x.cs", Unsaveable())
    assert list(tmp_path.iterdir()) == []


def test_opening_what_is_not_a_collection_says_so(tmp_path, icons):
    with pytest.raises(NotFound, match="no collection at"):
        Collection.open(tmp_path / "nothing.cs")
    with pytest.raises(BadInput, match="not a collection"):
        Collection.open(tmp_path)
    with pytest.raises(SpaceMismatch, match="built with the space fake0001, not other"):
        Collection.open(icons.path, space=FakeSpace("other"))


def test_a_collection_that_nobody_holds_any_more_is_freed_at_once(icons, tmp_path, space):
    """An object that knows itself would wait for the collector of garbage, and with it the lease on its version."""
    again = Collection.open(tmp_path / "icons.cs", space=space)
    assert again.search(text="trash bin", k=1).ids == ["bin"]
    known = weakref.ref(again)
    del again
    assert known() is None


def test_a_closed_collection_says_that_it_is_closed(icons):
    icons.close()
    with pytest.raises(BadInput, match="was closed"):
        len(icons)


# ---------------------------------------------------------------- add


def test_added_items_are_counted_and_reported(empty):
    added = empty.add(TABLE)
    assert (added.n, added.ids, added.skipped, added.left_out) == (4, ["bin", "car", "dog", "cat"], {}, {})
    assert len(empty) == empty.count() == 4
    info = empty.info()
    assert info["fields"] == {"family": "string", "size": "int64"}
    assert info["modalities"] == {"text": 3, "image": 3}
    assert info["without_vectors"] == 0
    assert info["bytes"] > 1000


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_data_frames_and_arrow_tables_come_in(empty, kind):
    from commonspace.core.tables import read_table

    rows = [{k: v for k, v in row.items() if k != "image"} for row in TABLE]
    empty.add(read_table(rows).to_native(kind))
    # A whole column of numbers with a gap is float in pandas; the values are what counts.
    assert empty.get(["bin", "dog"]) == [
        {"id": "bin", "family": "mdi6", "size": 3},
        {"id": "dog", "family": "remix", "size": None},
    ]


def test_columns_name_where_a_modality_is_and_fields_what_is_kept(empty):
    rows = [{"id": 1, "title": "red car", "note": "x", "other": 2}]
    empty.add(rows, columns={"text": "title"}, fields=["title", "note"])
    assert empty.get(1) == [{"id": 1, "title": "red car", "note": "x"}]
    assert empty.search(text="car red", k=1)[0].score == pytest.approx(1)


def test_items_without_any_vector_are_kept_and_counted_but_not_found(empty):
    empty.add([{"id": 1, "text": "red car", "n": 1}], columns={"text": None}, fields=["n"])
    assert empty.get(1) == [{"id": 1, "n": 1}]
    assert empty.info()["without_vectors"] == 1
    assert empty.search(text="red car") == []


def test_vectors_computed_elsewhere_are_scaled_and_stored(empty):
    empty.add([{"id": "a"}, {"id": "b"}], vectors={"image": np.array([axis(0) * 7, axis(1)])}, space_id="fake0001")
    ids, matrix = empty.vectors("image")
    assert ids == ["a", "b"]
    np.testing.assert_array_equal(matrix, [axis(0), axis(1)])


def test_a_list_of_vectors_may_have_gaps(empty):
    empty.add([{"id": 1}, {"id": 2}, {"id": 3}], vectors={"image": [None, axis(4).tolist(), None]})
    assert empty.vectors("image")[0] == [2]
    assert empty.info()["without_vectors"] == 2
    assert empty.search(vector=axis(4), k=10).ids == [2]


def test_a_new_modality_can_come_with_later_items(empty):
    empty.add([{"id": 1, "text": "red car"}])
    empty.add([{"id": 2, "image": axis(3).tolist()}])
    assert empty.search(vector=axis(3), k=1).ids == [2]
    assert empty.search(text="red car", against="text").ids == [1]


def test_payloads_are_stored_when_they_are_named(empty):
    raw = bytes(range(256))
    empty.add([{"id": 1, "text": "a", "png": raw, "image": None}], fields=["png", "text"])
    assert empty.get(1) == [{"id": 1, "png": raw, "text": "a"}]


def test_columns_of_objects_are_left_out_and_reported(empty):
    added = empty.add([{"id": 1, "text": "a", "thing": object(), "pixels": np.zeros((2, 2)), "empty": None}])
    assert set(added.left_out) == {"thing", "pixels", "empty"}
    with pytest.raises(BadInput, match="'thing' holds a object at position 0"):
        empty.add([{"id": 2, "text": "a", "thing": object()}], fields=["thing"])


def test_items_that_cannot_be_read_are_named_or_skipped(empty):
    rows = [{"id": i, "text": "x" if i % 2 else None, "image": [1] * DIM} for i in range(6)]
    rows[1]["image"] = None
    rows[3]["image"] = rows[4]["image"] = "broken"
    rows[5]["image"] = [0] * DIM
    with pytest.raises(BadItems, match="image at position 3 and 1 more"):
        empty.add(rows)
    assert len(empty) == 0
    added = empty.add(rows, on_error="skip")
    assert added.ids == [0, 1, 2]
    assert list(added.skipped) == [3, 4, 5]
    assert "zero" in added.skipped[5]
    assert empty.count() == 3


def test_a_batch_of_which_nothing_can_be_read_adds_nothing(empty):
    assert empty.add([{"id": 1, "image": "broken"}], on_error="skip").n == 0
    assert len(empty) == 0


def test_known_ids_are_refused_before_anything_is_encoded(icons, space):
    calls = space.calls
    with pytest.raises(BadInput, match="'car' is in the collection already: use upsert"):
        icons.add([{"id": "new", "text": "x"}, {"id": "car", "text": "y"}])
    assert space.calls == calls
    assert len(icons) == 4


BAD = {
    "empty table": ([], {}, BadInput, "the table is empty"),
    "empty columns": ({"id": [], "text": []}, {}, BadInput, "the table is empty"),
    "no id column": ([{"text": "a"}], {}, NotFound, "no column 'id'"),
    "doubled ids": ([{"id": "x", "text": "a"}, {"id": "x", "text": "b"}], {}, BadInput, "'x' occurs more than once"),
    "id of another type": ([{"id": 5, "text": "a"}], {}, BadInput, "id 5 at position 0 is a int, but .* strings"),
    "id that is no id": ([{"id": 1.5, "text": "a"}], {}, BadInput, "1.5 at position 0 is a float"),
    "missing id": ([{"id": "y", "text": "a"}, {"id": None, "text": "a"}], {}, BadInput, "None at position 1"),
    "unknown modality": ([{"id": "y", "x": 1}], {"columns": {"audio": "x"}}, BadInput, "'audio'; it has text, image"),
    "missing column": ([{"id": "y"}], {"columns": {"text": "title"}}, NotFound, "no column 'title'; it has id"),
    "no modality": ([{"id": "y", "size": 1}], {}, BadInput, "no column named like a modality"),
    "new field": ([{"id": "y", "text": "a", "colour": "red"}], {}, BadInput, "no field 'colour'.*new_fields=True"),
    "field of another type": ([{"id": "y", "text": "a", "size": "big"}], {}, BadInput, "'size'.*int64.*'big' at pos"),
    "lossy field": ([{"id": "y", "text": "a", "size": 1.5}], {}, BadInput, "'size' is of type int64: 1.5"),
    "text that looks like a number": ([{"id": "y", "text": "a", "size": "12"}], {}, BadInput, "'12' at position 0"),
    "number for a string": ([{"id": "y", "text": "a", "family": 3}], {}, BadInput, "'family' is of type string: 3"),
    "reserved field": ([{"id": "y", "text": "a", "_x": 3}], {"new_fields": True}, BadInput, "'_x' is reserved"),
    "field that differs in case": ([{"id": "y", "text": "a", "Family": "x"}], {"new_fields": True}, BadInput, "case"),
    "wrong on_error": ([{"id": "y", "text": "a"}], {"on_error": "ignore"}, BadInput, "on_error"),
    "mixed values": ([{"id": "y", "text": "a", "n": 1}, {"id": "z", "n": "b"}], {"new_fields": True}, BadInput, "'n'"),
    "huge integer": ([{"id": "y", "text": "a", "size": 2**70}], {}, BadInput, "'size'"),
    "broken unicode": ([{"id": "y", "text": "a", "family": "\ud800"}], {}, BadInput, "'family'"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("upsert", [False, True])
def test_bad_input_gets_a_clear_error_and_loses_nothing(icons, case, upsert):
    table, options, error, message = BAD[case]
    if upsert and case == "no modality":
        pytest.skip("an upsert may change fields only")
    before = icons.get(["bin", "car", "dog", "cat"]), icons.info()["version"]
    with pytest.raises(error, match=message):
        (icons.upsert if upsert else icons.add)(table, **options)
    assert (icons.get(["bin", "car", "dog", "cat"]), icons.info()["version"]) == before


@pytest.mark.parametrize(
    ("vectors", "options", "error", "message"),
    [
        (np.ones((2, DIM + 1)), {}, SpaceMismatch, "dimension 9 but 8"),
        (np.ones((3, DIM)), {}, BadInput, "3 rows but the table has 2"),
        ([axis(0), np.full(DIM, np.nan)], {}, BadInput, "NaN"),
        ([axis(0), np.full(DIM, np.inf)], {}, BadInput, "Inf"),
        (np.array([axis(0), axis(0) * 0]), {}, BadInput, "zero vectors, first at row 1"),
        ([axis(0), axis(0)[:3]], {}, BadInput, "several lengths"),
        (["ab", "cd"], {}, BadInput, "numeric"),
        (np.ones((2, DIM)), {"space_id": "other"}, SpaceMismatch, "not other"),
        (np.ones((2, DIM)), {"columns": {"image": "id"}}, BadInput, "given both"),
    ],
)
def test_vectors_that_do_not_belong_here_are_refused(icons, vectors, options, error, message):
    with pytest.raises(error, match=message):
        icons.add([{"id": "x"}, {"id": "y"}], vectors={"image": vectors}, **options)
    assert len(icons) == 4


# ---------------------------------------------------------------- upsert, delete, get, fields


def test_upsert_changes_what_it_gives_and_leaves_the_rest(icons):
    icons.upsert([{"id": "car", "size": 9}, {"id": "new", "size": 1}])
    assert icons.get(["car", "new"]) == [
        {"id": "car", "family": "mdi6", "size": 9},
        {"id": "new", "family": None, "size": 1},
    ]
    assert icons.search(text="red car", k=1).ids == ["car"]
    assert icons.search(vector=axis(1), k=1).ids == ["car"]
    assert len(icons) == 5


def test_upsert_with_a_missing_cell_clears_it(icons):
    icons.upsert([{"id": "car", "image": None, "family": None}])
    assert icons.get("car") == [{"id": "car", "family": None, "size": 5}]
    assert icons.vectors("image")[0] == ["bin", "cat"]
    assert icons.search(text="red car", k=1).ids == ["car"]


def test_upsert_replaces_vectors(icons):
    icons.upsert([{"id": "car", "text": "blue boat"}])
    assert icons.search(text="blue boat", k=1, against="text").scores == [pytest.approx(1)]


def test_deleted_items_are_gone_from_every_answer(icons):
    assert icons.delete(["bin", "unknown", "bin"]) == 1
    assert icons.delete("cat") == 1
    assert icons.delete(where="size > 100") == 0
    assert icons.delete(where="family = 'mdi6'") == 1
    assert len(icons) == 1
    assert icons.search(text="trash bin").ids == ["dog"]
    assert icons.delete(where="true") == 1
    assert len(icons) == 0
    assert icons.search(text="x") == []
    icons.add(TABLE)
    assert len(icons) == 4


@pytest.mark.parametrize("arguments", [{}, {"ids": ["a"], "where": "true"}])
def test_delete_never_guesses_what_to_delete(icons, arguments):
    with pytest.raises(BadInput, match="either ids or where"):
        icons.delete(**arguments)
    assert len(icons) == 4


def test_items_come_in_the_order_asked_and_missing_ones_are_named(icons):
    assert [r["id"] for r in icons.get(["cat", "bin", "cat"])] == ["cat", "bin", "cat"]
    assert icons.get([]) == []
    with pytest.raises(NotFound, match="'x', 'y'"):
        icons.get(["x", "bin", "y"])
    assert [r["id"] for r in icons.get(["x", "bin"], missing="skip")] == ["bin"]
    with pytest.raises(BadInput, match="strings"):
        icons.get([3])


@pytest.mark.parametrize(
    "id", ["o'brien; drop", "'", "''", '"', "a\\", "--", "%", "\n", "", "é☃", "x' OR '1'='1", "\x00"]
)
def test_any_string_can_be_an_id(icons, id):
    icons.add([{"id": id, "text": "strange word"}])
    assert icons.get(id)[0]["id"] == id
    assert icons.search(text="strange word", k=1).ids == [id]
    icons.upsert([{"id": id, "size": 77}])
    assert icons.get(id)[0]["size"] == 77
    assert icons.delete(id) == 1
    assert len(icons) == 4


def test_integer_ids_stay_integers(empty):
    empty.add({"id": np.array([3, -1, 2**62]), "text": ["a", "b", "c"]})
    assert empty.get([2**62, -1])[0]["id"] == 2**62
    assert empty.count("id < 0") == 1
    with pytest.raises(BadInput, match="'3' at position 0 is a str, but the ids of this collection are integers"):
        empty.add([{"id": "3", "text": "a"}])


def test_fields_are_added_by_request(icons):
    icons.add_field("colour", "string")
    icons.add([{"id": "new", "text": "x", "colour": "red", "weight": 2.5}], new_fields=True)
    assert icons.get(["new", "bin"]) == [
        {"id": "new", "family": None, "size": None, "colour": "red", "weight": 2.5},
        {"id": "bin", "family": "mdi6", "size": 3, "colour": None, "weight": None},
    ]
    with pytest.raises(BadInput, match="already"):
        icons.add_field("colour", "int")
    with pytest.raises(BadInput, match="no field type 'text'"):
        icons.add_field("x", "text")


def test_the_id_column_can_have_another_name(tmp_path, space):
    with Collection.create(tmp_path / "c.cs", space, id="sku") as c:
        c.add([{"sku": "a", "text": "x", "id": 7}])
        assert c.get("a") == [{"sku": "a", "id": 7}]
        assert c.search(text="x", where="sku = 'a' and id = 7").to_table()[0]["sku"] == "a"
    with pytest.raises(BadInput, match="reserved"):
        Collection.create(tmp_path / "d.cs", space, id="_rowid")


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("family = 'mdi6'", ["bin", "car"]),
        ("size > 2 AND family = 'mdi6'", ["bin", "car"]),
        ("size IS NULL", ["dog"]),
        ("NOT (size IS NULL) and size < 3", ["cat"]),
        ("id IN ('cat', 'dog')", ["dog", "cat"]),
        ("`family` LIKE 'rem%'", ["dog", "cat"]),
        ("family = '(' or family = ');--'", []),
        ("true", ["bin", "car", "dog", "cat"]),
        ("false", []),
    ],
)
def test_filters_select_items(icons, where, ids):
    assert icons.count(where) == len(ids)
    assert sorted(icons.search(vector=axis(0) + 0.1, where=where, k=9).ids) == sorted(ids)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("famly = 'x'", "no field famly"),
        ("family = ", "Expected: an expression"),
        ("family = 'mdi6' garbage", "found: garbage"),
        ("true; drop table x", "found: ;"),
        ("family = 'mdi6') or (true", "parentheses"),
        ("family = 'mdi6' order by id", "found: order"),
        ("\"family\" = 'mdi6'", "double quotes"),
        ("family = 'mdi6", "quote is not closed"),
        ("family = 'mdi6' -- really", "comments"),
        ("family", "boolean"),
        ("family > 5", "literal"),
        ("cast(family as int) > 5", "Cannot cast"),
        ("frobnicate(size) > 1", "frobnicate"),
        ("id in (select 1)", "not supported"),
        ("", "empty"),
        (5, "SQL expression in a string"),
    ],
)
def test_a_filter_that_cannot_be_evaluated_is_quoted_with_the_fields(icons, where, why):
    for call in (icons.count, lambda w: icons.search(text="x", where=w), lambda w: icons.delete(where=w)):
        with pytest.raises(BadInput, match=why) as caught:
            call(where)
        if isinstance(where, str):
            assert repr(where) in str(caught.value)
            assert "Fields: id, family, size" in str(caught.value)
            assert "/rust/" not in str(caught.value)
    assert len(icons) == 4


# ---------------------------------------------------------------- search


def test_several_modalities_are_summed_with_weights(icons):
    w = {"text": 1.0, "image": 0.5}
    hits = icons.search(text="small dog", image=axis(2).tolist(), weights=w, k=2, against=["text", "image"])
    q = unit((text_vector("small dog") + 0.5 * axis(2))[None])[0]
    expected = {"dog": q @ text_vector("small dog"), "cat": q @ axis(2)}
    assert {h.id: h.score for h in hits if h.id in expected} == {
        i: pytest.approx(s, abs=1e-6) for i, s in expected.items() if i in hits.ids
    }
    assert hits.ids[0] == "dog"
    assert icons.search({"text": "small dog", "image": axis(2)}, weights=w, k=2) == hits


def test_an_item_is_ranked_by_its_best_modality_and_says_which(icons):
    hits = icons.search(vector=axis(1), k=10)
    assert len(hits) == len(set(hits.ids)) == 4
    assert (hits[0].id, hits[0].modality) == ("car", "image")
    best = max(float(axis(1) @ text_vector("small dog")), -2)
    assert next(h.score for h in hits if h.id == "dog") == pytest.approx(best, abs=1e-6)
    assert icons.search(vector=axis(1), k=10, against="text").ids == [
        i for i in icons.search(vector=axis(1), k=10, against="text").ids if i != "cat"
    ]


def test_the_ways_to_ask_are_the_same_question(icons):
    hits = icons.search(text="red car", k=3)
    assert icons.search("red car", k=3) == icons.search({"text": "red car"}, k=3) == hits
    assert icons.search(text_vector("red car"), k=3) == icons.search(vector=text_vector("red car") * 5, k=3) == hits


def test_many_queries_get_the_answers_of_one_each(icons):
    queries = ["red car", {"image": axis(2).tolist()}, text_vector("dog"), {"text": "bin", "image": axis(1).tolist()}]
    for where in (None, "size > 2"):
        together = icons.search_many(queries, k=3, where=where)
        assert together == [icons.search(q, k=3, where=where) for q in queries]
    assert icons.search_many([]) == []
    with pytest.raises(BadInput, match="list of queries"):
        icons.search_many("red car")


def test_more_hits_than_items_gives_all_items(icons):
    assert len(icons.search(text="x y", k=1000)) == 4


def test_hits_carry_the_fields_asked_for(icons):
    assert icons.search(text="red car", k=1)[0].fields == {"family": "mdi6", "size": 5}
    assert icons.search(text="red car", k=1, with_fields=False)[0].fields == {}
    assert icons.search(text="red car", k=1, with_fields=["size"])[0].fields == {"size": 5}
    with pytest.raises(BadInput, match="no field 'colour'"):
        icons.search(text="red car", with_fields=["colour"])


def test_an_empty_collection_has_no_hits(empty):
    assert empty.search(text="x") == []
    assert empty.search_many(["a", "b"]) == [[], []]
    assert empty.count() == len(empty) == 0
    assert empty.get(["a"], missing="skip") == []
    assert empty.delete(["a"]) == 0
    assert empty.info()["items"] == 0
    assert empty.vectors("text")[1].shape == (0, DIM)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, BadInput, "give something to search for"),
        ({"text": "a", "k": 0}, BadInput, "k must be a whole number of at least 1"),
        ({"audio": "a"}, BadInput, "no modality 'audio'; it has text, image"),
        ({"text": "a", "against": "audio"}, BadInput, "no modality 'audio'"),
        ({"text": "a", "weights": {"image": 1}}, BadInput, "weights name 'image'"),
        ({"text": "a", "weights": {"text": float("nan")}}, BadInput, "finite"),
        ({"text": "a", "weights": {"text": 0}}, BadInput, "no direction"),
        ({"vector": np.ones(DIM + 1)}, SpaceMismatch, "dimension 9 but 8"),
        ({"vector": np.zeros(DIM)}, BadInput, "zero vector"),
        ({"vector": np.full(DIM, np.nan)}, BadInput, "NaN"),
        ({"vector": axis(0), "text": "", "weights": {"text": 2}}, BadInput, "zero vector"),
        ({"image": "broken"}, BadItems, "cannot read image"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(icons, arguments, error, message):
    with pytest.raises(error, match=message):
        icons.search(**arguments)


def test_a_query_of_unknown_modality_asks_for_its_name(icons):
    with pytest.raises(BadInput, match=r"search\(text=\.\.\.\)"):
        icons.search(object())
    with pytest.raises(BadInput, match="twice"):
        icons.search("a", text="b")


def test_the_unreadable_query_of_many_is_named_by_its_place(icons):
    with pytest.raises(BadItems, match="position 2"):
        icons.search_many(["a", "b", {"image": "broken"}])
