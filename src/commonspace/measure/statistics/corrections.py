"""Many tests at once: p-values corrected so that chance findings stay rare.

Of m true null hypotheses tested at 5 %, 0.05 m are rejected by chance. Two promises are on offer:

    holm    the chance of any false finding is at most 5 %, whatever depends on what (family-wise error)
    bh      of what is found, at most 5 % is false on average (false discovery rate), where the tests are independent
            or hang together positively; all pairs of several systems do not quite, but the bound has been seen to
            hold for them in theory and simulation (see the claim)

With the p-values sorted upwards, holm multiplies the i-th by m - i + 1, and bh by m / i; a corrected value is then made
to rise with the p-value, and cut at 1.

Sources: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979; Benjamini and Hochberg, "Controlling the
False Discovery Rate: A Practical and Powerful Approach to Multiple Testing", 1995.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice

CORRECTIONS = ("holm", "bh", "none")


def corrected(p_values: Any, correction: str) -> np.ndarray:
    """Return the p-values corrected by a procedure of this name: (m,) float64."""
    check_choice("correction", correction, CORRECTIONS)
    if correction == "none":
        return _checked(p_values).copy()
    return holm(p_values) if correction == "holm" else benjamini_hochberg(p_values)


def holm(p_values: Any) -> np.ndarray:
    """Return p-values corrected by Holm's step-down procedure, which bounds the chance of any false alarm.

    The i-th smallest of m is multiplied by m - i + 1; a corrected value is never below one of a smaller p-value.
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    return _back(order, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))


def benjamini_hochberg(p_values: Any) -> np.ndarray:
    """Return p-values corrected by the step-up procedure of Benjamini and Hochberg, which bounds the false share.

    The i-th smallest of m is multiplied by m / i; a corrected value is never above one of a larger p-value.
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _back(order, np.minimum.accumulate(stepped[::-1])[::-1])


def rejected(
    statistic: np.ndarray, critical: Callable[[np.ndarray], np.ndarray], alpha: float, correction: str
) -> np.ndarray:
    """Return which tests a procedure rejects, without a p-value of each: (..., m) bool.

    The same as ``corrected(p, correction) <= alpha``, at the price of m critical values for all families together.

    Parameters
    ----------
    statistic : (..., m) float64
        Larger speaks against the hypothesis; every row is a family of its own.
    critical : callable
        Returns the statistics that have given p-values.
    alpha : float
        Level after correction.
    correction : {"holm", "bh", "none"}
    """
    check_choice("correction", correction, CORRECTIONS)
    m = statistic.shape[-1]
    place = np.arange(1, m + 1)
    level = {"holm": alpha / (m - place + 1), "bh": alpha * place / m, "none": np.full(m, alpha)}[correction]
    order = np.argsort(-statistic, axis=-1, kind="stable")
    passed: np.ndarray = np.take_along_axis(statistic, order, axis=-1) >= critical(level)
    if correction == "holm":  # down from the greatest until one fails
        passed = np.logical_and.accumulate(passed, axis=-1)
    elif correction == "bh":  # up from the smallest until one passes
        passed = np.logical_or.accumulate(passed[..., ::-1], axis=-1)[..., ::-1]
    out: np.ndarray = np.empty_like(passed)
    np.put_along_axis(out, order, passed, axis=-1)
    return out


def _back(order: np.ndarray, stepped: np.ndarray) -> np.ndarray:
    out = np.empty_like(stepped)
    out[order] = np.minimum(stepped, 1)
    return out


def _checked(p_values: Any) -> np.ndarray:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise BadInput(f"p-values must be one row of numbers between 0 and 1, not {p_values!r}")
    return p
