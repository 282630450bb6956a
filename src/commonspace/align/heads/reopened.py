"""`Reopened`: a trained head back in torch, so that it can be trained further.

    heads = {m: Reopened(h) for m, h in result.heads.items()}
    fit_heads(X, head=heads, dim=heads["image"].dim, objective=..., epochs=2, lr=1e-4)

Every layer of a `NumpyHead` has its module here, and goes back to the same layer: without a step in between the
outputs are the same. Standardisation stays as it was learned. What was only there in training, dropout and the
batch's own statistics, is gone: dropout can be asked for again, batch normalisation has become a plain scale and
shift.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, linear, normalize, relu

from commonspace.align.forward import Layer, NumpyHead
from commonspace.align.heads.dropout import Dropout

FIXED = ("standardise",)
ACTIVATIONS = ("gelu", "relu")


class Reopened(nn.Module):
    """A trained head that can be trained further.

    Parameters
    ----------
    head : NumpyHead
        What to start from; it stays as it is.
    dropout : float
        Share of hidden units, after every activation, silenced in training.
    """

    def __init__(self, head: NumpyHead, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.d_in = head.d_in
        self.dim = head.dim
        self.dropout = dropout
        # Heads are told apart by what they give before the last normalisation, which training adds by itself.
        ends = bool(head.layers) and head.layers[-1].op == "normalise"
        self.steps = _chain(head.layers[:-1] if ends else head.layers, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, dim) rows, not yet normalised."""
        out: Tensor = self.steps(x)
        return out

    def to_numpy(self) -> NumpyHead:
        """Return the torch-free forward pass, ending in unit rows."""
        return NumpyHead([*_layers(self.steps), Layer("normalise")], d_in=self.d_in, dim=self.dim)

    def __repr__(self) -> str:
        return f"Reopened(d_in={self.d_in}, dim={self.dim}, dropout={self.dropout})"


class Step(nn.Module):
    """One layer with its numbers as parameters.

    Parameters
    ----------
    layer : Layer
        What to do.
    dropout : float
        Applied after an activation.
    """

    def __init__(self, layer: Layer, dropout: float) -> None:
        super().__init__()
        self.op = layer.op
        self.eps = layer.eps
        self.size = layer.size
        self.names = list(layer.arrays)
        for name, value in layer.arrays.items():
            tensor = torch.from_numpy(np.array(value, np.float32))
            if layer.op in FIXED:
                self.register_buffer(name, tensor)
            else:
                self.register_parameter(name, nn.Parameter(tensor))
        self.branches = nn.ModuleList([_chain(branch, dropout) for branch in layer.branches])
        self.drop: nn.Module = Dropout(dropout) if layer.op in ACTIVATIONS else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output."""
        a = {name: getattr(self, name) for name in self.names}
        match self.op:
            case "standardise":
                x = (x - a["mean"]) * a["scale"]
            case "affine":
                x = x * a["scale"] + a["shift"]
            case "linear":
                x = linear(x, a["weight"], a.get("bias"))
            case "gelu":
                x = gelu(x)
            case "relu":
                x = relu(x)
            case "layernorm":
                x = layer_norm(x, x.shape[1:], a["scale"], a["shift"], self.eps)
            case "sum":
                x = torch.stack([branch(x) for branch in self.branches]).sum(0)
            case "concat":
                x = torch.cat([branch(x) for branch in self.branches], 1) / math.sqrt(len(self.branches))
            case "prefix":
                x = x[:, : self.size]
            case "normalise":
                x = normalize(x, dim=1)
        out: Tensor = self.drop(x)
        return out

    def layer(self) -> Layer:
        """Return the layer as it is now."""
        arrays = {n: getattr(self, n).detach().cpu().numpy().astype(np.float32, copy=True) for n in self.names}
        branches = tuple(_layers(branch) for branch in self.branches)
        return Layer(self.op, arrays, branches, self.eps, self.size)


def _chain(layers: tuple[Layer, ...], dropout: float) -> nn.Sequential:
    return nn.Sequential(*(Step(layer, dropout) for layer in layers))


def _layers(chain: nn.Module) -> tuple[Layer, ...]:
    return tuple(step.layer() for step in chain.children() if isinstance(step, Step))
