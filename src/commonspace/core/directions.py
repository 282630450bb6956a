"""Directions in which rows vary, and in which two sets of rows agree, for every room that measures or maps spaces.

    principal   eigenvectors of X'X, from whichever of X'X and XX' is smaller
    canonical   A, rho, B  =  SVD of  Sxx^(-1/2) Sxy Syy^(-1/2),   Sxx = X'X + reg * mean eigenvalue * I,   Syy alike

Source: Hotelling, "Relations Between Two Sets of Variates", 1936; the ridge is that of Vinod, "Canonical ridge and
econometrics of joint production", 1976.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.errors import BadInput

# Directions whose variance is below this share of the largest are rounding, not data: rows come as float32.
ROUNDING = 1e-12


def principal(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions in which rows vary, and the sum of squares along each.

    Eigenvectors of X^T X, found from X X^T where there are fewer rows than columns: O(n d min(n, d)).

    Parameters
    ----------
    X : (n, d) float64
        Centred rows.

    Returns
    -------
    directions : (d, r) float64
        Orthonormal columns, strongest first; r is the rank.
    energy : (r,) float64
        |X v|^2 of each direction v.
    """
    n, d = X.shape
    energy, vectors = np.linalg.eigh(X.T @ X if d <= n else X @ X.T)
    kept = np.flatnonzero(energy > ROUNDING * energy.max(initial=0))[::-1]
    energy, vectors = energy[kept], vectors[:, kept]
    return (vectors if d <= n else X.T @ vectors / np.sqrt(energy)), energy


def canonical(X: np.ndarray, Y: np.ndarray, reg: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of directions in which two sets of centred rows agree, and how much they do.

    Parameters
    ----------
    X, Y : (n, d_x) and (n, d_y) float64
        Centred; row i of both belongs to the same item.
    reg : float
        Ridge on both sides, as a share of the mean eigenvalue of each.

    Returns
    -------
    weights_x, weights_y : (d_x, k) and (d_y, k) float64
        X weights_x and Y weights_y have unit variance without ridge, less with it.
    correlations : (k,) float64
        Between 0 and 1, falling; after the ridge.

    Raises
    ------
    BadInput
        A negative ridge, or a side whose rows are all the same.
    """
    if not reg >= 0:
        raise BadInput(f"reg must not be negative, got {reg!r}")
    white_x, white_y = _whitener(X, reg), _whitener(Y, reg)
    if not white_x.shape[1] or not white_y.shape[1]:
        raise BadInput("CCA needs variance on both sides; all rows of one side are the same")
    A, rho, Bt = np.linalg.svd(white_x.T @ (X.T @ Y) @ white_y, full_matrices=False)
    size = np.sqrt(len(X))
    return white_x @ A * size, white_y @ Bt.T * size, np.clip(rho, 0, 1)


def _whitener(X: np.ndarray, reg: float) -> np.ndarray:
    """Return (X'X + ridge)^(-1/2) on the directions in which X varies: (d, rank)."""
    directions, energy = principal(X)
    ridge = reg * energy.sum() / X.shape[1]
    out: np.ndarray = directions / np.sqrt(energy + ridge)
    return out
