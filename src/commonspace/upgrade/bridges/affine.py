"""`Affine`: a row times a few matrices, plus a shift. What every linear bridge comes to once it has learned.

    f(x) = x F_1 ... F_k + shift

Its adjoint carries the other way. With f from the old space to the new one, the score of a new query q with an old item
x is

    q'f(x) = (q F_k' ... F_1')'x + q'shift

where the last term is the same for all items. So a query that was carried back by the transposed matrices ranks the old
vectors as f would have ranked them, but for the length of f(x), which only items that were carried forward can be rid
of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonspace.core.protocols import Map


@dataclass(frozen=True)
class Affine:
    """A row times matrices, plus a shift.

    Parameters
    ----------
    factors : tuple of (d, d') float32
        Applied in order; at least one.
    shift : (d_out,) float32
        What is added.
    """

    factors: tuple[np.ndarray, ...]
    shift: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows (n, d_out) where they land."""
        for factor in self.factors:
            rows = rows @ factor
        landed: np.ndarray = rows + self.shift
        return landed

    @classmethod
    def of(cls, fitted: Map, d_in: int, d_out: int) -> Affine:
        """Return the matrix and the shift of a map that is affine, whatever it calls them.

        A map that measures both sides from their means is brought back to the origin of the target.
        """
        origin = fitted.transform(np.zeros((1, d_in), np.float32))
        away = fitted.transform_target(np.zeros((1, d_out), np.float32))
        return cls((fitted.transform(np.eye(d_in, dtype=np.float32)) - origin,), (origin - away)[0])

    def adjoint(self) -> Affine:
        """Return the way back for queries; scores lose what is the same for all items."""
        turned = tuple(np.ascontiguousarray(f.T) for f in reversed(self.factors))
        return Affine(turned, np.zeros(turned[-1].shape[1], np.float32))

    @property
    def numbers(self) -> int:
        """How many numbers it consists of."""
        return sum(f.size for f in self.factors) + self.shift.size
