"""What every head shares: input standardisation and the way out of torch.

A modality may be described by several encoders, whose outputs lie side by side in one row (`blocks` are their widths).
Encoders differ in offset and scale by orders of magnitude, so each block is brought to a common footing first:

    column   (x - mean) / (std + 0.01 * rms std of the block), column by column: hand-made features, sentence vectors
    block    (x - mean) / (rms std of the block): keeps the ratio of the columns, which in LSA or PCA is the signal

`weights` multiply the blocks afterwards, one number a block: 2 makes an encoder of few but telling columns heard beside
one of a thousand. ``"balance"`` is the weight sqrt(d_in / (number of blocks * width)), with which every encoder brings
the same share of the squared length whatever its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Required, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from commonspace.align.forward import Layer, NumpyHead
from commonspace.align.heads.dropout import Dropout
from commonspace.core.errors import BadInput
from commonspace.core.handed_on import make_whole
from commonspace.core.method import check_choice
from commonspace.core.vectors import check_positive

# Share of the block's typical spread that is added to each column's: a nearly constant column must not be blown up.
FLOOR = 0.01


class Standardise(nn.Module):
    """Centre and scale the columns of an input; the identity until `learn` has seen data."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        d_in: int,
        *,
        blocks: Sequence[int] | None = None,
        scaling: str | Sequence[str] = "column",
        weights: Sequence[float] | str | None = None,
    ) -> None:
        super().__init__()
        self.blocks = [d_in] if blocks is None else [int(b) for b in blocks]
        if sum(self.blocks) != d_in or min(self.blocks) < 1:
            raise BadInput(f"blocks {self.blocks} must be positive widths that sum to the input dimension {d_in}")
        self.scaling = [scaling] * len(self.blocks) if isinstance(scaling, str) else list(scaling)
        if len(self.scaling) != len(self.blocks):
            raise BadInput(f"scaling names {len(self.scaling)} blocks, but there are {len(self.blocks)}")
        for kind in self.scaling:
            check_choice("scaling", kind, ("column", "block"))
        self.weights = self._weights(weights)
        self.register_buffer("mean", torch.zeros(d_in))
        self.register_buffer("scale", torch.ones(d_in))

    def learn(self, X: np.ndarray) -> None:
        """Learn mean and scale from training rows X (n, d_in)."""
        if len(X) == 0:
            return
        mean = X.mean(axis=0, dtype=np.float64)
        spread = X.std(axis=0, dtype=np.float64)
        scale = np.zeros_like(spread)
        start = 0
        for width, kind, weight in zip(self.blocks, self.scaling, self.weights, strict=True):
            columns = slice(start, start + width)
            rms = float(np.sqrt(np.mean(spread[columns] ** 2)))
            alive = spread[columns] > 1e-6 * max(rms, 1e-30)
            if rms > 0:
                divisor = spread[columns] + FLOOR * rms if kind == "column" else np.full(width, rms)
                # A column that never moved in training says nothing; it must not speak later either.
                scale[columns] = np.where(alive, weight / divisor, 0)
            start += width
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Return the standardised rows."""
        return (x - self.mean) * self.scale

    def _weights(self, weights: Sequence[float] | str | None) -> list[float]:
        """Return one factor a block."""
        count, total = len(self.blocks), sum(self.blocks)
        if weights is None:
            return [1.0] * count
        if isinstance(weights, str):
            check_choice("weights", weights, ("balance",))
            return [float(np.sqrt(total / (count * width))) for width in self.blocks]
        if len(weights) != count or not all(w >= 0 for w in weights):
            raise BadInput(f"weights must be {count} numbers >= 0, one a block, not {weights!r}")
        return [float(w) for w in weights]


class Residual(nn.Module):
    """Sum of a module and a shortcut: main(x) + shortcut(x)."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return main(x) + shortcut(x)."""
        out: Tensor = self.main(x) + self.shortcut(x)
        return out


class HeadInputs(TypedDict, total=False):
    """What every head is made for, as subclasses of `HeadModule` hand it on."""

    d_in: Required[int]
    dim: Required[int]
    blocks: Sequence[int] | None
    scaling: str | Sequence[str]
    weights: Sequence[float] | str | None


class HeadModule(nn.Module):
    """Base of the heads: standardisation, then `net`; subclasses set `net`.

    A subclass takes these arguments as ``**inputs: Unpack[HeadInputs]`` and hands them on.

    Parameters
    ----------
    d_in, dim : int
        Dimension of the input and of the space.
    blocks : sequence of int, optional
        Widths of the encoder outputs that lie side by side in the input.
    scaling : {"column", "block"} or one of them a block
        How each block is standardised.
    weights : sequence of float or "balance", optional
        Factor of each block, or the same share of the squared length for all.
    """

    net: nn.Module

    def __init__(
        self,
        *,
        d_in: int,
        dim: int,
        blocks: Sequence[int] | None = None,
        scaling: str | Sequence[str] = "column",
        weights: Sequence[float] | str | None = None,
    ) -> None:
        super().__init__()
        self.d_in = check_positive("d_in", d_in)
        self.dim = check_positive("dim", dim)
        self.blocks = blocks
        self.scaling = scaling
        self.weights = weights
        self.standardise = Standardise(d_in, blocks=blocks, scaling=scaling, weights=weights)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        make_whole(cls)

    def calibrate(self, X: np.ndarray) -> None:
        """Learn the standardisation from training features X (n, d_in)."""
        self.standardise.learn(X)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, dim) rows, not yet normalised."""
        out: Tensor = self.net(self.standardise(x))
        return out

    def to_numpy(self) -> NumpyHead:
        """Return the torch-free forward pass, ending in unit rows."""
        layers = [*layers_of(self.standardise), *layers_of(self.net), Layer("normalise")]
        return NumpyHead(layers, d_in=self.d_in, dim=self.dim)


def layers_of(module: nn.Module) -> list[Layer]:
    """Translate a torch module into the layers of a `NumpyHead`, as it behaves in evaluation."""
    match module:
        case nn.Sequential():
            return [layer for part in module for layer in layers_of(part)]
        case Residual():
            return [Layer("sum", branches=(tuple(layers_of(module.main)), tuple(layers_of(module.shortcut))))]
        case Standardise():
            return [Layer("standardise", {"mean": _array(module.mean), "scale": _array(module.scale)})]
        case nn.Linear():
            bias = {} if module.bias is None else {"bias": _array(module.bias)}
            return [Layer("linear", {"weight": _array(module.weight), **bias})]
        case nn.LayerNorm():
            return [Layer("layernorm", {"scale": _array(module.weight), "shift": _array(module.bias)}, eps=module.eps)]
        case nn.BatchNorm1d():
            return [_folded(module)]
        case nn.GELU() if module.approximate == "none":
            return [Layer("gelu")]
        case nn.ReLU():
            return [Layer("relu")]
        case nn.Dropout() | Dropout() | nn.Identity():
            return []
    raise BadInput(f"a {type(module).__name__} cannot be exported; add it to commonspace.align.forward first")


def _folded(norm: nn.BatchNorm1d) -> Layer:
    if norm.running_mean is None or norm.running_var is None:
        raise BadInput("a batch norm without running statistics cannot be exported")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return Layer("affine", {"scale": _array(scale), "shift": _array(norm.bias - norm.running_mean * scale)})


def _array(t: Tensor) -> np.ndarray:
    return t.detach().cpu().numpy().astype(np.float32, copy=True)
