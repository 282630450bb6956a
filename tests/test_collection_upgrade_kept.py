"""What carries a collection elsewhere, or mends it, carries the migration that is under way."""

import shutil
import sqlite3
from datetime import timedelta

import numpy as np
import pytest
from tests.planted_space import migration, new_space, old_space, saved_spaces
from tests.upgrades import WAYS, filled, naive, rows

from commonspace import BadInput, Collection, Corrupt, SpaceMismatch
from commonspace.store.catalogue import FORMAT, MIGRATING


@pytest.fixture(autouse=True)
def spaces():
    with saved_spaces():
        yield


@pytest.fixture
def c(tmp_path):
    with Collection.create(tmp_path / "c.cs", old_space(), durability="os") as found:
        yield found


@pytest.fixture(params=WAYS)
def half(request, c):
    """A collection half way, with one item of the new space only."""
    filled(c)
    c.apply(migration(request.param), new_space(), progress=False)
    c.backfill(share=0.4, progress=False)
    c.add(rows([1000]), keep=("text", "image"), progress=False)
    return c


def answers(c):
    asked = [{"text": "4"}, {"image": "9", "text": "12"}, {"text": "1000"}]
    return [[(h.id, round(h.score, 5), h.side) for h in hits] for hits in c.search_many(asked, k=12)]


def goes_on(c, expected):
    """Searches give what they gave, and the migration can be finished."""
    assert answers(c) == expected
    c.backfill(progress=False)
    c.finish_upgrade(drop_old=True)
    assert c.verify(progress=False).ok


@pytest.mark.parametrize("link", [False, True])
def test_a_snapshot(half, link, tmp_path):
    half.snapshot(tmp_path / "copy.cs", link=link, progress=False)
    with Collection.open(tmp_path / "copy.cs") as copy:
        assert copy.upgrading() == {**half.upgrading(), "asked": 0}
        goes_on(copy, answers(half))


def test_a_snapshot_of_a_version_from_before(c, tmp_path):
    filled(c)
    c.tag("before")
    c.apply(migration(), new_space(), progress=False)
    c.backfill(progress=False)
    c.snapshot(tmp_path / "copy.cs", version="before", progress=False)
    with Collection.open(tmp_path / "copy.cs") as copy:
        assert copy.upgrading()["modalities"]["text"]["native"] == 0
        scores = naive(copy, {"text": "4"})
        np.testing.assert_allclose(copy.search(text="4", k=5).scores, sorted(scores.values())[:-6:-1], atol=2e-5)


def test_a_parquet_file_and_back(half, tmp_path):
    file = tmp_path / "half.parquet"
    half.export(file, progress=False)
    others = [old_space(), half.migration]
    with Collection.from_parquet(tmp_path / "again.cs", file, new_space(), others=others, progress=False) as again:
        state = again.upgrading()
        assert {**state, "since": ""} == {**half.upgrading(), "since": "", "asked": 0}
        goes_on(again, answers(half))


def test_a_parquet_file_without_the_migration_says_what_is_lost(half, tmp_path):
    file = tmp_path / "half.parquet"
    half.export(file, progress=False)
    arguments = tmp_path / "again.cs", file, new_space()
    if half.migration.stores:
        with pytest.raises(SpaceMismatch, match=r"collection\.migration"):
            Collection.from_parquet(*arguments, others=[old_space()], progress=False)
    columns = ["_vector_text", "_vector_image", "_vector_text@old", "_vector_image@old"]
    with pytest.warns(RuntimeWarning, match="while its collection went from one space to another"):
        again = Collection.from_parquet(*arguments, others=[old_space()], vectors=columns, progress=False)
    with again:
        assert again.upgrading() is None
        assert {h.id for h in again.search(text="4", k=99)} < set(range(1001))


def test_damage_is_found_and_mended_and_the_migration_goes_on(half):
    expected = answers(half)
    assert half.verify(progress=False).ok
    name = half.migration.id
    given = half.migration
    file = next(p for p in (half.path / "spaces" / name).iterdir() if p.name == "config.json")
    half.close()
    body = bytearray(file.read_bytes())
    body[40] ^= 1
    file.write_bytes(body)
    with Collection.open(half.path) as hurt:
        report = hurt.verify(progress=False)
        assert [d.path for d in report.damage] == [f"spaces/{name}"]
        assert hurt.upgrading()["bridge"] == "damaged"
        with pytest.raises(Corrupt):
            hurt.search(text="4")
    assert not Collection.repair(half.path, progress=False).ok
    assert Collection.repair(half.path, space=given, progress=False).ok
    with Collection.open(half.path) as again:
        goes_on(again, expected)


def test_a_bridge_that_is_lost_leaves_the_way_back(half):
    before = old_space()
    shutil.rmtree(half.path / "spaces" / half.migration.id)
    half.close()
    with Collection.open(half.path) as hurt:
        assert hurt.roll_back_upgrade(progress=False) == {}
        assert hurt.space.id == before.id
        assert 1000 in hurt.search(text="1000", k=5).ids


def test_vectors_that_were_carried_and_are_damaged_are_carried_again(c):
    filled(c)
    c.apply(migration(), new_space(), progress=False)
    expected = answers(c)
    now = c._items.snapshot()
    (column,) = [x for x in c._catalogue.columns(c.migration.id) if x.modality == "text"]
    file = c.path / "items.lance" / next(iter(now.files_of(column.name)))
    c.close()
    body = bytearray(file.read_bytes())
    body[60] ^= 1
    file.write_bytes(body)
    done = Collection.repair(c.path, progress=False)
    assert done.ok
    ((modality, space, _),) = done.backfill
    assert (modality, space) == ("text", column.space)
    with Collection.open(c.path) as again:
        assert answers(again) == expected  # carried while searching
        again.backfill(modality, space_id=space, progress=False)
        assert answers(again) == expected


@pytest.mark.parametrize("what", ["gone", "spoilt"])
def test_a_lost_catalogue(half, what):
    expected = answers(half)
    wanted = half.upgrading()["migration"]
    serving = half.migration
    half.close()
    file = half.path / "catalogue.sqlite"
    if what == "gone":
        file.unlink()
    else:  # one row is not what was written: all the others still tell
        with sqlite3.connect(file) as db:
            db.execute("UPDATE versions SET rows = rows + 1")
    done = Collection.repair(half.path, trust_unchecked=True, progress=False)
    with Collection.open(half.path) as again:
        state = again.upgrading()
        assert state["migration"] == wanted
        if what == "gone":
            assert any("taken to be under way" in step for step in done.steps)
            assert (state["phase"], again.space.id) == ("preparing", "old")
            assert 4 in again.search(text="4", k=5).ids
            again.apply(serving, progress=False)
        goes_on(again, expected)


def test_a_lost_catalogue_after_the_end_is_not_taken_in_by_a_leftover(c):
    filled(c)
    m = migration()
    c.apply(m, new_space(), progress=False)
    c.backfill(progress=False)
    c.finish_upgrade(drop_old=True)
    m.save(c.path / "spaces" / m.id)  # as if killed before it was removed
    c.close()
    with sqlite3.connect(c.path / "catalogue.sqlite") as db:
        db.execute("UPDATE versions SET rows = rows + 1")
    Collection.repair(c.path, trust_unchecked=True, progress=False)
    with Collection.open(c.path) as again:
        assert again.upgrading() is None
        assert again.space.id == "new"


def test_releases_that_know_no_migrations_refuse_the_collection_meanwhile(c):
    def form():
        with sqlite3.connect(c.path / "catalogue.sqlite") as db:
            return db.execute("PRAGMA user_version").fetchone()[0]

    filled(c)
    assert form() == FORMAT
    c.apply(migration(), new_space(), progress=False)
    assert form() == MIGRATING
    c.roll_back_upgrade(progress=False)
    assert form() == FORMAT


def test_a_stream_that_began_in_a_space_that_is_gone_is_refused(c, monkeypatch):
    import pyarrow as pa

    filled(c)
    parts = [pa.table({"id": [900 + i], "text": [str(i)]}) for i in range(2)]

    def source():
        yield parts[0]
        with Collection.open(c.path) as other:
            other.apply(migration(), new_space(), progress=False)
            other.finish_upgrade(leave=True)
        yield parts[1]

    monkeypatch.setattr("commonspace.store.chunks.ROWS", 1)
    with pytest.raises(SpaceMismatch, match="has gone to new since"):
        c.add_stream(source(), progress=False)
    assert 900 not in c.search(text="4", k=99).ids
    c.add_stream(iter(parts), progress=False)
    assert 900 in c.search(text="0", k=99).ids
    with pytest.raises(BadInput):
        c.finish_upgrade()


def test_what_a_killed_end_has_left_goes_with_the_clean_up(c, monkeypatch):
    filled(c)
    m = migration()
    c.apply(m, new_space(), progress=False)
    c.roll_back_upgrade(progress=False)
    left = c.path / "spaces" / m.id
    m.save(left)
    assert c.verify(progress=False).leftovers
    c.clean_up(timedelta(0))
    assert left.exists()  # a writer may be about to enter it
    monkeypatch.setattr("commonspace.store.upkeep.GRACE", -1.0)
    assert c.clean_up(timedelta(0)).bytes > 0
    assert not left.exists()
    assert c.search(text="4", k=1)
    with pytest.raises(SpaceMismatch, match="was built with the space old, not new"):
        c.add([{"id": 70}], vectors={"text": np.ones((1, 8))}, space_id="new", progress=False)
    c.apply(m, progress=False)
    with pytest.raises(SpaceMismatch, match="goes from the space old to new"):
        c.add([{"id": 70}], vectors={"text": np.ones((1, 8))}, space_id="old", progress=False)
