import numpy as np
import pytest
import torch
from tests.upgrade.merging.nets import Net, head, moved, pair

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.models import model_of
from commonspace.upgrade.merging.objectives import objective_of
from commonspace.upgrade.merging.probes import Probes
from commonspace.upgrade.merging.vectors import Partition, TaskVectors

TASKS = ("t0", "t1")


def landscape_of(kind, objective="infonce"):
    if kind == "head":
        base = head()
        tuned = {t: head(i + 1, base=base) for i, t in enumerate(TASKS)}
    else:
        base = Net().double()
        tuned = {t: moved(base, i + 1) for i, t in enumerate(TASKS)}
    vectors = TaskVectors(model_of(base), {t: model_of(m) for t, m in tuned.items()})
    probes = {t: pair(seed=i) for i, t in enumerate(TASKS)}
    if kind == "module":
        probes = {t: tuple(torch.from_numpy(x).double() for x in p) for t, p in probes.items()}
    return Landscape(vectors, objective_of(objective), Probes(probes, 64, np.random.default_rng(0)))


def by_autograd(landscape, coefficients, batches):
    """The slope by one graph from the coefficients to the loss, which holds every task vector."""
    c = coefficients.clone().requires_grad_()
    v = landscape.vectors
    blocks = {
        b: v.base(b) + sum(c[i, at, 0].to(v.base(b).dtype) * v.vector(t, b) for i, t in enumerate(v.tasks))
        for at, b in enumerate(v.blocks)
    }
    losses = landscape.losses(blocks, batches)
    return torch.autograd.grad(torch.stack(list(losses.values())).mean(), c)[0]


@pytest.mark.parametrize("kind", ["head", "module"])
def test_the_slope_is_that_of_one_graph_from_the_coefficients_to_the_loss(kind):
    land = landscape_of(kind)
    batches = land.probes.draw()
    c = torch.rand(2, len(land.vectors.blocks), 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, slope = land.slope(c, batches)
    torch.testing.assert_close(slope, by_autograd(land, c, batches), rtol=1e-3, atol=1e-4)


def test_the_slope_is_that_of_finite_differences():
    land = landscape_of("head")
    batches = land.probes.draw()
    c = land.vectors.uniform().double().clone()

    def loss(c):
        return np.mean([float(x.detach()) for x in land.losses(land.leaves(c), batches).values()])

    _, slope = land.slope(c, batches)
    for i, at in ((0, 0), (1, 2), (1, 4)):
        step = torch.zeros_like(c)
        step[i, at] = 0.05
        assert slope[i, at, 0].item() == pytest.approx((loss(c + step) - loss(c - step)) / 0.1, abs=3e-2, rel=0.05)


def test_slopes_of_parts_add_up_to_the_slope_of_the_block():
    land = landscape_of("head")
    batches = land.probes.draw()
    c = land.vectors.uniform()
    p = Partition(4, 0)
    _, whole = land.slope(c, batches)
    _, parts = land.slope(c.expand(-1, -1, 4), batches, p)
    torch.testing.assert_close(parts.sum(2), whole[:, :, 0], rtol=1e-4, atol=1e-4)


def test_the_mean_loss_of_a_state_is_that_of_its_coefficients():
    land = landscape_of("module")
    batches = [land.probes.draw(), land.probes.draw()]
    c = land.vectors.uniform()
    want = np.mean([float(x.detach()) for b in batches for x in land.losses(land.leaves(c), b).values()])
    assert land.mean_loss(land.vectors.state(c), batches) == pytest.approx(want, rel=1e-6)


def test_the_networks_own_weights_get_no_gradients():
    land = landscape_of("module")
    land.slope(land.vectors.uniform(), land.probes.draw())
    assert all(p.grad is None for p in land.vectors.model.module.parameters())


def test_gradients_are_those_of_each_task_alone():
    land = landscape_of("head")
    batches = land.probes.draw()
    found = land.gradients(land.vectors.uniform(), batches)
    blocks = land.leaves(land.vectors.uniform())
    loss = land.losses(blocks, {"t1": batches["t1"]})["t1"]
    want = torch.autograd.grad(loss, list(blocks.values()), allow_unused=True)
    for b, g in zip(blocks, want, strict=True):
        torch.testing.assert_close(found["t1"][b], g)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (lambda run, batch: torch.zeros(3), "scalar tensor"),
        (lambda run, batch: 1.0, "scalar tensor"),
        (lambda run, batch: torch.zeros(()), "does not depend on the merged weights"),
        (lambda run, batch: run(batch.views["a"], "a").detach().sum(), "does not depend on the merged weights"),
    ],
)
def test_an_objective_that_cannot_be_learned_from_is_named(objective, words):
    land = landscape_of("head", objective)
    with pytest.raises(BadInput, match=words):
        land.slope(land.vectors.uniform(), land.probes.draw())
