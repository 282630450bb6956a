"""The spectrum of an embedding matrix: how many dimensions it really uses, with sampling error. No labels needed.

For rows Z (n, dim) with singular values s_k, and lambda_k = s_k^2 the eigenvalues of Z^T Z:

    effective rank      exp(- sum_k p_k log p_k),  p_k = s_k / sum s          RankMe; between 1 and dim
    stable rank         sum lambda / lambda_1
    participation ratio (sum lambda)^2 / sum lambda^2
    first share         lambda_1 / sum lambda
    condition           s_1 / the smallest s_k that is not numerically zero
    NESum               sum lambda / lambda_1 of the covariance, whatever `centred` says
    decay               alpha of lambda_k ~ k^-alpha, of the covariance, whatever `centred` says

decay is fitted to log lambda over log k, from rank 3 to half of the numerical rank, each rank weighted with 1 / k, so
that every octave of ranks counts the same. A decay near 1 is reported for representations that transfer well, below it
for noise, above it for few dominant directions.

The figures of n rows are not those of endless rows: with few rows the spectrum looks steeper than it is and the
effective rank comes out too low, by about dim / (8 n) of it for an isotropic cloud. Figures here are corrected by the
grouped jackknife, which takes away bias of the order 1 / n, and their intervals are for the population that the rows
were drawn from; `rankme` is the plain figure of these n rows as the paper computes it, and its interval is for other
samples of the same size. Below n = 2 dim neither can be trusted, and a warning says so.

A high effective rank is necessary for a good space, not sufficient: noise has the highest. Compare models of one family
and one dimension.

Sources: effective rank and its use "RankMe: Assessing the downstream performance of pretrained self-supervised
representations by their rank", where 1e-7 is added to every p_k, left out here, so that rank r gives at most r; NESum
He and Ozay, "Exploring the Gap between Collapsed & Whitened Features in Self-Supervised Learning", 2022; decay Agrawal,
Mondal, Ghosh and Richards, "alpha-ReQ: Assessing Representation Quality in Self-Supervised Learning by measuring
eigenspectrum decay", 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.core.warning import warn
from commonspace.measure.health.streams import Rows
from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.jackknife import PARTS, jackknifed, leave_one_out, moments

_FIGURES = ("effective_rank", "stable_rank", "participation_ratio", "first_share", "condition", "nesum", "decay")


@dataclass(frozen=True)
class Spectrum:
    """How the variance of an embedding matrix spreads over directions; every figure is an `Estimate`.

    Parameters
    ----------
    effective_rank, stable_rank, participation_ratio, first_share, condition, nesum, decay : Estimate
        As defined above, corrected for the number of rows, with intervals for the population.
    rankme : Estimate
        The effective rank of just these rows, as published; its interval is for other samples of the same size.
    rank : int
        Singular values that are not numerically zero.
    dim : int
        Columns.
    centred : bool
        Whether the mean was taken away first (it always is for NESum and decay).
    values : (dim,) float64
        The singular values over sqrt(n), falling.
    """

    effective_rank: Estimate
    rankme: Estimate
    stable_rank: Estimate
    participation_ratio: Estimate
    first_share: Estimate
    condition: Estimate
    nesum: Estimate
    decay: Estimate
    rank: int
    dim: int
    centred: bool
    values: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    @property
    def few_rows(self) -> bool:
        """Whether there are fewer than two rows a dimension, too few for any of the figures."""
        return self.effective_rank.n < 2 * self.dim

    @property
    def share_used(self) -> float:
        """Effective rank as a share of the dimension."""
        return self.effective_rank.value / self.dim

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the singular values, ready for JSON."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found = {k: v.to_dict() if isinstance(v, Estimate) else v for k, v in found.items()}
        return {**found, "values": self.values.tolist(), "few_rows": self.few_rows}

    def __str__(self) -> str:
        figures = [f.name for f in fields(self) if isinstance(getattr(self, f.name), Estimate)]
        lines = [f"{name.replace('_', ' '):<19} {getattr(self, name)}" for name in figures]
        lines[0] += f", of {self.dim} dimensions"
        return "\n".join(lines + ["fewer than two rows a dimension: not to be trusted"] * self.few_rows)


def spectrum(
    X: Any,
    *,
    centred: bool = False,
    groups: Any = None,
    parts: int = PARTS,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Spectrum:
    """Return the effective rank and its companions, in one pass over the rows.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) blocks
        Vectors as they are; rows that are not finite are left out and counted as skipped.
    centred : bool
        Take the mean away first. The paper does not; a large mean then counts as one strong direction.
    groups : (n,) array, optional
        Rows of one label hang together (views of one item); they go to one part of the jackknife.
    parts : int
        Parts of the jackknife; fewer where their (dim, dim) matrices would take more than 256 MB, but at least 5.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the parts.

    Raises
    ------
    BadInput
        No finite row that is not zero.
    """
    rows, rng = Rows(X), generator(random_state)
    sums = moments(rows, check_positive("parts", parts), groups, rng)
    counts, grams = sums[0], sums[2]
    n, dim = int(counts.sum()), grams.shape[1]
    if n == 0 or not grams.any():
        raise BadInput("a spectrum needs rows that are finite and not all zero")
    zero = max(10 * float(np.finfo(rows.dtype).eps), 1e-7) if rows.dtype.kind == "f" else 1e-7
    whole, values = _figures(*(a.sum(axis=0) for a in sums), centred=centred, zero=zero)
    without = np.array([_figures(*left, centred=centred, zero=zero)[0] for left in leave_one_out(sums)]).reshape(
        -1, len(_FIGURES)
    )
    if n < 2 * dim:
        warn(
            f"{n} rows of dimension {dim} are too few for a spectrum: its figures come out too low; give at least "
            f"{2 * dim} rows, better {10 * dim}"
        )
    options: dict[str, Any] = {
        "confidence": confidence, "skipped": rows.skipped, "log": True,
        "seed": int(random_state) if isinstance(random_state, int | np.integer) else None,
    }  # fmt: skip
    bounds = dict.fromkeys(_FIGURES, (1.0, float(dim))) | {
        "first_share": (1 / dim, 1.0), "condition": (1.0, np.inf), "decay": (-np.inf, np.inf),
    }  # fmt: skip
    found = {
        name: jackknifed(name, whole[i], without[:, i], n, bounds=bounds[name], **options | {"log": name != "decay"})
        for i, name in enumerate(_FIGURES)
    }
    plain = jackknifed("rankme", whole[0], without[:, 0], n, corrected=False, bounds=(1.0, float(dim)), **options)
    rank = int((values > zero * values[0]).sum())
    return Spectrum(**found, rankme=plain, rank=rank, dim=dim, centred=centred, values=values)


def effective_rank(singular: np.ndarray) -> float:
    """Return the exponential of the entropy of singular values."""
    p = singular[singular > 0]
    p = p / p.sum() if len(p) else np.ones(1)
    return float(np.exp(-(p * np.log(p)).sum()))


def _figures(
    n: Any, sums: np.ndarray, gram: np.ndarray, *, centred: bool, zero: float
) -> tuple[list[float], np.ndarray]:
    """Return the figures in the order of `_FIGURES`, and the singular values over sqrt(n)."""
    covariance = _falling(gram / n - np.outer(sums, sums) / n**2)
    lambdas = covariance if centred else _falling(gram / n)
    s = np.sqrt(lambdas)
    if s[0] <= 0:
        return [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], s
    total, above = lambdas.sum(), s[s > zero * s[0]]
    return [
        effective_rank(s),
        float(total / lambdas[0]),
        float(total**2 / np.square(lambdas).sum()),
        float(lambdas[0] / total),
        float(above[0] / above[-1]),
        float(covariance.sum() / covariance[0]) if covariance[0] > 0 else 1.0,
        _decay(covariance, zero),
    ], s


def _falling(symmetric: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.maximum(np.linalg.eigvalsh(symmetric)[::-1], 0.0)
    return values


def _decay(lambdas: np.ndarray, zero: float) -> float:
    """Return alpha of lambda_k ~ k^-alpha."""
    rank = int((lambdas > zero**2 * lambdas[0]).sum()) if lambdas[0] > 0 else 0
    first, last = (3, rank // 2) if rank >= 10 else (1, rank)
    if last - first < 1:
        return 0.0
    k = np.arange(first, last + 1)
    x, y, w = np.log(k), np.log(lambdas[first - 1 : last]), 1 / k
    x, y = x - np.average(x, weights=w), y - np.average(y, weights=w)
    return float(-(w * x * y).sum() / (w * x * x).sum())
