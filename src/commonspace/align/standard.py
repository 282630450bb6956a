"""Features as closed-form maps want them: every column centred and of one spread, and not too many of them."""

from __future__ import annotations

import numpy as np

# An eigenproblem grows with the cube of the dimension; beyond this the principal directions are taken first.
MOST_DIM = 768


class Standard:
    """Standardisation of features, with a cut to at most `MOST_DIM` principal directions.

    Parameters
    ----------
    X : (n, d) array
        What the moments are taken from; columns without spread become zero.
    """

    def __init__(self, X: np.ndarray) -> None:
        X = X.astype(np.float64)
        self.mean = X.mean(0)
        spread = X.std(0)
        self.scale = np.where(spread > 1e-6 * max(spread.max(), 1e-30), 1 / (spread + 0.01 * spread.mean() + 1e-30), 0)
        self.turn: np.ndarray | None = None
        if X.shape[1] > MOST_DIM:
            Z = (X - self.mean) * self.scale
            _, vectors = np.linalg.eigh(Z.T @ Z)
            self.turn = vectors[:, ::-1][:, :MOST_DIM]

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the prepared rows: (k, d) float32."""
        Z = (X - self.mean) * self.scale
        out: np.ndarray = (Z if self.turn is None else Z @ self.turn).astype(np.float32)
        return out
