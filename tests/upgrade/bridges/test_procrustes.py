import numpy as np
import pytest
from tests.bridge_worlds import turned

from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.pairs import Pairs


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_a_turned_space_is_reached_in_both_directions(carries):
    pairs = turned(n=200)
    bridge = build("Bridge", "procrustes", carries=carries).fit(pairs)
    start, land = (pairs.old, pairs.new) if carries == "items" else (pairs.new, pairs.old)
    for m in (*pairs.modalities, None):
        assert np.allclose(bridge.carry(start[m or "text"], m), land[m or "text"], atol=2e-2)


def test_from_few_items_a_rotation_is_found_where_a_regression_is_not():
    pairs = turned(n=330, dim=20, modalities=("text",))
    noise = 0.2 * np.random.default_rng(1).normal(size=(330, 20))
    new = unit((pairs.new["text"] + noise).astype(np.float32))
    few = Pairs({"text": pairs.old["text"][:30]}, {"text": new[:30]})
    away = [
        np.square(build("Bridge", name).fit(few).carry(pairs.old["text"][30:]) - pairs.new["text"][30:]).sum(axis=1)
        for name in ("procrustes", "ridge")
    ]
    assert away[0].mean() < 0.8 * away[1].mean()


def test_two_rows_are_enough_for_a_guess():
    pairs = turned(n=2)
    carried = build("Bridge", "procrustes").fit(pairs).carry(pairs.old["text"], "text")
    assert np.allclose(np.linalg.norm(carried, axis=1), 1, atol=1e-5)
