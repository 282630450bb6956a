import numpy as np
import pyarrow as pa
import pytest

from commonspace.core import BadInput, CommonspaceError
from commonspace.store import Catalogue, Items, lances


@pytest.fixture
def items(tmp_path):
    Catalogue.create(tmp_path / "catalogue.sqlite", id_name="id", space="s", space_digest="d")
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    yield Items(tmp_path, catalogue)
    catalogue.close()


def vectors(rows):
    return pa.array(rows, pa.list_(pa.float32(), 2))


@pytest.fixture
def three(items):
    items.append(pa.table({"id": ["a", "b", "c"], "n": [1, 2, 3], "_vector_v": vectors([[1, 2], None, [3, 4]])}))
    return items


def test_one_write_is_one_version(items):
    assert items.snapshot().version == 0
    items.append(pa.table({"id": [1]}))
    items.append(pa.table({"id": [2]}))
    items.upsert(pa.table({"id": [2, 3]}))
    assert items.delete(ids=pa.array([1])) == 1
    assert items.snapshot().version == 4
    assert items.snapshot().ids.to_pylist() == [2, 3]


def test_a_sample_is_drawn_from_the_vectors_there_are_and_reads_no_others(items, monkeypatch):
    values = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    for first in (0, 30):  # of two fragments; every third item has none
        rows = [None if i % 3 == 0 else v.tolist() for i, v in enumerate(values[first : first + 30])]
        items.append(pa.table({"id": list(range(first, first + 30)), "_vector_v": vectors(rows)}))
    items.append(pa.table({"id": [60]}))
    now, there = items.snapshot(), {tuple(v) for i, v in enumerate(values.tolist()) if i % 3}
    read, take = [], type(now).take
    monkeypatch.setattr(type(now), "matrix", lambda *_: pytest.fail("all were read"))
    monkeypatch.setattr(type(now), "take", lambda s, rows, names: read.extend(rows) or take(s, rows, names))
    some = now.sample("_vector_v", 2, 10)
    assert (some.shape, some.dtype) == ((10, 2), np.float32)
    assert len({tuple(v) for v in some.tolist()} & there) == 10
    assert len(read) <= 20
    assert np.array_equal(some, now.sample("_vector_v", 2, 10))
    assert not np.array_equal(some, now.sample("_vector_v", 2, 10, random_state=1))
    assert {tuple(v) for v in now.sample("_vector_v", 2, 100).tolist()} == there
    assert now.sample("_vector_v", 2, 100).shape == (40, 2)
    assert now.sample("_vector_none", 5, 3).shape == (0, 5)


def test_a_sample_of_bags_has_vectors_of_items_drawn_at_random(items):
    bags = [[[i, j] for j in range(i % 4)] for i in range(80)]
    kind = pa.list_(pa.list_(pa.float32(), 2))
    items.append(pa.table({"id": list(range(80)), "_vector_b": pa.array([b or None for b in bags], kind)}))
    some = items.snapshot().sample("_vector_b", 2, 30)
    assert some.shape == (30, 2)
    assert (some[:, 1] < some[:, 0] % 4).all()
    assert len(np.unique(some[:, 0])) < 30 <= 80 < 2 * some[:, 0].max()
    assert len(items.snapshot().sample("_vector_b", 2, 1000)) == sum(map(len, bags))


def test_a_snapshot_stays_as_it_is_while_others_write(three):
    before = three.snapshot()
    assert three.snapshot() is before
    three.delete(where="n < 3")
    three.upsert(pa.table({"id": ["c"], "n": [30]}))
    assert before.ids.to_pylist() == ["a", "b", "c"]
    assert before.take(np.array([2, 0]), ["n"]).to_pydict() == {"n": [3, 1]}
    assert before.matrix("_vector_v", 2)[1].tolist() == [[1, 2], [3, 4]]
    now = three.snapshot()
    assert now.take(np.array([0]), ["id", "n"]).to_pydict() == {"id": ["c"], "n": [30]}
    assert now.matrix("_vector_v", 2)[1].tolist() == [[3, 4]]


def test_absent_vectors_are_left_out_of_the_matrix(three):
    rows, matrix = three.snapshot().matrix("_vector_v", 2)
    assert rows.tolist() == [0, 2]
    assert matrix.dtype == np.float32
    assert three.snapshot().matrix("_vector_v", 2)[1] is matrix
    assert not matrix.flags.writeable
    assert three.snapshot().matrix("_vector_none", 5)[1].shape == (0, 5)
    assert three.snapshot().missing(["_vector_v"]) == 1
    assert three.snapshot().missing(["_vector_v", "_vector_none"]) == 1
    assert three.snapshot().missing([]) == 3


def test_positions_follow_the_ids_asked_for(three):
    now = three.snapshot()
    assert now.positions(pa.array(["c", "x", "a", "c"])).tolist() == [2, -1, 0, 2]
    assert now.positions(pa.array([], pa.string())).tolist() == []


def test_positions_filters_and_rows_agree_after_deletes_and_upserts(items):
    rng = np.random.default_rng(0)
    model = {}
    for step in range(30):
        ids = rng.choice(50, 6, replace=False)
        if rng.random() < 0.3:
            items.delete(ids=pa.array(ids))
            for i in ids:
                model.pop(int(i), None)
        else:
            items.upsert(pa.table({"id": ids, "n": ids * 0 + step, "_vector_v": vectors([[i, step] for i in ids])}))
            model.update({int(i): step for i in ids})
    now = items.snapshot()
    ids = now.ids.to_pylist()
    assert sorted(ids) == sorted(model)
    rows = now.where("n % 2 = 1")
    assert [ids[r] for r in rows] == [i for i in ids if model[i] % 2 == 1]
    assert now.take(rows, ["id", "n"]).to_pylist() == [{"id": ids[r], "n": model[ids[r]]} for r in rows]
    place, matrix = now.matrix("_vector_v", 2)
    assert matrix.tolist() == [[ids[r], model[ids[r]]] for r in place]


def test_upsert_reads_what_it_does_not_give(three):
    three.upsert(pa.table({"id": ["d", "b"], "_vector_v": vectors([[5, 5], [6, 6]])}))
    now = three.snapshot()
    rows = {r["id"]: r for r in now.take(np.arange(4), ["id", "n", "_vector_v"]).to_pylist()}
    assert rows["b"] == {"id": "b", "n": 2, "_vector_v": [6, 6]}
    assert rows["d"] == {"id": "d", "n": None, "_vector_v": [5, 5]}


def test_columns_added_are_empty_and_adding_them_again_changes_nothing(three):
    three.extend([pa.field("m", pa.string())])
    version = three.snapshot().version
    three.extend([pa.field("m", pa.string())])
    assert three.snapshot().version == version
    assert three.snapshot().take(np.arange(3), ["m"]).to_pydict() == {"m": [None] * 3}


def test_ids_that_exist_are_refused_by_name(three):
    with pytest.raises(BadInput, match="id 'a', 'c' are in the collection already"):
        three.append(pa.table({"id": ["a", "z", "c"]}))
    assert len(three.snapshot()) == 3


def test_what_the_disk_refuses_changes_nothing(three, monkeypatch):
    def full(*_, **__):
        raise OSError("LanceError(IO): No space left on device, /rust/x.rs:1:2")

    with monkeypatch.context() as m:
        m.setattr(lances, "write_fragments", full)
        with pytest.raises(CommonspaceError, match=r"nothing was changed: No space left"):
            three.append(pa.table({"id": ["z"]}))
    three.append(pa.table({"id": ["z"]}))
    assert len(three.snapshot()) == 4


def test_the_remains_of_a_first_write_that_was_cut_off_do_no_harm(items):
    (items.root / "_versions").mkdir(parents=True)
    (items.root / "data").mkdir()
    (items.root / "data" / "half.lance").write_bytes(b"half")
    assert len(items.snapshot()) == 0
    items.append(pa.table({"id": [1]}))
    assert items.snapshot().ids.to_pylist() == [1]


def test_what_another_writer_stored_first_is_never_cast_or_dropped(items):
    other = Items(items.folder, items.catalogue)
    assert items.snapshot().version == other.snapshot().version == 0
    other.append(pa.table({"id": ["a"], "n": [1]}))
    with pytest.raises(BadInput, match="'id' is of type int64, but another writer has stored it as string"):
        items.append(pa.table({"id": [1]}))
    with pytest.raises(BadInput, match="'n' is of type string"):
        items.upsert(pa.table({"id": ["b"], "n": ["1"]}))
    items.append(pa.table({"id": ["b"], "m": ["kept"], "_vector_v": vectors([[1, 2]])}))
    now = items.snapshot()
    assert now.rows(np.arange(2), ["n", "m"]) == [{"id": "a", "n": 1, "m": None}, {"id": "b", "n": None, "m": "kept"}]
    assert now.matrix("_vector_v", 2)[0].tolist() == [1]
