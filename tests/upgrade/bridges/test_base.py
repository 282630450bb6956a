import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.core.registry import build, describe, restore
from commonspace.core.vectors import unit
from commonspace.upgrade.pairs import Pairs

NAMES = ["swap", "procrustes", "ridge"]


def turned(n=60, dim=6, seed=0):
    """Return items of two modalities in two spaces, the second a rotation of the first."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    old = {m: unit(rng.normal(size=(n, dim)).astype(np.float32)) for m in ("text", "image")}
    return Pairs(old, {m: (x @ turn).astype(np.float32) for m, x in old.items()})


@pytest.mark.parametrize("name", ["procrustes", "ridge"])
@pytest.mark.parametrize("carries", ["items", "queries"])
def test_a_turned_space_is_reached_in_both_directions(name, carries):
    pairs = turned()
    bridge = build("Bridge", name, carries=carries).fit(pairs)
    start, land = (pairs.old, pairs.new) if carries == "items" else (pairs.new, pairs.old)
    for m in (*pairs.modalities, None):
        x = m or "text"
        assert np.allclose(bridge.carry(start[x], m), land[x], atol=2e-2)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_bridge_has_learned_can_be_written_down(name):
    pairs = turned()
    was = build("Bridge", name).fit(pairs)
    back = restore("Bridge", describe(was), was.split_state()[1])
    assert back.fingerprint == was.fingerprint
    assert np.array_equal(back.carry(pairs.old["text"], "text"), was.carry(pairs.old["text"], "text"))


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_are_carried_have_length_one_and_the_other_dimension(name):
    pairs = turned()
    longer = Pairs(pairs.old, {m: np.hstack([x, x[:, :2]]) for m, x in pairs.new.items()})
    bridge = build("Bridge", name).fit(longer)
    carried = bridge.carry(pairs.old["image"], "image")
    assert carried.shape == (60, 8)
    assert carried.dtype == np.float32
    assert np.allclose(np.linalg.norm(carried, axis=1), 1, atol=1e-5)
    assert bridge.carry(np.empty((0, 6), np.float32), "image").shape == (0, 8)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_modality_takes_the_map_of_all(name):
    bridge = build("Bridge", name).fit(turned())
    x = turned(seed=5).old["text"]
    assert np.array_equal(bridge.carry(x, "sound"), bridge.carry(x))


def test_a_bridge_refuses_what_it_cannot_carry():
    pairs = turned()
    with pytest.raises(NotFitted):
        build("Bridge", "ridge").carry(pairs.old["text"])
    with pytest.raises(BadInput, match="carries"):
        build("Bridge", "ridge", carries="both").fit(pairs)
    with pytest.raises(SpaceMismatch):
        build("Bridge", "ridge").fit(pairs).carry(np.ones((2, 9)))


def test_swap_cuts_or_pads():
    pairs = turned()
    wide = Pairs(pairs.old, {m: np.hstack([x, x]) for m, x in pairs.new.items()})
    assert np.allclose(build("Bridge", "swap").fit(wide).carry(pairs.old["text"])[:, :6], pairs.old["text"], atol=1e-6)
    back = build("Bridge", "swap", carries="queries").fit(wide)
    assert np.allclose(back.carry(wide.new["text"]), unit(pairs.new["text"]), atol=1e-6)
