import numpy as np
import pytest
import torch

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.methods.soup import Soup


def test_a_soup_is_the_weighted_mean_of_the_models(planted):
    world = planted([[0], [0]])
    found = Soup(weights={"t0": 1, "t1": 3})(world.vectors, None, np.random.default_rng(0))
    a, b = (m.state_dict()["0.weight"] for m in world.tuned.values())
    torch.testing.assert_close(found.block("0.weight"), 0.25 * a + 0.75 * b)
    assert found.weights == {"t0": 0.25, "t1": 0.75}


def test_equal_weights_are_the_default(planted):
    world = planted([[0], [0]])
    found = Soup()(world.vectors, None, np.random.default_rng(0))
    want = torch.stack([m.state_dict()["1.weight"] for m in world.tuned.values()]).mean(0)
    torch.testing.assert_close(found.block("1.weight"), want)


@pytest.mark.parametrize("weights", [{"t0": 1}, {"t0": -1, "t1": 2}, {"t0": 0, "t1": 0}, {"t0": float("nan"), "t1": 1}])
def test_weights_that_are_none_are_refused(planted, weights):
    with pytest.raises(BadInput, match="weights"):
        Soup(weights=weights)(planted([[0], [0]]).vectors, None, np.random.default_rng(0))
