"""The segments of an index: whole or not there, never believed unread, and nothing of a dead writer stays."""

import os
import shutil
import sqlite3
import threading
import time
import warnings

import numpy as np
import pytest
from tests.kill.steps import Steps
from tests.processes.children import Child, Nursery
from tests.store import building

from commonspace.core.errors import CommonspaceError, Corrupt
from commonspace.store import drafts, segments
from commonspace.store.catalogue import Catalogue
from commonspace.store.segments import INDEX, Segments


def load(place):
    try:
        return (place / "words").read_text()
    except UnicodeDecodeError as e:
        raise Corrupt(str(e)) from None


def write(words):
    def fill(part):
        (part / "words").write_text(words)
        return words

    return fill


@pytest.fixture
def folder(tmp_path):
    Catalogue.create(tmp_path / "catalogue.sqlite", id_name="id", space="s", space_digest="0")
    return tmp_path


@pytest.fixture
def opened(folder):
    """Return a function that opens the segments as another process would."""
    catalogues = []

    def open_them(load=load):
        catalogues.append(Catalogue(folder / "catalogue.sqlite", patience=0.2))
        return Segments(folder, catalogues[-1], load)

    yield open_them
    for catalogue in catalogues:
        catalogue.close()


def add(s, column, version, fill, about, replaces):
    return s.add(column, version, fill, about, {e.id for e in s.entries(column)} - set(replaces))


def there(folder):
    return sorted(p.name for p in (folder / INDEX).iterdir())


def held(s, column="v"):
    return [words for _, words in s.open(column)]


def make_old(place):
    long_ago = time.time() - 2 * segments.GRACE
    os.utime(place, (long_ago, long_ago))


def test_nothing_is_there_before_the_first(folder, opened):
    s = opened()
    assert (s.entries(), s.open("v"), s.clean_up(bool)) == ([], [], (0, 0))
    assert not (folder / INDEX).exists()


def test_what_is_added_is_opened_by_every_process_and_by_its_column_alone(opened):
    s, other = opened(), opened()
    entry = add(s, "v", 3, write("one"), {"code": {"name": "x"}, "vectors": 2}, [])
    assert (entry.column, entry.version, entry.about["vectors"]) == ("v", 3, 2)
    assert s.entries() == other.entries("v") == [entry]
    assert held(s) == held(other) == ["one"]
    assert (other.entries("w"), held(other, "w")) == ([], [])


def test_what_is_replaced_goes_at_once_and_whoever_has_it_open_lets_it_go(folder, opened):
    s, other = opened(), opened()
    old = [add(s, "v", 1, write(w), {}, []).id for w in ("one", "two")]
    assert sorted(held(other)) == ["one", "two"]
    new = add(s, "v", 2, write("both"), {}, old)
    assert there(folder) == [new.id]
    assert held(s) == held(other) == ["both"]
    assert set(other._opened["v"]) == {new.id}  # what is mapped keeps its room on disk
    other.remove([new.id])
    assert (held(s), s.entries(), there(folder)) == ([], [], [])
    other.remove([new.id])  # twice is no error


def test_a_reader_of_an_earlier_version_holds_what_it_has_opened_and_takes_what_comes_while_it_has_nothing(opened):
    s = opened()
    old = Segments(s.folder, s.catalogue, load, fixed=True)
    assert held(old) == []
    add(s, "v", 1, write("one"), {}, [])
    assert held(old) == ["one"]
    add(s, "v", 2, write("two"), {}, [e.id for e in s.entries()])
    assert (held(s), held(old), held(old, "w")) == (["two"], ["one"], [])
    assert held(Segments(s.folder, s.catalogue, load, fixed=True)) == ["two"]


def test_of_two_that_are_built_at_once_the_last_stays(folder, opened):
    s, other = opened(), opened()
    kept, _ = (add(s, "v", 1, write(w), {}, []) for w in ("kept", "old"))
    add(s, "w", 1, write("of another column"), {}, [])

    def slow(part):
        other.add("v", 2, write("quick"), {}, [kept.id])
        return write("slow")(part)

    s.add("v", 2, slow, {}, [kept.id])
    assert sorted(held(s)) == sorted(held(other)) == ["kept", "slow"]
    assert held(other, "w") == ["of another column"]
    assert len(there(folder)) == 3


@pytest.mark.parametrize("spoil", ["flip", "cut", "more", "gone", "empty"])
def test_damage_is_said_once_and_never_returned(folder, opened, spoil):
    s = opened()
    place = folder / INDEX / add(s, "v", 1, write("one"), {}, []).id
    add(s, "v", 1, write("two"), {}, [])
    if spoil == "gone":
        shutil.rmtree(place)
    elif spoil == "empty":
        (place / "words").unlink()
    elif spoil == "more":
        (place / "other").write_text("")
    else:
        (place / "words").write_text("onf" if spoil == "flip" else "on")
    again = opened()
    with pytest.warns(RuntimeWarning, match=f"{place.name} is left out.*build_index"):
        assert held(again) == ["two"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert held(again) == ["two"]
    assert len(again.entries()) == 2  # `repair` forgets it


def test_bytes_that_are_whole_and_cannot_be_read_are_not_entered_and_left_out_if_somebody_did(folder, opened):
    def fill(part):
        (part / "words").write_bytes(b"\xff")

    s = opened()
    with pytest.raises(Corrupt):
        add(s, "v", 1, fill, {}, [])
    assert (s.entries(), there(folder)) == ([], [])
    add(opened(lambda place: "of a later version, say"), "v", 1, fill, {}, [])
    with pytest.warns(RuntimeWarning, match="left out"):
        assert held(s) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), ValueError("no")])
def test_a_build_that_fails_leaves_nothing(folder, opened, error):
    s = opened()
    kept = add(s, "v", 1, write("one"), {}, [])

    def fail(part):
        (part / "words").write_text("half")
        raise error

    with pytest.raises(CommonspaceError if isinstance(error, OSError) else type(error)):
        add(s, "v", 2, fail, {}, [kept.id])
    assert (s.entries(), there(folder), held(s)) == ([kept], [kept.id], ["one"])


def test_a_segment_that_cannot_be_entered_leaves_nothing(folder, opened):
    s = opened()
    kept = add(s, "v", 1, write("one"), {}, [])
    blocker = sqlite3.connect(folder / "catalogue.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(CommonspaceError, match="another writer"):
        add(s, "v", 2, write("two"), {}, [kept.id])
    blocker.close()
    assert (s.entries(), there(folder), held(s)) == ([kept], [kept.id], ["one"])


def test_one_that_is_replaced_while_it_is_opened_is_no_damage(folder, opened, monkeypatch):
    s, other = opened(), opened()
    old = add(s, "v", 1, write("one"), {}, [])
    digest = segments.digest_folder

    def replaced_meanwhile(place):
        monkeypatch.setattr(segments, "digest_folder", digest)
        add(s, "v", 2, write("two"), {}, [old.id])
        return digest(place)

    monkeypatch.setattr(segments, "digest_folder", replaced_meanwhile)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert held(other) == []
        assert held(other) == ["two"]


def test_searching_goes_on_while_segments_are_replaced(opened):
    s, reader = opened(), opened()
    last = [add(s, "v", 0, write("0"), {}, []).id]
    stop, errors, seen = threading.Event(), [], set()

    def read():
        try:
            while not stop.is_set():
                seen.update(held(reader))
        except BaseException as e:
            errors.append(e)

    thread = threading.Thread(target=read)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thread.start()
        for i in range(1, 15):
            last = [add(s, "v", i, write(str(i)), {}, last).id]
        stop.set()
        thread.join()
    assert errors == []
    assert held(reader) == ["14"]


class Slow:
    """Reads the segment of some words when it is told to, and counts how often each was read."""

    def __init__(self, words):
        self.words, self.begun, self.go_on, self.read = words, threading.Event(), threading.Event(), []

    def __call__(self, place):
        found = load(place)
        self.read.append(found)
        if found == self.words:
            self.begun.set()
            assert self.go_on.wait(20)
        return found


def test_who_needs_other_segments_does_not_wait_while_one_is_read(opened):
    s = opened()
    add(s, "v", 1, write("large"), {}, [])
    add(s, "w", 1, write("small"), {}, [])
    slow = Slow("large")
    reader, seen = opened(slow), []
    waiting = threading.Thread(target=lambda: seen.append(held(reader)))
    waiting.start()
    assert slow.begun.wait(20)
    other = threading.Thread(target=lambda: seen.append((held(reader, "w"), reader.damaged("v"))), daemon=True)
    other.start()
    other.join(20)
    assert seen == [(["small"], [])]
    slow.go_on.set()
    waiting.join()
    assert seen[1:] == [["large"]]


def test_of_many_that_want_the_same_segment_one_reads_it(opened):
    add(opened(), "v", 1, write("large"), {}, [])
    slow, seen = Slow("large"), []
    reader = opened(slow)
    threads = [threading.Thread(target=lambda: seen.append(held(reader))) for _ in range(4)]
    for one in threads:
        one.start()
    assert slow.begun.wait(20)
    slow.go_on.set()
    for one in threads:
        one.join()
    assert seen == [["large"]] * 4
    assert slow.read == ["large"]
    assert reader._reading == {}


def test_one_that_was_interrupted_while_it_read_a_segment_leaves_it_to_the_next(opened, monkeypatch):
    add(opened(), "v", 1, write("one"), {}, [])
    reader = opened()
    with monkeypatch.context() as m:
        m.setattr(segments, "digest_folder", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            held(reader)
    assert held(reader) == ["one"]


def test_a_name_that_leads_elsewhere_is_not_followed(folder, opened):
    s = opened()
    precious = folder / "precious"
    precious.mkdir()
    write("mine")(precious)
    row = ("../precious", "v", 1, "2026", segments.digest_folder(precious), "{}")
    with s.catalogue.writing() as ledger:
        ledger.put("segments", row)
    with pytest.warns(RuntimeWarning, match="left out"):
        assert held(s) == []
    s.remove(["../precious"])
    assert (precious / "words").exists()


def test_clean_up_removes_what_is_of_no_use_and_says_how_much(folder, opened):
    s = opened()
    kept = add(s, "v", 1, write("one"), {}, [])
    add(s, "w", 1, write("useless"), {}, [])
    asked = opened()
    assert asked.clean_up(lambda words: words == "one") == (1, 7)
    assert (asked.entries(), there(folder)) == ([kept], [kept.id])
    assert asked.clean_up(lambda words: True) == (0, 0)


def test_clean_up_leaves_what_is_damaged_for_repair(folder, opened):
    s = opened()
    (folder / INDEX / add(s, "v", 1, write("one"), {}, []).id / "words").write_text("x")
    with pytest.warns(RuntimeWarning):
        assert opened().clean_up(lambda words: False) == (0, 0)
    assert len(s.entries()) == 1


def test_clean_up_removes_a_folder_nobody_entered_once_its_writer_must_be_dead(folder, opened):
    s = opened()
    kept = add(s, "v", 1, write("one"), {}, [])
    orphan = folder / INDEX / "0123456789abcdef"
    orphan.mkdir()
    (orphan / "words").write_text("12345")
    assert s.clean_up(lambda words: True) == (0, 0)
    make_old(orphan)
    make_old(folder / INDEX / kept.id)
    assert s.clean_up(lambda words: True) == (1, 5)
    assert there(folder) == [kept.id]


def test_clean_up_spares_a_draft_that_is_worked_on_however_old(folder, opened):
    s = opened()

    def slow(part):
        (part / "words").write_text("slow")
        make_old(part)
        assert opened().clean_up(lambda words: True) == (0, 0)
        assert part.exists()

    add(s, "v", 1, slow, {}, [])
    assert held(opened()) == ["slow"]


@pytest.mark.parametrize("locks", [True, False])
def test_a_killed_build_leaves_a_draft_that_clean_up_removes_and_a_catalogue_that_knows_nothing(
    folder, opened, monkeypatch, locks
):
    s = opened()
    kept = add(s, "v", 1, write("one"), {}, [])
    child = Child("tests.store.building")
    assert child.ask({"folder": str(folder), "step": None}) == {"writing": True}
    assert len(there(folder)) == 2
    assert s.clean_up(lambda words: True) == (0, 0)  # it lives
    child.kill()
    assert (s.entries(), held(opened())) == ([kept], ["one"])
    if not locks:  # where files cannot be locked, age decides
        monkeypatch.setattr(drafts, "fcntl", None)
        assert s.clean_up(lambda words: True) == (0, 0)
        make_old(next(p for p in (folder / INDEX).iterdir() if p.name != kept.id))
    assert s.clean_up(lambda words: True) == (1, 4)
    assert there(folder) == [kept.id]


def test_killed_at_any_step_there_is_the_old_one_or_the_new_one_and_clean_up_leaves_no_more(
    folder, opened, tmp_path_factory, monkeypatch
):
    add(opened(), "v", 1, write("old"), {}, [])
    copy = tmp_path_factory.mktemp("counted")
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    with Steps() as counted:
        building.build(copy, building.quick)
    monkeypatch.setattr(segments, "GRACE", -1.0)
    nursery, seen = Nursery("tests.store.building"), []
    try:
        for step in np.linspace(0, counted.n - 3, 9).astype(int).tolist():
            place = tmp_path_factory.mktemp("killed")
            shutil.copytree(folder, place, dirs_exist_ok=True)
            child = nursery.take()
            assert child.ask({"folder": str(place), "step": step}) is None, child.errors()
            child.kill()
            catalogue = Catalogue(place / "catalogue.sqlite")
            s = Segments(place, catalogue, load)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                seen += held(s)
            s.clean_up(lambda words: True)
            names = there(place)
            assert names == [e.id for e in s.entries()]
            assert len(names) == 1
            catalogue.close()
    finally:
        nursery.close()
    assert seen[0] == "old"
    assert seen[-1] == "new"
    assert seen == sorted(seen, reverse=True)
