"""Ends of an interval from bootstrap resamples: percentiles, or percentiles moved for bias, skewness and sample size.

With m the mean of the sample, m* those of resamples, u_g what unit g adds to the mean (of G units), Phi the normal
distribution and t the quantile of Student's t with G - 1 degrees of freedom:

    z0 = Phi^-1(share of m* below m, ties by half)          median bias
    a  = sum u_g^3 / (6 (sum u_g^2)^1.5)                    acceleration: how fast the error grows with the value
    z  = t sqrt(G / (G - 1))                                expansion: resamples spread too little, and s is uncertain
    ends: the quantiles of m* at Phi(z0 + (z0 -+ z) / (1 - a (z0 -+ z)))

Plain percentiles are z0 = a = 0 and z the normal quantile. They are too narrow for small or skewed samples: of nominal
95 % intervals of 50 queries they cover the truth in 93.3 % on average and in 88.5 % at worst, these in 94.8 % and
93.1 % (see the claim `coverage`).

Sources: Efron, "Better Bootstrap Confidence Intervals", 1987 (z0 and a); Hesterberg, "What Teachers Should Know About
the Bootstrap", 2015 (the expansion, given there for percentiles; it is taken over to z here).
"""

from __future__ import annotations

import numpy as np


def ends(found: np.ndarray, value: float, influence: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the ends of the moved interval.

    Parameters
    ----------
    found : (resamples,) float64
        The figure of each resample.
    value : float
        The figure of the sample.
    influence : (G,) float64
        What each independent unit adds to the figure, up to a common factor; their sum is 0.
    confidence : float
        Nominal coverage.
    """
    from scipy import special

    units, cubes = len(influence), float((np.abs(influence) ** 2).sum() ** 1.5)
    if units < 2 or cubes == 0 or found.min() == found.max():
        return float(found.min()), float(found.max())
    below = float((found < value).mean() + (found == value).mean() / 2)
    bias = special.ndtri(np.clip(below, 1 / len(found), 1 - 1 / len(found)))
    acceleration = float((influence**3).sum()) / (6 * cubes)
    half = special.stdtrit(units - 1, (1 + confidence) / 2) * np.sqrt(units / (units - 1))

    def level(z: float) -> float:
        # Beyond the pole no quantile is far enough out: all that was seen lies on this side of the end.
        room = 1 - acceleration * z
        return float(special.ndtr(bias + z / room)) if room > 0 else float(z > 0)

    low, high = np.quantile(found, [level(bias - half), level(bias + half)])
    return float(low), float(high)
