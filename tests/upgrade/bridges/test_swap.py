import numpy as np
from tests.bridge_worlds import turned

from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.pairs import Pairs


def test_swap_cuts_or_pads():
    pairs = turned()
    wide = Pairs(pairs.old, {m: np.hstack([x, x]) for m, x in pairs.new.items()})
    forward = build("Bridge", "swap").fit(wide).carry(pairs.old["text"])
    assert np.allclose(forward[:, :6], pairs.old["text"], atol=1e-6)
    assert not forward[:, 6:].any()
    back = build("Bridge", "swap", carries="queries").fit(wide)
    assert np.allclose(back.carry(wide.new["text"]), unit(pairs.new["text"]), atol=1e-6)


def test_between_a_space_and_one_that_extends_it_nothing_more_is_needed():
    old = turned().old
    new = {m: np.hstack([x, 0.3 * x[:, ::-1]]) for m, x in old.items()}
    bridge = build("Bridge", "swap", carries="queries").fit(Pairs(old, new))
    assert np.allclose(bridge.carry(new["image"], "image"), old["image"], atol=1e-6)
