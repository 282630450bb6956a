"""The index of a collection: whatever was added, deleted, replaced, merged or restored, it answers as exact search."""

import inspect
import json
import shutil
import threading
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest
from tests.fake_space import DIM, FakeSpace

from commonspace import BadInput, Collection, CommonspaceError
from commonspace.collection import building, indexing
from commonspace.compress.scalar import ScalarCode
from commonspace.core.vectors import unit
from commonspace.search.index import indexed, merging
from commonspace.search.planner import Settings, plan
from commonspace.store.snapshot import Snapshot

RNG = np.random.default_rng(0)


class Space(FakeSpace):
    def bank(self, modality):
        return unit(np.random.default_rng(1).normal(size=(20, DIM)).astype(np.float32))


def vectors(n, seed):
    return unit(np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32))


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Build segments of few vectors, and use them whatever they cost."""
    monkeypatch.setattr(building, "SMALL", 50)
    monkeypatch.setattr(merging, "LEAST", 20)

    def always(**given):
        chosen = plan(**given)
        if chosen.selected == 0:
            return chosen
        probes = max(1, round(given["settings"].probe * given["cells"]))
        return type(chosen)(
            "index", "for the test", chosen.vectors, chosen.selected, chosen.queries,
            probes=None if probes >= given["cells"] else probes, shortlist=max(given["k"], 60),
        )  # fmt: skip

    monkeypatch.setattr(indexed, "plan", always)


@pytest.fixture
def c(tmp_path):
    with Collection.create(tmp_path / "c.cs", Space()) as found:
        yield found


def add(c, ids, seed, **fields):
    c.add({"id": list(ids), **fields}, vectors={"image": vectors(len(ids), seed)})


def check(c, ways=None, k=12, where=None):
    """Compare with exact search; return the plans."""
    queries = [{"vector": v} for v in vectors(9, 99)]
    got = c.search_many(queries, k=k, where=where, against="image")
    want = c.search_many(queries, k=k, where=where, against="image", exact=True)
    for a, b in zip(got, want, strict=True):
        assert a.ids == b.ids
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)
    one = c.search(queries[0], k=k, where=where, against="image")
    assert one.ids == want[0].ids
    plans = got[0].plan.plans["image"]
    if ways is not None:
        assert [p.way for p in plans] == ways
    return plans


@pytest.mark.parametrize("code", ["scalar", {"name": "scalar", "bits": 4}, {"name": "scalar", "per": "vector"}])
def test_a_search_by_index_finds_what_exact_search_finds(c, code):
    add(c, range(300), 1, n=[i % 7 for i in range(300)])
    check(c, ["exact"])
    (built,) = c.build_index("image", code=code)
    assert (built.vectors, built.fresh, built.segments, built.written) == (300, 0, 1, 300)
    check(c, ["index"])
    check(c, ["index"], where="n < 3")
    check(c, ["index"], where="n = 6 AND id > 250", k=300)
    assert c.search({"vector": vectors(1, 5)[0]}, where="n = 99") == []


def test_what_was_added_is_found_at_once_and_what_was_deleted_or_replaced_never_again(c):
    add(c, range(200), 1)
    c.build_index("image", code="scalar")
    add(c, range(200, 230), 2)
    c.delete(list(range(0, 200, 3)))
    c.upsert({"id": list(range(1, 40, 3))}, vectors={"image": vectors(13, 3)})
    plans = check(c, ["index", "exact"])
    assert (plans[0].vectors, plans[0].selected, plans[1].vectors) == (200, 200 - 67 - 13, 43)
    (built,) = c.build_index("image")
    assert (built.vectors, built.fresh) == (200 - 67 + 30, 0)
    check(c)


def test_another_process_sees_the_index_and_its_writes_are_seen(c):
    add(c, range(100), 1)
    with Collection.open(c.path, space=Space()) as other:
        check(other, ["exact"])
        c.build_index("image", code="scalar")
        check(other, ["index"])
        add(other, range(100, 110), 2)
        check(c, ["index", "exact"])
        other.drop_index()
        check(c, ["exact"])
        assert other.index() == []


def test_merged_files_are_searched_exactly_until_the_index_is_built_again(c):
    for i in range(6):
        add(c, range(i * 20, i * 20 + 20), i)
    c.build_index("image", code="scalar")
    c.delete([3, 50])
    c.compact(progress=False)
    check(c)
    c.build_index("image")
    assert sum(s["live"] for s in c.index()) == 118
    check(c, ["index"])


def test_rows_that_a_restored_version_brings_back_are_found(c):
    """They were deleted when the segment was built, so it does not have them."""
    add(c, range(100), 1)
    before = c.versions()[0]["version"] if isinstance(c.versions()[0], dict) else c.versions()[0].version
    c.delete(list(range(40)))
    c.build_index("image", code="scalar")
    check(c, ["index"])
    c.restore(before)
    assert len(c) == 100
    check(c)
    assert {h.id for h in c.search({"vector": vectors(100, 1)[7]}, k=1)} == {7}


def test_an_earlier_version_is_searched_by_the_index_as_it_was(c):
    add(c, range(100), 1)
    c.tag("first")
    add(c, range(100, 140), 2)
    c.build_index("image", code="scalar")
    c.delete([1, 2, 3])
    with Collection.open(c.path, space=Space(), version="first") as old:
        plans = check(old, ["index"])
        assert plans[0].selected == 100
        with pytest.raises(BadInput, match="opened as of version"):
            old.build_index()


def test_a_reader_of_an_earlier_version_keeps_its_index_when_it_is_built_anew(c):
    add(c, range(100), 1)
    c.tag("first")
    c.build_index("image", code="scalar")
    with Collection.open(c.path, space=Space(), version="first") as old:
        check(old, ["index"])
        c.delete([1, 2, 3])
        c.build_index("image", rebuild=True)
        assert check(old, ["index"])[0].selected == 100
        check(c, ["index"])
    with Collection.open(c.path, space=Space(), version="first") as late:
        check(late, ["exact"])  # the new segment lacks what was deleted, and the old one is gone


def test_fields_that_change_leave_the_index_as_it_is(c):
    add(c, range(100), 1, n=[0] * 100)
    c.build_index("image", code="scalar")
    c.update({"n": 5}, where="id < 50")
    check(c)
    check(c, where="n = 5")


def test_bags_are_found_by_their_best_vector(c):
    from commonspace.core.bags import Bags

    counts = np.arange(80) % 4 + 1
    values = vectors(counts.sum(), 4)
    c.add({"id": list(range(80))}, vectors={"image": Bags(values, np.concatenate([[0], np.cumsum(counts)]))})
    c.build_index("image", code="scalar")
    assert check(c, ["index"])[0].vectors == counts.sum()
    check(c, k=80)


def test_an_item_without_a_vector_of_the_modality_is_never_found_by_it(c):
    c.add({"id": list(range(60)), "text": ["red"] * 60})
    add(c, range(60, 160), 1)
    c.build_index("image", code="scalar")
    check(c, ["index"])
    assert min(c.search({"vector": vectors(1, 8)[0]}, k=500, against="image").ids) == 60


def test_probing_some_cells_never_returns_fewer_than_there_are(c, monkeypatch):
    add(c, range(600), 1, n=[int(i % 50 == 0) for i in range(600)])
    c.build_index("image", code="scalar", cells=9)
    monkeypatch.setattr(indexing.Indexing, "_settings", lambda *_: Settings(shortlist=30, probe=0.12))
    for where, there in ((None, 600), ("n = 1", 12)):
        for hits in c.search_many([{"vector": v} for v in vectors(7, 3)], k=20, where=where, against="image"):
            assert len(hits) == min(20, there)
            assert hits.plan.plans["image"][0].probes == 1
            assert hits.scores == sorted(hits.scores, reverse=True)


@pytest.mark.parametrize("spoil", ["flip", "cut", "gone", "text"])
def test_a_damaged_segment_is_left_out_with_a_warning_and_nothing_is_missed(c, spoil):
    add(c, range(120), 1)
    c.build_index("image", code="scalar")
    (place,) = (c.path / "index").iterdir()
    if spoil == "gone":
        shutil.rmtree(place)
    elif spoil == "text":
        (place / "segment.json").write_text("{}")
    else:
        body = bytearray((place / "codes.npy").read_bytes())
        body[-5] ^= 1
        (place / "codes.npy").write_bytes(body if spoil == "flip" else body[:-9])
    with Collection.open(c.path, space=Space()) as again:
        with pytest.warns(RuntimeWarning, match="left out.*build_index") as warned:
            (plan,) = check(again, ["exact"])
        assert [w.filename for w in warned] == [__file__]  # the line of whoever searches
        assert plan.why == "the index is damaged: build_index() makes it anew"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check(again, ["exact"])  # said once
        again.build_index("image", code="scalar")
        check(again, ["index"])
        assert len(again.index()) == 1


def test_what_a_damaged_segment_held_is_told_from_what_is_new(c):
    add(c, range(100), 1)
    c.build_index("image", code="scalar")
    add(c, range(100, 130), 2)
    c.build_index("image")
    assert len(c.index()) == 2
    (min((c.path / "index").iterdir(), key=lambda p: (p / "codes.npy").stat().st_size) / "codes.npy").write_bytes(b"")
    with Collection.open(c.path, space=Space()) as again:
        with pytest.warns(RuntimeWarning, match="left out"):
            plans = check(again, ["index", "exact"])
        assert (plans[1].vectors, plans[1].why.startswith("a part of the index is damaged")) == (30, True)
        again.build_index("image")
        check(again)
        assert sum(s["live"] for s in again.index()) == 130


@pytest.fixture
def usual_sizes(monkeypatch):
    monkeypatch.setattr(building, "SMALL", 5000)
    monkeypatch.setattr(merging, "LEAST", 2048)


@pytest.mark.usefixtures("usual_sizes")
def test_a_damaged_segment_is_made_anew_however_small(c):
    add(c, range(120), 1)
    c.build_index("image", code="scalar")
    (place,) = (c.path / "index").iterdir()
    (place / "codes.npy").write_bytes(b"")
    with Collection.open(c.path, space=Space()) as again:
        with pytest.warns(RuntimeWarning, match="left out"):
            (built,) = again.build_index("image")
        assert (built.segments, built.written) == (1, 120)
        check(again, ["index"])


@pytest.mark.parametrize("lost", [range(100, 130), range(0)])
def test_a_damaged_segment_beside_whole_ones_is_made_anew_or_let_go(c, monkeypatch, lost):
    add(c, range(100), 1)
    c.build_index("image", code="scalar")
    add(c, range(100, 130), 2)
    c.build_index("image")
    assert len(c.index()) == 2
    monkeypatch.setattr(merging, "LEAST", 2048)
    (min((c.path / "index").iterdir(), key=lambda p: (p / "codes.npy").stat().st_size) / "codes.npy").write_bytes(b"")
    c.delete(list(lost))
    with Collection.open(c.path, space=Space()) as again:
        with pytest.warns(RuntimeWarning, match="left out"):
            again.build_index("image")
        check(again, ["index"] if lost else ["index", "index"])
        assert len(again._segments.entries()) == len(again.index())
        assert again.verify(progress=False).ok


def test_an_interrupted_build_leaves_the_index_as_it_was(c, monkeypatch):
    add(c, range(120), 1)
    c.build_index("image", code="scalar")
    before = c.index()
    add(c, range(120, 200), 2)
    for error in (KeyboardInterrupt(), OSError(28, "No space left on device")):

        def fail(*_, error=error, **__):
            raise error

        with monkeypatch.context() as m:
            m.setattr(np, "save", fail)
            with pytest.raises((KeyboardInterrupt, CommonspaceError)):
                c.build_index("image")
        assert c.index() == before
        assert len(list((c.path / "index").iterdir())) == 1
        check(c, ["index", "exact"])


def test_writing_and_searching_go_on_while_it_is_built_in_the_background(c):
    add(c, range(400), 1)
    future = c.build_index_in_background(modality="image", code="scalar")
    for i in range(5):
        add(c, range(400 + 10 * i, 410 + 10 * i), 5 + i)
        check(c)
    (built,) = future.result(60)
    assert built.vectors >= 400
    check(c, ["index", "exact"])
    assert threading.active_count() < 20


def test_a_build_in_the_background_refuses_at_once_what_a_build_refuses(c):
    add(c, range(100), 1)
    for wrong in ({"degree": 1}, {"code": "nonesuch"}, {"queries": "red"}, {"workload": ["nonesuch = 1"]}):
        with pytest.raises(CommonspaceError):
            c.build_index_in_background("image", **wrong)
    for wrong in ({"codes": "scalar"}, {"progress": True}):
        with pytest.raises(TypeError):
            c.build_index_in_background("image", **wrong)
    (built,) = c.build_index_in_background("image", code="scalar", workload=iter([])).result(60)
    assert built.written == 100


def test_both_builds_take_the_same_arguments():
    here, there = (
        inspect.signature(f).parameters for f in (Collection.build_index, Collection.build_index_in_background)
    )
    assert {n: p for n, p in here.items() if n != "progress"} == dict(there)


def test_a_build_in_the_background_that_fails_says_so_though_nobody_asks(c, monkeypatch):
    add(c, range(100), 1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    def build():
        future = c.build_index_in_background("image", code="scalar")
        c._background[0].join()
        return future

    monkeypatch.setattr(np, "save", full)
    with pytest.warns(RuntimeWarning, match="not built in the background: .*No space left.*build_index"):
        future = build()
    with pytest.raises(CommonspaceError, match="No space left"):
        future.result()
    assert c.index() == []


def test_a_segment_that_was_replaced_or_dropped_is_let_go_though_the_version_is_the_same(c):
    add(c, range(100), 1)
    c.build_index("image", code="scalar")
    check(c, ["index"])

    def now_used():
        return weakref.ref(c._segments.open(c._column("image", None).name)[0][1])

    old = now_used()
    c.build_index("image", rebuild=True)
    check(c, ["index"])
    assert old() is None
    old = now_used()
    c.drop_index()
    check(c, ["exact"])
    assert old() is None


def test_few_vectors_are_left_to_exact_search_unless_a_code_is_named(c):
    add(c, range(30), 1)
    assert c.build_index("image")[0].segments == 0
    assert c.build_index("image", code="scalar")[0].segments == 1


def test_of_the_other_modalities_only_a_sample_is_read(c, monkeypatch):
    add(c, range(100), 1)
    c.add({"id": list(range(100, 200)), "text": [f"red {i}" for i in range(100)]})
    monkeypatch.setattr(building, "_QUERIES", 50)
    read, learned, matrix, fit = set(), [], Snapshot.matrix, ScalarCode.fit
    monkeypatch.setattr(Snapshot, "matrix", lambda s, name, *a, **o: read.add(name) or matrix(s, name, *a, **o))
    monkeypatch.setattr(ScalarCode, "fit", lambda s, X, queries: learned.append(queries) or fit(s, X, queries))
    c.build_index("image", code="scalar")
    (queries,) = learned
    assert read == {c._column("image", None).name}
    assert len(queries) == 50  # 20 that the space was trained with and 30 texts
    texts = c.vectors("text")[1]
    assert (queries @ texts.T).max(axis=1)[:30].min() > 0.999


def test_another_code_builds_everything_anew_and_the_same_one_does_nothing(c):
    add(c, range(100), 1)
    assert c.build_index("image", code="scalar")[0].written == 100
    assert c.build_index("image", code="scalar")[0].written == 0
    assert c.build_index("image")[0].written == 0
    (built,) = c.build_index("image", code={"name": "scalar", "bits": 4})
    assert (built.written, built.segments, built.bytes_per_vector) == (100, 1, DIM / 2)
    assert c.build_index("image", rebuild=True)[0].bytes_per_vector == DIM / 2


def test_queries_that_it_has_not_learned_from_build_the_index_anew(c):
    add(c, range(200), 1)
    assert c.build_index("image", code="scalar")[0].written == 200
    for queries in (vectors(30, 7), ["red", "blue"], [{"vector": v} for v in vectors(30, 8)], vectors(30, 9).tolist()):
        assert c.build_index("image", queries=queries)[0].written == 200
        assert c.build_index("image", queries=queries)[0].written == 0
        assert c.build_index("image")[0].written == 0


@pytest.mark.parametrize(
    "wrong",
    [
        "junk",
        {"text": "red"},
        7,
        [],
        np.ones((0, DIM)),
        np.ones(DIM),
        np.ones((3, DIM + 1)),
        np.zeros((3, DIM)),
        [3, "a"],
    ],
)
def test_queries_that_cannot_be_are_refused_though_the_index_is_up_to_date(c, wrong):
    add(c, range(100), 1)
    c.build_index("image", code="scalar")
    with pytest.raises(CommonspaceError):
        c.build_index("image", queries=wrong)
    with pytest.raises(CommonspaceError):
        c.tune("image", queries=wrong)


def test_tuning_by_other_queries_makes_the_index_learn_from_them(c):
    add(c, range(1200), 1)
    asked = {"target_recall": 0.3, "codes": ["scalar"], "progress": False}
    c.tune("image", queries=vectors(90, 7), **asked)
    (first,) = c.index()
    c.tune("image", queries=vectors(90, 7), **asked)
    assert c.index()[0]["segment"] == first["segment"]
    c.tune("image", queries=vectors(90, 8), **asked)
    assert c.index()[0]["segment"] != first["segment"]


def test_a_code_that_could_not_be_opened_again_is_refused_before_any_work(c, monkeypatch):
    class Mine(ScalarCode):
        pass

    add(c, range(1000), 1)
    monkeypatch.setattr(Snapshot, "matrix", lambda *_, **__: pytest.fail("work was done"))
    for wrong, words in (
        (Mine(), '@register.*protocol="Code"'),
        (Mine, "@register"),
        (ScalarCode(bits=np.int64(4)), "cannot be written down"),
    ):
        with pytest.raises(BadInput, match=words):
            c.build_index("image", code=wrong)
    monkeypatch.undo()
    assert c.index() == []
    with pytest.raises(BadInput, match="@register"):
        c.tune("image", codes=["scalar", Mine()], queries=vectors(90, 7), progress=False)


def test_info_says_what_the_index_holds_and_reads_neither_it_nor_vectors(c, monkeypatch):
    assert c.info()["index"] == {}
    c.add({"id": list(range(200, 260)), "text": ["red"] * 60})
    nothing = {"segments": 0, "inside": 0, "fresh": 0, "bytes": 0, "tuned": None}
    add(c, range(100), 1)
    assert c.info()["index"] == {"text": {**nothing, "fresh": 60}, "image": {**nothing, "fresh": 100}}
    c.build_index("image", code="scalar")
    add(c, range(100, 110), 2)
    c.delete([1, 2, 105])
    with Collection.open(c.path, space=Space()) as again:
        monkeypatch.setattr(type(again._segments), "open", lambda *_: pytest.fail("the index was read"))
        monkeypatch.setattr(Snapshot, "matrix", lambda *_, **__: pytest.fail("vectors were read"))
        found = again.info()["index"]
    size = sum(p.stat().st_size for p in (c.path / "index").rglob("*"))
    assert found["image"].pop("bytes") == pytest.approx(size, abs=8192)  # not the folder itself
    assert found["image"] == {"segments": 1, "inside": 98, "fresh": 9, "tuned": None}
    assert found["text"] == {**nothing, "fresh": 60}


def runs(c, where):
    """In how many stretches of the newest segment the items lie that a filter selects."""
    part = c._parts(c._items.snapshot(), c._column("image", None))[-1][1]
    keep = part.keep(np.isin(np.arange(len(c)), c._items.snapshot().where(where)))
    return int((np.diff(np.concatenate([[False], keep])) & keep).sum())


def test_what_the_filters_of_a_workload_select_lies_together_and_everything_is_found_as_before(c):
    add(c, range(900), 1, n=[i % 3 for i in range(900)], m=[i % 5 for i in range(900)])
    c.build_index("image", code="scalar")
    assert runs(c, "n = 1") > 100
    (built,) = c.build_index("image", workload=["n = 1", "n = 2", None, "n = 1"])
    assert (built.written, built.segments) == (900, 1)
    assert (runs(c, "n = 1"), runs(c, "n = 2"), runs(c, "n = 0")) == (1, 1, 1)
    for where in (None, "n = 1", "n = 2 AND m = 3", "m = 4"):
        check(c, ["index"], where=where)
    add(c, range(900, 940), 2, n=[1] * 40, m=[4] * 40)
    c.delete(list(range(0, 300, 2)))
    c.upsert({"id": [1, 4, 7], "n": [2, 2, 2], "m": [0, 0, 0]}, vectors={"image": vectors(3, 3)})
    for where in (None, "n = 1", "m = 4", "n = 2"):
        check(c, ["index", "exact"], where=where)


def test_later_builds_go_on_with_the_workload_until_it_is_ended(c):
    add(c, range(300), 1, n=[i % 3 for i in range(300)], m=[0] * 300)
    c.build_index("image", code="scalar", workload=["n = 1", "m > 3"])
    assert c.build_index("image", workload=["n = 1", "m > 3"])[0].written == 0
    add(c, range(300, 700), 2, n=[i % 3 for i in range(400)], m=[0] * 400)
    assert c.build_index("image")[0].written == 700
    assert runs(c, "n = 1") == 1
    assert c.build_index("image", code={"name": "scalar", "bits": 4})[0].written == 700
    assert runs(c, "n = 1") == 1
    c.drop_field("m")
    c.build_index("image", rebuild=True)
    assert runs(c, "n = 1") == 1
    assert c.build_index("image", workload=[])[0].written == 700
    assert runs(c, "n = 1") > 100
    check(c, ["index"], where="n = 1")


def test_a_log_that_has_grown_is_the_same_workload_until_its_shares_change(c):
    add(c, range(300), 1, n=[i % 3 for i in range(300)])
    c.build_index("image", code="scalar", workload=["n = 1"] * 6 + ["n = 2"] * 4)
    for same in (["n = 1"] * 61 + ["n = 2"] * 39, ["n = 2"] * 400 + ["n = 1"] * 600 + ["n = 0"] * 20 + [None] * 500):
        assert c.build_index("image", workload=same)[0].written == 0
    for other in (["n = 1", "n = 2"], ["n = 1"], ["n = 0", "n = 1", "n = 2"], [], ["n = 2"]):
        assert c.build_index("image", workload=other)[0].written == 300
        assert c.build_index("image", workload=other)[0].written == 0
    with pytest.raises(BadInput, match="list of filters"):
        c.build_index("image", workload={"n = 1": 6})


def test_small_changes_of_a_workload_add_up(c):
    add(c, range(300), 1, n=[i % 3 for i in range(300)])
    c.build_index("image", code="scalar", workload=["n = 1"] * 50 + ["n = 2"] * 50)
    written = [c.build_index("image", workload=["n = 1"] * i + ["n = 2"] * (100 - i))[0].written for i in (53, 54, 57)]
    assert written == [0, 0, 300]


def test_a_new_layout_is_searched_in_all_cells_until_it_is_tuned_itself(c):
    add(c, range(1500), 1, n=[i % 3 for i in range(1500)])
    asked = {"target_recall": 0.3, "codes": ["scalar"], "queries": vectors(90, 7), "progress": False}

    def tuned():
        return c.index()[0]["tuned"]

    c._set(c._column("image", None), {**c.tune("image", **asked).to_dict(), "probe": 0.2})
    c.build_index("image", rebuild=True)
    assert tuned()["probe"] == 0.2
    c.build_index("image", workload=["n = 1"])
    assert tuned()["probe"] == 1
    check(c, where="n = 2")
    again = c.tune("image", **asked)
    assert tuned() == again.to_dict()
    assert runs(c, "n = 1") == 1


def test_a_workload_that_cannot_be_evaluated_is_refused_before_any_work(c):
    add(c, range(300), 1, n=[i % 3 for i in range(300)])
    for wrong in (["n = 1", "nonesuch = 1"], "n = 1", ["n ="]):
        with pytest.raises(BadInput):
            c.build_index("image", code="scalar", workload=wrong)
    assert c.index() == []


def test_what_cannot_be_is_said(c):
    add(c, range(100), 1)
    with pytest.raises(BadInput, match="sound"):
        c.build_index("sound")
    with pytest.raises(CommonspaceError, match="nonesuch"):
        c.build_index("image", code="nonesuch")
    with pytest.raises(CommonspaceError, match="dim"):
        c.build_index("image", code="scalar", queries=np.ones((3, DIM + 1)))
    assert c.index() == []


def test_the_plan_says_what_was_done(c):
    add(c, range(100), 1, n=list(range(100)))
    c.build_index("image", code="scalar")
    add(c, range(100, 110), 2)
    text = str(c.search({"vector": vectors(1, 8)[0]}, where="n < 10", against="image").plan)
    assert "filter n < 10: 10 items (9.09 %)" in text
    assert "image: index, 10 of 100 vectors" in text
    assert "image: exact, 0 of 10 vectors: these vectors are in no segment yet" in text


def test_tuning_builds_the_index_and_later_searches_use_what_it_chose(c, monkeypatch):
    add(c, range(1500), 1)
    c.add({"id": list(range(1500, 1700)), "text": [f"red {i}" for i in range(200)]})
    with pytest.raises(BadInput, match="name the modality"):
        c.tune()
    tuned = c.tune("image", target_recall=0.6, codes=["scalar"], queries=vectors(90, 7), progress=False)
    with Collection.open(c.path, space=Space()) as again:
        (segment,) = again.index()
        assert segment["tuned"] == tuned.to_dict()
        assert segment["tuned"]["unseen"]["n"] == 30
        assert again.info()["index"]["image"]["tuned"] == {"k": 10, **segment["tuned"]["unseen"]}
        plan = again.search({"vector": vectors(1, 5)[0]}, against="image").plan.plans["image"][0]
        assert plan.probes is None if tuned.chosen.probe == 1 else plan.probes == round(tuned.chosen.probe * 39)
        assert again.drop_index("image") == 1
        assert c.index() == []
    tuned = c.tune("image", target_recall=0.6, codes=["scalar"], progress=False)  # texts serve as queries
    assert tuned.recall.n >= 60
    tuned = c.tune("image", target_recall=0.6, codes=["scalar"], queries=["red"] * 60, progress=False)
    assert tuned.recall.n == 20
    with pytest.raises(BadInput, match="200 vectors"):
        c.tune("text")


def test_what_tuning_chose_is_dropped_with_a_warning_when_the_code_it_was_measured_with_goes(c):
    add(c, range(1500), 1)
    column = c._column("image", None)
    tuned = c.tune("image", target_recall=0.6, codes=["scalar"], queries=vectors(90, 7), progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        c.build_index("image", code="scalar", rebuild=True)  # as it was measured
    assert c._settings(column) == tuned.settings
    with pytest.warns(RuntimeWarning, match=r"tuned with ScalarCode\(\).*now have ScalarCode\(bits=2\).*tune") as said:
        c.build_index("image", code={"name": "scalar", "bits": 2})
    assert [w.filename for w in said] == [__file__]
    assert c._settings(column) is None
    assert c.info()["index"]["image"]["tuned"] is None
    assert c.index()[0]["tuned"] is None


@pytest.mark.parametrize("other", [{"code": {"name": "scalar", "bits": 2}}, {"workload": ["n = 1"]}])
def test_a_build_that_is_interrupted_leaves_what_tuning_chose(c, monkeypatch, other):
    add(c, range(1500), 1, n=[i % 3 for i in range(1500)])
    tuned = c.tune("image", target_recall=0.6, codes=["scalar"], queries=vectors(90, 7), progress=False)
    c._set(c._column("image", None), {**tuned.to_dict(), "probe": 0.2})
    before = c.index()
    with monkeypatch.context() as m:
        m.setattr(ScalarCode, "encode", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            c.build_index("image", **other)
    assert c.index() == before


def test_a_target_that_is_missed_is_said(c):
    add(c, range(1200), 1)
    with pytest.warns(RuntimeWarning, match="no setting reached"):
        c.tune(
            "image", target_recall=0.9999, codes=[{"name": "leanvec", "dim": 2}], queries=vectors(90, 7), progress=False
        )
    (segment,) = c.index()
    assert segment["tuned"]["ms"] > 0
    json.dumps(segment, allow_nan=False)


@pytest.mark.parametrize("indexed", [False, True])
def test_many_queries_with_filters_and_numbers_of_their_own_are_answered_as_one_by_one(c, indexed):
    add(c, range(300), 1, n=[i % 7 for i in range(300)])
    if indexed:
        c.build_index("image", code="scalar")
    queries = [{"vector": v} for v in vectors(12, 2)]
    where = ["n = 1", None, "n < 3", "n = 1"] * 3
    k = [3, 5, 1, 400] * 3
    together = c.search_many(queries, where=where, k=k, against="image")
    for q, w, n, hits in zip(queries, where, k, together, strict=True):
        alone = c.search(q, where=w, k=n, against="image")
        assert hits.ids == alone.ids
        assert hits.plan.where == w
        assert hits.plan.plans["image"][0].queries == where.count(w)
    assert c.search_many(queries, where="n = 99", k=np.int64(4)) == [[]] * 12
    for wrong in ({"where": ["n = 1"] * 5}, {"k": [1, 2]}, {"k": [0] * 12}):
        with pytest.raises(BadInput):
            c.search_many(queries, **wrong)


@pytest.mark.parametrize("listed", [list, tuple, iter, pd.Series, lambda v: np.array(v, dtype=object)])
def test_filters_and_numbers_of_hits_of_each_query_may_be_listed_in_any_way(c, listed):
    add(c, range(40), 1, n=[i % 4 for i in range(40)])
    queries = [{"vector": v} for v in vectors(3, 2)]
    found = c.search_many(queries, where=listed(["n = 1", None, "n = 2"]), k=listed([2, 3, 1]), against="image")
    assert [len(hits) for hits in found] == [2, 3, 1]
    assert [hits.plan.where for hits in found] == ["n = 1", None, "n = 2"]
    assert len(c.search_many(queries, k=np.array(7), against="image")[2]) == 7


@pytest.mark.parametrize(
    "wrong",
    [{"where": {"n": 1}}, {"where": 3}, {"where": [1, 2, 3]}, {"where": {"n = 1"}}, {"k": {1, 2, 3}}, {"k": "3"}],
)
def test_what_is_no_filter_or_number_is_said_in_a_sentence(c, wrong):
    add(c, range(10), 1, n=[0] * 10)
    with pytest.raises(BadInput) as said:
        c.search_many([{"vector": v} for v in vectors(3, 2)], **wrong)
    assert len(str(said.value)) < 200
