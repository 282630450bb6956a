"""How the correction of an adapter is trained. torch is imported when that begins, and never to carry a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from commonspace.core.progress import task
from commonspace.core.random import seed_of
from commonspace.upgrade.bridges.adapter import Adapter, Correction, Learned
from commonspace.upgrade.bridges.affine import Affine
from commonspace.upgrade.bridges.keeping import neighbours_kept

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

# Rows that say when to stop.
WATCHED = 500
# A batch of fewer rows has no neighbours to speak of.
FEWEST = 8
DECAY = 1e-2
# The perceptron moves by this much less than the matrix beside it.
STEP = 0.1


@dataclass(frozen=True)
class Batch:
    """Items in both spaces.

    Parameters
    ----------
    start, land : (n, d) tensors
        Unit rows where they start and where they are to land.
    """

    start: Tensor
    land: Tensor

    @classmethod
    def of(cls, start: np.ndarray, land: np.ndarray) -> Batch:
        """Return arrays as tensors."""
        import torch

        return cls(torch.from_numpy(start), torch.from_numpy(land))

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Tensor) -> Batch:
        """Return some of them."""
        return Batch(self.start[index], self.land[index])


@dataclass
class Network:
    """A linear bridge and what is added to it, at the size of unit rows.

    Parameters
    ----------
    factor, shift : (d_in, d_out) and (d_out,) tensors
        The linear bridge, divided by `size`.
    mean, spread : (d_in,) tensor and float
        Of the rows that it is trained on.
    size : float
        Mean length of what the linear bridge returns.
    dropout : float
        Share of hidden units silenced in training.
    weights : list of tensors
        D (d_in, d_out), H (d_in, hidden), h (hidden,), O (hidden, d_out): what is learned.
    """

    factor: Tensor
    shift: Tensor
    mean: Tensor
    spread: float
    size: float
    dropout: float
    weights: list[Tensor] = field(default_factory=list)

    @classmethod
    def on(cls, start: Affine, rows: Tensor, *, hidden: int, dropout: float) -> Network:
        """Return the network that is the linear bridge as yet."""
        import torch

        (factor,) = start.factors
        size = float(np.linalg.norm(start(rows.numpy()), axis=1).mean()) or 1.0
        d_in, d_out = factor.shape
        bound = d_in**-0.5
        weights = [
            torch.zeros(d_in, d_out), torch.empty(d_in, hidden).uniform_(-bound, bound),
            torch.empty(hidden).uniform_(-bound, bound), torch.zeros(hidden, d_out),
        ]  # fmt: skip
        return cls(
            torch.from_numpy(factor / size), torch.from_numpy(start.shift / size), rows.mean(dim=0),
            float(rows.std(dim=0).mean()) or 1.0, size, dropout, [w.requires_grad_() for w in weights],
        )  # fmt: skip

    def __call__(self, x: Tensor, *, learning: bool = False) -> Tensor:
        """Return unit rows where the bridge puts them."""
        direct, into, bias, out = self.weights
        hidden = ((x - self.mean) / self.spread @ into + bias).relu()
        if learning and self.dropout:
            kept = 1 - self.dropout
            hidden = hidden * hidden.new_empty(hidden.shape).bernoulli_(kept) / kept
        landed = x @ self.factor + self.shift + x @ direct + STEP * (hidden @ out)
        unit: Tensor = landed / landed.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return unit

    def learned(self, epoch: int) -> Learned:
        """Return what was learned, at the size of the linear bridge."""
        direct, into, bias, out = (w.detach().numpy() for w in self.weights)
        into = into / self.spread
        bias = bias - self.mean.numpy() @ into
        direct, into, bias, out = (
            v.astype(np.float32) for v in (self.size * direct, into, bias, self.size * STEP * out)
        )
        return Learned(direct, Correction(into, bias, out), epoch)


def train(start: Affine, rows: Batch, watched: Batch, how: Adapter, rng: np.random.Generator) -> Learned:
    """Return what had been learned in the epoch that kept most neighbours of the watched rows.

    Parameters
    ----------
    start : Affine
        The linear bridge, which has not seen the watched rows.
    rows, watched : Batch
        To learn from, and to say when to stop.
    how : Adapter
        Its arguments are those of training.
    rng : numpy Generator
        For everything that is drawn.
    """
    import torch

    from commonspace.align.training.torch_state import seeded

    with seeded(seed_of(rng), torch.device("cpu")), task("Training an adapter", total=how.epochs) as t:
        net = Network.on(start, rows.start, hidden=how.hidden, dropout=how.dropout)
        optimiser = optimiser_of(net.weights, how.lr)
        watched = watched.take(torch.randperm(len(watched))[:WATCHED])
        kept, found = watch(net, watched, how), Learned()
        for epoch in range(1, how.epochs + 1):
            for index in torch.split(torch.randperm(len(rows)), how.batch_size):
                if len(index) >= FEWEST:
                    step(optimiser, loss(net, rows.take(index), how))
            now = watch(net, watched, how)
            t.advance(note=f"{now:.1%} of neighbours kept")
            if now > kept:
                kept, found = now, net.learned(epoch)
            elif epoch - found.epoch >= how.patience:
                break
    return found


def optimiser_of(weights: Sequence[Tensor], lr: float) -> Optimizer:
    """Return what trains weights; only matrices decay."""
    import torch

    groups = [{"params": [w], "weight_decay": DECAY if w.ndim > 1 else 0.0} for w in weights]
    return torch.optim.AdamW(groups, lr=lr)


def step(optimiser: Optimizer, value: Tensor) -> None:
    """Make a step down a loss."""
    import torch

    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(value)
    optimiser.step()


def loss(net: Network, batch: Batch, how: Adapter) -> Tensor:
    """Return the loss of a batch, whose rows ask for each other."""
    landed, land = net(batch.start, learning=True), batch.land
    if how.carries == "items":
        truth, across = land @ land.T, land @ landed.T
    else:
        truth, across = batch.start @ batch.start.T, landed @ land.T
    wanted, found = ((how.sharpness * standard(s)).log_softmax(dim=1) for s in (truth, across))
    divergence = (wanted.exp() * (wanted - found)).sum(dim=1).mean()
    total: Tensor = divergence + how.cosine * (1 - (landed * land).sum(dim=1)).mean()
    return total


def standard(scores: Tensor) -> Tensor:
    """Return each query's scores at mean 0 and deviation 1."""
    away = scores - scores.mean(dim=1, keepdim=True)
    found: Tensor = away / away.std(dim=1, keepdim=True).clamp_min(1e-6)
    return found


def watch(net: Network, rows: Batch, how: Adapter) -> float:
    """Return the neighbours kept of rows that were not learned from."""
    landed, land = net(rows.start).detach().numpy(), rows.land.numpy()
    if how.carries == "items":
        return neighbours_kept(land, landed, (land, land), alike=True)
    new = rows.start.numpy()
    return neighbours_kept(landed, land, (new, new), alike=True)
