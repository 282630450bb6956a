"""Single dimensions of an embedding: dead, redundant or dominating ones, and how coarsely the numbers are stored.

    dead         standard deviation below 0.001 of the root mean square over dimensions: nothing but a constant
    redundant    |correlation| > `correlation` with a dimension before it
    dominating   more of the mean squared length than `times` fair shares of 1 / dim (at most one half)
    top_share    the largest such share

Dominating dimensions decide every cosine and hide the others; they are known from language models, where a few
dimensions grow by orders of magnitude. Figures have intervals by the grouped jackknife over rows, for the population
that the rows were drawn from.

`precision` says how the numbers look to have been stored: "float16" or "bfloat16" where every entry survives that
format, "8 bits", "4 bits" or "binary" where a dimension takes at most 256, 16 or 2 values.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_share
from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.jackknife import PARTS, jackknifed, leave_one_out, moments
from commonspace.measure.statistics.streams import Rows

DEAD = 1e-3
_SEEN = 4096  # rows that the precision is read from


@dataclass(frozen=True)
class Dimensions:
    """What is wrong with single dimensions.

    Parameters
    ----------
    dead_share, redundant_share, dominating_share : Estimate
        Shares of the dimensions.
    top_share : Estimate
        Share of the mean squared length in the largest dimension.
    dead : tuple of int
        Dimensions without variation.
    redundant : tuple of (int, int, float)
        Dimension, an earlier one that says the same, and their correlation.
    dominating : tuple of (int, float)
        Dimension and its share of the mean squared length, largest first.
    dim : int
        How many there are.
    precision : str
        How the numbers look to have been stored.
    """

    dead_share: Estimate
    redundant_share: Estimate
    dominating_share: Estimate
    top_share: Estimate
    dead: tuple[int, ...]
    redundant: tuple[tuple[int, int, float], ...]
    dominating: tuple[tuple[int, float], ...]
    dim: int
    precision: str

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, ready for JSON."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.to_dict() if isinstance(v, Estimate) else v for k, v in found.items()}

    def __str__(self) -> str:
        return "\n".join(
            [
                f"dead        {self.dead_share}  ({len(self.dead)} of {self.dim})",
                f"redundant   {self.redundant_share}  ({len(self.redundant)} of {self.dim})",
                f"dominating  {self.dominating_share}  ({len(self.dominating)} of {self.dim})",
                f"top share   {self.top_share}, fair is {1 / self.dim:.3f}",
                f"stored as   {self.precision}",
            ]
        )


def dimensions(
    X: Any,
    *,
    correlation: float = 0.99,
    times: float = 10.0,
    groups: Any = None,
    parts: int = PARTS,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Dimensions:
    """Return which dimensions are dead, redundant or dominating, in one pass over the rows.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) blocks
        Vectors as they are stored; rows that are not finite are left out and counted as skipped.
    correlation : float
        Absolute correlation above which two dimensions say the same.
    times : float
        Fair shares of the squared length that a dimension must exceed to dominate.
    groups : (n,) array, optional
        Rows of one label hang together.
    parts : int
        Parts of the jackknife.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the parts.

    Raises
    ------
    BadInput
        Fewer than two finite rows.
    """
    check_share("correlation", correlation)
    rows, rng = Rows(X), generator(random_state)
    coarse = _Precision(rows)
    sums = moments(coarse, parts, groups, rng)  # type: ignore[arg-type]
    n = int(sums[0].sum())
    if n < 2:
        raise BadInput(f"dimensions needs at least two finite rows, got {n}")
    total = [a.sum(axis=0) for a in sums]
    dim = len(total[1])
    dead, pairs, shares = _found(total[0], total[1], total[2], correlation)
    above = min(times / dim, 0.5)
    without = [_figures(left[0], left[1], left[2], correlation, above) for left in leave_one_out(sums) if left[0] > 1]
    figures = _figures(total[0], total[1], total[2], correlation, above)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    estimates = {
        name: jackknifed(
            name, figures[name], np.array([w[name] for w in without]), n, corrected=False, bounds=(0.0, 1.0),
            confidence=confidence, skipped=rows.skipped, seed=seed,
        )
        for name in figures
    }  # fmt: skip
    order = np.argsort(-shares, kind="stable")
    return Dimensions(
        **estimates,
        dead=tuple(map(int, np.flatnonzero(dead))),
        redundant=tuple(pairs),
        dominating=tuple((int(j), float(shares[j])) for j in order if shares[j] > above),
        dim=dim,
        precision=coarse.name(),
    )


def _figures(n: Any, sums: np.ndarray, gram: np.ndarray, correlation: float, above: float) -> dict[str, float]:
    dead, same, shares = _found(n, sums, gram, correlation)
    return {
        "dead_share": float(dead.mean()),
        "redundant_share": len(same) / len(dead),
        "dominating_share": float((shares > above).mean()),
        "top_share": float(shares.max()),
    }


def _found(
    n: Any, sums: np.ndarray, gram: np.ndarray, correlation: float
) -> tuple[np.ndarray, list[tuple[int, int, float]], np.ndarray]:
    """Return (dim,) whether a dimension is dead, the redundant ones, and (dim,) shares of the squared length."""
    covariance = gram / n - np.outer(sums, sums) / n**2
    squares = np.diag(gram) / n
    # Below the rounding of the difference above nothing is variance.
    variance = np.where(np.diag(covariance) > 1e-12 * squares, np.diag(covariance), 0.0)
    dead = variance <= DEAD**2 * variance.mean()
    std = np.sqrt(np.where(dead, 1, variance))
    rho = np.where(dead[:, None] | dead[None, :], 0, covariance / np.outer(std, std))
    earlier = np.tril(np.abs(rho) > correlation, -1)
    same = [(int(j), i := int(earlier[j].argmax()), float(rho[j, i])) for j in np.flatnonzero(earlier.any(axis=1))]
    whole = squares.sum()
    return dead, same, squares / whole if whole > 0 else np.full(len(squares), 1 / len(squares))


class _Precision:
    """Passes blocks of rows on, and keeps what it takes to tell how they were stored."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.seen: list[np.ndarray] = []
        self.left = _SEEN

    @property
    def n(self) -> int:
        return self.rows.n

    def finite_blocks(self) -> Any:
        for positions, block in self.rows.finite_blocks():
            if self.left > 0:
                self.seen.append(block[: self.left])
                self.left -= len(self.seen[-1])
            yield positions, block

    def name(self) -> str:
        dtype = self.rows.dtype
        x = np.concatenate(self.seen)
        different = np.median([len(np.unique(column)) for column in x.T])
        for most, name in ((2, "binary"), (16, "4 bits"), (256, "8 bits")):
            if different <= most and len(x) >= 4 * most:
                return name
        single = x.astype(np.float32)
        if dtype.kind == "f" and (single == x).all():
            # Every bfloat16 of a usual size is a float16 too, so it comes first.
            if dtype != np.float16 and not (np.ascontiguousarray(single).view(np.uint32) & 0xFFFF).any():
                return "bfloat16"
            with np.errstate(over="ignore"):
                if (single.astype(np.float16).astype(np.float32) == single).all():
                    return "float16"
        return str(dtype)
