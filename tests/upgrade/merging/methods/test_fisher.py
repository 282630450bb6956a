import numpy as np
import pytest
import torch
from torch import nn

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.methods.fisher import Fisher, information
from commonspace.upgrade.merging.models import model_of
from commonspace.upgrade.merging.probes import Probes
from commonspace.upgrade.merging.vectors import TaskVectors


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


class Two(nn.Module):
    """Two layers side by side, each of which makes one half of the output."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.a, self.b = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)

    def forward(self, x):
        return torch.cat([self.a(x), self.b(x)], dim=1)


def test_each_number_goes_to_the_task_that_it_matters_to():
    tuned = {"left": Two(1), "right": Two(2)}
    vectors = TaskVectors(model_of(Two(0)), {t: model_of(m) for t, m in tuned.items()})
    x = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)

    def objective(run, batch):
        ((task, rows),) = batch.views.items()
        half = slice(0, 2) if task == "left" else slice(2, 4)
        return run(rows)[:, half].square().sum()

    probes = Probes({"left": {"left": x}, "right": {"right": x}}, 9, np.random.default_rng(0))
    found = Fisher(batches=2)(vectors, Landscape(vectors, objective, probes), np.random.default_rng(0))
    torch.testing.assert_close(found.block("a.weight"), tuned["left"].a.weight.detach())
    torch.testing.assert_close(found.block("b.weight"), tuned["right"].b.weight.detach())


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
