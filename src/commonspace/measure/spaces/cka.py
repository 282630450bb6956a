"""Linear CKA: how alike two spaces are, whatever their axes.

    CKA(X, Y) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),   K = X X^T, L = Y Y^T

1 for spaces that agree up to rotation, shift and scale, 0 for unrelated ones. The biased form (Kornblith et al.) grows
with the dimension even for unrelated spaces; with few rows it is near 1 for anything. The debiased form uses the
unbiased estimate of HSIC (Song et al.), with K and L stripped of their diagonals:

    HSIC = [tr K L + (1'K 1)(1'L 1) / ((n - 1)(n - 2)) - 2 / (n - 2) 1'K L 1] / (n (n - 3))

Both are computed from the (d_x, d_y) cross products where that is cheaper than the (n, n) kernels; nothing is lost,
as tr K L = |X^T Y|^2 and K 1 = X (X^T 1).

`estimate_cka` adds the interval, by the jackknife: every item (or group of items) i is left out once, which the
debiased form allows without computing anything anew. With r_i = x_i' (X^T Y) y_i - |x_i|^2 |y_i|^2, k = K 1, m = L 1,

    tr K L          loses  2 r_i
    1'K 1           loses  2 k_i
    1'K L 1         loses  k_i m_i + (K m)_i + (L k)_i - r_i

so that all n values cost as much as one, and the rows may be read in blocks from a file larger than memory. With
theta_i = n CKA - (n - 1) CKA without i, the standard error is that of the mean of theta_i, and the ends of the interval
are taken on the scale of Fisher's z. It is symmetric there; a plain bootstrap would draw copies of items, which look
like structure that both spaces share.

Sources: Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network Representations Revisited", 2019; Song,
Smola, Gretton, Bedo and Borgwardt, "Feature Selection via Dependence Maximization", 2012. The jackknife is ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_positive, check_share, check_vectors
from commonspace.measure.statistics.correlations import fisher_interval
from commonspace.measure.statistics.estimates import Estimate, group_numbers

LEAST = 5  # one can be left out, and the rest still has an unbiased HSIC


def linear_cka(X: Any, Y: Any, *, debiased: bool = False) -> float:
    """Return the linear CKA of two sets of vectors of the same items.

    Parameters
    ----------
    X : (n, d_x) array
    Y : (n, d_y) array
        Row i of both belongs to the same item.
    debiased : bool
        Use the unbiased HSIC: 0 on average for unrelated spaces (single values may be slightly negative).

    Raises
    ------
    BadInput
        Different numbers of rows, fewer than 2 (debiased: 4), or a space without any variance.
    """
    x, y = (check_vectors(a, name=name).astype(np.float64) for a, name in ((X, "X"), (Y, "Y")))
    least = 4 if debiased else 2
    if len(x) != len(y) or len(x) < least:
        raise BadInput(f"CKA needs the same items in both, at least {least}; got {len(x)} and {len(y)} rows")
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    hsic = _unbiased if debiased else _inner
    cross, own_x, own_y = hsic(x, y), hsic(x, x), hsic(y, y)
    if own_x <= 0 or own_y <= 0:
        raise BadInput("CKA is not defined for a space whose rows are all the same")
    return float(cross / np.sqrt(own_x * own_y))


def _inner(x: np.ndarray, y: np.ndarray) -> float:
    """Return tr K L for centred rows, over features or over items, whichever is smaller."""
    n, dx, dy = len(x), x.shape[1], y.shape[1]
    if dx * dy <= n * (dx + dy):
        return float(np.square(x.T @ y).sum())
    return float(((x @ x.T) * (y @ y.T)).sum())


def _unbiased(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)
    own_x, own_y = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    rows_x = x @ x.sum(axis=0) - own_x  # K 1 without the diagonal
    rows_y = y @ y.sum(axis=0) - own_y
    trace = _inner(x, y) - own_x @ own_y
    both = rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2))
    return float((trace + both - 2 / (n - 2) * (rows_x @ rows_y)) / (n * (n - 3)))


def estimate_cka(
    X: Any,
    Y: Any,
    *,
    groups: Any = None,
    batch_size: int = 4096,
    confidence: float = 0.95,
) -> Estimate:
    """Return the debiased linear CKA of two sets of vectors of the same items, with its interval.

    Parameters
    ----------
    X : (n, d_x) array
    Y : (n, d_y) array
        Row i of both belongs to the same item. Anything that has a shape and gives rows by slices will do, a
        memory-mapped file for example; it is read twice.
    groups : (n,) array, optional
        Rows of one label are left out together; best few, as each costs a product of their rows.
    batch_size : int
        Rows read at once.
    confidence : float
        Nominal coverage of the interval.

    Raises
    ------
    BadInput
        Different numbers of rows, fewer than 5 items or groups, or a space without any variance.

    Notes
    -----
    Memory: d_x d_y + d_x^2 + d_y^2 numbers and a few for each row; where there are fewer rows than dimensions the rows
    are first turned into as many coordinates as there are rows, which changes no product of two rows.
    """
    check_share("confidence", confidence)
    step = check_positive("batch_size", batch_size)
    n = len(X)
    member = group_numbers(groups, n, "rows")
    units = int(member.max()) + 1 if n else 0
    if len(Y) != n or units < LEAST:
        raise BadInput(f"CKA needs the same items in both, at least {LEAST}; got {n} and {len(Y)} rows, {units} things")
    X, Y = (_turned(v, name) for v, name in ((X, "X"), (Y, "Y")))
    cross, own_x, own_y = (_jackknife(a, b, member, step) for a, b in ((X, Y), (X, X), (Y, Y)))
    if own_x.min() <= 0 or own_y.min() <= 0:
        raise BadInput("CKA is not defined for a space whose rows are all the same, or would be without one of them")
    value, *rest = cross / np.sqrt(own_x * own_y)
    without = np.array(rest)
    error = math.sqrt((units - 1) / units * float(np.square(without - without.mean()).sum()))
    # Between a space and itself only rounding is left.
    low, high = fisher_interval(float(value), error, units, confidence) if error > 1e-7 else (value, value)
    return Estimate("cka", float(value), float(low), float(high), n, confidence)


def _turned(X: Any, name: str) -> Any:
    """Return rows with the same products of any two, in no more dimensions than there are rows."""
    if len(np.shape(X)) != 2 or len(X) >= np.shape(X)[1]:
        return X
    rows = check_vectors(X, name=name).astype(np.float64)
    triangle: Any = np.linalg.qr((rows - rows.mean(axis=0)).T, mode="r")
    return triangle.T


def _blocks(X: Any, Y: Any, step: int, shift: list[np.ndarray]) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield rows in float64, moved near their mean, which changes nothing but keeps the digits."""
    for start in range(0, len(X), step):
        at = slice(start, start + step)
        x, y = (check_vectors(v[at], name=name) for v, name in ((X, "X"), (Y, "Y")))
        yield at, x - shift[0], y - shift[1]


def _jackknife(X: Any, Y: Any, member: np.ndarray, step: int) -> np.ndarray:
    """Return the unbiased HSIC of all rows, then without each group: (1 + groups,) float64."""
    shift = [check_vectors(v[:step]).mean(axis=0, dtype=np.float64) for v in (X, Y)]
    d_x, d_y = (len(c) for c in shift)
    sum_x, sum_y, cross, x_own, y_own = (np.zeros(s) for s in (d_x, d_y, (d_x, d_y), d_x, d_y))
    for _, x, y in _blocks(X, Y, step, shift):
        sum_x, sum_y, cross = sum_x + x.sum(axis=0), sum_y + y.sum(axis=0), cross + x.T @ y
        x_own, y_own = x_own + np.square(y).sum(axis=1) @ x, y_own + np.square(x).sum(axis=1) @ y
    x_m, y_k = cross @ sum_y - x_own, sum_x @ cross - y_own  # X'm and Y'k
    r, k, m, k_m, m_k = np.empty((5, len(X)))
    for at, x, y in _blocks(X, Y, step, shift):
        own_x, own_y = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
        k[at], m[at] = x @ sum_x - own_x, y @ sum_y - own_y
        k_m[at], m_k[at] = x @ x_m - own_x * m[at], y @ y_k - own_y * k[at]
        r[at] = ((x @ cross) * y).sum(axis=1) - own_x * own_y
    lost = np.stack([np.bincount(member, weights=v) for v in (2 * r, 2 * k, 2 * m, k * m + k_m + m_k - r)])
    sizes = np.bincount(member)
    order, ends = np.argsort(member, kind="stable"), np.cumsum(sizes)
    for g in np.flatnonzero(sizes > 1):
        rows = order[ends[g] - sizes[g] : ends[g]]
        sides = zip((X, Y), shift, strict=True)
        x, y = (np.stack([check_vectors(v[i : i + 1])[0] for i in rows]) - c for v, c in sides)
        K, L = (z @ z.T - np.diag(np.square(z).sum(axis=1)) for z in (x, y))
        outside = x.sum(axis=0) @ (cross - x.T @ y) @ y.sum(axis=0)
        twice = [(K * L).sum(), K.sum(), L.sum(), (L @ k[rows] + K @ m[rows]).sum() - r[rows].sum() + outside]
        lost[:, g] -= twice
    wholes = np.array([[r.sum()], [k.sum()], [m.sum()], [k @ m]])
    trace, a, b, both = np.hstack([wholes, wholes - lost])
    n = np.concatenate([[len(X)], len(X) - sizes]).astype(np.float64)
    hsic: np.ndarray = (trace + a * b / ((n - 1) * (n - 2)) - 2 / (n - 2) * both) / (n * (n - 3))
    return hsic
