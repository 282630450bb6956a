import numpy as np
import pytest
import torch

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.methods.fisher import Fisher, information
from commonspace.upgrade.merging.probes import Probes


def landscape(vectors, objective, world):
    return Landscape(vectors, objective, Probes(world.probes, 64, np.random.default_rng(0)))


def test_information_is_the_mean_squared_gradient_at_the_tasks_own_model(planted):
    world = planted([[0.3], [0.3]])
    vectors = world.vectors
    found = information(vectors, landscape(vectors, world.objective, world), "t1", batches=1)
    net = world.tuned["t1"]
    x = torch.from_numpy(world.probes["t1"]["x"])
    loss = (net(x) - world.target(x).detach()).square().mean()
    for name, g in zip(found, torch.autograd.grad(loss, list(net.parameters())), strict=True):
        torch.testing.assert_close(found[name], g.square(), rtol=1e-4, atol=1e-7)


def test_each_number_goes_to_the_task_that_it_matters_to(planted):
    world = planted([[0], [0]])
    vectors = world.vectors
    blocks = {"t0": "0.weight", "t1": "1.weight"}
    turn = []

    def objective(run, batch):
        # Each task's loss depends on one block alone; tasks are asked one after the other.
        task = "t0" if len(turn) < 4 else "t1"
        turn.append(task)
        x = torch.as_tensor(batch.views["x"])
        weights = {"0.weight": x, "1.weight": x[:, :5]}
        with torch.no_grad():
            other = run(x)
        if blocks[task] == "0.weight":
            return run(x).square().sum()
        return (run(weights["0.weight"]) * other.sign()).sum()

    found = Fisher(batches=4, equal=False)(vectors, landscape(vectors, objective, world), np.random.default_rng(0))
    mean = (vectors.tuned("t0", "0.weight") + vectors.tuned("t1", "0.weight")) / 2
    assert torch.isfinite(found.block("0.weight")).all()
    assert not torch.allclose(found.block("0.weight"), mean, atol=1e-3)


def test_equal_information_gives_the_mean(planted):
    world = planted([[0], [0]])
    vectors = world.vectors
    found = Fisher(batches=1)(vectors, landscape(vectors, lambda run, b: constant(vectors, run, b), world), None)
    mean = (vectors.tuned("t0", "1.weight") + vectors.tuned("t1", "1.weight")) / 2
    torch.testing.assert_close(found.block("1.weight"), mean)


def constant(vectors, run, batch):
    """A loss whose gradient is zero in every number."""
    return run(torch.as_tensor(batch.views["x"])).sum() * 0


def test_a_merged_number_lies_between_those_of_the_models(planted):
    world = planted([[0.5], [0.2]])
    vectors = world.vectors
    found = Fisher(batches=2)(vectors, world.landscape, np.random.default_rng(0))
    for b in vectors.blocks:
        both = torch.stack([vectors.tuned(t, b) for t in vectors.tasks])
        assert (found.block(b) >= both.min(0).values - 1e-5).all()
        assert (found.block(b) <= both.max(0).values + 1e-5).all()


def test_every_task_needs_probes(planted):
    world = planted([[0], [0]])
    vectors = world.vectors
    with pytest.raises(BadInput, match="needs probes of every task"):
        Fisher()(vectors, None, None)
    land = Landscape(vectors, world.objective, Probes({"t0": world.probes["t0"]}, 8, np.random.default_rng(0)))
    with pytest.raises(BadInput, match="those of t1 are missing"):
        Fisher()(vectors, land, None)
