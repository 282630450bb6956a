import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput, Corrupt, NotFound
from commonspace.upgrade.bridges.ridge import RidgeBridge
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.scale import Scale


def pairs(seed=0):
    rng = np.random.default_rng(seed)
    old = {m: rng.normal(size=(40, 5)) for m in ("name", "drawing")}
    turn = rng.normal(size=(5, 7))
    return Pairs(old, {m: x @ turn for m, x in old.items()})


def migration(**changes):
    bridge = RidgeBridge().fit(pairs())
    return Migration("0a" * 16, "1b" * 16, 7, **{"bridge": bridge, "scales": {"->name": Scale(2.0, -0.5)}, **changes})


def test_what_is_saved_comes_back_with_its_identity_and_its_vectors(tmp_path):
    was = migration()
    was.save(tmp_path / was.id)
    back = Migration.load(tmp_path / was.id)
    assert back.id == was.id
    assert back.stores
    x = pairs().old["drawing"]
    assert np.array_equal(back.bridge.carry(x, "drawing"), was.bridge.carry(x, "drawing"))
    assert back.scale("name", "name") == Scale(2.0, -0.5)


def test_one_without_a_bridge_stores_nothing(tmp_path):
    both = migration(bridge=None)
    both.save(tmp_path / "m")
    assert not both.stores
    assert Migration.load(tmp_path / "m") == both


def test_the_identity_changes_with_the_bridge_the_scale_and_the_spaces():
    ids = {
        migration().id,
        migration(bridge=None).id,
        migration(bridge=RidgeBridge(carries="queries").fit(pairs())).id,
        migration(bridge=RidgeBridge().fit(pairs(1))).id,
        migration(scales={}).id,
        Migration("0a" * 16, "1c" * 16, 7).id,
    }
    assert len(ids) == 6
    assert migration().id in ids


def test_a_scale_is_looked_up_from_the_nearest_name_to_the_farthest():
    some = migration(scales={"name->drawing": Scale(2), "->drawing": Scale(3), "->": Scale(4)})
    assert some.scale("name", "drawing").slope == 2
    assert some.scale("drawing", "drawing").slope == 3
    assert some.scale(None, "drawing").slope == 3
    assert some.scale("name", "name").slope == 4
    assert migration(scales={}).scale("name", "name")(0.3) == pytest.approx(0.3)


def test_a_changed_byte_is_found(tmp_path):
    migration().save(tmp_path / "m")
    file = tmp_path / "m" / "bridge.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(Corrupt):
        Migration.load(tmp_path / "m")


def test_a_folder_of_another_kind_is_refused(tmp_path):
    from commonspace.store.sealed import write_sealed

    write_sealed(tmp_path / "s", {"format": 1}, {})
    with pytest.raises(BadInput, match="not a migration"):
        Migration.load(tmp_path / "s")
    with pytest.raises(NotFound):
        Migration.load(tmp_path / "none")


def test_nothing_in_the_folder_is_more_than_data(tmp_path):
    migration().save(tmp_path / "m")
    assert {p.name for p in (tmp_path / "m").iterdir()} == {"config.json", "bridge.safetensors", "README.md"}
    assert json.loads((tmp_path / "m" / "config.json").read_text())["kind"] == "migration"


def test_a_scale_between_standard_scores_becomes_the_line_of_the_query(tmp_path):
    drawn = pairs(2)
    samples = {"name": (drawn.old["name"], drawn.new["name"])}
    was = migration(scales={"->name": Scale(1.5, 0.1, standard=True)}, samples=samples)
    was.save(tmp_path / "m")
    back = Migration.load(tmp_path / "m")
    assert back.id == was.id != migration(scales=was.scales).id
    across, native = drawn.old["drawing"][0], drawn.new["drawing"][0]
    line = back.scale("drawing", "name", across, native)
    old, new = drawn.old["name"] @ across, drawn.new["name"] @ native
    want = new.mean() + new.std() * (1.5 * (0.3 - old.mean()) / old.std() + 0.1)
    assert line(0.3) == pytest.approx(want, abs=1e-5)
    assert not line.standard
    assert back.scale("drawing", "name").standard  # without the query nothing is known about its level
