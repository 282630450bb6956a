"""How far a published ranking of models can be trusted: ranks with intervals, and how many data sets it takes.

A table has one score for each model on each data set; models are ranked by their mean score (or mean rank). Data sets
are the sample: others could have been chosen. They are drawn with replacement for the interval of each rank.

For k data sets drawn without replacement, the agreement of two rankings is Kendall's tau-a:

    with all    of the ranking by k data sets with that by all of them; they share the k, so it grows to 1
    apart       of the ranking by k data sets with that by k others: what two benchmarks of that size agree on

`enough` is the smallest k from which on 95 of 100 draws agree with all by tau of at least 0.9.

Source: the question is that of tables in "Towards Unified Benchmark and Models for Multi-Modal Perceptual Metrics" and
their like, which rank models by means without intervals; the measures are plain resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.correlations import midranks, places
from commonspace.measure.statistics.estimates import Estimate, draw_counts, group_numbers

LEAST = 4
SHARE = 0.95  # of draws that must agree


@dataclass(frozen=True)
class RankStability:
    """A ranking of models with what it rests on.

    Parameters
    ----------
    ranks : dict of str to Estimate
        Model -> rank, 1 is best; the interval over data sets; best first.
    with_all, apart : dict of int to Estimate
        Number of data sets k -> mean agreement over draws, and the range of the middle 95 % of draws. `apart` ends at
        half of the data sets.
    same_best : dict of int to Estimate
        k -> share of draws that put the same model first as all data sets do; range as for a proportion of the draws.
    enough : int or None
        Data sets that suffice; None if all of them are needed.
    level : float
        The agreement that suffices.
    """

    ranks: dict[str, Estimate]
    with_all: dict[int, Estimate]
    apart: dict[int, Estimate]
    same_best: dict[int, Estimate]
    enough: int | None
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        tables = {
            name: {str(k): e.to_dict() for k, e in getattr(self, name).items()}
            for name in ("ranks", "with_all", "apart", "same_best")
        }
        return {**tables, "enough": self.enough, "level": self.level}

    def __str__(self) -> str:
        lines = [f"{e.value:>4g} [{e.low:g}, {e.high:g}]  {name}" for name, e in self.ranks.items()]
        said = "all are needed" if self.enough is None else f"{self.enough} suffice"
        lines.append(f"data sets for tau of {self.level:g} with the ranking by all of them: {said}")
        for k, e in self.with_all.items():
            apart = f", with {k} others {self.apart[k].value:.2f}" if k in self.apart else ""
            lines.append(f"{k:>4} data sets: tau {e.value:.2f} [{e.low:.2f}, {e.high:.2f}]{apart}")
        return "\n".join(lines)


def rank_stability(
    scores: Any,
    models: Sequence[str] | None = None,
    *,
    by: str = "score",
    sizes: Sequence[int] | None = None,
    level: float = 0.9,
    groups: Any = None,
    draws: int = 1000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> RankStability:
    """Return the ranks of models with intervals, and how the ranking depends on the data sets.

    Parameters
    ----------
    scores : (models, datasets) array
        Higher is better.
    models : sequence of str, optional
        Names of the rows.
    by : {"score", "rank"}
        Rank by the mean score, or by the mean of the ranks on each data set, which no single data set dominates.
    sizes : sequence of int, optional
        Numbers of data sets to try; by default 1, 2, 4, 8, ... and all but one.
    level : float
        Agreement that counts as enough.
    groups : (datasets,) array, optional
        Data sets of one label are variants of one thing, and are drawn together for the intervals of the ranks.
    draws : int
        Draws of data sets for each size.
    resamples : int
        Resamples for the intervals of the ranks.
    confidence : float
        Nominal coverage of the intervals of the ranks.
    random_state : int, Generator or None

    Raises
    ------
    BadInput
        Fewer than two models or four data sets, or a score that is missing.
    """
    check_choice("by", by, ("score", "rank"))
    check_share("confidence", confidence)
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or len(table) < 2 or table.shape[1] < LEAST:
        raise BadInput(f"scores must be (models, datasets), at least (2, {LEAST}), not {table.shape}")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise BadInput(f"model {row} has no score on data set {column}: keep the models and data sets without gaps")
    m, d = table.shape
    names = [str(i) for i in range(m)] if models is None else [str(name) for name in models]
    if len(names) != m or len(set(names)) != m:
        raise BadInput(f"models must hold {m} different names, one a row, got {len(names)}")
    if by == "rank":
        table = np.stack([midranks(column) for column in table.T], axis=1)
    rng = generator(random_state)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    drawn = _drawn(groups, d, check_positive("resamples", resamples), rng)
    ranks, ends = places(table @ np.ones((d, 1)))[:, 0], places(table @ drawn.T)
    low, high = np.quantile(ends, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1, method="closest_observation")
    named = {
        names[i]: Estimate("rank", float(ranks[i]), float(low[i]), float(high[i]), d, confidence, seed=seed)
        for i in np.argsort(ranks, kind="stable")
    }
    chosen = sizes if sizes is not None else sorted({2**p for p in range(d.bit_length()) if 2**p < d} | {d - 1})
    parts = {k: _subsets(table, check_positive("sizes", k), check_positive("draws", draws), rng) for k in chosen}
    return RankStability(
        ranks=named,
        with_all={k: _middle(f"tau of {k} with all", p[0], seed) for k, p in parts.items()},
        apart={k: _middle(f"tau of {k} with {k} others", p[1], seed) for k, p in parts.items() if p[1] is not None},
        same_best={k: _share(f"same best by {k}", p[2], seed) for k, p in parts.items()},
        enough=_enough({k: p[0] for k, p in parts.items()}, level),
        level=level,
    )


def _drawn(groups: Any, d: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each data set counts: (resamples, d)."""
    member = group_numbers(groups, d, "data sets")
    return draw_counts(rng, resamples, int(member.max()) + 1)[:, member]


def _subsets(
    table: np.ndarray, k: int, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Return, for each draw of k data sets, tau with all, tau with k others (if there are) and whether one is first."""
    d = table.shape[1]
    if k > d:
        raise BadInput(f"sizes must not exceed the {d} data sets, got {k}")
    order = rng.permuted(np.tile(np.arange(d), (draws, 1)), axis=1)
    whole = table.sum(axis=1)
    mine = table[:, order[:, :k]].sum(axis=2)
    others = table[:, order[:, k : 2 * k]].sum(axis=2) if 2 * k <= d else None
    same = mine.argmax(axis=0) == whole.argmax()
    return _tau(mine, whole[:, None]), None if others is None else _tau(mine, others), same.astype(np.float64)


def _tau(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-a of each column of a with that of b."""
    i, j = np.triu_indices(len(a), 1)
    agree: np.ndarray = (np.sign(np.round(a[i] - a[j], 9)) * np.sign(np.round(b[i] - b[j], 9))).mean(axis=0)
    return agree


def _middle(name: str, values: np.ndarray, seed: int | None) -> Estimate:
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(name, float(values.mean()), float(low), float(high), len(values), 0.95, seed=seed)


def _share(name: str, hits: np.ndarray, seed: int | None) -> Estimate:
    from scipy.stats import binomtest

    ends = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95)
    return Estimate(name, float(hits.mean()), float(ends.low), float(ends.high), len(hits), 0.95, seed=seed)


def _enough(agreement: dict[int, np.ndarray], level: float) -> int | None:
    """Return the smallest size from which on the share of draws that agree is large enough."""
    enough = None
    for k in sorted(agreement, reverse=True):
        if (agreement[k] >= level).mean() < SHARE:
            break
        enough = k
    return enough
