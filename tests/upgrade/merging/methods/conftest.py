"""Linear models whose best merge is known, for the tests of the ways to merge."""

import numpy as np
import pytest
import torch
from torch import nn

from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.models import model_of
from commonspace.upgrade.merging.objectives import objective_of
from commonspace.upgrade.merging.probes import Probes
from commonspace.upgrade.merging.vectors import TaskVectors


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Planted:
    """theta_0 and two task vectors in two blocks, and a target at known coefficients of them."""

    def __init__(self, coefficients, k=2, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.base = nn.Sequential(nn.Linear(6, 5, bias=False), nn.Linear(5, 4, bias=False))
        self.steps = [[torch.randn(p.shape, generator=g) for p in self.base.parameters()] for _ in range(k)]
        with torch.no_grad():
            for p in self.base.parameters():
                p.copy_(torch.randn(p.shape, generator=g))
        self.tuned = {f"t{i}": self.at(np.eye(k)[i][:, None] * np.ones((1, 2))) for i in range(k)}
        self.target = self.at(np.broadcast_to(coefficients, (k, 2)))

    def at(self, c):
        """The network at coefficients (k, blocks)."""
        import copy

        net = copy.deepcopy(self.base)
        with torch.no_grad():
            for at, p in enumerate(net.parameters()):
                for i, step in enumerate(self.steps):
                    p += float(c[i, at]) * step[at]
        return net

    def objective(self, run, batch):
        """Distance of what the merged network gives to what the target gives."""
        x = torch.as_tensor(batch.views["x"])
        with torch.no_grad():
            want = self.target(x)
        return (run(x) - want).square().mean()

    @property
    def probes(self):
        x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
        return {t: {"x": x} for t in self.tuned}

    @property
    def vectors(self):
        return TaskVectors(model_of(self.base), {t: model_of(m) for t, m in self.tuned.items()})

    @property
    def landscape(self):
        return Landscape(self.vectors, objective_of(self.objective), Probes(self.probes, 64, np.random.default_rng(0)))


@pytest.fixture
def planted():
    return Planted
