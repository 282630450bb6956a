"""What the linear maps share: checking pairs of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
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
