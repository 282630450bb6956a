"""How large a difference is beside the spread of queries, and how small a one could have been found.

With d the differences of n queries in G independent groups (n groups of one by default), m their mean and s their
standard deviation:

    effect        J m / s,  J = 1 - 3 / (4 (G - 1) - 1)     standardised mean difference of pairs (Cohen's d_z), with
                                                            Hedges' correction for small samples
    detectable    the D for which a two-sided t-test at level alpha rejects with the probability `power`, where the
                  standard error is the one seen: t has the non-central distribution with non-centrality D / se

The interval of the effect is J m / s +- t standard errors of m / s, where query i adds w_i - (m / 2s)(w_i^2 - 1) to
the error with w_i = (d_i - m) / s (the delta method); this assumes no normal distribution, and sums over groups. So is
the interval of the detectable difference, on the scale of logarithms, where the standard error adds
(u_g^2 / mean u^2 - 1) / 2.

Sources: Hedges, "Distribution Theory for Glass's Estimator of Effect Size and Related Estimators", 1981; Sakai,
"Statistical Reform in Information Retrieval?", 2014 (effect sizes and power belong beside p-values).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.alignment import aligned, members
from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.paired import t_quantile


def effect_size(a: Any, b: Any, *, groups: Any = None, confidence: float = 0.95) -> Estimate:
    """Return the standardised mean difference of two systems on the same queries.

    0.2 is usually called small, 0.5 medium and 0.8 large. Unlike a p-value it does not grow with the number of queries,
    and unlike a difference it can be set beside those of other metrics.

    Parameters
    ----------
    a, b : (n,) array or Estimate
        As in `compare`.
    groups : (n,) array or mapping, optional
        As in `compare`; the spread stays that of single queries.
    confidence : float
        Nominal coverage of the interval.

    Returns
    -------
    Estimate
        0 where the systems never differ; NaN where they differ by the same amount everywhere, and for fewer than three
        queries or groups, of which the correction for small samples leaves nothing.
    """
    (x, y), ids = aligned({"a": a, "b": b})
    value, low, high = standardised(x - y, members(groups, ids, len(x)), check_share("confidence", confidence))
    return Estimate("effect size", value, low, high, n=len(x), confidence=confidence)


def detectable(
    a: Any,
    b: Any,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    n: int | None = None,
    groups: Any = None,
    confidence: float = 0.95,
) -> Estimate:
    """Return the smallest true difference of two systems that queries like these would show.

    A difference that is not significant says little where the detectable one is large: more queries are needed. Values
    of a pilot study are enough to plan with; `n` says how many queries the real one will have.

    Parameters
    ----------
    a, b : (n,) array or Estimate
        As in `compare`.
    power : float
        Probability with which that difference is found.
    alpha : float
        Level of the test; for m comparisons corrected by Holm's procedure, alpha / m is on the safe side.
    n : int, optional
        Queries of the study; those of a and b by default. Groups are thought to stay as large as they are.
    groups : (n,) array or mapping, optional
        As in `compare`.
    confidence : float
        Nominal coverage of the interval, which says how well these queries tell the spread.

    Returns
    -------
    Estimate
        NaN for a single query or group.
    """
    (x, y), ids = aligned({"a": a, "b": b})
    member = members(groups, ids, len(x))
    check_share("confidence", confidence)
    if check_share("power", power) <= check_share("alpha", alpha):
        raise BadInput(f"power must be larger than alpha, not {power} and {alpha}: chance alone finds as much")
    d = x - y
    u = np.bincount(member, weights=d - d.mean())
    size = len(d) / len(u)
    planned = len(u) if n is None else max(2, round(check_positive("n", n) / size))
    name = f"detectable difference (power={power:g}, alpha={alpha:g})"
    if len(u) < 2:
        return Estimate(name, np.nan, np.nan, np.nan, n=len(d), confidence=confidence)
    error = float(u.std(ddof=1)) / size / np.sqrt(planned)
    value = smallest(error, planned - 1, power, alpha)
    if value == 0:
        return Estimate(name, 0.0, 0.0, 0.0, n=len(d), confidence=confidence)
    stretch = np.exp(
        t_quantile(confidence, len(u) - 1) * np.std(np.square(u) / np.square(u).mean()) / 2 / np.sqrt(len(u))
    )
    return Estimate(name, value, value / stretch, value * stretch, n=len(d), confidence=confidence)


def standardised(d: np.ndarray, member: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Return the standardised mean of differences with its interval."""
    groups = int(member.max()) + 1
    if not d.any():
        return 0.0, 0.0, 0.0
    if groups < 3 or np.ptp(d) <= 1e-12 * np.abs(d).max():
        return np.nan, np.nan, np.nan
    s = d.std(ddof=1)
    z = float(d.mean() / s)
    w = (d - d.mean()) / s
    psi = np.bincount(member, weights=w - z / 2 * (np.square(w) - 1))
    half = t_quantile(confidence, groups - 1) * float(np.sqrt(groups / (groups - 1) * np.square(psi).sum())) / len(d)
    small = 1 - 3 / (4 * (groups - 1) - 1)
    return small * z, small * z - half, small * z + half


def smallest(error: float, freedom: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the true difference that a two-sided t-test with this standard error finds with this power.

    Findings in the wrong direction do not count; at a power of 0.8 they would add 1 in a million.
    """
    from scipy import special

    if not freedom or not np.isfinite(error):
        return np.nan
    critical = special.stdtrit(freedom, 1 - alpha / 2)
    return error * float(special.nctdtrinc(freedom, 1 - power, critical))
