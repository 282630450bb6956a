"""Small networks and heads that were tuned from one start, for the tests of merging."""

import numpy as np
import torch
from torch import nn

from commonspace.align.forward import Layer, NumpyHead


def head(seed=0, d_in=6, hidden=16, dim=4, base=None, step=0.1):
    """A standardised perceptron with a shortcut; with a base, that one after a step of a given size."""
    rng = np.random.default_rng(seed)

    def array(*shape):
        return rng.normal(size=shape).astype(np.float32)

    if base is not None:
        arrays = {k: v + step * array(*v.shape) if "0.mean" not in k else v for k, v in base.arrays().items()}
        return NumpyHead.from_config(base.config(), arrays)
    branch = (
        Layer("linear", {"weight": array(hidden, d_in), "bias": array(hidden)}),
        Layer("layernorm", {"scale": 1 + 0.1 * array(hidden), "shift": array(hidden)}),
        Layer("gelu"),
        Layer("linear", {"weight": array(dim, hidden)}),
    )
    shortcut = (Layer("linear", {"weight": array(dim, d_in)}),)
    layers = [
        Layer("standardise", {"mean": array(d_in), "scale": np.abs(array(d_in)) + 0.5}),
        Layer("sum", branches=(branch, shortcut)),
        Layer("normalise"),
    ]
    return NumpyHead(layers, d_in=d_in, dim=dim)


class Net(nn.Module):
    """A perceptron with everything that a state dict can hold: a buffer, an integer, a tie, running statistics."""

    def __init__(self, seed=0, d_in=6, hidden=16):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(d_in, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.back = nn.Linear(hidden, d_in)
        self.again = nn.Linear(hidden, d_in)
        self.again.weight = self.back.weight
        self.drop = nn.Dropout(0.5)
        self.register_buffer("shift", torch.full((d_in,), 0.1))

    def forward(self, x):
        h = self.drop(torch.relu(self.norm(self.first(x + self.shift))))
        return self.back(h) + self.again(h)


def moved(net, seed, step=0.1):
    """A copy of a network after a random step of its parameters, with other running statistics."""
    import copy

    g = torch.Generator().manual_seed(seed)
    other = copy.deepcopy(net)
    with torch.no_grad():
        for p in other.parameters():
            p += step * torch.randn(p.shape, generator=g)
        for name, b in other.named_buffers():
            if name.endswith("running_var"):
                b += torch.rand(b.shape, generator=g)
        other.norm.num_batches_tracked += seed
    return other


def rows(n=20, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def pair(n=20, d=6, seed=0):
    x = rows(n, d, seed)
    return x, x + 0.1 * rows(n, d, seed + 1)
