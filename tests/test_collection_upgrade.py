"""A collection goes from one space to another while it is in use."""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from tests.planted_space import Planted, migration, new_space, old_space, saved_spaces
from tests.upgrades import WAYS, N, check, filled, naive, rows, upgraded

from commonspace import BadInput, Collection, NotFound, SpaceMismatch
from commonspace.core.bags import Bags
from commonspace.core.vectors import unit
from commonspace.store.records import column_name
from commonspace.upgrade.bridges.ridge import RidgeBridge
from commonspace.upgrade.scale import Scale


@pytest.fixture(autouse=True)
def spaces():
    with saved_spaces():
        yield


@pytest.fixture
def c(tmp_path):
    with Collection.create(tmp_path / "c.cs", old_space(), durability="os") as found:
        yield found


@pytest.mark.parametrize("carries", WAYS)
@pytest.mark.parametrize("native", [0.0, 0.4])
def test_searches_find_what_a_loop_over_both_sides_finds(c, carries, native):
    upgraded(c, carries)
    if native:
        c.backfill(share=native, progress=False)
    c.add(rows(range(1000, 1010)), progress=False)
    c.upsert([{"id": 7, "text": "4007"}], progress=False)
    for query in ({"text": "4"}, {"image": "9"}, {"text": "30", "image": "12"}):
        check(c.search(query, k=9), naive(c, query), 9)
        check(c.search(query, k=4, against="image"), naive(c, query, ["image"]), 4)
        check(c.search(query, k=6, where="n > 3"), naive(c, query, where=lambda id: id % 7 > 3), 6)
        check(c.search(query, k=5, hubs="csls"), naive(c, query, hubs=True), 5)
        check(c.search(query, k=3, exact=True), naive(c, query), 3)
    weights = {"text": 2.0, "image": -0.5}
    both = {"text": "8", "image": "3"}
    check(c.search(both, k=7, weights=weights), naive(c, both, weights=weights), 7)
    many = c.search_many([{"text": "4"}, both, {"image": "9"}], k=[3, 200, 5], where=["n < 5", None, "n < 5"])
    for query, hits, k, few in zip(({"text": "4"}, both, {"image": "9"}), many, (3, 200, 5), (5, 9, 5), strict=True):
        check(hits, naive(c, query, where=lambda id, few=few: id % 7 < few), k)
    raw = new_space().encode(["11"], "text")[0]
    if carries is not None:
        check(c.search(raw, k=5), naive(c, {"vector": raw}), 5)
        check(c.search(text="3", vector=raw, k=5), naive(c, {"text": "3", "vector": raw}), 5)
    else:
        with pytest.raises(BadInput, match="asked by vector, since there is no bridge"):
            c.search(raw)


@pytest.mark.parametrize("carries", ["queries", None])
def test_scales_between_standard_scores_take_the_level_of_each_query(c, carries):
    filled(c)
    standard = {"text->image": Scale(1.1, -0.2, True), "->": Scale(0.8, 0.1, True)}
    c.apply(migration(carries, scales=standard), new_space(), progress=False)
    c.backfill(share=0.4, progress=False)
    for query in ({"text": "4"}, {"text": "30", "image": "12"}):
        check(c.search(query, k=9), naive(c, query), 9)
        check(c.search(query, k=5, hubs="csls"), naive(c, query, hubs=True), 5)
    both = [{"text": "4"}, {"image": "9"}]
    for query, hits in zip(both, c.search_many(both, k=7), strict=True):
        check(hits, naive(c, query), 7)


def test_every_hit_says_which_side_found_it_and_the_plan_what_was_done(c):
    upgraded(c)
    c.add(rows([1000]), progress=False)
    hits = c.search(image="1000", k=200)
    assert {h.id for h in hits if h.side == "native"} == {1000}
    assert {h.side for h in hits if h.id < N} == {"bridged"}
    assert {"image (native)", "image (bridged)", "text (native)", "text (bridged)"} == set(hits.plan.plans)
    assert "image (bridged): exact" in str(hits.plan)
    assert len(hits) == len(c)


def test_without_a_migration_hits_have_no_side(c):
    filled(c)
    hits = c.search(text="4")
    assert {h.side for h in hits} == {""}
    assert set(hits.plan.plans) == {"text", "image"}
    assert c.upgrading() is None
    assert c.migration is None


@pytest.mark.parametrize("carries", WAYS)
def test_an_index_on_either_side_changes_nothing(c, carries):
    filled(c, n=180)
    c.build_index(code="scalar", cells=1, progress=False)
    c.apply(migration(carries), new_space(), progress=False)
    c.backfill(share=0.5, progress=False)
    before = c.search_many([{"text": str(i)} for i in range(8)], k=20, exact=True)
    c.build_index(code="scalar", cells=1, progress=False)
    assert len([s for s in c.index() if s["modality"] == "text"]) == 1
    assert [s["modality"] for s in c.index()].count("image (bridged)") == 1
    for one, other in zip(c.search_many([{"text": str(i)} for i in range(8)], k=20), before, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    check(c.search(text="3", k=5, where="n = 2"), naive(c, {"text": "3"}, where=lambda id: id % 7 == 2), 5)


def test_what_was_carried_has_an_index_from_the_first_search_if_the_old_vectors_had(c):
    filled(c, n=180)
    c.build_index(code="scalar", cells=1, progress=False)
    c.apply(migration(), new_space(), progress=False)
    assert {s["modality"] for s in c.index()} == {"text (bridged)", "image (bridged)"}
    check(c.search(text="3", k=5), naive(c, {"text": "3"}), 5)


@pytest.mark.parametrize("carries", WAYS)
def test_the_index_of_either_side_is_made_again_where_writes_have_cost_it(c, carries):
    """Compaction writes the files anew from which segments were made, those of old vectors, too."""
    filled(c, n=180)
    c.build_index(code="scalar", cells=1, progress=False)
    c.apply(migration(carries), new_space(), progress=False)
    c.delete(list(range(0, 180, 3)))
    c.compact(progress=False)

    def live():
        return {s["modality"]: s["live"] for s in c.index() if s["live"]}

    there = {f"{m} (bridged)": c.upgrading()["modalities"][m]["bridged"] for m in ("text", "image")}
    assert live() != there
    built = c.build_index(code="scalar", cells=1, progress=False)
    assert live() == there == {b.modality: b.vectors for b in built if "bridged" in b.modality}
    check(c.search(text="4", k=9), naive(c, {"text": "4"}), 9)
    assert c.build_index(progress=False) == [replace(b, written=0) for b in built]  # nothing to do
    c.drop_index("text")
    assert live().keys() == {"image (bridged)"}
    c.drop_index()
    assert c.index() == []
    check(c.search(text="4", k=9), naive(c, {"text": "4"}), 9)


def test_state_is_plain_data_and_counts(c):
    assert c.upgrading() is None
    upgraded(c, "queries")
    c.add(rows([1000, 1001, 1002]), progress=False)
    state = c.upgrading()
    assert json.loads(json.dumps(state)) == state
    assert (state["phase"], state["old"], state["new"], state["carries"]) == ("serving", "old", "new", "queries")
    texts = sum(i % 3 != 1 for i in range(N)) - 1
    assert state["modalities"]["text"] == {"items": texts + 2, "native": 2, "bridged": texts, "share": 2 / (texts + 2)}
    assert c.info()["upgrading"] == state
    assert c.info()["modalities"]["text"] == texts + 2
    assert c.info()["without_vectors"] == 0
    assert c.info()["spaces"] == ["new", "old"]
    assert set(c.spaces()) == {"old", "new"}


def test_whoever_has_the_collection_open_follows(c):
    filled(c)
    with Collection.open(c.path, space=old_space()) as other:
        before = other.search(text="4").ids
        c.apply(migration(), new_space(), progress=False)
        check(other.search(text="4", k=5), naive(c, {"text": "4"}), 5)
        other.add(rows([1000]), progress=False)
        assert c.vectors("text")[0] == [] or 1000 in c.vectors("image")[0] + c.vectors("text")[0]
        with pytest.raises(SpaceMismatch, match="went from the space old to new since it was opened"):
            other.search(old_space().encode(["4"], "text")[0])
        with pytest.raises(SpaceMismatch, match="open the collection again"):
            other.add([{"id": 2000}], vectors={"text": np.ones((1, 10))}, progress=False)
        c.roll_back_upgrade(leave=True, progress=False)
        assert other.search(text="4", where="id < 1000").ids == before
    with Collection.open(c.path, space=old_space()) as again:
        assert again.search(text="4", where="id < 1000").ids == before


def test_a_service_that_still_gives_the_old_space_can_be_started_meanwhile(c):
    upgraded(c)
    with Collection.open(c.path, space=old_space()) as again:
        assert again.space.id == "new"
    with pytest.raises(SpaceMismatch):
        Collection.open(c.path, space=Planted(id="third"))
    c.finish_upgrade(leave=True)
    with pytest.raises(SpaceMismatch):
        Collection.open(c.path, space=old_space())


def test_an_earlier_version_is_read_as_it_was(c):
    filled(c)
    c.tag("before")
    with Collection.open(c.path, version="before") as old:
        before = old.search(text="4").ids
        c.apply(migration(), new_space(), progress=False)
        assert old.search(text="4").ids == before
    c.backfill(progress=False)
    c.restore("before")  # without anything that was carried or encoded: it is carried while searching
    assert c.vectors("text")[0] == []
    check(c.search(text="4", k=9), naive(c, {"text": "4"}), 9)
    check(c.search(text="4", k=9), naive(c, {"text": "4"}), 9)
    done = c.backfill(space_id=c.migration.id, progress=False)
    assert done.n == sum(v["items"] for v in c.upgrading()["modalities"].values())
    check(c.search(text="4", k=9), naive(c, {"text": "4"}), 9)


def test_an_item_that_changes_meanwhile_is_found_by_what_it_is_now(c):
    filled(c)
    c.apply(migration(scales={}), new_space(), progress=False)
    c.upsert([{"id": 3, "text": "4003", "image": None}], progress=False)
    hit = c.search(text="4003", k=1, against="text")[0]
    assert (hit.id, hit.side) == (3, "native")
    assert 3 not in c.search(image="3", against="image", k=200).ids
    for space in ("old", c.migration.id):
        assert 3 not in c.vectors("text", space_id=space)[0]


def test_one_that_was_being_encoded_by_the_old_space_is_found_through_the_bridge(c, monkeypatch):
    """Another process applies between the encoding and the writing; the row is changed under its carried vector."""
    filled(c)
    encode, first = Planted.encode_items, []

    def meddling(self, items, modality, **options):
        found = encode(self, items, modality, **options)
        if not first and self.id == "old" and items == ["5000"]:
            first.append(1)
            with Collection.open(c.path) as other:
                other.apply(migration(), new_space(), progress=False)
        return found

    monkeypatch.setattr(Planted, "encode_items", meddling)
    c.upsert([{"id": 6, "text": "5000"}], progress=False)
    assert first
    assert c.search(text="5000", k=1, against="text").ids == [6]
    check(c.search(text="5000", k=9), naive(c, {"text": "5000"}), 9)


def test_one_that_was_being_encoded_by_a_space_that_is_gone_is_encoded_again(c, monkeypatch):
    upgraded(c)
    encode, first = Planted.encode_items, []

    def meddling(self, items, modality, **options):
        found = encode(self, items, modality, **options)
        if not first and self.id == "new" and items == ["5000"]:
            first.append(1)
            with Collection.open(c.path) as other:
                other.roll_back_upgrade(progress=False)
        return found

    monkeypatch.setattr(Planted, "encode_items", meddling)
    c.add([{"id": 5000, "text": "5000"}], progress=False)
    assert first
    assert c.search(text="5000", k=1, against="text").ids == [5000]
    assert 5000 in c.vectors("text", space_id="old")[0]


# ------------------------------------------------------------------ what is refused


def test_migrations_that_do_not_fit_are_refused(c):
    filled(c)
    good = migration()
    with pytest.raises(SpaceMismatch, match="goes from the space third"):
        c.apply(migration(old=Planted(id="third")), new_space())
    with pytest.raises(SpaceMismatch, match="not to fourth"):
        c.apply(good, Planted(id="fourth"))
    with pytest.raises(NotFound, match="no space 'new'"):
        c.apply(good)
    with pytest.raises(BadInput, match="dimensions"):
        c.apply(migration(old=Planted(dim=9)), new_space())
    with pytest.raises(BadInput, match="vector of image, which the new space does not know"):
        c.apply(migration(), new_space(modalities=["text"]))
    with pytest.raises(BadInput, match="takes a plan"):
        c.apply(3)
    assert c.upgrading() is None
    c.apply(good, new_space(), progress=False)
    assert c.apply(good, progress=False)["phase"] == "serving"
    with pytest.raises(BadInput, match="another migration cannot begin"):
        c.apply(migration("queries"), new_space())
    with pytest.raises(BadInput, match="cannot be changed while"):
        c.use_space("old")
    with pytest.raises(BadInput, match="cannot be dropped"):
        c.drop_vectors("text", space_id="old")
    c.upsert([{"id": i, "text": str(i)} for i in (90, 91, 92)], progress=False)
    with pytest.raises(BadInput, match="3 of text"):
        c.roll_back_upgrade(progress=False)


def test_bags_are_refused_in_a_clear_word(tmp_path):
    with Collection.create(tmp_path / "b.cs", old_space()) as c:
        bags = Bags(np.ones((3, 8), np.float32), np.array([0, 1, 3]))
        c.add([{"id": 1}, {"id": 2}], vectors={"image": bags}, progress=False)
        with pytest.raises(BadInput, match="the image of items are bags of several vectors, which no bridge carries"):
            c.apply(migration(), new_space())


# ------------------------------------------------------------------ backfill


@contextmanager
def recording(monkeypatch, id="new"):
    asked = []
    encode = Planted.encode_items

    def noting(self, items, modality, **options):
        if self.id == id:
            asked.extend((x, modality) for x in items)
        return encode(self, items, modality, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Planted, "encode_items", noting)
        yield asked


def test_what_was_searched_for_most_is_encoded_first(c, monkeypatch):
    upgraded(c)
    for _ in range(3):
        c.search(text="40", k=2, against="image")
    wanted = c.search(text="40", k=2, against="image").ids
    assert c.upgrading()["asked"] == 2
    with recording(monkeypatch) as asked:
        done = c.backfill("image", progress=False)
    assert set(asked[:2]) == {(str(i), "image") for i in wanted}
    assert done.left == {"text": sum(i % 3 != 1 for i in range(N)) - 1}
    assert c.upgrading()["modalities"]["image"]["share"] == 1


def test_the_first_may_be_named_or_counted(c, monkeypatch):
    upgraded(c)
    with recording(monkeypatch) as asked:
        assert c.backfill("text", first={50: 1.0, 8: 3.0, 9: 0}, share=0.05, progress=False).n == 2
    assert sorted(asked) == [("50", "text"), ("8", "text")]
    with recording(monkeypatch) as asked:
        c.backfill("text", first=[30, 777], share=0.07, progress=False)
    assert asked == [("30", "text")]
    with pytest.raises(BadInput, match="first"):
        c.backfill(first="liked")


def test_a_share_is_one_of_all_items_and_no_more_is_done_when_it_is_reached(c):
    upgraded(c)
    c.backfill("text", share=0.5, progress=False)
    texts = c.upgrading()["modalities"]["text"]
    assert texts["native"] == -(-texts["items"] // 2)
    assert c.backfill("text", share=0.5, progress=False).n == 0
    assert c.backfill("text", share=0.4, progress=False).n == 0
    assert c.backfill("text", share=1.0, progress=False).n == texts["bridged"]
    for share in (0, 1.5, -1):
        with pytest.raises(BadInput, match="share must be above 0"):
            c.backfill(share=share)


def test_a_share_is_reached_although_the_first_items_cannot_be_read(c):
    things = [{"id": i, "text": "broken" if i < 20 else str(i)} for i in range(60)]
    c.add([{"id": t["id"], "text": str(t["id"])} for t in things], progress=False)
    c.upsert([{"id": t["id"], "body": t["text"]} for t in things], new_fields=True, progress=False)
    c.apply(migration(), new_space(), progress=False)
    done = c.backfill("text", column="body", share=0.25, on_error="skip", progress=False)
    assert done.n == 15
    assert c.upgrading()["modalities"]["text"]["native"] == 15
    odd = lambda ids: [None if i < 40 else new_space().vector(i, "text") for i in ids]  # noqa: E731
    assert c.backfill("text", vectors=odd, share=0.5, progress=False).n == 15
    assert c.backfill("text", vectors=odd, share=1.0, progress=False).n == 5


def meanwhile(c, act, space=None):
    """Let the new space of an open collection, or another, do something with its second call."""
    space, calls = space or new_space(), []
    encode = space.encode_items

    def meddling(items, modality, **options):
        calls.append(modality)
        if len(calls) == 2:
            act()
        return encode(items, modality, **options)

    space.encode_items = meddling
    c._spaces[space.id] = space


def test_two_backfills_at_once_leave_nothing_out(c):
    upgraded(c)
    with Collection.open(c.path) as other:
        meanwhile(c, lambda: other.backfill("image", progress=False))
        assert c.backfill("text", progress=False).left == {}
    assert {m["share"] for m in c.upgrading()["modalities"].values()} == {1.0}


@pytest.mark.parametrize("drop_old", [True, False])
def test_a_backfill_stops_when_somebody_else_has_finished_the_migration(c, drop_old):
    upgraded(c)
    with Collection.open(c.path) as other:
        meanwhile(c, lambda: other.finish_upgrade(leave=True, drop_old=drop_old))
        with pytest.raises(BadInput, match=r"to new was finished by somebody else .* backfill\(\) makes"):
            c.backfill(progress=False)
    there = c.spaces()["new"]
    assert sum(there.values()) < sum(c.spaces()["old"].values() or (79,))
    assert c.backfill(progress=False).n == 79 - sum(there.values())


@pytest.mark.parametrize("drop_new", [True, False])
@pytest.mark.parametrize("carries", WAYS)
def test_a_backfill_stops_when_somebody_else_has_rolled_back(c, carries, drop_new):
    upgraded(c, carries)
    with Collection.open(c.path) as other:
        meanwhile(c, lambda: other.roll_back_upgrade(drop_new=drop_new, progress=False))
        with pytest.raises(BadInput, match=r"to new was rolled back by somebody else .*space_id='new'"):
            c.backfill(progress=False)
    assert sum(c.spaces()["new"].values()) == 0 if drop_new else sum(c.spaces()["new"].values()) < 79
    assert len(c.spaces()["new"]) < 2  # nothing was begun for the modality that comes next
    assert {x.space for x in c._catalogue.columns()} <= {"old", "new"}
    assert c.search(text="6", k=1, against="text").ids == [6]
    assert c.verify(progress=False).ok
    assert c.apply(migration(carries), new_space(), progress=False)["phase"] == "serving"


def test_carrying_over_stops_when_somebody_else_has_rolled_back(c, monkeypatch):
    """The second modality is not begun, and no column of a migration that is gone comes back."""
    filled(c)
    carry, calls = RidgeBridge.carry, []

    def meddling(self, X, modality=None):
        calls.append(modality)
        if len(calls) == 1:
            with Collection.open(c.path) as other:
                other.roll_back_upgrade(progress=False)
        return carry(self, X, modality)

    monkeypatch.setattr(RidgeBridge, "carry", meddling)
    with pytest.raises(BadInput, match="was rolled back by somebody else"):
        c.apply(migration(), new_space(), progress=False)
    assert {x.space for x in c._catalogue.columns()} == {"old"}
    there = c._items.snapshot().schema.names
    assert not {column_name(m, migration().id) for m in ("text", "image")}.intersection(there)
    assert len(calls) < 5
    assert c.upgrading() is None


def test_a_backfill_of_another_space_does_not_mind_the_end_of_a_migration(c):
    upgraded(c)
    third = Planted(id="third", dim=5, seed=9)
    c.add_space(third)
    with Collection.open(c.path) as other:
        meanwhile(c, lambda: other.roll_back_upgrade(progress=False), third)
        assert c.backfill(space_id="third", progress=False).n == 79
    assert c.upgrading() is None


def test_vectors_or_a_column_of_nobody_knows_which_modality_are_refused(c):
    upgraded(c)
    asked = []
    for options in ({"vectors": asked.append}, {"column": "n"}):
        with pytest.raises(BadInput, match="of which of text, image"):
            c.backfill(progress=False, **options)
        with pytest.raises(BadInput, match="of which of text, image"):
            c.backfill_in_background(**options)
    assert asked == []
    assert c.upgrading()["modalities"]["image"]["native"] == 0


def test_what_cannot_be_encoded_stays_with_the_bridge_and_is_reported(c):
    filled(c, keep="text")
    c.add([{"id": 500, "text": "500"}], progress=False)  # its text is not kept
    c.apply(migration(), new_space(), progress=False)
    done = c.backfill(progress=False)
    assert done.left == {"text": 1, "image": c.upgrading()["modalities"]["image"]["bridged"]}
    assert c.upgrading()["modalities"]["image"]["native"] == 0
    assert c.search(text="500", k=1, against="text")[0].side == "bridged"
    with pytest.raises(BadInput, match="1 of text"):
        c.finish_upgrade()


def test_quality_rises_with_every_share_that_is_encoded(tmp_path):
    """The old space is poor, the new one good: recall must not fall from one share to the next beyond noise."""
    old, new = old_space(noise=0.9), new_space(noise=0.05)
    n = 400
    with Collection.create(tmp_path / "q.cs", old, durability="os") as c:
        ids = list(range(n))
        c.add([{"id": i, "text": str(i), "image": str(i)} for i in ids], keep=("text", "image"), progress=False)
        c.apply(migration(old=old, new=new, scales={}), new, progress=False)

        def right():
            hits = c.search_many([{"text": str(i)} for i in ids], k=5, against="image", with_fields=False)
            return np.array([i in h.ids for i, h in zip(ids, hits, strict=True)], float)

        seen = [right()]
        for share in (0.25, 0.5, 0.75, 1.0):
            c.backfill(share=share, first=None, progress=False)
            seen.append(right())
        for before, after in pairwise(seen):
            gain = after - before
            assert gain.mean() > -2 * gain.std() / np.sqrt(n)
        assert seen[-1].mean() > seen[0].mean() + 0.2
        c.finish_upgrade(drop_old=True)
        assert np.array_equal(right(), seen[-1])


def test_bytes_written_are_those_of_the_theory(tmp_path):
    """One pass writes 4 d n bytes; items that come first cost a second file of each fragment that holds one."""

    class Wide(Planted):
        def encode_items(self, items, modality, *, on_error="raise", cache=None):
            found = super().encode_items([], modality)
            rng = np.random.default_rng(0)
            found.vectors = unit(rng.standard_normal((len(items), self.dim)).astype(np.float32))
            found.kept = list(range(len(items)))
            return found

    n, dim = 12_000, 128
    old, new = Wide(modalities=["text"]), Wide(id="new", dim=dim, modalities=["text"])
    things = {"text": np.random.default_rng(1).standard_normal((50, 8))}
    from commonspace.upgrade.bridges.swap import Swap
    from commonspace.upgrade.migration import Migration
    from commonspace.upgrade.pairs import Pairs

    bridge = Swap().fit(Pairs(things, {"text": np.random.default_rng(2).standard_normal((50, dim))}))
    with Collection.create(tmp_path / "w.cs", old, durability="os") as c:
        for part in np.array_split(np.arange(n), 3):
            c.add([{"id": int(i), "text": "1"} for i in part], keep="text", progress=False)
        c.apply(Migration("old", "new", dim, bridge), new, progress=False)
        theory = 4 * dim * n
        first = c.backfill(first=[1, 2, n - 1], share=3 / n, progress=False)
        assert first.n == 3
        assert 2 / 3 * theory < first.bytes < 1.05 * 2 / 3 * theory  # two of three fragments hold one of them
        rest = c.backfill(first=None, progress=False)
        assert theory < rest.bytes < 1.05 * theory


def test_it_goes_on_in_the_background_and_can_be_stopped(c, monkeypatch):
    upgraded(c, n=1300, parts=2)
    monkeypatch.setattr("commonspace.collection.filling._STEP", 16)
    encode, going = Planted.encode_items, []

    def slowly(self, items, modality, **options):
        if self.id == "new":
            going.append(len(items))
            if len(going) == 3:
                running.asked_to_stop.set()
        return encode(self, items, modality, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Planted, "encode_items", slowly)
        running = c.backfill_in_background("text", first=None)
        done = running.result(timeout=60)
    assert done.stopped
    assert 0 < done.n == c.upgrading()["modalities"]["text"]["native"] < 1000
    assert running.seen >= done.n
    check(c.search(text="3", k=5), naive(c, {"text": "3"}), 5)
    running = c.backfill_in_background("text")
    assert running.result(timeout=60).left.keys() == {"image"}
    with pytest.raises(BadInput, match="share"):
        c.backfill_in_background(share=7)


def test_closing_stops_it_and_keeps_what_was_made(c, monkeypatch, tmp_path):
    upgraded(c, n=1300, parts=2)
    monkeypatch.setattr("commonspace.collection.filling._STEP", 16)
    encode = Planted.encode_items

    with monkeypatch.context() as patched, Collection.open(c.path) as other:
        patched.setattr(
            Planted, "encode_items",
            lambda self, items, modality, **o: (other._closing.set(), encode(self, items, modality, **o))[1],
        )  # fmt: skip
        running = other.backfill_in_background("text", first=None)
    assert running.result().stopped
    assert 0 < c.upgrading()["modalities"]["text"]["native"] < 900


# ------------------------------------------------------------------ the end


@pytest.mark.parametrize("carries", WAYS)
def test_after_the_finish_there_is_only_the_new_space(c, carries):
    upgraded(c, carries)
    with pytest.raises(BadInput, match=r"would not be found any more: 40 of image, 39 of text"):
        c.finish_upgrade()
    c.backfill(progress=False)
    assert c.finish_upgrade(drop_old=True) == {}
    assert c.upgrading() is None
    assert c.spaces()["old"] == {}
    assert sorted(p.name for p in (c.path / "spaces").iterdir()) == ["new", "old"]
    assert not (c.path / "demand").exists()
    with Collection.create(c.path.with_name("fresh.cs"), new_space()) as fresh:
        filled(fresh)
        assert c.search(text="4", k=20) == fresh.search(text="4", k=20)
    with pytest.raises(BadInput, match="no migration"):
        c.finish_upgrade()
    c.compact(progress=False)
    c.clean_up(timedelta(0))
    assert c.verify(progress=False).ok
    assert not any(c.path.glob("spaces/.*"))


def test_what_others_have_counted_does_not_come_back_after_the_end(c):
    upgraded(c)
    with Collection.open(c.path) as other:
        other.search(text="4")
        c.roll_back_upgrade(progress=False)
    assert not (c.path / "demand").exists()


def test_finishing_early_leaves_items_behind_only_on_request(c):
    upgraded(c)
    c.backfill("text", progress=False)
    left = c.finish_upgrade(leave=True)
    assert left.keys() == {"image"}
    assert all(h.modality == "text" for h in c.search(text="4", k=99))
    c.use_space("old")  # old vectors are there as long as they were not dropped
    assert len(c.search(text="4", k=99)) == N - 1


@pytest.mark.parametrize("carries", WAYS)
def test_rolling_back_gives_the_answers_of_before(c, carries):
    filled(c)
    before = c.search_many([{"text": str(i)} for i in range(9)], k=7)
    c.apply(migration(carries), new_space(), progress=False)
    c.backfill(share=0.5, progress=False)
    assert c.search_many([{"text": str(i)} for i in range(9)], k=7) != before
    assert c.roll_back_upgrade(progress=False) == {}
    assert c.search_many([{"text": str(i)} for i in range(9)], k=7) == before
    assert c.upgrading() is None
    assert c.spaces()["new"] != {}
    again = c.apply(migration(carries), progress=False)  # vectors of the new space have waited
    assert again["modalities"]["text"]["native"] > 0
    c.roll_back_upgrade(drop_new=True, progress=False)
    assert c.spaces() == {"new": {}, "old": {"text": 39, "image": 40}}


def test_items_that_came_meanwhile_get_old_vectors_if_they_are_kept(c):
    upgraded(c)
    c.add(rows(range(100, 110)), keep=("text", "image"), progress=False)
    c.upsert([{"id": 3, "text": "4003"}], keep="text", progress=False)
    assert c.roll_back_upgrade(progress=False) == {}
    assert c.search(text="4003", k=1, against="text").ids == [3]
    assert set(range(100, 110)) <= set(c.search(text="4", k=200).ids)


def test_items_that_came_meanwhile_and_are_not_kept_are_named_before_anything_changes(c):
    upgraded(c)
    c.add(rows(range(100, 103)), progress=False)
    c.add([{"id": 200, "text": "200"}], keep="text", progress=False)
    with pytest.raises(
        BadInput, match=r"cannot be given one: 2 of image \(not kept\), 2 of text \(not kept\)\..*leave=True"
    ):
        c.roll_back_upgrade(progress=False)
    assert c.upgrading()["phase"] == "serving"
    assert 100 in c.search(image="100", k=200).ids

    def known(ids):
        return old_space().encode([str(i) for i in ids], "image")

    c.backfill("image", space_id="old", vectors=known, progress=False)
    assert c.roll_back_upgrade(leave=True, progress=False) == {"text": 2}
    assert 200 in c.search(text="200", k=200).ids


def test_items_that_the_old_space_cannot_read_are_not_called_not_kept(c):
    class Choosy(Planted):
        def encode_items(self, items, modality, **options):
            bad = {"4200", "4201"} if modality == "text" else set()
            return super().encode_items(["broken" if x in bad else x for x in items], modality, **options)

    upgraded(c)
    c._spaces["old"] = Choosy()
    c.add([{"id": i, "text": str(i), "image": str(i)} for i in (4200, 4201, 4202)], keep=("text", "image"))
    c.add([{"id": 4300, "text": "4300", "image": "4300"}], keep="image", progress=False)
    with pytest.raises(
        BadInput,
        match=r"given one: 2 of text \(cannot be read: 4200, it is broken and 1 more\), 1 of text \(not kept\)\. ",
    ):
        c.roll_back_upgrade(progress=False)
    c.delete([4201])
    with pytest.raises(BadInput, match=r"1 of text \(cannot be read: 4200, it is broken\), 1 of text \(not kept\)\. "):
        c.roll_back_upgrade(progress=False)
    assert c.roll_back_upgrade(leave=True, progress=False) == {"text": 2}
    assert {4200, 4202, 4300} <= set(c.search(image="4200", k=99).ids)


def test_a_modality_that_the_old_space_does_not_know_is_said_when_rolling_back(tmp_path):
    old = old_space(modalities=["text"])
    with Collection.create(tmp_path / "c.cs", old) as c:
        c.add([{"id": i, "text": str(i)} for i in range(9)], keep="text", progress=False)
        c.apply(migration(old=old), new_space(), progress=False)
        c.add([{"id": 9, "image": "9"}], keep="image", progress=False)
        with pytest.raises(BadInput, match=r"1 of image \(that space does not know image\)\. "):
            c.roll_back_upgrade(progress=False)


def test_what_a_restored_version_had_carried_over_is_carried_again(c):
    upgraded(c)
    c.tag("half way")
    c.roll_back_upgrade(progress=False)
    c.upsert([{"id": 3, "text": "4003"}], keep="text", progress=False)
    c.restore("half way")
    assert column_name("text", migration().id) in c._items.snapshot().schema.names
    state = c.apply(migration(), progress=False)
    assert state["phase"] == "serving"
    check(c.search(text="4", k=9), naive(c, {"text": "4"}), 9)


def test_one_that_loses_against_another_migration_leaves_nothing_behind(c, monkeypatch):
    """Another process begins its own after this one has looked whether there is one."""
    filled(c)
    loses, wins = migration("queries"), migration("items")
    look = type(c)._check_migration

    def meddling(self, *arguments):
        look(self, *arguments)
        monkeypatch.setattr(type(c), "_check_migration", look)
        with Collection.open(c.path) as other:
            other.apply(wins, new_space(), progress=False)

    monkeypatch.setattr(type(c), "_check_migration", meddling)
    state = type(c)._state
    first = [state.fget(c)] * 4
    monkeypatch.setattr(type(c), "_state", property(lambda self: first.pop() if first else state.fget(self)))
    with pytest.raises(BadInput, match="somebody else has begun another migration"):
        c.apply(loses, new_space(), progress=False)
    assert c.upgrading()["migration"] == wins.id
    assert sorted(p.name for p in (c.path / "spaces").iterdir()) == sorted(["new", "old", wins.id])
    assert set(c._catalogue.spaces()) == {"new", "old", wins.id}


def test_an_unfinished_apply_can_be_rolled_back_and_refuses_to_be_finished(c, monkeypatch):
    filled(c)
    before = c.search(text="4")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("commonspace.collection.upgrading.Upgrading._uncarried", killed)
        with pytest.raises(KeyboardInterrupt):
            c.apply(migration(), new_space(), progress=False)
    assert c.upgrading()["phase"] == "preparing"
    assert c.search(text="4") == before
    with pytest.raises(BadInput, match="call apply again"):
        c.finish_upgrade()
    assert c.roll_back_upgrade(progress=False) == {}
    assert c.search(text="4") == before
    assert c.upgrading() is None


def test_an_empty_collection_can_go_too(c):
    c.apply(migration(), new_space(), progress=False)
    c.add(rows(range(5)), progress=False)
    assert c.search(text="3", k=1, against="text").ids == [3] or c.search(text="3", k=5)
    c.finish_upgrade()
    assert c.space.id == "new"


def test_a_reader_finds_every_item_at_every_moment_of_a_migration(c):
    filled(c, n=120)
    ids = set(range(120)) - {5}
    wrong, rounds, over = [], [0], threading.Event()

    def read():
        with Collection.open(c.path) as reader:
            while not over.is_set():
                hits = reader.search(text="4", k=999, with_fields=False)
                if not ids <= set(hits.ids) or hits.ids[0] not in {h.id for h in hits if h.score == hits[0].score}:
                    wrong.append(sorted(ids - set(hits.ids)))
                rounds[0] += 1

    def wait():
        seen = rounds[0]
        while rounds[0] < seen + 3 and thread.is_alive():
            time.sleep(0.001)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for carries in WAYS:
            c.apply(migration(carries), new_space(), progress=False)
            wait()
            c.backfill(share=0.3, progress=False)
            c.add([{"id": 500 + len(wrong), "text": "500"}], keep="text", progress=False)
            c.delete(where="id >= 500")
            wait()
            c.compact(progress=False)
            c.roll_back_upgrade(drop_new=carries == "items", progress=False)
            wait()
        c.apply(migration(), new_space(), progress=False)
        c.backfill(progress=False)
        wait()
        c.finish_upgrade(drop_old=True)
        wait()
    finally:
        over.set()
        thread.join()
    assert rounds[0] > 15
    assert wrong == []
