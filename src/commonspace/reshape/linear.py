"""What the linear maps share: checking pairs of rows, and bringing columns to one scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.vectors import check_vectors


def check_pairs(X: Any, Y: Any, *, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides as float64 arrays with one row a pair.

    Raises
    ------
    BadInput
        Y is missing, the numbers of rows disagree or are below `least`, NaN.
    """
    if Y is None:
        raise BadInput("this map needs both sides of each pair: fit(X, Y)")
    x, y = check_vectors(X, name="X"), check_vectors(Y, name="Y")
    if len(x) != len(y):
        raise BadInput(f"X has {len(x)} rows and Y {len(y)}: row i of both must belong to the same pair")
    if len(x) < least:
        raise BadInput(f"at least {least} pairs are needed, got {len(x)}")
    return x.astype(np.float64), y.astype(np.float64)


SCALINGS = ("column", "block")


def standardised(rows: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of mean 0 and spread 1, and the mean and the spread taken off.

    Parameters
    ----------
    rows : (n, d) float64
    scaling : {"column", "block"}
        Divide each column by its own spread (sentence vectors, hand-made features), or all by one number (LSA,
        principal components, pixels: there the ratio of the columns is the signal).

    Returns
    -------
    standard : (n, d) float64
    mean, spread : (d,) float64
        1 where a column does not vary: it says nothing, and stays at zero.
    """
    check_choice("scaling", scaling, SCALINGS)
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    if scaling == "block":
        spread = np.full_like(spread, np.sqrt(np.square(spread).mean()))
    spread = np.where(spread > 1e-6 * spread.max(initial=0), spread, 1.0)
    return (rows - mean) / spread, mean, spread
