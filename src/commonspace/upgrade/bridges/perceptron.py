"""How the perceptron of a one-modality bridge is trained. torch is imported when that begins, not to carry a vector.

    phi(x) = S x + W2 dropout(gelu(norm(W1 x))),     z = phi(x + noise) / |phi(x + noise)|

    learning    sum over modalities of   1 - z'y  +  contrast * InfoNCE(z, y)       y: the vector in the other space
    tuning      InfoNCE(z_a, z_b)  +  hold * sum over a, b of (1 - z'z_0)           z_0: where it put them before
                or, where b lies in the old space, InfoNCE(z_a, b)  +  hold * (1 - z_a'z_0)

Rows meet in batches that are drawn at random; the rate of learning falls to zero along a cosine. In InfoNCE both sides
ask, and rows of which one side is the same vector are no negatives of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from commonspace.align.forward import NumpyHead
from commonspace.core.progress import task
from commonspace.core.random import seed_of
from commonspace.upgrade.bridges.training import Batch, optimiser_of, step

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 256
LR = 1e-3
# Tuning starts from what was learned, and would forget it at the rate that learned it.
TUNING_LR = 3e-4
DROPOUT = 0.1
TEMPERATURE = 0.07


@dataclass(frozen=True)
class How:
    """How a perceptron learns.

    Parameters
    ----------
    hidden : int
        Width of its hidden layer.
    steps : int
        Batches of each modality that it sees.
    noise : float
        Length of the noise on a unit row, before it is brought back to length one.
    contrast : float
        Weight of InfoNCE.
    """

    hidden: int
    steps: int
    noise: float
    contrast: float


def learned(
    source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], how: How, rng: np.random.Generator
) -> NumpyHead:
    """Return the perceptron that brings rows where they are to land.

    Parameters
    ----------
    source, target : mapping of str to (n, d) float32
        Modality -> unit rows where they start and where they are to land. Modalities count alike, however many rows
        they have.
    """
    import torch

    from commonspace.align.heads.mlp import MLP
    from commonspace.align.training.torch_state import seeded

    sides = [Batch.of(source[m], target[m]) for m in source if len(source[m])]
    d_in, d_out = sides[0].start.shape[1], sides[0].land.shape[1]
    with seeded(seed_of(rng), torch.device("cpu")):
        # The scale is one for all columns: one each would blow up those in which the rows learned from hardly vary.
        phi = MLP(d_in=d_in, dim=d_out, hidden=how.hidden, dropout=DROPOUT, scaling="block")
        phi.calibrate(np.concatenate([source[m] for m in source]))

        def loss() -> Tensor:
            return torch.stack([_landing(phi, drawn(side), how) for side in sides]).sum()

        _descend(phi, loss, how.steps, LR, "Training a perceptron")
    return phi.to_numpy()


def tuned(
    head: NumpyHead,
    pair: tuple[np.ndarray, np.ndarray],
    how: How,
    hold: float,
    rng: np.random.Generator,
    *,
    crosses: bool = True,
) -> NumpyHead:
    """Return the perceptron after it has seen which rows of two modalities belong together.

    Parameters
    ----------
    head : NumpyHead
        What was learned.
    pair : two (n, d) arrays
        Unit rows; row i of both shows the same thing.
    hold : float
        Weight of staying where it was.
    crosses : bool
        Whether the second rows cross, too; otherwise they are where the first should land.
    """
    import torch

    from commonspace.align.heads.reopened import Reopened
    from commonspace.align.training.torch_state import seeded

    both = Batch.of(*pair)
    was = Batch.of(head(pair[0]), head(pair[1]) if crosses else pair[1])
    with seeded(seed_of(rng), torch.device("cpu")):
        phi = Reopened(head, dropout=DROPOUT)

        def loss() -> Tensor:
            index = torch.randperm(len(both))[:BATCH]
            rows, stay = both.take(index), was.take(index)
            a = _put(phi, rows.start, how.noise)
            b = _put(phi, rows.land, how.noise) if crosses else rows.land
            moved = (1 - (a * stay.start).sum(dim=1)).mean()
            if crosses:
                moved = moved + (1 - (b * stay.land).sum(dim=1)).mean()
            return info_nce(a, b, _equal(rows.start) | _equal(rows.land)) + hold * moved

        _descend(phi, loss, how.steps, TUNING_LR, "Tuning a perceptron")
    return phi.to_numpy()


def drawn(rows: Batch) -> Batch:
    """Return a batch of them, drawn at random."""
    import torch

    return rows.take(torch.randperm(len(rows))[:BATCH])


def info_nce(a: Tensor, b: Tensor, same: Tensor) -> Tensor:
    """Return InfoNCE of unit rows (n, d) that belong together, both sides asking.

    Parameters
    ----------
    same : (n, n) bool tensor
        Which rows of `b` are as good an answer as the own one; off the diagonal they are left out.
    """
    import torch

    own = torch.arange(len(a))
    others = same & ~torch.eye(len(a), dtype=torch.bool)
    scores = (a @ b.T / TEMPERATURE).masked_fill(others, -torch.inf)
    entropy = torch.nn.functional.cross_entropy
    return (entropy(scores, own) + entropy(scores.T, own)) / 2


def noisy(x: Tensor, length: float) -> Tensor:
    """Return unit rows after Gaussian noise of a mean square length was added."""
    import torch

    if not length:
        return x
    moved = x + length / x.shape[1] ** 0.5 * torch.randn_like(x)
    unit: Tensor = torch.nn.functional.normalize(moved, dim=1)
    return unit


def _put(phi: nn.Module, x: Tensor, noise: float) -> Tensor:
    import torch

    put: Tensor = torch.nn.functional.normalize(phi(noisy(x, noise)), dim=1)
    return put


def _equal(x: Tensor) -> Tensor:
    """Return (n, n) bool: which unit rows are the same, up to rounding."""
    same: Tensor = x @ x.T > 1 - 1e-5
    return same


def _landing(phi: nn.Module, rows: Batch, how: How) -> Tensor:
    """Return the loss of a batch that is to land somewhere."""
    landed = _put(phi, rows.start, how.noise)
    total: Tensor = (1 - (landed * rows.land).sum(dim=1)).mean()
    if how.contrast:
        total = total + how.contrast * info_nce(landed, rows.land, _equal(rows.land))
    return total


def _descend(phi: nn.Module, loss: Callable[[], Tensor], steps: int, lr: float, title: str) -> None:
    """Train for so many steps; the network is left in evaluation mode."""
    import torch

    optimiser = optimiser_of(list(phi.parameters()), lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    phi.train()
    with task(title, total=steps) as t:
        for _ in range(steps):
            step(optimiser, loss())
            schedule.step()
            t.advance()
    phi.eval()
