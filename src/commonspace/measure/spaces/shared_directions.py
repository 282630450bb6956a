"""What two spaces share and what each keeps to itself: canonical correlations of rows not seen, with intervals.

Canonical correlations on the rows that they were fitted to are always high: 1, with fewer rows than dimensions, between
noise and noise. Here the directions are found on some rows and judged by others:

    rho_j       correlation of u_j = x a_j and v_j = y b_j over all rows, each in the directions found without its fold
    inside_x    share of the variance of X in the span of the shared u_j
    told_x      share of the variance of X that Y tells: with v_j in place of u_j, shrunk by rho_j

and the same of Y. The rest, 1 - inside, is private to a side.

The dimension asks how many directions there are. One shared direction that is found badly spreads over several, each of
which then agrees on new rows; counting the rho_j above 0 would count it several times. But whatever directions are
found on one half of the rows, their cross-covariance has no higher rank than that of the spaces. So the other half is
tested for its rank: with r_1 >= r_2 ... its canonical correlations in these directions,

    W_j = - sum_{i >= j} log(1 - r_i^2)     against the same of variates j, j + 1 ... with the rows of one side permuted

as long as p < 5 % (the value) or p < 2.5 % (the low end, too large in as many cases at most). The high end counts the
r_j that could be `least` or more: with few rows that are all. Half the rows see less than all, so that the dimension is
cautious; where the low end is 0 nothing is shown, and the report says so (`shown`): the spaces may still share much.

Rows of one fold help to find the directions that rows of another are judged by, so that errors of different folds move
together. Standard errors are therefore taken sqrt(1 + folds / (folds - 1)) times as large as those of independent rows.

Sources: canonical correlations are Hotelling's, "Relations Between Two Sets of Variates", 1936; the test by permuted
variates that remain is that of Winkler, Renaud, Smith and Nichols, "Permutation inference for canonical correlation
analysis", 2020, here on a half that did not choose the directions; larger errors for folds are those of Nadeau and
Bengio, "Inference for the Generalization Error", 2003; that few shared directions carry what crosses is
"Escaping Plato's Cave: Towards the Alignment of 3D and Text Latent Spaces", 2025. Held-out shares are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from commonspace.core.directions import canonical
from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share, check_vectors
from commonspace.measure.statistics.correlations import correlation, fisher_interval, influence, standard_error
from commonspace.measure.statistics.estimates import Estimate, draw_counts, group_numbers

LEAST_THINGS = 20
PERMUTATIONS = 99  # at least
SHOWN = 0.05  # level of the dimension's value; its low end has half of what the confidence leaves
SHARES = ("inside_x", "inside_y", "told_x", "told_y")


@dataclass(frozen=True)
class SharedDirections:
    """The directions in which two spaces agree, judged on rows not seen.

    Parameters
    ----------
    correlations : tuple of Estimate
        Of the first directions, in the order found; each interval for itself.
    dimension : Estimate
        How many directions are shared.
    inside_x, inside_y : Estimate or None
        Share of the variance of each side's standardised columns in the shared directions; None where none is found.
    told_x, told_y : Estimate or None
        Share of it that the other side tells.
    shared_x, shared_y : (d_x, k) and (d_y, k) arrays
        Orthonormal bases of the directions shared, of standardised columns, from all rows; k is the dimension.
    least : float
        A correlation below which a direction counts as not shared, for the high end of the dimension.
    """

    correlations: tuple[Estimate, ...]
    dimension: Estimate
    inside_x: Estimate | None
    inside_y: Estimate | None
    told_x: Estimate | None
    told_y: Estimate | None
    shared_x: np.ndarray = field(repr=False, compare=False)
    shared_y: np.ndarray = field(repr=False, compare=False)
    least: float = 0.2

    @property
    def shown(self) -> bool:
        """Whether any shared direction is shown."""
        return self.dimension.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        parts: dict[str, Any] = {
            "shown": self.shown, "dimension": self.dimension.to_dict(), "least": self.least,
            "correlations": [c.to_dict() for c in self.correlations],
        }  # fmt: skip
        for name in SHARES:
            value = getattr(self, name)
            parts[name] = None if value is None else value.to_dict()
        return parts

    def __str__(self) -> str:
        d = self.dimension
        if not self.shown:
            return (
                f"no shared direction is shown by {d.n} pairs; up to {d.high:.0f} cannot be ruled out; correlation of "
                f"the first on rows not seen: {self.correlations[0]}"
            )
        lines = [
            f"{d.value:.0f} [{d.low:.0f}, {d.high:.0f}] shared directions, n={d.n}; correlations of rows not seen from "
            f"{self.correlations[0].value:.3f} to {self.correlations[max(int(d.value), 1) - 1].value:.3f}"
        ]
        for side in ("x", "y"):
            inside, told = getattr(self, f"inside_{side}"), getattr(self, f"told_{side}")
            if inside is not None:
                lines.append(f"variance of {side.upper()} inside them {inside}, told by the other side {told}")
        return "\n".join(lines)


def shared_directions(
    X: Any,
    Y: Any,
    *,
    reg: float = 0.1,
    directions: int = 50,
    least: float = 0.2,
    folds: int = 5,
    groups: Any = None,
    most: int = 5000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> SharedDirections:
    """Return which directions two spaces of the same items share.

    Parameters
    ----------
    X, Y : (n, d_x) and (n, d_y) arrays
        Row i of both belongs to the same item.
    reg : float
        Ridge on both sides, as a share of the mean eigenvalue; more for fewer rows.
    directions : int
        Most directions to look at.
    least : float
        Correlation from which on a direction may count as shared, for the high end of the dimension.
    folds : int
        Parts of the rows.
    groups : (n,) array, optional
        Rows of one label depend on each other, and are never on both sides of a fold.
    most : int
        Rows used, drawn at random.
    resamples, confidence, random_state
        Of the shares of variance; the seed draws rows and folds as well.

    Raises
    ------
    BadInput
        Different items, fewer than 20 things, or a space whose rows are all the same.
    """
    check_share("confidence", confidence)
    check_share("least", least)
    x, y = (check_vectors(v, name=name) for v, name in ((X, "X"), (Y, "Y")))
    member = group_numbers(groups, len(x), "rows")
    rng = generator(random_state)
    if len(x) == len(y) > check_positive("most", most):
        kept = np.sort(rng.permutation(len(x))[:most])
        x, y, member = x[kept], y[kept], np.unique(member[kept], return_inverse=True)[1]
    x, y = x.astype(np.float64), y.astype(np.float64)
    units = int(member.max()) + 1 if len(member) else 0
    if len(x) != len(y) or units < LEAST_THINGS or check_positive("folds", folds) < 2 or folds > units // 2:
        raise BadInput(
            f"shared directions need the same items in both, at least {LEAST_THINGS} things and 2 folds of two; "
            f"got {len(x)} and {len(y)} rows of {units} things, {folds} folds"
        )
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    dimension = _dimension(x, y, member, reg, check_positive("directions", directions), least, confidence, rng)
    parts = [np.isin(member, p) for p in np.array_split(rng.permutation(units), folds)]
    models = [_Directions.of(x, y, ~test, reg) for test in parts]
    u, v = _variates(models, parts, directions)
    wider = math.sqrt(1 + folds / (folds - 1))
    correlations = tuple(_correlation(j, u[:, j], v[:, j], member, confidence, wider) for j in range(u.shape[1]))
    k = min(int(dimension.value), len(correlations))
    counts = draw_counts(rng, check_positive("resamples", resamples), units)
    shares: dict[str, Estimate | None] = dict.fromkeys(SHARES)
    if k:
        rho = np.clip([c.value for c in correlations[:k]], 0, 1)
        for name, (lost, total) in _lost(models, parts, k, rho).items():
            shares[name] = _share(name, lost, total, member, counts, confidence, wider, seed)
    whole = _Directions.of(x, y, np.ones(len(x), bool), reg)
    bases = [np.linalg.qr(w[:, :k])[0] for w in (whole.a, whole.b)]
    return SharedDirections(correlations, dimension, **shares, shared_x=bases[0], shared_y=bases[1], least=least)


class _Directions(NamedTuple):
    """Directions found on some of the rows, and all rows as these see them."""

    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    train: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, train: np.ndarray, reg: float) -> _Directions:
        x, y = _standard(x, train), _standard(y, train)
        a, b, _ = canonical(x[train], y[train], reg)
        return cls(x, y, a / (x[train] @ a).std(axis=0), b / (y[train] @ b).std(axis=0), train)


def _standard(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return rows standardised by the mean and the spread of the training rows."""
    spread = rows[train].std(axis=0)
    out: np.ndarray = (rows - rows[train].mean(axis=0)) / np.where(spread > 1e-6 * spread.max(), spread, 1.0)
    return out


def _variates(models: list[_Directions], parts: list[np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the variates of each row in the directions found without its fold: twice (n, k)."""
    k = min(most, *(m.a.shape[1] for m in models))
    u, v = np.empty((len(parts[0]), k)), np.empty((len(parts[0]), k))
    for test, m in zip(parts, models, strict=True):
        u[test], v[test] = m.x[test] @ m.a[:, :k], m.y[test] @ m.b[:, :k]
    return u, v


def _correlation(j: int, u: np.ndarray, v: np.ndarray, member: np.ndarray, confidence: float, wider: float) -> Estimate:
    value = correlation(u, v, "pearson")
    error, units = standard_error(influence(u, v, "pearson"), groups=member)
    low, high = fisher_interval(value, wider * error, units, confidence) if error > 1e-12 else (value, value)
    return Estimate(f"canonical_correlation_{j + 1}", value, low, high, len(u), confidence)


def _dimension(
    x: np.ndarray,
    y: np.ndarray,
    member: np.ndarray,
    reg: float,
    most: int,
    least: float,
    confidence: float,
    rng: np.random.Generator,
) -> Estimate:
    """Return the rank of the cross-covariance, tested on a half of the rows in the directions that the other found."""
    from scipy import stats

    first = rng.permutation(np.unique(member, return_index=True)[1])  # one row of each thing
    half = len(first) // 2
    train = np.zeros(len(x), bool)
    train[first[:half]] = True
    found, test = _Directions.of(x, y, train, reg), first[half:]
    k = min(most, found.a.shape[1], len(test) // 4)
    u, v = (_orthonormal(z[test] @ w[:, :k]) for z, w in ((found.x, found.a), (found.y, found.b)))
    left, r, right = np.linalg.svd(u.T @ v)
    u, v, r = u @ left, v @ right.T, np.clip(r, 0, 1 - 1e-12)
    tail = (1 - confidence) / 2
    draws = max(PERMUTATIONS, math.ceil(2 / tail))  # the smallest p-value must lie below what the low end asks for
    shown = [0, 0]
    for j in range(len(r)):
        p = _permuted(u[:, j:], v[:, j:], float(-np.log1p(-(r[j:] ** 2)).sum()), draws, rng)
        for i, level in enumerate((SHOWN, tail)):
            shown[i] += shown[i] == j and p < level
        if p >= max(SHOWN, tail):
            break
    reach = float(stats.norm.ppf(1 - tail)) / math.sqrt(len(test) - 3)
    possible = int((np.tanh(np.arctanh(r) + reach) >= least).sum())
    if k < min(most, x.shape[1], y.shape[1]):
        possible = min(most, x.shape[1], y.shape[1])  # more could not be looked at
    value, low = (float(s) for s in shown)
    return Estimate("shared_dimension", value, low, float(max(possible, value)), len(x), confidence)


def _permuted(u: np.ndarray, v: np.ndarray, found: float, draws: int, rng: np.random.Generator) -> float:
    """Return the p-value of W among permutations of the rows of one side."""
    as_large = 0
    for _ in range(draws):
        r = np.linalg.svd(u[rng.permutation(len(u))].T @ v, compute_uv=False)
        as_large += float(-np.log1p(-(np.clip(r, 0, 1 - 1e-12) ** 2)).sum()) >= found
    return (1 + as_large) / (1 + draws)


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.linalg.qr(rows - rows.mean(axis=0))[0]
    return out


def _lost(
    models: list[_Directions], parts: list[np.ndarray], k: int, rho: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what of each row's squares is left, and all of them, by the name of the share."""
    n = len(parts[0])
    found = {name: (np.empty(n), np.empty(n)) for name in SHARES}
    for test, m in zip(parts, models, strict=True):
        u, v = m.x @ m.a[:, :k], m.y @ m.b[:, :k]
        for side, rows, own, other in (("x", m.x, u, v), ("y", m.y, v, u)):
            load = np.linalg.lstsq(own[m.train], rows[m.train], rcond=None)[0]
            for name, variates in ((f"inside_{side}", own), (f"told_{side}", rho * other)):
                found[name][0][test] = np.square(rows[test] - variates[test] @ load).sum(axis=1)
                found[name][1][test] = np.square(rows[test]).sum(axis=1)
    return found


def _share(
    name: str,
    lost: np.ndarray,
    total: np.ndarray,
    member: np.ndarray,
    counts: np.ndarray,
    confidence: float,
    wider: float,
    seed: int | None,
) -> Estimate:
    """Return 1 - the ratio of both sums, with the bootstrap interval over things."""
    lost, total = (np.bincount(member, weights=w) for w in (lost, total))
    drawn = 1 - (counts @ lost) / (counts @ total)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(1 - lost.sum() / total.sum())
    low, high = (value + wider * (float(end) - value) for end in (low, high))
    return Estimate(f"share_{name}", value, low, high, len(member), confidence, seed=seed)
