"""Writers, readers and processes: a call is written whole or not at all, and a dictionary agrees with the store."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fake_space import DIM, FakeSpace

from commonspace import BadInput, Busy, Collection, Corrupt
from commonspace.core.vectors import unit

ROOT = Path(__file__).parents[1]
ENV = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def child(code, *arguments):
    """Start a fresh Python process (never a fork)."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=ENV, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def collection(tmp_path):
    with Collection.create(tmp_path / "c.cs", FakeSpace()) as c:
        yield c


def rows(ids):
    return [{"id": i, "text": f"word{i}", "n": i} for i in ids]


# ---------------------------------------------------------------- against a dictionary

KEYS = st.integers(0, 12)
TEXT = st.one_of(st.none(), st.sampled_from(["red car", "small dog", "trash bin", "bin"]))
NUMBER = st.one_of(st.none(), st.integers(-3, 3))
OPERATION = st.one_of(
    st.tuples(st.just("add"), st.lists(st.tuples(KEYS, TEXT, NUMBER), min_size=1, max_size=5)),
    st.tuples(st.just("upsert"), st.lists(st.tuples(KEYS, TEXT, NUMBER), min_size=1, max_size=5)),
    st.tuples(st.just("number"), st.lists(st.tuples(KEYS, NUMBER), min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.lists(KEYS, max_size=4)),
    st.tuples(st.just("delete where"), st.integers(-3, 3)),
    st.tuples(st.just("reopen"), st.none()),
)


def apply(kind, value, c, model):
    """Do one operation on the collection and on the dictionary id -> (text, n); return the collection."""
    if kind == "delete":
        assert c.delete(value) == len({i for i in value if i in model})
        for i in value:
            model.pop(i, None)
    elif kind == "delete where":
        gone = [i for i, (_, n) in model.items() if n is not None and n > value]
        if model or "n" in c.info()["fields"]:
            assert c.delete(where=f"n > {value}") == len(gone)
        for i in gone:
            del model[i]
    elif kind == "reopen":
        c.close()
        c = Collection.open(c.path, space=FakeSpace())
    else:
        ids = [item[0] for item in value]
        table = [
            dict(zip(("id", "text", "n") if kind != "number" else ("id", "n"), item, strict=True)) for item in value
        ]
        if len(set(ids)) < len(ids) or (kind == "add" and any(i in model for i in ids)):
            with pytest.raises(BadInput):
                (c.add if kind == "add" else c.upsert)(table)
        else:
            assert (c.add if kind == "add" else c.upsert)(table).ids == ids
            for item in value:
                text = item[1] if kind != "number" else model.get(item[0], (None, None))[0]
                model[item[0]] = (text, item[-1])
    return c


def assert_same(c, model, space):
    assert len(c) == len(model)
    ids = sorted(model)
    assert [r["id"] for r in c.get(ids)] == ids
    if c.info()["fields"]:
        assert [r["n"] for r in c.get(ids)] == [model[i][1] for i in ids]
        assert c.count("n = 1") == sum(n == 1 for _, n in model.values())
    have = [i for i in ids if model[i][0] is not None]
    q = space.encode(["small red bin"], "text")[0]
    score = {i: float(q.astype(float) @ space.encode([model[i][0]], "text")[0]) for i in have}
    hits = c.search(text="small red bin", k=4)
    assert hits.scores == pytest.approx(sorted(score.values(), reverse=True)[:4], abs=1e-6)
    assert {h.id: h.score for h in hits} == pytest.approx({h.id: score[h.id] for h in hits}, abs=1e-6)
    some = c.search(text="small red bin", k=99, where="id < 6")
    assert sorted(some.ids) == [i for i in have if i < 6]


@given(operations=st.lists(OPERATION, max_size=10))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_collection_agrees_with_a_dictionary(operations, tmp_path_factory):
    space, model = FakeSpace(), {}
    c = Collection.create(tmp_path_factory.mktemp("model") / "c.cs", space)
    # Fixes the types, so that a first batch of missing values does not leave the field out.
    c.add([{"id": 99, "text": "x", "n": 0}])
    c.delete([99])
    for kind, value in operations:
        c = apply(kind, value, c, model)
    assert_same(c, model, space)
    c.close()


def test_large_batches_and_many_fragments_keep_rows_and_vectors_together(collection):
    rng = np.random.default_rng(0)
    n = 30_000  # several record batches
    V = unit(rng.standard_normal((n, DIM)).astype(np.float32))
    half = n // 2
    collection.add({"id": np.arange(half), "n": np.arange(half)}, vectors={"image": V[:half]})
    collection.add({"id": np.arange(half, n), "n": np.arange(half, n)}, vectors={"image": V[half:]})
    collection.delete(where="n % 3 = 0")
    moved = [4, 20_000, 29_999, 1]
    collection.upsert({"id": moved, "n": [-1] * 4}, vectors={"image": -V[moved]})
    truth = {i: (-V[i] if i in moved else V[i]) for i in range(n) if i % 3 or i in moved}
    ids, matrix = collection.vectors("image")
    assert set(ids) == set(truth)
    np.testing.assert_allclose(matrix, np.array([truth[i] for i in ids]), atol=1e-6)
    hits = collection.search(vector=V[20_002], k=5, where="n > 15000 or n = -1")
    order = sorted((i for i in truth if i > 15000 or i in moved), key=lambda i: -float(truth[i] @ V[20_002]))
    assert hits.ids == order[:5]
    assert [h.fields["n"] for h in hits] == [-1 if i in moved else i for i in hits.ids]
    assert [r["id"] for r in collection.get([29_999, 5, 20_000])] == [29_999, 5, 20_000]


# ---------------------------------------------------------------- several processes


def test_what_another_process_writes_is_found_at_once(collection):
    collection.add(rows([1]))
    assert collection.search(text="word7", k=1).ids == [1]
    finish(child("""
        import sys
        from commonspace import Collection
        from tests.fake_space import FakeSpace
        with Collection.open(sys.argv[1], space=FakeSpace()) as c:
            c.add([{"id": 7, "text": "word7", "n": 7}])
    """, collection.path))  # fmt: skip
    assert len(collection) == 2
    assert collection.search(text="word7", k=1).scores == [pytest.approx(1)]


def test_two_processes_that_write_at_once_lose_and_double_nothing(collection):
    collection.add(rows([0]))
    code = """
        import sys
        from commonspace import Collection
        from tests.fake_space import FakeSpace
        first = int(sys.argv[2])
        with Collection.open(sys.argv[1], space=FakeSpace()) as c:
            for i in range(first, first + 15):
                c.add([{"id": i, "text": "a", "n": i}])
                c.upsert([{"id": -1, "n": i}, {"id": -2, "text": "shared", "n": i}])
    """
    writers = [child(code, collection.path, 1000), child(code, collection.path, 2000)]
    while any(w.poll() is None for w in writers):
        ids = [r["id"] for r in collection.get([-1, -2], missing="skip")]
        assert len(ids) in (0, 2)  # an upsert of two items is seen whole
        collection.search(text="shared", k=3)
        time.sleep(0.01)
    for w in writers:
        finish(w)
    assert collection.count() == 1 + 30 + 2
    assert collection.count("id = -1") == 1
    assert len(set(collection.vectors("text")[0])) == 32


def test_a_writer_that_waits_too_long_is_told_that_the_collection_is_busy(collection):
    holder = child("""
        import sys, time
        from commonspace import Collection
        with Collection.open(sys.argv[1])._catalogue.writing():
            print("held", flush=True)
            time.sleep(30)
    """, collection.path)  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    collection._catalogue._writer.execute("PRAGMA busy_timeout = 100")
    with pytest.raises(Busy, match="another writer"):
        collection.add(rows([1]))
    assert len(collection) == 0  # readers do not wait
    holder.kill()
    holder.communicate()
    collection.add(rows([1]))  # the lock dies with its holder
    assert len(collection) == 1


WRITER = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes its background processes deaf to it
    from commonspace import Collection
    from tests.fake_space import FakeSpace
    c = Collection.open(sys.argv[1], space=FakeSpace())
    start = len(c)
    print("ready", flush=True)
    for first in range(start, start + 100_000, 20):
        c.add([{"id": i, "text": f"word{i}", "n": first} for i in range(first, first + 20)])
        print(first, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_writer_loses_no_acknowledged_batch_and_leaves_no_half_one(collection, how):
    rng = np.random.default_rng(int(how))
    acknowledged = 0
    for _ in range(3):
        writer = child(WRITER, collection.path)
        assert writer.stdout.readline() == "ready\n"
        said = [int(writer.stdout.readline())]  # at least one, however busy the machine is
        time.sleep(rng.uniform(0.0, 0.15))
        writer.send_signal(how)
        said += [int(line) for line in writer.communicate(timeout=60)[0].split()]
        acknowledged = max([acknowledged, *(first + 20 for first in said)])
        with Collection.open(collection.path, space=FakeSpace()) as c:
            assert len(c) >= acknowledged
            assert len(c) % 20 == 0
            assert sorted(c.vectors("text")[0]) == list(range(len(c)))
            acknowledged = len(c)
    assert acknowledged > 0


def test_an_interrupted_call_can_be_repeated(collection, monkeypatch):
    from commonspace.store import lances

    collection.add(rows([1]))

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(lances, "write_fragments", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collection.add(rows([2]))
    assert len(collection) == 1
    collection.add(rows([2]))
    assert len(collection) == 2


def test_a_collection_does_not_pretend_to_work_after_a_fork(collection, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(BadInput, match="spawn"):
        len(collection)


READER = """
import os, sys
from tests.fake_space import FakeSpace
from commonspace import Collection, CommonspaceError
import lance
if os.geteuid() == 0:  # whom no permission stops
    os.setgid(65534)
    os.setuid(65534)
with Collection.open(sys.argv[1], space=FakeSpace()) as c:
    print(len(c), c.search(text="word2", k=1).ids, c.get(2), flush=True)
    try:
        c.add([{"id": 3, "text": "x"}])
    except CommonspaceError as e:
        print("refused", len(c))
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions work otherwise there")
def test_a_collection_can_be_read_without_the_right_to_write():
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp())  # not tmp_path, which others may not enter
    try:
        folder.chmod(0o755)
        with Collection.create(folder / "c.cs", FakeSpace()) as c:
            c.add(rows([1, 2]))
            c.delete([1])
        for path in [folder / "c.cs", *(folder / "c.cs").rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert finish(child(READER, folder / "c.cs")) == "1 [2] [{'id': 2, 'n': 2}]\nrefused 1\n"
    finally:
        for path in [folder / "c.cs", *(folder / "c.cs").rglob("*")]:
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_threads_share_a_collection(collection):
    from concurrent.futures import ThreadPoolExecutor

    collection.add(rows([0]))

    def work(first):
        for i in range(first, first + 5):
            collection.add(rows([i]))
            assert collection.search(text=f"word{i}", k=1).ids == [i]
            assert len(collection.get([0, i])) == 2

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [100, 200, 300, 400]))
    assert len(collection) == 21


def test_two_processes_that_create_one_collection_make_one(tmp_path):
    target = tmp_path / "c.cs"

    class Late(FakeSpace):
        def save(self, path):
            super().save(path)
            if not target.exists():
                Collection.create(target, FakeSpace()).close()  # somebody else is faster

    with pytest.raises(BadInput, match="exists already"):
        Collection.create(target, Late())
    assert [p.name for p in tmp_path.iterdir()] == ["c.cs"]


# ---------------------------------------------------------------- damage is noticed


def manifests(c):
    return sorted((c.path / "items.lance" / "_versions").glob("*.manifest"))  # newest first: numbers count down


@pytest.mark.parametrize("damage", ["zeros", "empty", "half", "gone"])
def test_a_damaged_newest_manifest_is_restored_and_nothing_is_lost(collection, damage):
    collection.add(rows([1, 2]))
    collection.add(rows([3]))
    newest = manifests(collection)[0]
    whole = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        newest.write_bytes({"zeros": bytes(len(whole)), "empty": b"", "half": whole[: len(whole) // 2]}[damage])
    with pytest.warns(RuntimeWarning, match="version 2 was damaged and has been restored"):
        c = Collection.open(collection.path, space=FakeSpace())
    with c:
        assert sorted(r["id"] for r in c.get([1, 2, 3])) == [1, 2, 3]
    assert newest.read_bytes() == whole


@pytest.mark.parametrize("state", ["whole", "zeros", "empty", "half"])
def test_what_a_dead_writer_left_behind_is_never_looked_at(collection, state, monkeypatch):
    from commonspace.store.versions import Versions

    collection.add(rows([1, 2]))
    with monkeypatch.context() as m:  # dies after Lance's commit, before the acknowledgement
        m.setattr(Versions, "acknowledge", lambda *_: (_ for _ in ()).throw(SystemExit))
        m.setattr("commonspace.store.lances.remove", lambda _: None)
        with pytest.raises(SystemExit):
            collection.add(rows([3]))
    newest = manifests(collection)[0]
    assert len(manifests(collection)) == 2
    whole = newest.read_bytes()
    newest.write_bytes({"zeros": bytes(len(whole)), "empty": b"", "half": whole[:50], "whole": whole}[state])
    with Collection.open(collection.path, space=FakeSpace()) as c:
        assert len(c) == 2
        c.add(rows([4]))
        assert [r["id"] for r in c.get([1, 2, 4])] == [1, 2, 4]


def test_a_catalogue_older_than_the_items_is_not_believed(collection):
    import shutil

    collection.add(rows([1]))
    shutil.copy(collection.path / "catalogue.sqlite", collection.path / "old")
    for i in (2, 3, 4):
        collection.add(rows([i]))
    collection.close()
    os.replace(collection.path / "old", collection.path / "catalogue.sqlite")
    with pytest.raises(Corrupt, match="are at version 4, but its catalogue knows only version 1"):
        Collection.open(collection.path, space=FakeSpace())


def test_missing_items_are_never_read_as_an_empty_collection(collection):
    import shutil

    collection.add(rows([1]))
    shutil.rmtree(collection.path / "items.lance")
    with pytest.raises(Corrupt):
        Collection.open(collection.path, space=FakeSpace())


def test_a_missing_data_file_is_named_as_damage(collection):
    collection.add(rows([1]))
    for file in (collection.path / "items.lance" / "data").iterdir():
        file.unlink()
    with (
        Collection.open(collection.path, space=FakeSpace()) as c,
        pytest.raises(Corrupt, match=r"is missing\. It holds the fields of 1 of the 1 items of version 1"),
    ):
        c.get(1)


def test_a_catalogue_that_is_no_database_is_damage(collection):
    collection.close()
    for log in collection.path.glob("catalogue.sqlite-*"):
        log.unlink()
    (collection.path / "catalogue.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(Corrupt, match="catalogue"):
        Collection.open(collection.path)


def test_a_collection_of_a_newer_format_is_refused(collection):
    collection._catalogue._writer.execute("PRAGMA user_version = 99")
    with pytest.raises(BadInput, match="has format 99"):
        Collection.open(collection.path)
