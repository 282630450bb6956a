"""`barrier`: what a metric does on the line between two models.

    theta(s) = (1 - s) a + s b,     drop(s) = (1 - s) m(a) + s m(b) - m(theta(s)),     barrier = max_s drop(s)

Fine-tunings of one start lie in one valley: the metric between them stays on the line between the ends or above it.
Where they do not, it falls, often to chance. The deepest of several drops is deep by chance too, so its interval is
simultaneous over the sweep: it covers the drops at all shares at once with the confidence given (largest studentised
deviation over a bootstrap of the queries).

Source: linear mode connectivity as in "Linear Mode Connectivity and the Lottery Ticket Hypothesis", 2020; the sweep
between tasks as in "Unified Model for Image, Video, Audio and Language Tasks".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.progress import track
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure import Comparison, Estimate, compare, estimate
from commonspace.measure.statistics.estimates import draw_counts, group_numbers
from commonspace.upgrade.merging.figures import Metric, check_same, groups_of, measured
from commonspace.upgrade.merging.interpolation import interpolate

SHARES = tuple(i / 10 for i in range(11))


@dataclass(frozen=True)
class Barrier:
    """A metric along the line between two models.

    Parameters
    ----------
    shares : tuple of float
        How much of the second model, from 0 to 1.
    figures : tuple of Estimate
        The metric at each share.
    drops : tuple of Estimate
        How far it lies below the line between the ends; intervals are simultaneous over the sweep.
    barrier : Estimate
        The deepest drop.
    margin : float
        The drop that does not matter.
    best : int
        Where the metric is highest.
    gain : Comparison
        The best share less the better end; tested as if the best had been chosen beforehand, so look at it on other
        queries before you believe it.
    """

    shares: tuple[float, ...]
    figures: tuple[Estimate, ...]
    drops: tuple[Estimate, ...]
    barrier: Estimate
    margin: float
    best: int
    gain: Comparison

    @property
    def verdict(self) -> str:
        """``"barrier"``, ``"no barrier"`` or ``"unclear"``: the interval of the deepest drop against the margin."""
        if self.barrier.low > self.margin:
            return "barrier"
        return "no barrier" if self.barrier.high <= self.margin else "unclear"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "verdict": self.verdict,
            "barrier": self.barrier.to_dict(),
            "margin": self.margin,
            "best": self.shares[self.best],
            "gain": self.gain.to_dict(),
            "sweep": [
                {"share": s, "figure": f.to_dict(), "drop": d.to_dict()}
                for s, f, d in zip(self.shares, self.figures, self.drops, strict=True)
            ],
        }

    def __str__(self) -> str:
        lines = [f"{self.verdict}: deepest drop {self.barrier} (margin {self.margin})"]
        lines += [
            f"    share {s:.2f}: {f}, drop {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
            for s, f, d in zip(self.shares, self.figures, self.drops, strict=True)
        ]
        return "\n".join([*lines, f"    share {self.shares[self.best]:.2f} is best; {self.gain}"])


def barrier(
    a: Any,
    b: Any,
    metric: Metric,
    *,
    shares: Sequence[float] = SHARES,
    margin: float = 0.02,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Barrier:
    """Measure a metric on the line between two models.

    Parameters
    ----------
    a, b : models
        As for `interpolate`; of any start, because that is what is asked.
    metric : function of a model
        Returns (n,) values, one a query, higher is better; of several tasks the mean of the tasks counts, each query
        having the same weight within its task.
    shares : sequence of float
        Where to look between 0 and 1; the ends are added.
    margin : float
        Drop that does not matter.
    groups : (n,) array or mapping of str to (n,) array, optional
        Queries of one label are drawn together.
    resamples, confidence, random_state
        Of the bootstrap.
    """
    check_share("confidence", confidence)
    check_positive("resamples", resamples)
    if not all(isinstance(s, int | float) and 0 <= s <= 1 for s in shares):
        raise BadInput(f"shares must lie between 0 and 1, not {list(shares)!r}")
    where = tuple(sorted({0.0, 1.0, *map(float, shares)}))
    found: list[dict[str, np.ndarray]] = []
    for share in track(where, "Measuring between two models"):
        found.append(measured(metric, interpolate(a, b, share, unrelated="ignore")))
        check_same(found[0], found[-1])
    values, member = _stacked(found, groups)
    options: dict[str, Any] = {"groups": member, "confidence": confidence, "random_state": random_state}
    figures = tuple(estimate(v, "metric", resamples=resamples, **options) for v in values)
    ends = np.array(where)[:, None] * values[-1] + (1 - np.array(where))[:, None] * values[0]
    drops = _simultaneous(ends - values, member, resamples, confidence, random_state)
    best = int(np.argmax([f.value for f in figures]))
    better = 0 if figures[0].value >= figures[-1].value else len(where) - 1
    gain = replace(compare(values[best], values[better], **options), a="best share", b="better end")
    deepest = max(drops, key=lambda d: d.value)
    return Barrier(where, figures, drops, deepest, margin, best, gain)


def _stacked(found: Sequence[dict[str, np.ndarray]], groups: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (shares, queries) values weighted so that their mean is the mean over tasks, and each query's group."""
    tasks = list(found[0])
    total = sum(len(found[0][t]) for t in tasks)
    weights = {t: total / (len(tasks) * len(found[0][t])) for t in tasks}
    values = np.stack([np.concatenate([weights[t] * row[t] for t in tasks]) for row in found])
    members, start = [], 0
    for t in tasks:
        member = group_numbers(groups_of(groups, t), len(found[0][t]))
        members.append(member + start)
        start += int(member.max()) + 1
    return values, np.concatenate(members)


def _simultaneous(
    drops: np.ndarray, member: np.ndarray, resamples: int, confidence: float, random_state: RandomState
) -> tuple[Estimate, ...]:
    """Return the mean of each row of (shares, queries) with intervals that hold for all rows at once."""
    sizes = np.bincount(member).astype(float)
    sums = np.stack([np.bincount(member, weights=row) for row in drops])
    counts = draw_counts(generator(random_state), resamples, len(sizes))
    means = drops.mean(1)
    drawn = (counts @ sums.T) / (counts @ sizes)[:, None]
    spread = drawn.std(axis=0)
    moves = spread > 1e-12
    away = np.abs(drawn - means)[:, moves] / spread[moves]
    reach = float(np.quantile(away.max(axis=1), confidence)) if moves.any() else 0.0
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    return tuple(
        Estimate("drop", float(m), float(m - reach * s), float(m + reach * s), n=drops.shape[1], confidence=confidence,
                 seed=seed)
        for m, s in zip(means, spread, strict=True)
    )  # fmt: skip
