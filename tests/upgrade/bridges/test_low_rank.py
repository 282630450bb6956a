import numpy as np
import pytest
from tests.bridge_worlds import rows

from commonspace.core.errors import BadInput
from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.pairs import Pairs


def thin(n=300, d_old=30, d_new=40, shared=4, noise=0.02):
    """Return items of which the two spaces share a few directions, and nothing else."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, shared))
    sides = [hidden @ rng.normal(size=(shared, d)) + noise * rng.normal(size=(n, d)) for d in (d_old, d_new)]
    return Pairs(*({"text": unit(s.astype(np.float32))} for s in sides))


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_it_finds_the_rank_and_consists_of_as_many_numbers(carries):
    bridge = build("Bridge", "low-rank", carries=carries, way="direct").fit(thin())
    rank = bridge.parts[""].factors[0].shape[1]
    assert 4 <= rank <= 8  # scaling to length one bends the four a little
    assert bridge.numbers == rank * (30 + 40) + (40 if carries == "items" else 30)


@pytest.mark.parametrize("carries", ["items", "queries"])
@pytest.mark.parametrize("way", ["direct", "adjoint"])
def test_of_full_rank_it_is_the_ridge_bridge(carries, way):
    pairs = thin(noise=0.3)
    low, full = (
        build("Bridge", {"carries": carries, "way": way, **spec}).fit(pairs)
        for spec in ({"name": "low-rank", "rank": 30}, {"name": "ridge"})
    )
    x = (pairs.old if carries == "items" else pairs.new)["text"]
    np.testing.assert_allclose(low.carry(x, "text"), full.carry(x, "text"), atol=1e-3)


def test_both_matrices_are_kept_apart():
    bridge = build("Bridge", "low-rank", rank=2).fit(thin())
    assert [f.shape for f in bridge.parts[""].factors] == [(30, 2), (2, 40)]
    assert np.linalg.matrix_rank(bridge.parts[""](rows(60, 30)) - bridge.parts[""].shift, tol=1e-4) == 2


def test_a_rank_below_one_is_refused():
    with pytest.raises(BadInput, match="rank"):
        build("Bridge", "low-rank", rank=0).fit(thin())
