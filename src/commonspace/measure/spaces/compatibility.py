"""Compatibility of the versions of a space: what do queries of one find in the gallery of another?

    M[i][j] = the figure of queries by version i in the gallery by version j, j <= i
    AC      = share of the pairs i > j with M[i][j] > M[j][j]: where new queries find more than those they replace
    AA      = mean of M[i][j] over all j <= i
    anew    = mean of M[i][i] over the same pairs (i, j): what the galleries would give if each were encoded anew

AA less anew is what it costs not to encode a gallery again. Versions of different length are compared by the numbers
that they share: the longer vectors are cut to their first numbers and brought to length one.

AC counts a difference of any size, chance or not. `gains` therefore holds each M[i][j] - M[j][j] with its interval and
a p-value that is corrected for the number of pairs, and `sure` counts those above zero beyond doubt. The interval of AC
is that of bootstraps over the queries (or groups of them), in which all cells move together.

Source: the matrix, AC and AA from "Stationary Representations: Optimally Approximating Compatibility and Implications
for Improved Model Replacements" (earlier in "CoReS: Compatible Representations via Stationarity"); galleries encoded
anew, intervals and tests are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share, check_vectors, unit
from commonspace.measure.metrics.evaluation import evaluate_retrieval
from commonspace.measure.metrics.metric import metric as metric_of
from commonspace.measure.metrics.relevance import Relevance
from commonspace.measure.statistics.comparison import Comparison, compare
from commonspace.measure.statistics.corrections import holm
from commonspace.measure.statistics.estimates import Estimate, draw_counts, estimate, group_numbers

_BLOCK = 1 << 22  # numbers of drawn means held at once


@dataclass(frozen=True)
class Compatibility:
    """How well the versions of a space get on with each other's galleries.

    Parameters
    ----------
    metric : str
        What was measured.
    names : tuple of str
        The versions, oldest first.
    matrix : tuple of tuples of Estimate
        Row i holds ``M[i][0]`` to ``M[i][i]``.
    ac, aa, anew : Estimate
        As defined above.
    cost : Comparison
        AA less anew, over the same queries.
    gains : tuple of Comparison
        For each pair of versions i > j, row by row: ``M[i][j]`` less ``M[j][j]``; p-values corrected by Holm's
        procedure.
    """

    metric: str
    names: tuple[str, ...]
    matrix: tuple[tuple[Estimate, ...], ...]
    ac: Estimate
    aa: Estimate
    anew: Estimate
    cost: Comparison
    gains: tuple[Comparison, ...]

    @property
    def sure(self) -> int:
        """Number of pairs in which new queries find more in the old gallery than old ones do, beyond doubt."""
        return sum(c.difference > 0 and c.p_value < 1 - c.confidence for c in self.gains)

    def gain(self, new: str, old: str) -> Comparison:
        """Return what queries of a newer version gain in the gallery of an older one over those of the older one.

        Raises `NotFound` unless both are versions and the first is the newer.
        """
        for c in self.gains:
            if (c.a, c.b) == _pair(new, old):
                return c
        raise NotFound(f"there is no pair of a newer {new!r} and an older {old!r}; versions: {', '.join(self.names)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "metric": self.metric,
            "names": list(self.names),
            "matrix": [[e.to_dict() for e in row] for row in self.matrix],
            **{name: getattr(self, name).to_dict() for name in ("ac", "aa", "anew", "cost")},
            "gains": [c.to_dict() for c in self.gains],
            "sure": self.sure,
        }

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [f"{self.metric} of queries by row in galleries by column", f"{'':<{width}}  " + "  ".join(self.names)]
        for name, row in zip(self.names, self.matrix, strict=True):
            cells = (f"{e.value:<{len(column)}.3f}" for e, column in zip(row, self.names, strict=False))
            lines.append(f"{name:<{width}}  {'  '.join(cells)}".rstrip())
        lines.append(f"AC {self.ac}, {self.sure} of {len(self.gains)} pairs beyond doubt")
        lines.append(f"AA {self.aa}, {self.anew} with galleries encoded anew ({self.cost})")
        return "\n".join(lines)


def compatibility(
    queries: Sequence[Any],
    galleries: Sequence[Any],
    relevance: Any,
    metric: Any = "map",
    *,
    names: Sequence[str] | None = None,
    leave_one_out: bool = False,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Compatibility:
    """Return what the versions of a space find in each other's galleries.

    Parameters
    ----------
    queries : sequence of (q, d_i) arrays
        The same queries by every version, oldest first; brought to length one.
    galleries : sequence of (n, d_i) arrays
        The same items by every version.
    relevance : (q, n) array, scipy sparse array or tuple (query_keys, gallery_keys)
        As in `evaluate`. With classes as keys, ``"hit@1"`` is the accuracy of the nearest neighbour.
    metric : str, mapping or metric
        One whose values are averaged over queries and of which more is better.
    names : sequence of str, optional
        What to call the versions; v1, v2 ... by default.
    leave_one_out : bool
        The queries are the gallery, in the same order: no item is found by itself.
    groups : (q,) array, optional
        Queries of one label are one unit, in the bootstrap and in the tests.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals; pairs are beyond doubt where p is below the rest to one.
    random_state : int, Generator or None
        Seed of the bootstrap and the tests.

    Raises
    ------
    BadInput
        Fewer than two versions, other queries or items in one than in another, a metric that cannot be averaged.
    """
    check_share("confidence", confidence)
    check_positive("resamples", resamples)
    asked, held = _versions(queries, "queries"), _versions(galleries, "galleries")
    if len(asked) != len(held) or len(asked) < 2:
        raise BadInput(f"compatibility needs two versions or more of both, not {len(asked)} and {len(held)}")
    named = _names(names, asked, held)
    measured = metric_of(metric)
    if getattr(measured, "statistic", "mean") != "mean" or not getattr(measured, "higher_is_better", True):
        raise BadInput(f"{metric!r} has no mean of which more is better: take hit@k, recall@k, mrr, map or ndcg")
    judged = Relevance.of(relevance)
    options: dict[str, Any] = {"confidence": confidence, "random_state": random_state, "resamples": resamples}

    def cell(i: int, j: int) -> Estimate:
        shared = min(asked[i].shape[1], held[j].shape[1])
        q, g = (unit(rows[:, :shared]) for rows in (asked[i], held[j]))
        return evaluate_retrieval(q, g, judged, [metric], leave_one_out=leave_one_out, groups=groups, **options)[metric]

    matrix = [[cell(i, j) for j in range(i + 1)] for i in range(len(asked))]
    member = _member(groups, judged, leave_one_out)
    diagonal = np.stack([row[-1].per_query for row in matrix])
    lower = np.array([(i, j) for i in range(len(matrix)) for j in range(i + 1)])
    cells = np.stack([matrix[i][j].per_query for i, j in lower])
    aa, anew = cells.mean(axis=0), diagonal[lower[:, 0]].mean(axis=0)
    tests: dict[str, Any] = {"groups": member, "confidence": confidence, "random_state": random_state}
    own = {"groups": member, "bounds": getattr(measured, "bounds", None), **options}
    return Compatibility(
        metric=matrix[0][0].metric,
        names=named,
        matrix=tuple(map(tuple, matrix)),
        ac=_ac(cells, diagonal, lower, member, matrix[0][0], resamples, confidence, random_state),
        aa=estimate(aa, "AA", **own),
        anew=estimate(anew, "anew", **own),
        cost=replace(compare(aa, anew, **tests), a="AA", b="anew"),
        gains=_gains(matrix, named, tests),
    )


def _gains(matrix: Sequence[Sequence[Estimate]], names: Sequence[str], tests: dict[str, Any]) -> tuple[Comparison, ...]:
    """Return M[i][j] less M[j][j] for all i > j, with corrected p-values."""
    found = []
    for i, row in enumerate(matrix):
        for j in range(i):
            a, b = _pair(names[i], names[j])
            found.append(replace(compare(row[j].per_query, matrix[j][j].per_query, **tests), a=a, b=b))
    p = holm([c.p_value for c in found])
    return tuple(replace(c, p_value=float(v)) for c, v in zip(found, p, strict=True))


def _ac(
    cells: np.ndarray,
    diagonal: np.ndarray,
    lower: np.ndarray,
    member: np.ndarray,
    like: Estimate,
    resamples: int,
    confidence: float,
    random_state: RandomState,
) -> Estimate:
    """Return the share of pairs with more than the older version's own figure, and its percentiles over draws."""
    off = lower[:, 0] > lower[:, 1]
    change = cells[off] - diagonal[lower[off, 1]]
    sums = np.stack([np.bincount(member, weights=row) for row in change], axis=1)  # (groups, pairs)
    rng, found = generator(random_state), []
    step = max(1, _BLOCK // len(sums))
    for start in range(0, resamples, step):
        counts = draw_counts(rng, min(step, resamples - start), len(sums))
        # Rounding must not make a difference of two versions that find the same.
        found.append((counts @ sums > 1e-9 * len(member)).mean(axis=1))
    low, high = np.quantile(np.concatenate(found), [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float((sums.sum(axis=0) > 1e-9 * len(member)).mean())
    return Estimate("AC", value, float(low), float(high), like.n, confidence, like.skipped, like.seed)


def _pair(new: str, old: str) -> tuple[str, str]:
    return f"{new} on {old}", f"{old} on {old}"


def _versions(given: Sequence[Any], name: str) -> list[np.ndarray]:
    """Return the vectors of every version, which must hold the same number of rows."""
    if isinstance(given, np.ndarray) and given.ndim != 3:
        raise BadInput(f"{name} must be a list of one array a version, not an array of shape {given.shape}")
    found = [check_vectors(rows, name=f"{name}[{i}]", allow_zero=False) for i, rows in enumerate(given)]
    if len({len(rows) for rows in found}) > 1:
        raise BadInput(f"every version of {name} must hold the same rows, not {[len(rows) for rows in found]}")
    return found


def _names(names: Sequence[str] | None, asked: list[np.ndarray], held: list[np.ndarray]) -> tuple[str, ...]:
    n = len(asked)
    found = tuple(f"v{i + 1}" for i in range(n)) if names is None else tuple(map(str, names))
    if len(found) != n or len(set(found)) != n:
        raise BadInput(f"names must be {n} different ones, one a version, not {names!r}")
    for name, q, g in zip(found, asked, held, strict=True):
        if q.shape[1] != g.shape[1]:
            raise BadInput(f"{name} has queries of dimension {q.shape[1]} and a gallery of {g.shape[1]}")
    return found


def _member(groups: Any, judged: Relevance, leave_one_out: bool) -> np.ndarray:
    """Return the group of each query that has a relevant item."""
    counted = judged.end - judged.begin
    if leave_one_out:
        counted = np.bincount(judged.without_self().block(0, len(judged))[0], minlength=len(judged))
    labels = group_numbers(groups, len(judged))[counted > 0]
    return np.unique(labels, return_inverse=True)[1]
