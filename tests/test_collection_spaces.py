"""Vectors of several spaces side by side: added, filled in, dropped; nothing else is rewritten."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.fake_space import DIM, FakeSpace

from commonspace import BadInput, BadItems, Collection, NotFound
from commonspace.core.errors import CommonspaceError
from commonspace.store import upkeep
from commonspace.store.items import Items

ROOT = Path(__file__).parents[1]


class Backwards(FakeSpace):
    """Another space: the same vectors, back to front."""

    def __init__(self, id="other", modalities=("text", "image")):
        super().__init__(id, modalities)

    def encode_items(self, items, modality, *, on_error="raise"):
        found = super().encode_items(items, modality, on_error=on_error)
        found.vectors = found.vectors[:, ::-1].copy()
        return found


@pytest.fixture
def c(tmp_path):
    with Collection.create(tmp_path / "c.cs", FakeSpace()) as found:
        yield found


def rows(ids):
    return [{"id": i, "text": f"word{i}", "n": i} for i in ids]


def filled(c):
    """Add in three fragments, one of them with a deleted item."""
    for first in (0, 10, 20):
        c.add(rows(range(first, first + 10)), keep="text")
    c.delete([3])
    return c


@pytest.mark.parametrize("broken_off", [KeyboardInterrupt, RuntimeError])
def test_a_backfill_that_is_broken_off_keeps_what_it_has_made(c, monkeypatch, broken_off):
    monkeypatch.setattr("commonspace.collection.filling._STEP", 4)
    c.add(rows(range(10)))
    asked = []

    def known(ids):
        asked.append(ids)
        if len(asked) == 2:
            raise broken_off
        return np.ones((len(ids), DIM))

    with pytest.raises(broken_off):
        c.backfill("text", space=Backwards(), vectors=known, progress=False)
    assert c.spaces()["other"] == {"text": 4}
    done = c.backfill("text", space=Backwards(), vectors=known, progress=False)
    assert done.n == 6
    assert sorted(i for ids in asked[2:] for i in ids) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "no space left")])
def test_a_commit_that_fails_leaves_nothing_of_it_to_the_next_one(c, monkeypatch, failure):
    """The next write of this object must not name the file that the failed one has removed."""
    c.add(rows(range(10)))
    for modality in ("text", "image"):  # both columns are there, so that nothing else is written before the vectors
        c.backfill(modality, space=Backwards(), vectors=lambda ids: [None] * len(ids), progress=False)
    publish = Items.publish

    def failing(*_):
        raise failure

    def known(ids):
        return np.ones((len(ids), DIM))

    monkeypatch.setattr(Items, "publish", failing)
    with pytest.raises((KeyboardInterrupt, CommonspaceError)):
        c.backfill("text", space=Backwards(), vectors=known, progress=False)
    monkeypatch.setattr(Items, "publish", publish)
    c.backfill("image", space=Backwards(), vectors=known, progress=False)
    assert c.verify(progress=False).ok
    assert c.spaces()["other"] == {"text": 0, "image": 10}


def test_a_second_space_is_filled_from_kept_items_and_leaves_the_first_alone(c):
    filled(c)
    before = c.vectors("text")
    done = c.backfill("text", space=Backwards(), progress=False)
    assert (done.n, done.skipped) == (29, {})
    ids, X = c.vectors("text", space_id="other")
    assert ids == before[0]
    assert np.array_equal(X, before[1][:, ::-1])
    assert np.array_equal(c.vectors("text")[1], before[1])
    assert c.spaces() == {"fake0001": {"text": 29}, "other": {"text": 29}}
    assert c.backfill("text", space=Backwards(), progress=False).n == 0
    assert c.search(text="word7", k=1).ids == [7]
    c.compact(progress=False)
    assert np.array_equal(c.vectors("text", space_id="other")[1], X)


def test_only_the_new_vectors_are_written(tmp_path):
    class Wide(Backwards):
        dim = 256

        def encode_items(self, items, modality, *, on_error="raise"):
            found = FakeSpace.encode_items(self, items, modality, on_error=on_error)
            rng = np.random.default_rng(0)
            found.vectors = rng.standard_normal((len(items), 256)).astype(np.float32)
            found.vectors /= np.linalg.norm(found.vectors, axis=1, keepdims=True)
            return found

    n = 20_000
    with Collection.create(tmp_path / "w.cs", FakeSpace()) as c:
        for first in (0, n // 2):
            ids = range(first, first + n // 2)
            c.add([{"id": i, "text": "a word"} for i in ids], keep="text", columns={"image": None})

        def size():
            return sum(p.stat().st_size for p in (c.path / "items.lance").rglob("*") if p.is_file())

        before = size()
        assert c.backfill("text", space=Wide(), progress=False).n == n
        assert 1 < (size() - before) / (n * 256 * 4) <= 1.05


def test_items_without_the_modality_or_without_a_source_stay_without(c):
    c.add([{"id": 1, "text": "a"}, {"id": 2, "image": list(range(1, DIM + 1))}], keep="text")
    assert c.backfill(space=Backwards(), progress=False).n == 1
    assert c.vectors("text", space_id="other")[0] == [1]
    with pytest.raises(NotFound, match="neither kept items nor a field of the name 'image'"):
        c.backfill("image", space_id="fake0001", progress=False)
    with pytest.raises(NotFound, match="no field 'caption'"):
        c.backfill("text", column="caption", progress=False)
    with pytest.raises(BadInput, match="no modality 'sound'"):
        c.backfill("sound", progress=False)
    with pytest.raises(NotFound, match="no space 'none'; it has fake0001, other"):
        c.backfill("text", space_id="none")


def test_vectors_may_come_from_a_function(c):
    filled(c)
    asked = []

    def halves(ids):
        asked.extend(ids)
        return [None if i % 2 else np.eye(DIM)[i % DIM] for i in ids]

    assert c.backfill("image", vectors=halves, progress=False).n == 15
    assert sorted(asked) == [i for i in range(30) if i != 3]
    ids, X = c.vectors("image")
    assert ids == [i for i in range(30) if i % 2 == 0]
    assert np.array_equal(X, np.eye(DIM, dtype=np.float32)[[i % DIM for i in ids]])
    asked.clear()
    c.backfill("image", vectors=halves, progress=False)
    assert sorted(asked) == [i for i in range(30) if i % 2 and i != 3]


def test_what_cannot_be_encoded_is_named_or_skipped(c):
    c.add([{"id": 5, "picture": "broken"}, {"id": 6, "picture": None}], columns={"text": None})
    with pytest.raises(BadItems):
        c.backfill("image", column="picture", progress=False)
    done = c.backfill("image", column="picture", on_error="skip", progress=False)
    assert (done.n, list(done.skipped)) == (0, [5])


def test_dropped_vectors_are_gone_and_their_files_go_with_the_clean_up(c):
    filled(c)
    c.backfill("text", space=Backwards(), progress=False)
    c.tag("both")
    c.drop_vectors("text")
    assert c.spaces() == {"fake0001": {}, "other": {"text": 29}}
    assert c.vectors("text")[0] == []
    with pytest.raises(NotFound, match="no vectors of 'text' in the space fake0001"):
        c.drop_vectors("text")
    with Collection.open(c.path, space=FakeSpace(), version="both") as old:
        assert len(old.vectors("text")[0]) == 29
    c.untag("both")
    del old
    before = len(upkeep._below(c._items.root))
    c.clean_up(timedelta(0))
    assert len(upkeep._below(c._items.root)) < before
    assert c.backfill("text", progress=False).n == 29
    assert c.search(text="word7", k=1).ids == [7]


def test_another_space_can_be_used_from_now_on(c):
    filled(c)
    c.backfill("text", space=Backwards(), progress=False)
    c.use_space("other")
    with Collection.open(c.path, space=Backwards()) as again:
        assert again.search(text="word12", k=1).ids == [12]
    with pytest.raises(NotFound, match="no space 'none'"):
        c.use_space("none")


def test_a_merge_and_an_addition_meanwhile_are_filled_too(c):
    filled(c)
    moved = []

    def meddling(ids):
        if not moved:
            moved.append(1)
            with Collection.open(c.path, space=FakeSpace()) as other:
                other.compact(progress=False)
                other.add(rows([100]))
                other.delete([20])
        return np.ones((len(ids), DIM))

    c.backfill("image", vectors=meddling, progress=False)
    assert sorted(c.vectors("image")[0]) == [i for i in [*range(30), 100] if i not in (3, 20)]


CHILD = """
    import sys, time
    import numpy as np
    from tests.fake_space import DIM, FakeSpace
    from commonspace import Collection
    with Collection.open(sys.argv[1], space=FakeSpace()) as c:
        def slowly(ids):
            print(len(ids), flush=True)
            time.sleep(0.05)
            return np.ones((len(ids), DIM))
        c.backfill("image", vectors=slowly, progress=False)
"""


def test_a_killed_backfill_goes_on_with_the_fragments_that_are_left(c):
    for i in range(20):
        c.add(rows([i]))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(c.path)], env=environment, cwd=ROOT, stdout=subprocess.PIPE
    )
    for _ in range(6):
        assert child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    have = len(c.vectors("image")[0])
    assert 4 <= have < 20
    asked = []
    c.backfill("image", vectors=lambda ids: asked.extend(ids) or np.ones((len(ids), DIM)), progress=False)
    assert len(asked) == 20 - have
    assert sorted(c.vectors("image")[0]) == list(range(20))
