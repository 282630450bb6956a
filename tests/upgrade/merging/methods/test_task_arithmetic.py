import numpy as np
import pytest
import torch

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.methods.task_arithmetic import TaskArithmetic


def test_the_sum_of_the_vectors_is_scaled_and_added(planted):
    world = planted([[0], [0]])
    found = TaskArithmetic(scale=0.3)(world.vectors, None, np.random.default_rng(0))
    want = world.at(np.full((2, 2), 0.3)).state_dict()["0.weight"]
    torch.testing.assert_close(found.block("0.weight"), want)
    assert found.scale == 0.3


def test_of_several_scales_the_probes_choose(planted):
    world = planted([[0.6], [0.6]])
    found = TaskArithmetic(scale=[0.2, 0.4, 0.6, 0.8])(world.vectors, world.landscape, np.random.default_rng(0))
    assert found.scale == 0.6
    assert np.argmin(found.losses) == 2
    assert found.losses[2] == pytest.approx(0, abs=1e-6)


def test_several_scales_without_probes_are_refused(planted):
    with pytest.raises(BadInput, match="chosen from by probes"):
        TaskArithmetic(scale=[0.2, 0.4])(planted([[0], [0]]).vectors, None, np.random.default_rng(0))


@pytest.mark.parametrize("scale", [float("nan"), [], ["a"]])
def test_a_scale_must_be_a_number(planted, scale):
    with pytest.raises(BadInput, match="scale must be"):
        TaskArithmetic(scale=scale)(planted([[0], [0]]).vectors, None, np.random.default_rng(0))
