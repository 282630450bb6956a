import numpy as np
import pytest
from tests.bridge_worlds import crowded, turned

from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.pairs import Pairs


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_a_turned_space_is_reached_in_both_directions(carries):
    pairs = turned(n=200)
    bridge = build("Bridge", "ridge", carries=carries).fit(pairs)
    start, land = (pairs.old, pairs.new) if carries == "items" else (pairs.new, pairs.old)
    for m in (*pairs.modalities, None):
        assert np.allclose(bridge.carry(start[m or "text"], m), land[m or "text"], atol=2e-2)


def test_items_cross_by_the_regression_of_one_space_on_the_other():
    from sklearn.linear_model import Ridge

    pairs = crowded()
    x, y = pairs.old["text"], pairs.new["text"]
    alphas = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
    ways = [unit(Ridge(alpha=a).fit(x, y).predict(x)) for a in alphas]
    carried = build("Bridge", "ridge").fit(pairs).carry(x, "text")
    assert min(np.abs(w - carried).max() for w in ways) < 1e-4


def test_a_stretched_space_is_reached_which_no_rotation_can():
    pairs = turned(n=300)
    stretch = np.diag([3.0, 2.0, 1.0, 1.0, 0.5, 0.2])
    new = {m: unit((x @ stretch).astype(np.float32)) for m, x in pairs.old.items()}
    stretched = Pairs(pairs.old, new)
    error = [
        np.square(build("Bridge", name).fit(stretched).carry(pairs.old["text"], "text") - new["text"])
        .sum(axis=1)
        .mean()
        for name in ("ridge", "procrustes")
    ]
    assert error[0] < 0.5 * error[1]
