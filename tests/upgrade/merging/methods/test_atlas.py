import numpy as np
import pytest
import torch

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.methods.atlas import Atlas, steepest

RNG = np.random.default_rng


def test_planted_coefficients_of_every_block_are_found(planted):
    world = planted([[0.9, 0.1], [0.2, 0.7]])
    found = Atlas(steps=400)(world.vectors, world.landscape, RNG(0))
    want = {"t0": {"0.weight": 0.9, "1.weight": 0.1}, "t1": {"0.weight": 0.2, "1.weight": 0.7}}
    for task, blocks in want.items():
        assert found.block_weights[task] == pytest.approx(blocks, abs=0.03)
    assert found.learned == 4
    assert found.weights["t0"] == pytest.approx((0.9 * 30 + 0.1 * 20) / 50, abs=0.03)


def test_nothing_learned_is_the_base_or_the_mean(planted):
    world = planted([[0.9, 0.1], [0.2, 0.7]])
    land = world.landscape

    def interrupted(run, batch):
        raise KeyboardInterrupt

    land.objective = interrupted
    base = Atlas()(world.vectors, land, RNG(0))
    mean = Atlas(start="uniform")(world.vectors, land, RNG(0))
    torch.testing.assert_close(base.block("0.weight"), world.base.state_dict()["0.weight"])
    torch.testing.assert_close(mean.block("0.weight"), world.at(np.full((2, 2), 0.5)).state_dict()["0.weight"])


def test_parts_reach_what_blocks_cannot(planted):
    world = planted([[0.5], [0.5]])
    with torch.no_grad():  # a target off the plane of the task vectors
        for p in world.target.parameters():
            p += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(3))
    losses = [Atlas(steps=300, parts=k)(world.vectors, world.landscape, RNG(0)).losses[-1] for k in (1, 8)]
    assert losses[1] < 0.8 * losses[0]
    assert Atlas(steps=1, parts=8)(world.vectors, world.landscape, RNG(0)).learned == 32


def test_the_same_seed_deals_the_same_parts(planted):
    world = planted([[0.9], [0.3]])
    a, b = (Atlas(steps=5, parts=4)(world.vectors, world.landscape, RNG(7)).block("0.weight") for _ in range(2))
    assert torch.equal(a, b)


def test_only_the_steepest_blocks_take_part(planted):
    world = planted([[0.9, 0.0], [0.0, 0.0]])
    chosen = steepest(world.landscape, 0.25)
    assert chosen.sum() == 1
    slopes = world.landscape.slope(torch.zeros(2, 2, 1), world.landscape.probes.draw())[1][:, :, 0].abs()
    assert slopes.flatten().argmax() == chosen.flatten().argmax()
    found = Atlas(steps=20, keep=0.25)(world.vectors, world.landscape, RNG(0))
    assert found.learned == 1
    assert sum(w != 0 for blocks in found.block_weights.values() for w in blocks.values()) == 1


def test_a_decay_pulls_to_the_base(planted):
    world = planted([[0.9], [0.9]])
    free, pulled = (
        Atlas(steps=200, weight_decay=d)(world.vectors, world.landscape, RNG(0)).weights["t0"] for d in (0.0, 5.0)
    )
    assert 0 < pulled < free


@pytest.mark.parametrize("arguments", [{"parts": 257}, {"parts": 0}, {"keep": 0}, {"start": "there"}, {"steps": 0}])
def test_arguments_out_of_range_are_refused(planted, arguments):
    world = planted([[0], [0]])
    with pytest.raises(BadInput):
        Atlas(**arguments)(world.vectors, world.landscape, RNG(0))


def test_probes_are_needed(planted):
    with pytest.raises(BadInput, match="needs probes"):
        Atlas()(planted([[0], [0]]).vectors, None, RNG(0))
