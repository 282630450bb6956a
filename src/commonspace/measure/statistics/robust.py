"""Robust z: how far a value lies from the others, in units that outliers do not stretch."""

from __future__ import annotations

import numpy as np


def robust_z(values: np.ndarray, *, least: float = 0.0) -> np.ndarray:
    """Return (value - median) / (1.4826 MAD), MAD the median absolute deviation; for normal values it is the plain z.

    Parameters
    ----------
    values : (n,) array
    least : float
        Spread to divide by where the values spread less.
    """
    v = np.asarray(values, dtype=np.float64)
    if not len(v):
        return v
    away = v - np.median(v)
    spread = max(1.4826 * float(np.median(np.abs(away))), least)
    if spread <= 0:
        return np.where(away == 0, 0.0, np.copysign(np.inf, away))
    return away / spread
