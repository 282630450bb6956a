"""`NumpyHead`: the forward pass of a trained head without torch.

A head is a short list of layers, and a layer is a name with arrays:

    standardise   (x - mean) * scale
    affine        x * scale + shift                        (batch normalisation, folded)
    linear        x @ weight.T + bias
    gelu          x * (1 + erf(x / sqrt 2)) / 2            (the exact form)
    relu          max(x, 0)
    layernorm     (x - mean(x)) / sqrt(var(x) + eps) * scale + shift
    sum           branch_1(x) + branch_2(x) + ...          (residual shortcut)
    concat        [branch_1(x), ..., branch_k(x)] / sqrt(k)
    prefix        x[:, :size]
    normalise     x / |x|

With unit branches a dot product of two `concat` rows is the mean cosine over the branches: an ensemble is one head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, Corrupt
from commonspace.core.vectors import check_positive, check_vectors

FORMAT = 1
# Bounds the intermediate arrays of a wide head to some 30 MB however many rows come in.
BLOCK = 4096

NEEDS: dict[str, tuple[str, ...]] = {
    "standardise": ("mean", "scale"),
    "affine": ("scale", "shift"),
    "linear": ("weight",),
    "gelu": (),
    "relu": (),
    "layernorm": ("scale", "shift"),
    "sum": (),
    "concat": (),
    "prefix": (),
    "normalise": (),
}


@dataclass(frozen=True)
class Layer:
    """One step of a head.

    Parameters
    ----------
    op : str
        A key of `NEEDS`.
    arrays : mapping of str to float32 array
        The layer's numbers; `linear` may have a ``bias``.
    branches : tuple of tuples of Layer
        For `sum` and `concat`: what is applied side by side. An empty branch hands its input on.
    eps : float
        For `layernorm`.
    size : int
        For `prefix`: how many columns stay.
    """

    op: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    branches: tuple[tuple[Layer, ...], ...] = ()
    eps: float = 1e-5
    size: int = 0


class NumpyHead:
    """A trained head that needs only NumPy (and SciPy's erf).

    Parameters
    ----------
    layers : sequence of Layer
        Applied in order; the last one must leave unit rows.
    d_in, dim : int
        Dimension of input and output.
    """

    def __init__(self, layers: Sequence[Layer], *, d_in: int, dim: int) -> None:
        self.layers = tuple(layers)
        self.d_in = d_in
        self.dim = dim

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the place of each row in the space: X (n, d_in) -> (n, dim) float32, unit rows."""
        X = check_vectors(X, name="X", dim=self.d_in)
        out = np.empty((len(X), self.dim), np.float32)
        for start in range(0, len(X), BLOCK):
            out[start : start + BLOCK] = _run(self.layers, X[start : start + BLOCK])
        return out

    @classmethod
    def ensemble(cls, members: Sequence[NumpyHead]) -> NumpyHead:
        """Return the one head whose dot products are the mean cosines of the members."""
        if not members:
            raise BadInput("an ensemble needs at least one member")
        if len(members) == 1:
            return members[0]
        if len({m.d_in for m in members}) > 1:
            raise BadInput(f"members of an ensemble must take one input dimension, not {[m.d_in for m in members]}")
        layer = Layer("concat", branches=tuple(m.layers for m in members))
        return cls([layer], d_in=members[0].d_in, dim=sum(m.dim for m in members))

    @property
    def depth(self) -> int:
        """Number of residual layers, each of which a head trained for it can end after."""
        return sum(layer.op == "sum" for layer in self.layers)

    def truncate(self, *, layers: int | None = None, dim: int | None = None) -> NumpyHead:
        """Return the smaller head that ends after some of the layers and gives only the first numbers.

        What is not needed is not computed. The result is as good as the head was trained to be cut: by
        ``matryoshka=True`` to fewer numbers, by ``matryoshka="2d"`` to its pairs of layers and numbers.

        Parameters
        ----------
        layers : int, optional
            How many residual layers stay; by default all.
        dim : int, optional
            How many numbers stay; by default all.
        """
        dim = self.dim if dim is None else check_positive("dim", dim)
        ends = [i for i, layer in enumerate(self.layers) if layer.op == "sum"]
        kept = len(ends) if layers is None else check_positive("layers", layers)
        if dim > self.dim or kept > len(ends):
            raise BadInput(
                f"a head of {len(ends)} layers and {self.dim} numbers cannot be cut to layers={layers}, dim={dim}"
            )
        if kept == len(ends):
            body = self.layers[:-1] if self.layers[-1].op == "normalise" else self.layers
        else:
            body = self.layers[: ends[kept - 1] + 1]
        return NumpyHead([*_cut(body, dim), Layer("normalise")], d_in=self.d_in, dim=dim)

    def config(self) -> dict[str, Any]:
        """Return everything but the arrays, as plain data for JSON."""
        return {
            "format": FORMAT,
            "d_in": self.d_in,
            "dim": self.dim,
            "layers": [_plain(layer) for layer in self.layers],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by place: ``"0.mean"``, ``"1.0.2.weight"`` (layer, branch, layer) ..."""
        found: dict[str, np.ndarray] = {}
        _gather(self.layers, "", found)
        return found

    @classmethod
    def from_config(cls, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a head from `config` and `arrays`.

        Raises
        ------
        Corrupt
            If a layer is unknown, an array is missing, holds NaN or Inf, or the shapes do not fit together.
        """
        try:
            if config["format"] != FORMAT:
                raise Corrupt(
                    f"this head was written in format {config['format']!r}, this version reads {FORMAT}: "
                    "read it with a matching version of commonspace"
                )
            layers = _layers(config["layers"], arrays, "")
            head = cls(layers, d_in=int(config["d_in"]), dim=int(config["dim"]))
            shape = _run(head.layers, np.zeros((1, head.d_in), np.float32)).shape
        except Corrupt:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as e:
            raise Corrupt(f"the stored head does not fit together: {type(e).__name__}: {e}") from None
        if shape != (1, head.dim):
            raise Corrupt(f"the stored head says dimension {head.dim} but produces {shape[-1]}")
        return head

    @property
    def fingerprint(self) -> str:
        """Digest of the layers and their numbers: equal fingerprints give equal outputs."""
        return digest([self.config(), self.arrays()])

    def __repr__(self) -> str:
        return f"NumpyHead(d_in={self.d_in}, dim={self.dim}, layers={[layer.op for layer in self.layers]})"


def _cut(layers: Sequence[Layer], dim: int) -> tuple[Layer, ...]:
    """Return layers that give the first `dim` columns of what these give, cut as early as can be."""
    if not layers:
        return (Layer("prefix", size=dim),)
    *before, last = layers
    if last.op == "linear":
        short = Layer("linear", {name: np.ascontiguousarray(a[:dim]) for name, a in last.arrays.items()})
        return (*before, short)
    if last.op == "sum":
        return (*before, Layer("sum", branches=tuple(_cut(branch, dim) for branch in last.branches)))
    return (*layers, Layer("prefix", size=dim))


def _run(layers: Sequence[Layer], x: np.ndarray) -> np.ndarray:
    for layer in layers:
        x = _OPS[layer.op](layer, x)
    return x


def _linear(layer: Layer, x: np.ndarray) -> np.ndarray:
    y: np.ndarray = x @ layer.arrays["weight"].T
    return y + layer.arrays["bias"] if "bias" in layer.arrays else y


def _gelu(layer: Layer, x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    y: np.ndarray = x * (np.float32(0.5) * (1 + erf(x * np.float32(1 / math.sqrt(2)))))
    return y


def _layernorm(layer: Layer, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    y: np.ndarray = centred / np.sqrt(variance + np.float32(layer.eps)) * layer.arrays["scale"] + layer.arrays["shift"]
    return y


def _concat(layer: Layer, x: np.ndarray) -> np.ndarray:
    parts = np.concatenate([_run(b, x) for b in layer.branches], axis=1)
    y: np.ndarray = parts * np.float32(1 / math.sqrt(len(layer.branches)))
    return y


def _sum(layer: Layer, x: np.ndarray) -> np.ndarray:
    first, *others = (_run(b, x) for b in layer.branches)
    return sum(others, start=first)


def _normalise(layer: Layer, x: np.ndarray) -> np.ndarray:
    y: np.ndarray = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.float32(1e-12))
    return y


_OPS: dict[str, Callable[[Layer, np.ndarray], np.ndarray]] = {
    "standardise": lambda layer, x: (x - layer.arrays["mean"]) * layer.arrays["scale"],
    "affine": lambda layer, x: x * layer.arrays["scale"] + layer.arrays["shift"],
    "linear": _linear,
    "gelu": _gelu,
    "relu": lambda layer, x: np.maximum(x, 0),
    "layernorm": _layernorm,
    "sum": _sum,
    "concat": _concat,
    "prefix": lambda layer, x: x[:, : layer.size],
    "normalise": _normalise,
}


def _plain(layer: Layer) -> dict[str, Any]:
    out: dict[str, Any] = {"op": layer.op}
    if layer.arrays:
        out["arrays"] = sorted(layer.arrays)
    if layer.op == "layernorm":
        out["eps"] = layer.eps
    if layer.op == "prefix":
        out["size"] = layer.size
    if layer.branches:
        out["branches"] = [[_plain(inner) for inner in branch] for branch in layer.branches]
    return out


def _gather(layers: Sequence[Layer], place: str, found: dict[str, np.ndarray]) -> None:
    for i, layer in enumerate(layers):
        for name, value in layer.arrays.items():
            found[f"{place}{i}.{name}"] = value
        for j, branch in enumerate(layer.branches):
            _gather(branch, f"{place}{i}.{j}.", found)


def _layers(plain: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray], place: str) -> tuple[Layer, ...]:
    built = []
    for i, spec in enumerate(plain):
        op, names = spec["op"], spec.get("arrays", [])
        if op not in NEEDS:
            raise Corrupt(f"layer {place}{i} is {op!r}, which this version does not know")
        missing = [n for n in {*NEEDS[op], *names} if f"{place}{i}.{n}" not in arrays]
        if missing:
            raise Corrupt(f"layer {place}{i} ({op}) lacks its array {missing[0]!r}")
        own = {n: np.ascontiguousarray(arrays[f"{place}{i}.{n}"], dtype=np.float32) for n in names}
        for name, value in own.items():
            if not np.isfinite(value).all():
                raise Corrupt(f"array {place}{i}.{name} of the stored head holds NaN or Inf")
        branches = tuple(_layers(b, arrays, f"{place}{i}.{j}.") for j, b in enumerate(spec.get("branches", [])))
        built.append(Layer(op, own, branches, float(spec.get("eps", 1e-5)), int(spec.get("size", 0))))
    return tuple(built)


def heads_of(start: Any) -> dict[str, NumpyHead]:
    """Return modality -> head of a fitted space, the result of a fit or such a mapping; `BadInput` for others."""
    heads = getattr(start, "heads", start)
    if not isinstance(heads, Mapping) or not all(isinstance(h, NumpyHead) for h in heads.values()):
        raise BadInput(
            "heads to go on from are those of a fitted space, of the result of a fit, or a mapping of modality to head;"
            f" got {start!r}"
        )
    return dict(heads)
