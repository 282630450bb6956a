"""`CollapseAlarm`: told every step's embeddings during training, it says when their effective rank falls.

It keeps a running second moment of the embeddings,

    G <- memory G + (1 - memory) Z^T Z / batch

and from it the effective rank (see `spectrum`). Collapse is a rank below a share of the highest one seen so far, or one
near 1, where all items sit in one place. The mean is kept: without it a cloud that has shrunk to a point shows the
rank of its rounding errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, CommonspaceError
from commonspace.core.vectors import check_positive, check_share, check_vectors
from commonspace.measure.health.spectrum import effective_rank


class Collapsed(CommonspaceError):
    """Embeddings lost most of their dimensions during training."""


class CollapseAlarm:
    """An alarm for falling effective rank.

    Parameters
    ----------
    share : float
        The alarm is on while the rank is below this share of the highest so far.
    least : float
        It is on below this rank in any case; 1 is a point.
    memory : float
        Weight of the past in the running moment; 0.9 looks at about ten batches.
    every : int
        Steps between two looks; a look costs the eigenvalues of a (dim, dim) matrix.
    raises : bool
        Raise `Collapsed` instead of answering True.

    Attributes
    ----------
    rank, highest : float
        Effective rank at the last look, and the highest so far; 0 before the first look.
    collapsed : bool
        Whether the alarm is on.
    history : list of (int, float)
        Step and rank of every look.
    """

    def __init__(
        self, *, share: float = 0.5, least: float = 2.0, memory: float = 0.9, every: int = 1, raises: bool = False
    ) -> None:
        self.share, self.least, self.memory = check_share("share", share), least, check_share("memory", memory)
        self.every, self.raises = check_positive("every", every), raises
        self.step, self.rank, self.highest, self.collapsed = 0, 0.0, 0.0, False
        self.history: list[tuple[int, float]] = []
        self._gram: np.ndarray | None = None
        self._weight = 0.0

    def update(self, Z: Any) -> bool:
        """Take the embeddings of one step and return whether the alarm is on.

        Parameters
        ----------
        Z : (batch, dim) array
            One modality. Use one alarm a modality: together they hide each other's collapse.

        Raises
        ------
        Collapsed
            If `raises` and the alarm goes on.
        BadInput
            NaN, or another dimension than before.
        """
        z = check_vectors(Z, name="Z").astype(np.float64)
        if not len(z):
            return self.collapsed
        if self._gram is None:
            self._gram = np.zeros((z.shape[1], z.shape[1]))
        if self._gram.shape[0] != z.shape[1]:
            raise BadInput(f"Z has dimension {z.shape[1]}, the steps before had {self._gram.shape[0]}")
        self._gram = self.memory * self._gram + (1 - self.memory) * (z.T @ z) / len(z)
        self._weight += len(z)
        self.step += 1
        if self.step % self.every == 0:
            self._look()
        return self.collapsed

    def _look(self) -> None:
        assert self._gram is not None
        self.rank = effective_rank(np.sqrt(np.maximum(np.linalg.eigvalsh(self._gram), 0)))
        # Fewer rows than dimensions cannot reach the rank: what they show is no collapse and no height either.
        if self._weight < 2 * len(self._gram):
            return
        self.history.append((self.step, self.rank))
        self.highest = max(self.highest, self.rank)
        self.collapsed = self.rank < max(self.share * self.highest, self.least)
        if self.collapsed and self.raises:
            raise Collapsed(self.message)

    @property
    def message(self) -> str:
        """What the last look found, in words."""
        state = "collapse" if self.collapsed else "no collapse"
        return (
            f"{state} at step {self.step}: effective rank {self.rank:.1f}, highest so far {self.highest:.1f}; "
            "where it falls, try a lower learning rate, a higher temperature, or larger batches"
        )
