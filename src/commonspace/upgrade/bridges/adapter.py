"""Adapter: a small perceptron that corrects a linear bridge, trained to keep neighbours.

    f(x) = s(x) + x D + relu(x H + h) O,      D = O = 0 at the start,  s the ridge bridge

The start is the best linear bridge, and training only what is added to it, so that the adapter begins where the others
end. With z = f(x) / |f(x)|, y the vector that the other space gives the item, and a_j vectors that ask,

    loss = cosine * (1 - z'y) + KL(softmax(b t) || softmax(b r))

where t are the scores in the new space and r those across the bridge, both along one query, standardised to mean 0 and
deviation 1. This is the contrastive term: an item must lie nearer to those it is a neighbour of in the new space than
to the rest of the batch, and how near counts, not only which is its own. Standardising leaves the order, which is all
that a search sees, and takes away what a bridge cannot change, the mean and the spread of the cosines of a space.

A part of the rows is held out. Training stops when these keep no more neighbours, and the best epoch counts, which may
be the start; the correction is then added to a start that was fitted to all rows.

Source: "Drift-Adapter: A Practical Approach to Near Zero-Downtime Embedding Model Upgrades in Vector Databases", whose
residual perceptron of one hidden layer (256 units) this is. Its diagonal scaling is a case of D. The start, the
contrastive term and the choice of the epoch by neighbours are ours, and so is relu, which needs nothing but NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import need, register
from commonspace.core.vectors import check_number, check_positive, check_share
from commonspace.upgrade.bridges.affine import Affine
from commonspace.upgrade.bridges.base import ANY
from commonspace.upgrade.bridges.keeping import Vectors
from commonspace.upgrade.bridges.ridge import RidgeBridge

# Fewer rows cannot spare any to hold out: the linear start is all there is.
FEWEST = 60
CORRECTION = ("into", "bias", "out")
Rows = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Correction:
    """What is added to a linear bridge: relu(x H + h) O.

    Parameters
    ----------
    into, bias, out : (d_in, hidden), (hidden,) and (hidden, d_out) float32
        H, h and O.
    """

    into: np.ndarray
    bias: np.ndarray
    out: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return what is added to the rows where they land."""
        added: np.ndarray = np.maximum(rows @ self.into + self.bias, 0) @ self.out
        return added

    @property
    def numbers(self) -> int:
        """How many numbers it consists of."""
        return self.into.size + self.bias.size + self.out.size


@dataclass(frozen=True)
class Learned:
    """What training came to.

    Parameters
    ----------
    direct : (d_in, d_out) float32, optional
        D.
    correction : Correction, optional
        The rest; both are None where the linear bridge was best.
    epoch : int
        The best one; 0 is the linear bridge.
    """

    direct: np.ndarray | None = None
    correction: Correction | None = None
    epoch: int = 0


@register(
    "adapter",
    protocol="Bridge",
    synonyms=("residual-mlp", "drift-adapter"),
    papers=[
        Paper(
            "Drift-Adapter: A Practical Approach to Near Zero-Downtime Embedding Model Upgrades in Vector Databases",
            2025,
            "https://arxiv.org/abs/2509.23471",
        )
    ],
    claim="upgrade/adapter",
)
class Adapter(RidgeBridge):
    """Correct a linear bridge by a perceptron that keeps neighbours.

    Parameters
    ----------
    carries, maps, way
        As for `MapBridge`: those of the start. One correction is trained for each of its maps.
    hidden : int
        Width of the hidden layer.
    cosine : float
        Weight of the term that keeps coordinates.
    sharpness : float
        b: how much more the nearest of a batch count than the rest.
    epochs, patience : int
        At most so many passes over the rows; so many without a gain end training.
    batch_size : int
        Rows that meet in a step.
    lr, dropout : float
        Learning rate; share of hidden units silenced in training.
    held_out : float
        Share of the rows that say when to stop.

    Attributes
    ----------
    epochs_ : dict of str to int
        Modality of a map -> the epoch that kept most neighbours; 0 is the linear bridge as it is.
    """

    title = "a perceptron on a linear map"

    def __init__(
        self,
        *,
        carries: str = "items",
        maps: str = "auto",
        way: str = "auto",
        hidden: int = 256,
        cosine: float = 0.3,
        sharpness: float = 4.0,
        epochs: int = 40,
        patience: int = 6,
        batch_size: int = 256,
        lr: float = 3e-4,
        dropout: float = 0.1,
        held_out: float = 0.15,
    ) -> None:
        super().__init__(carries=carries, maps=maps, way=way)
        self.hidden = hidden
        self.cosine = cosine
        self.sharpness = sharpness
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.lr = lr
        self.dropout = dropout
        self.held_out = held_out

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Fit the start to a part of the rows, train what is added to it, and fit the start to all."""
        self._check()
        cut = {m: rng.permutation(len(x)) for m, x in source.items()}
        spare = {m: int(self.held_out * len(c)) for m, c in cut.items()}
        seen = {m: c[spare[m] :] for m, c in cut.items()}
        held = {m: c[: spare[m]] for m, c in cut.items()}
        start = RidgeBridge(carries=self.carries, maps=self.maps, way=self.way)
        start.learn({m: source[m][r] for m, r in seen.items()}, {m: target[m][r] for m, r in seen.items()}, rng)
        found = self._trained(start, source, target, (seen, held), rng)
        self.settle(source, target, start.chosen)
        for m, learned in found.items():
            if learned.correction is not None:
                (factor,) = self._parts[m].factors
                self._parts[m] = Affine((factor + learned.direct,), self._parts[m].shift)
        self._corrections = {m: one.correction for m, one in found.items() if one.correction is not None}
        self.epochs_ = {m: one.epoch for m, one in found.items()}

    def cross(self, rows: np.ndarray, modality: str | None) -> np.ndarray:
        """Return the rows where they land."""
        key = modality if modality in self._parts else ANY
        landed = super().cross(rows, key)
        return landed + self._corrections[key](rows) if key in self._corrections else landed

    @property
    def numbers(self) -> int:
        """How many numbers it consists of."""
        return super().numbers + sum(c.numbers for c in self._corrections.values())

    def state(self) -> dict[str, Any]:
        """Return what was learned; the arrays of a correction are named after the place of its modality."""
        arrays: dict[str, np.ndarray] = {}
        for i, m in enumerate(getattr(self, "_parts", {})):
            if m in self._corrections:
                arrays |= {f"{name}_{i}_": v for name, v in vars(self._corrections[m]).items()}
        return {**super().state(), **arrays}

    def load_state(self, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Put back what `split_state` returned."""
        super().load_state(plain, arrays)
        self._corrections = {
            m: Correction(**{name: arrays[f"{name}_{i}_"] for name in CORRECTION})
            for i, m in enumerate(self._parts)
            if f"{CORRECTION[0]}_{i}_" in arrays
        }
        return self

    def _check(self) -> None:
        for name in ("hidden", "epochs", "patience", "batch_size"):
            check_positive(name, getattr(self, name))
        check_share("held_out", self.held_out)
        for name, end in {"cosine": np.inf, "sharpness": np.inf, "lr": np.inf, "dropout": 1}.items():
            check_number(name, getattr(self, name), below=end)

    def _trained(
        self, start: RidgeBridge, source: Vectors, target: Vectors, rows: tuple[Rows, Rows], rng: np.random.Generator
    ) -> dict[str, Learned]:
        """Return modality of each map of the start -> what to add to it."""
        need("torch")
        from commonspace.upgrade.bridges.training import Batch, train

        found: dict[str, Learned] = {}
        for m, part in start.parts.items():
            names = list(source) if m == ANY else [m]
            seen, held = (Batch.of(*(np.concatenate([side[k][r[k]] for k in names]) for side in (source, target)))
                          for r in rows)  # fmt: skip
            if len(seen) + len(held) < FEWEST:
                found[m] = Learned()
            else:
                found[m] = train(part, seen, held, self, rng)
        return found
