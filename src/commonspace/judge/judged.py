"""`Judged`: the figures of one direction beside what costs nothing, and which direction is the weaker one.

Every figure stands beside chance (the expectation over random orders, in closed form), the always most popular where
counts are known, and baselines that read words where both sides are texts. The gain is the figure minus the strongest
of them, query by query, with p-values corrected by Holm's procedure over all directions and metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from commonspace.core.errors import NotInstalled
from commonspace.judge.directions import Direction
from commonspace.judge.lexical import bm25, ngram_match
from commonspace.measure import Comparison, Estimate, compare, holm, metric

LEVEL = 0.05
CHANCE = "chance"
LARGEST = 10**8  # scores of a baseline: 400 MB


@dataclass(frozen=True)
class Judged:
    """One direction with its figures.

    Parameters
    ----------
    direction : Direction
    figures : dict of str to Estimate
        Metric -> figure.
    baselines : dict of str to (dict of str to Estimate)
        Baseline -> metric -> its figure; the first is chance.
    gains : dict of str to Comparison
        Metric -> the figure minus that of the strongest baseline, named ``b``.
    index : dict of str to Estimate
        Metric -> figure of what an index answered, where one did.
    left_out : dict of str to str
        Baseline -> why it is not there.
    """

    direction: Direction
    figures: dict[str, Estimate]
    baselines: dict[str, dict[str, Estimate]]
    gains: dict[str, Comparison] = field(default_factory=dict)
    index: dict[str, Estimate] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def outcome(self, name: str) -> str:
        """Return ``"better"`` or ``"worse"`` than the strongest baseline, ``"no difference shown"``, or nothing."""
        return effect(self.gains[name], name) if name in self.gains else ""


def judge_all(directions: Sequence[Direction], metrics: Sequence[str], *, random_state: int = 0) -> list[Judged]:
    """Measure every direction, and compare it with its baselines."""
    found = [_judge(d, metrics, random_state) for d in directions]
    places = [(i, m) for i, j in enumerate(found) for m in j.figures if averaged(m)]
    raw = [_gain(found[i], m, random_state) for i, m in places]
    for (i, m), c in zip(places, corrected(raw), strict=True):
        found[i].gains[m] = c
    return found


def weaker(judged: Sequence[Judged], name: str, *, random_state: int = 0) -> list[tuple[Judged, Judged, Comparison]]:
    """Compare a → b with b → a, thing by thing, for every pair of modalities.

    Returns
    -------
    list of (Judged, Judged, Comparison)
        The comparison is the first minus the second, corrected over all pairs. Its units are the labels that ask in
        both directions; a label's value is the mean over its queries.
    """
    by_task = {j.direction.task: j for j in judged}
    pairs, raw = [], []
    for j in judged:
        back = by_task.get(f"{j.direction.searched}->{j.direction.asks}")
        if back is None or (back, j) in pairs or back is j:
            continue
        sides = [_by_label(x, name) for x in (j, back)]
        shared = sorted(set(sides[0]) & set(sides[1]))
        if len(shared) > 1:
            pairs.append((j, back))
            there, again = (np.array([side[label] for label in shared]) for side in sides)
            found = compare(there, again, random_state=random_state)
            raw.append(replace(found, a=j.direction.title, b=back.direction.title))
    return [(a, b, c) for (a, b), c in zip(pairs, corrected(raw), strict=True)]


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return comparisons with p-values corrected for their number (Holm)."""
    if not comparisons:
        return []
    p = holm([c.p_value_raw for c in comparisons])
    return [replace(c, p_value=float(value)) for c, value in zip(comparisons, p, strict=True)]


def effect(difference: Comparison, name: str) -> str:
    """Return what a difference in a metric means for the system it speaks of."""
    if difference.p_value >= LEVEL or difference.difference == 0:
        return "no difference shown"
    return "better" if (difference.difference > 0) == higher_is_better(name) else "worse"


def higher_is_better(name: str) -> bool:
    """Return whether more of a metric is better."""
    return bool(getattr(metric(name), "higher_is_better", True))


def averaged(name: str) -> bool:
    """Return whether a metric is a mean over queries, so that differences of queries say how it differs."""
    return getattr(metric(name), "statistic", "mean") == "mean"


def _judge(direction: Direction, metrics: Sequence[str], random_state: int) -> Judged:
    baselines = {CHANCE: direction.chance(metrics, random_state=random_state)}
    left_out: dict[str, str] = {}
    q, g = direction.queries, direction.gallery
    if g.counts is not None:
        popular = np.broadcast_to(np.asarray(g.counts, np.float32), (len(q), len(g)))
        baselines["popularity"] = direction.of_scores(popular, metrics, random_state=random_state)
    if q.kind == g.kind == "text" and q.items is not None and g.items is not None:
        asked, there = ([str(t) for t in side.items or ()] for side in (q, g))
        for name, score in (("BM25", bm25), ("n-grams", ngram_match)):
            if len(asked) * len(there) > LARGEST:
                left_out[name] = f"{len(asked):,} x {len(there):,} texts are too many for it"
                continue
            try:
                baselines[name] = direction.of_scores(score(there)(asked), metrics, random_state=random_state)
            except NotInstalled as e:
                left_out[name] = str(e)
    return Judged(
        direction,
        direction.measure(metrics, random_state=random_state),
        baselines,
        index=direction.of_found(metrics, random_state=random_state),
        left_out=left_out,
    )


def _gain(judged: Judged, name: str, random_state: int) -> Comparison:
    best = max if higher_is_better(name) else min
    strongest = best(judged.baselines, key=lambda b: judged.baselines[b][name].value)
    found = compare(
        judged.figures[name],
        judged.baselines[strongest][name],
        groups=judged.direction.groups,
        random_state=random_state,
    )
    return replace(found, a=judged.direction.title, b=strongest)


def _by_label(judged: Judged, name: str) -> dict[Any, float]:
    """Return label -> mean of a metric over its queries."""
    labels, place = np.unique(judged.direction.groups, return_inverse=True)
    means = np.bincount(place, weights=judged.figures[name].per_query) / np.bincount(place)
    return dict(zip(labels.tolist(), means.tolist(), strict=True))
