import numpy as np
import pytest
import torch

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.methods.self_positioning import SelfPositioning


def test_planted_weights_and_length_are_found(planted):
    world = planted([[0.9], [0.3]])
    found = SelfPositioning(steps=300)(world.vectors, world.landscape, np.random.default_rng(0))
    assert found.weights["t0"] == pytest.approx(0.9, abs=0.03)
    assert found.weights["t1"] == pytest.approx(0.3, abs=0.03)
    assert found.scale == pytest.approx(1.2, abs=0.05)
    assert found.losses[-1] < 0.01 * found.losses[0]
    torch.testing.assert_close(found.block("0.weight"), world.target.state_dict()["0.weight"], atol=0.1, rtol=0)


def test_one_number_a_task_and_one_more_are_learned(planted):
    world = planted([[0.5], [0.5]])
    found = SelfPositioning(steps=2)(world.vectors, world.landscape, np.random.default_rng(0))
    assert found.learned == 3
    assert len(found.losses) == 2
    assert found.stopped == "steps"


def test_weights_of_tasks_keep_the_sign_of_the_length(planted):
    world = planted([[0.8], [-0.5]])  # beyond the simplex: the second weight can only go to 0
    found = SelfPositioning(steps=300)(world.vectors, world.landscape, np.random.default_rng(0))
    assert 0 <= found.weights["t1"] < 0.1


def test_ctrl_c_keeps_what_was_learned(planted):
    world = planted([[0.9], [0.3]])
    calls = []

    def interrupted(run, batch):
        calls.append(1)
        if len(calls) > 80:
            raise KeyboardInterrupt
        return world.objective(run, batch)

    land = world.landscape
    land.objective = interrupted
    found = SelfPositioning(steps=300)(world.vectors, land, np.random.default_rng(0))
    assert found.stopped == "interrupt"
    assert len(found.losses) == 40
    assert found.weights["t0"] > found.weights["t1"]


def test_ctrl_c_before_the_first_step_gives_the_uniform_mean(planted):
    world = planted([[0.9], [0.3]])
    land = world.landscape

    def interrupted(run, batch):
        raise KeyboardInterrupt

    land.objective = interrupted
    found = SelfPositioning()(world.vectors, land, np.random.default_rng(0))
    assert found.weights == {"t0": 0.5, "t1": 0.5}


def test_probes_are_needed(planted):
    with pytest.raises(BadInput, match="needs probes"):
        SelfPositioning()(planted([[0], [0]]).vectors, None, np.random.default_rng(0))
