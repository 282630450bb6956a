"""Correlations of pairs of items, with what intervals need: reweighted values and influence functions.

    spearman   Pearson's r of midranks
    pearson    r = sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2)
    kendall    tau-a = (concordant - discordant) / all pairs; a tie counts as neither

`influence` says what each observation adds: the value found differs from the true one by about the mean of psi over
the sample. Its spread is the standard error, also where observations hang together: pairs of items depend on each
other where they share an item, so that with psi_p of pair p = {a, b}

    se^2 = [sum over items (sum of psi of its pairs)^2 - sum over pairs psi^2] / pairs^2

Sources: Croux and Dehon, "Influence functions of the Spearman and Kendall correlation measures", 2010 (here with
midranks for ties); Fafchamps and Gubert, "The formation of risk sharing networks", 2007 (the standard error of pairs);
Fisher's z for the ends of the interval.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice

METHODS = ("spearman", "pearson", "kendall")
MOST_KENDALL = 20_000  # values whose influence on tau is counted, all against all: 2 s
BINS = 256
_BLOCK = 1 << 22  # signs held at once: 32 MB


def correlation(x: np.ndarray, y: np.ndarray, method: str = "spearman") -> float:
    """Return the correlation of two (n,) arrays.

    Raises
    ------
    BadInput
        Fewer than 3 values, or values that are all the same.
    """
    check_choice("method", method, METHODS)
    x, y = _pair(x, y)
    if method == "kendall":
        return _tau_a(x, y)
    if method == "spearman":
        x, y = midranks(x), midranks(y)
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / math.sqrt((x @ x) * (y @ y)), -1, 1))


def redrawn_correlation(a: np.ndarray, b: np.ndarray, counts: np.ndarray, method: str = "spearman") -> np.ndarray:
    """Return the correlation over pairs of items where the items are drawn anew.

    A pair counts as often as both its items were drawn; no item is paired with itself. Ranks are taken anew in each
    draw, to 1 / 256 of their range where there are more values than that, which moves the third digit.

    Parameters
    ----------
    a, b : (n, n) arrays
        Symmetric; diagonals are not looked at.
    counts : (draws, n) array
        How often each item was drawn.
    method : {"spearman", "pearson"}

    Returns
    -------
    (draws,) float64
        NaN where the pairs that are left are all the same.
    """
    check_choice("method", method, ("spearman", "pearson"))
    off = ~np.eye(len(a), dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        if method == "pearson":
            a, b = (np.where(off, v - v[off].mean(), 0) for v in (a, b))

            def total(m: np.ndarray) -> np.ndarray:
                summed: np.ndarray = ((counts @ m) * counts).sum(axis=1)
                return summed

            mass, x, y = total(off.astype(float)), total(a), total(b)
            xy, xx, yy = total(a * b) - x * y / mass, total(a * a) - x * x / mass, total(b * b) - y * y / mass
            pearson: np.ndarray = np.clip(xy / np.sqrt(xx * yy), -1, 1)
            return pearson
        (bins_a, many_a), (bins_b, many_b) = (_bins(v[off]) for v in (a, b))
        cell = bins_a * many_b + bins_b
        found = np.empty(len(counts))
        for d, c in enumerate(counts):
            joint = np.bincount(cell, np.outer(c, c)[off], many_a * many_b).reshape(many_a, many_b)
            rows, columns = joint.sum(axis=1), joint.sum(axis=0)
            u, v = (np.cumsum(m) - m / 2 - m.sum() / 2 for m in (rows, columns))
            found[d] = u @ joint @ v / np.sqrt((rows @ u**2) * (columns @ v**2))
    return np.clip(found, -1, 1)


def influence(x: np.ndarray, y: np.ndarray, method: str = "spearman") -> np.ndarray:
    """Return what each observation adds to the correlation: (n,) float64 with mean 0."""
    check_choice("method", method, METHODS)
    x, y = _pair(x, y)
    if method == "kendall":
        return _tau_influence(x, y)
    ranked = method == "spearman"
    u, v = (midranks(x) / len(x), midranks(y) / len(y)) if ranked else (x, y)
    u, v = u - u.mean(), v - v.mean()

    def product(a: np.ndarray, b: np.ndarray, of_a: np.ndarray, of_b: np.ndarray) -> np.ndarray:
        """Return the influence on the mean of a b; ranks move with every observation, values do not."""
        own = a * b
        if ranked:
            own = own + _sum_above(of_a, b) + _sum_above(of_b, a)
        centred: np.ndarray = own - own.mean()
        return centred

    uv, uu, vv = u @ v / len(u), u @ u / len(u), v @ v / len(v)
    r = uv / math.sqrt(uu * vv)
    psi: np.ndarray = product(u, v, x, y) / math.sqrt(uu * vv)
    psi -= r / 2 * (product(u, u, x, x) / uu + product(v, v, y, y) / vv)
    return psi


def standard_error(psi: np.ndarray, items: np.ndarray | None = None, groups: Any = None) -> tuple[float, int]:
    """Return the standard error of a figure whose observations have influence psi, and how many units are behind it.

    Parameters
    ----------
    psi : (n,) array
    items : (n, 2) array, optional
        The two items of each observation; observations that share one depend on each other.
    groups : (n,) array, optional
        In place of `items`: observations of one label depend on each other.
    """
    n = len(psi)
    if items is None:
        sums = psi if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], weights=psi)
        units = len(sums)
        return math.sqrt(float(sums @ sums) * units / max(units - 1, 1)) / n, units
    named = np.unique(items, return_inverse=True)[1].reshape(n, 2)
    named.sort(axis=1)
    units = int(named.max()) + 1
    once = named[:, 0] != named[:, 1]
    sums = np.bincount(named[:, 0], weights=psi, minlength=units)
    sums += np.bincount(named[once, 1], weights=psi[once], minlength=units)
    dyad = np.unique(named[once, 0] * units + named[once, 1], return_inverse=True)[1]
    twice = np.bincount(dyad, weights=psi[once]) if once.any() else np.zeros(1)
    alone = float(psi @ psi)
    variance = float(sums @ sums) - float(twice @ twice)
    # Few items can make the difference of the two sums smaller than what independent pairs would give.
    return math.sqrt(max(variance * units / max(units - 1, 1), alone)) / n, units


def without_items(x: np.ndarray, y: np.ndarray, items: np.ndarray, method: str = "spearman") -> np.ndarray:
    """Return the correlation of the pairs that are left without each item: (items,) float64.

    Parameters
    ----------
    x, y : (n,) arrays
    items : (n, 2) array
        The two items of each pair.
    """
    x, y = _pair(x, y)
    named = np.unique(items, return_inverse=True)[1].reshape(len(x), 2)
    found = np.empty(int(named.max()) + 1)
    for item in range(len(found)):
        kept = (named != item).all(axis=1)
        found[item] = correlation(x[kept], y[kept], method)
    return found


def jackknife_error(without: np.ndarray, psi: np.ndarray) -> float:
    """Return the standard error of a figure of pairs from its values without each item and the influence of each pair.

    Leaving out items counts every pair twice, once with each of its items, so what pairs add by themselves is taken off
    once. Of few items with many pairs it is larger than that of `standard_error`, and nearer to the truth.
    """
    units, alone = len(without), float(psi @ psi) / len(psi) ** 2
    spread = (units - 1) / units * float(np.square(without - without.mean()).sum())
    return math.sqrt(max(spread - alone, alone))


def fisher_interval(value: float, error: float, units: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a correlation from its standard error: t quantiles on the scale of Fisher's z.

    At 1 and beyond, which estimates without bias may reach, the scale ends and the plain t interval is returned.
    """
    from scipy import stats

    reach = float(stats.t.ppf((1 + confidence) / 2, max(units - 1, 1))) * error
    if abs(value) >= 1:
        return value - reach, value + reach
    z, reach = math.atanh(value), reach / (1 - value**2)
    return math.tanh(z - reach), math.tanh(z + reach)


def midranks(x: np.ndarray) -> np.ndarray:
    """Return ranks from 1 to n, equal values sharing the mean of theirs."""
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(x)
    return ranks


def places(totals: np.ndarray) -> np.ndarray:
    """Return the rank of each row in each column of totals, 1 for the largest; ties share the mean of theirs."""
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(-np.round(totals, 9), axis=0)
    return ranks


def _pair(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 3:
        raise BadInput(f"a correlation needs two arrays of equal length, 3 or more, not shapes {x.shape}, {y.shape}")
    for name, v in (("the first", x), ("the second", y)):
        if not np.isfinite(v).all():
            first = int((~np.isfinite(v)).argmax())
            raise BadInput(f"{name} values hold NaN or Inf, first at {first}: leave these out")
        if v.min() == v.max():
            raise BadInput(f"{name} values are all the same, {v[0]:g}: nothing correlates with them")
    return x, y


def _bins(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the place of each value among the different ones, to 1 / 256 of the ranks where there are more."""
    values, at = np.unique(x, return_inverse=True)
    if len(values) <= BINS:
        return at, len(values)
    return ((midranks(x) - 0.5) * BINS / len(x)).astype(np.int64), BINS


def _sum_above(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return, for each p, the mean over q of v_q where x_q > x_p, and of half of it where they are equal."""
    at = np.unique(x, return_inverse=True)[1]
    sums = np.bincount(at, weights=v)
    above: np.ndarray = (sums.sum() - np.cumsum(sums) + sums / 2)[at] / len(x)
    return above


def _tau_a(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.stats import kendalltau

    every = len(x) * (len(x) - 1) / 2
    untied = [every - sum(c * (c - 1) / 2 for c in np.unique(v, return_counts=True)[1]) for v in (x, y)]
    return float(kendalltau(x, y).statistic * math.sqrt(untied[0] * untied[1]) / every)


def _tau_influence(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    n = len(x)
    if n > MOST_KENDALL:
        raise BadInput(
            f"the interval of Kendall's tau is counted for at most {MOST_KENDALL} values, not {n}: "
            "use method='spearman' or fewer items"
        )
    out = np.empty(n)
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        part = slice(start, start + step)
        signs = np.sign(x[part, None] - x) * np.sign(y[part, None] - y)
        out[part] = signs.sum(axis=1)
    out = 2 * out / (n - 1)
    out -= out.mean()
    return out
