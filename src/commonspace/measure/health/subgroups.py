"""Accuracy on the curve: does a better average help the minority, or is it bought from it?

Many models (heads, checkpoints, recipes) are measured on a majority and a minority group. Over the models, quality on
the minority y is fitted to quality on the majority x,

    y = a + b x          and          y = a + b x + c x^2,

by least squares, as they are or after a probit transform. The quadratic term is tested by F and by the difference of
AIC. Positive curvature with a falling part (a "moon") says that models which gain on the majority first lose on the
minority: they learn the shortcut.

The slope reported is that of the fitted curve between the worst and the best model of the upper half, so it says what a
further gain on the majority costs or brings now. Models on the Pareto front are better on neither group than no other.

Source: "Accuracy on the Curve: On the Nonlinear Correlation of ML Performance Between Data Subpopulations" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.estimates import Estimate, check_values

LEAST = 6
_EDGE = 1e-3


@dataclass(frozen=True)
class Subgroups:
    """How quality on a minority goes with quality on the majority, over models.

    Parameters
    ----------
    curvature, slope : Estimate
        c of the quadratic, and the slope of the curve over the upper half of the models; bootstrap over models.
    p_value : float
        F-test of the quadratic term.
    aic_gain : float
        AIC of the line less AIC of the curve; above 0 speaks for the curve.
    r2_line, r2_curve : float
    front : tuple of int
        Models on the Pareto front, by rising majority.
    best_average, best_worst : int
        The model that is best on the mean of both groups, and the one whose worse group is best.
    majority, minority : (m,) float64
        What was given.
    coefficients : (3,) tuple of float
        a, b, c of the curve, in the transformed scale.
    scale : str
    """

    curvature: Estimate
    slope: Estimate
    p_value: float
    aic_gain: float
    r2_line: float
    r2_curve: float
    front: tuple[int, ...]
    best_average: int
    best_worst: int
    majority: np.ndarray
    minority: np.ndarray
    coefficients: tuple[float, float, float]
    scale: str

    @property
    def verdict(self) -> str:
        """In words: what a better majority does to the minority."""
        curved = " The relation is curved: a straight line would mislead." if self.p_value < 0.05 else ""
        if self.slope.low > 0:
            return f"Among the better models a gain on the majority helps the minority.{curved}"
        if self.slope.high < 0:
            return (
                f"Among the better models a gain on the majority hurts the minority: choose by the worse group.{curved}"
            )
        return f"Whether a gain on the majority helps the minority is not shown.{curved}"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}
        return {**plain, "curvature": self.curvature.to_dict(), "slope": self.slope.to_dict(), "verdict": self.verdict}

    def __str__(self) -> str:
        return (
            f"curvature {self.curvature}  slope {self.slope}  p={self.p_value:.3f}  R2 {self.r2_line:.2f} (line) "
            f"{self.r2_curve:.2f} (curve)\n{self.verdict}"
        )


def subgroup_curve(
    majority: Any,
    minority: Any,
    *,
    scale: str = "plain",
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Subgroups:
    """Return how quality on a minority goes with quality on the majority.

    Parameters
    ----------
    majority, minority : (m,) arrays
        Quality of the same m models on both groups, higher is better; for ``"probit"`` within [0, 1].
    scale : {"plain", "probit"}
        Fit the figures as they are, or their normal quantiles (0 and 1 are moved in by 0.001).
    resamples : int
        Resamples of the bootstrap over models.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None

    Raises
    ------
    BadInput
        Fewer than six models, fewer than three different values of the majority, figures outside [0, 1] for probit.
    """
    check_choice("scale", scale, ("plain", "probit"))
    check_positive("resamples", resamples)
    check_share("confidence", confidence)
    x, y = check_values(majority, "majority"), check_values(minority, "minority")
    if len(x) != len(y):
        raise BadInput(f"majority has {len(x)} models and minority {len(y)}: give both figures of the same models")
    if len(x) < LEAST or len(np.unique(x)) < 3:
        raise BadInput(f"a curve needs at least {LEAST} models with three different figures, got {len(x)}")
    u, v = (_probit(a) for a in (x, y)) if scale == "probit" else (x, y)
    line, curve = _fit(u, v, 1), _fit(u, v, 2)
    upper = np.sort(u)[len(u) // 2], float(u.max())
    found: list[tuple[float, float]] = []
    rng = generator(random_state)
    while len(found) < resamples:
        drawn = rng.integers(0, len(u), len(u))
        if len(np.unique(u[drawn])) >= 3:  # fewer points have no curve
            c = np.polyfit(u[drawn], v[drawn], 2)[::-1]
            found.append((float(c[2]), _secant(c, *upper)))
    ends = np.quantile(np.array(found), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    values = curve.coefficients[2], _secant(curve.coefficients, *upper)
    curvature, slope = (
        Estimate(name, float(value), float(ends[0, i]), float(ends[1, i]), n=len(u), confidence=confidence)
        for i, (name, value) in enumerate(zip(("curvature", "slope"), values, strict=True))
    )
    return Subgroups(
        curvature, slope, _f_test(line.residual, curve.residual, len(u)),
        len(u) * float(np.log(max(line.residual, 1e-300) / max(curve.residual, 1e-300))) - 2.0,
        _r2(line.residual, v), _r2(curve.residual, v), pareto_front(x, y),
        int(np.argmax(x + y)), int(np.argmax(np.minimum(x, y))), x, y,
        (float(curve.coefficients[0]), float(curve.coefficients[1]), float(curve.coefficients[2])), scale,
    )  # fmt: skip


def pareto_front(x: Any, y: Any) -> tuple[int, ...]:
    """Return the rows that no other beats on one figure without losing on the other, by rising x."""
    a, b = np.asarray(x, float), np.asarray(y, float)
    front: list[int] = []
    best = -np.inf
    for i in np.lexsort((-b, -a)).tolist():  # from the highest x down, of equal ones the highest y first
        if b[i] > best:
            front.append(i)
            best = b[i]
    return tuple(front[::-1])


@dataclass(frozen=True)
class _Fit:
    coefficients: np.ndarray
    residual: float


def _fit(u: np.ndarray, v: np.ndarray, degree: int) -> _Fit:
    c = np.polyfit(u, v, degree)[::-1]
    residual = float(np.square(v - np.polynomial.polynomial.polyval(u, c)).sum())
    return _Fit(c, residual if residual > 1e-20 * float(np.square(v).sum()) else 0.0)  # less is rounding


def _secant(c: Any, left: float, right: float) -> float:
    """Return the mean slope of the curve between two places; the slope itself where they are one."""
    return float(c[1] + c[2] * (left + right))


def _f_test(line: float, curve: float, n: int) -> float:
    from scipy.stats import f

    if curve == 0:
        return 1.0 if line == 0 else 0.0
    return float(f.sf((line - curve) / (curve / (n - 3)), 1, n - 3))


def _r2(residual: float, v: np.ndarray) -> float:
    around = float(np.square(v - v.mean()).sum())
    return 1 - residual / around if around > 0 else 0.0


def _probit(a: np.ndarray) -> np.ndarray:
    from scipy.stats import norm

    if a.min() < 0 or a.max() > 1:
        raise BadInput(f"the probit scale needs figures within [0, 1], got {a.min():g} to {a.max():g}")
    quantiles: np.ndarray = norm.ppf(np.clip(a, _EDGE, 1 - _EDGE))
    return quantiles
