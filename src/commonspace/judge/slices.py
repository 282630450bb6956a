"""Figures by class, and which classes differ from the rest.

For a class c with n_c queries among n, the difference is the mean over c minus the mean over all others. Under the
hypothesis that the class does not matter, every way to deal the classes out to the groups of queries is equally likely:

    p = (1 + draws with a difference at least as large) / (1 + draws)

Where many classes are looked at, some differ by chance; p-values are corrected by Holm's procedure over all of them.
The interval of a difference is made of those of the class and of the rest, [l1, u1] and [l2, u2], by the method of
variance estimates recovery: d - sqrt((m1 - l1)^2 + (u2 - m2)^2) to d + sqrt((u1 - m1)^2 + (m2 - l2)^2).

Source: Zou and Donner, "Construction of confidence limits about effect measures: A general approach", 2008.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.core.random import RandomState, generator
from commonspace.measure import Comparison, Estimate, estimate, holm
from commonspace.measure.statistics.estimates import check_values

FEWEST = 10  # queries of a class
MOST = 40  # classes


@dataclass(frozen=True)
class Slice:
    """One class: its figure, and how that differs from the rest."""

    name: str
    figure: Estimate
    difference: Comparison


def slices(
    values: Any,
    classes: Any,
    *,
    metric: str = "value",
    groups: Any = None,
    bounds: tuple[float, float] | None = None,
    resamples: int = 2000,
    random_state: RandomState = 0,
) -> list[Slice]:
    """Return the figure of each class beside the rest, worst first; classes of few queries are left out.

    Parameters
    ----------
    values : (n,) array
        One value a query.
    classes : (n,) array
        Class of each query; None for none.
    metric : str
        What the values are.
    groups : (n,) array, optional
        Queries of one label are drawn together.
    bounds : (float, float), optional
        The interval that values lie in.
    resamples : int
        Draws of the test and of the intervals.
    random_state : int, Generator or None
        Seed.
    """
    v = check_values(values)
    names = np.array([None if c is None else str(c) for c in classes], dtype=object)
    labels = np.arange(len(v)) if groups is None else np.asarray(groups)
    counts = Counter(n for n in names if n is not None)
    shown = [n for n, c in counts.most_common(MOST) if FEWEST <= c <= len(v) - FEWEST]
    if not shown:
        return []
    # A unit is a group within a class: a group of two classes is one unit of each.
    unit_of = np.unique([f"{g}\0{c}" for g, c in zip(labels, names, strict=True)], return_inverse=True)[1]
    sums, sizes = np.bincount(unit_of, weights=v), np.bincount(unit_of).astype(np.float64)
    of_unit = np.empty(len(sums), dtype=object)
    of_unit[unit_of] = names
    rng = generator(random_state)
    orders = np.argsort(rng.random((resamples, len(sums))), axis=1)
    found = []
    for name in shown:
        inside = of_unit == name
        mine = names == name
        figure, rest = (
            estimate(v[rows], metric, bounds=bounds, groups=labels[rows], random_state=rng) for rows in (mine, ~mine)
        )
        p = _p_value(sums, sizes, inside, orders)
        low, high = _between(figure, rest)
        found.append(Slice(name, figure, Comparison(
            figure.value - rest.value, low, high, p, figure.n, name, "the rest", p_value_raw=p
        )))  # fmt: skip
    corrected = holm([s.difference.p_value_raw for s in found])
    found = [
        replace(s, difference=replace(s.difference, p_value=float(p))) for s, p in zip(found, corrected, strict=True)
    ]
    return sorted(found, key=lambda s: s.difference.difference)


def _p_value(sums: np.ndarray, sizes: np.ndarray, inside: np.ndarray, orders: np.ndarray) -> float:
    """Return how often classes dealt out anew differ as much from the rest."""

    def difference(first: np.ndarray) -> np.ndarray:
        """Return mean inside minus mean outside for rows of 0 and 1."""
        out: np.ndarray = (first @ sums) / (first @ sizes) - ((1 - first) @ sums) / ((1 - first) @ sizes)
        return out

    seen = float(difference(inside[None, :].astype(np.float64))[0])
    drawn = difference(inside[orders].astype(np.float64))
    return (1 + int((np.abs(drawn) >= abs(seen) - 1e-12).sum())) / (1 + len(orders))


def _between(first: Estimate, second: Estimate) -> tuple[float, float]:
    """Return the interval of a difference of two independent figures from their own."""
    d = first.value - second.value
    low = math.hypot(first.value - first.low, second.high - second.value)
    high = math.hypot(first.high - first.value, second.value - second.low)
    return d - low, d + high
