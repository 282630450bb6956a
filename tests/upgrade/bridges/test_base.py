import numpy as np
import pytest
from tests.bridge_worlds import rows, turned

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.core.registry import build, describe, entries, restore
from commonspace.core.vectors import unit
from commonspace.upgrade.bridges import base
from commonspace.upgrade.bridges.base import lengthened
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.pairs import Pairs

NAMES = [e.name for e in entries("Bridge") if e.cls.__module__.startswith("commonspace.")]
CARRIES = ["items", "queries"]
ODD = ("text/en", "text", "a b/c_0_", "ünï", "shift_0_", "0")


def test_every_bridge_is_listed():
    assert {"swap", "procrustes", "ridge", "low-rank", "adapter", "one-modality"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("carries", CARRIES)
def test_what_a_bridge_has_learned_can_be_written_down(name, carries, tmp_path):
    pairs = turned(n=70)
    was = build("Bridge", name, carries=carries).fit(pairs)
    Migration("a", "b", 6, was).save(tmp_path / "m")
    for back in (restore("Bridge", describe(was), was.split_state()[1]), Migration.load(tmp_path / "m").bridge):
        assert back.fingerprint == was.fingerprint
        for m in (*pairs.modalities, None, "sound"):
            assert np.array_equal(back.carry(pairs.old["text"], m), was.carry(pairs.old["text"], m))


@pytest.mark.parametrize("name", NAMES)
def test_modalities_may_have_any_name(name, tmp_path):
    pairs = turned(n=70, modalities=ODD)
    was = build("Bridge", name).fit(pairs)
    Migration("a", "b", 6, was).save(tmp_path / "m")
    back = Migration.load(tmp_path / "m").bridge
    for m in ODD:
        assert np.array_equal(back.carry(pairs.old[m], m), was.carry(pairs.old[m], m))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("carries", CARRIES)
def test_rows_that_are_carried_have_length_one_and_the_other_dimension(name, carries):
    pairs = turned(n=70)
    longer = Pairs(pairs.old, {m: np.hstack([x, x[:, :2]]) for m, x in pairs.new.items()})
    bridge = build("Bridge", name, carries=carries).fit(longer)
    start, land = (longer.old, 8) if carries == "items" else (longer.new, 6)
    carried = bridge.carry(start["image"], "image")
    assert carried.shape == (70, land)
    assert carried.dtype == np.float32
    assert np.allclose(np.linalg.norm(carried, axis=1), 1, atol=1e-5)
    assert bridge.carry(start["image"][:0], "image").shape == (0, land)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_modality_takes_what_was_learned_from_all(name):
    bridge = build("Bridge", name).fit(turned(n=70))
    x = turned(seed=5).old["text"]
    assert np.array_equal(bridge.carry(x, "sound"), bridge.carry(x))


@pytest.mark.parametrize("name", NAMES)
def test_only_the_direction_of_a_row_counts(name):
    bridge = build("Bridge", name).fit(turned(n=70))
    x = rows(20, 6, seed=9)
    want = bridge.carry(x, "text")
    for factor in (1e-12, 0.1, 1000.0, 1e15):
        np.testing.assert_allclose(bridge.carry(x * np.float32(factor), "text"), want, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_half_and_double_precision_are_read(name):
    bridge = build("Bridge", name).fit(turned(n=70))
    x = rows(20, 6, seed=9)
    want = bridge.carry(x, "text")
    np.testing.assert_allclose(bridge.carry(x.astype(np.float16), "text"), want, atol=5e-3)
    np.testing.assert_allclose(bridge.carry(x.astype(np.float64), "text"), want, atol=1e-6)
    np.testing.assert_allclose(bridge.carry(x.tolist(), "text"), want, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bridge(name):
    one, two = (build("Bridge", name).fit(turned(n=70), random_state=4) for _ in range(2))
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_rows_cross_alone_as_they_cross_together(name, monkeypatch):
    bridge = build("Bridge", name).fit(turned(n=70))
    x = rows(50, 6, seed=9)
    want = bridge.carry(x, "text")
    monkeypatch.setattr(base, "BLOCK", 7)
    np.testing.assert_allclose(bridge.carry(x, "text"), want, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([bridge.carry(r[None], "text") for r in x]), want, atol=1e-6)


def test_a_block_at_a_time_crosses(monkeypatch, tmp_path):
    bridge = build("Bridge", "ridge").fit(turned())
    np.save(tmp_path / "x.npy", rows(100, 6, seed=9))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    seen = []
    cross = type(bridge).cross
    monkeypatch.setattr(base, "BLOCK", 16)
    monkeypatch.setattr(type(bridge), "cross", lambda self, r, m: seen.append(len(r)) or cross(self, r, m))
    assert bridge.carry(mapped, "text").shape == (100, 6)
    assert max(seen) == 16
    assert sum(seen) == 100


@pytest.mark.parametrize(("value", "says"), [(np.nan, "first at row 33"), (0.0, "zero vectors, first at row 33")])
def test_a_bad_row_is_named_by_its_place_among_all(value, says, monkeypatch):
    monkeypatch.setattr(base, "BLOCK", 10)
    x = rows(40, 6)
    x[33] = value
    with pytest.raises(BadInput, match=says):
        build("Bridge", "ridge").fit(turned()).carry(x)


@pytest.mark.parametrize("name", NAMES)
def test_a_bridge_refuses_what_it_cannot_carry(name):
    with pytest.raises(NotFitted):
        build("Bridge", name).carry(rows(3, 6))
    with pytest.raises(BadInput, match="carries"):
        build("Bridge", name, carries="both").fit(turned())
    bridge = build("Bridge", name).fit(turned())
    for wrong in (np.ones((2, 9)), np.ones((0, 9))):
        with pytest.raises(SpaceMismatch):
            bridge.carry(wrong)
    for wrong in (np.ones(6), [["a"] * 6], np.ones((1, 1, 6))):
        with pytest.raises(BadInput, match="vectors"):
            bridge.carry(wrong)


def test_an_interrupted_bridge_has_learned_nothing(monkeypatch):
    bridge = build("Bridge", "ridge")

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(bridge, "build", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bridge.fit(turned())
    with pytest.raises(NotFitted):
        bridge.carry(rows(3, 6))


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9, 1e-30])
def test_lengthened_rows_are_unit_rows(scale):
    x = rows(10, 5) * np.float32(scale)
    np.testing.assert_allclose(lengthened(x), unit(x), atol=1e-6)
    assert lengthened(x).dtype == np.float32


def test_a_zero_row_has_no_direction_and_stays():
    x = np.vstack([rows(2, 5), np.zeros((1, 5), np.float32)])
    np.testing.assert_allclose(lengthened(x), unit(x), atol=1e-6)
    assert lengthened(x[:0]).shape == (0, 5)
