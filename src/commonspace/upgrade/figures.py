"""From values of queries to what is kept: ratios with joint intervals, and comparisons with the old space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.statistics.comparison import Comparison, compare_many
from commonspace.measure.statistics.corrections import holm
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.measure.statistics.paired import t_quantile
from commonspace.measure.statistics.ratio import combined, joint_quantile, ratio
from commonspace.upgrade.measuring import Values
from commonspace.upgrade.options import Trend
from commonspace.upgrade.probes import Direction

OLD, NEW = "keep", "re-embed"


@dataclass(frozen=True)
class Figures:
    """What the values of the queries say of each way to answer them.

    Parameters
    ----------
    quality, kept : mapping of str to (mapping of str to Estimate)
        Way -> direction -> figure.
    against_old : mapping of str to (mapping of str to Comparison)
        Way -> direction -> its values less those of the old space; empty where what is right is not known.
    trend : mapping of str to (mapping of str to Trend)
        Way -> direction -> how what is kept changes with the size of the gallery.
    joint : float
        Confidence of each interval of `kept` that makes all of them hold at once with the confidence asked for.
    """

    quality: Mapping[str, Mapping[str, Estimate]]
    kept: Mapping[str, Mapping[str, Estimate]]
    against_old: Mapping[str, Mapping[str, Comparison]]
    trend: Mapping[str, Mapping[str, Trend]]
    joint: float


def figures(
    values: Values,
    halved: Values,
    directions: list[Direction],
    metric: RankMetric,
    rivals: Sequence[str],
    doublings: Mapping[str, float],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Figures:
    """Return the figures of all ways.

    Parameters
    ----------
    values, halved : mapping of str to (mapping of str to (q,) array)
        Direction -> way -> value of each query, in the whole gallery and in half of it.
    directions : list of Direction
    metric : RankMetric
    rivals : sequence of str
        Ways among which the best is chosen, and whose intervals hold together therefore.
    doublings : mapping of str to float
        Direction -> how often the gallery of the probes doubles to become that of the corpus.
    """
    joint = joint_confidence(values, directions, rivals, confidence, resamples, seed)
    ways = list(values[directions[0].task])
    quality: dict[str, dict[str, Estimate]] = {w: {} for w in ways}
    kept: dict[str, dict[str, Estimate]] = {w: {} for w in ways}
    against: dict[str, dict[str, Comparison]] = {w: {} for w in ways}
    trend: dict[str, dict[str, Trend]] = {w: {} for w in ways}
    for d in directions:
        found = values[d.task]
        if d.labelled:
            for one in compare_many(
                found, baseline=OLD, correction="none", groups=d.groups, confidence=confidence, random_state=seed
            ):
                against[one.a][d.task] = replace(one, b="old")
        for w in ways:
            quality[w][d.task] = estimate(
                found[w], metric.label, bounds=metric.bounds, groups=d.groups, resamples=resamples,
                confidence=confidence, random_state=seed,
            )  # fmt: skip
            kept[w][d.task] = kept_of(w, found, d.groups, joint)
            if w != NEW:
                trend[w][d.task] = _trend(w, found, halved[d.task], d.groups, doublings[d.task], confidence)
    return Figures(quality, kept, {w: _corrected(c) for w, c in against.items()}, trend, joint)


def _trend(
    way: str,
    whole: Mapping[str, np.ndarray],
    half: Mapping[str, np.ndarray],
    groups: np.ndarray,
    doublings: float,
    confidence: float,
) -> Trend:
    all_of_it, half_of_it = (whole[way], whole[NEW]), (half[way], half[NEW])

    def sum_of(name: str, a: float, b: float) -> Estimate:
        return combined([(a, *all_of_it), (b, *half_of_it)], name, groups=groups, confidence=confidence)

    return Trend(
        ratio(*half_of_it, "kept in half of the gallery", groups=groups, confidence=confidence),
        sum_of("change as the gallery doubles", 1.0, -1.0),
        sum_of("kept at the size of the corpus", 1.0 + doublings, -doublings),
        doublings,
    )


def kept_of(way: str, values: Mapping[str, np.ndarray], groups: np.ndarray, confidence: float) -> Estimate:
    """Return a way's quality as a share of that of a full re-embed, which keeps all of it."""
    if way == NEW:
        v = values[NEW]
        share = 1.0 if v.any() else math.nan
        return Estimate("kept", share, share, share, n=len(v), confidence=confidence, per_query=v)
    return ratio(values[way], values[NEW], "kept", groups=groups, confidence=confidence)


def joint_confidence(
    values: Values, directions: list[Direction], rivals: Sequence[str], confidence: float, resamples: int, seed: int
) -> float:
    """Return the confidence of single intervals with which all those of the rivals hold at once, in all directions."""
    from scipy import special

    labels = np.concatenate([_units(d) for d in directions])
    _, member = np.unique(labels, return_inverse=True)
    parts = np.split(member, np.cumsum([len(d) for d in directions])[:-1])
    columns = []
    for d, mine in zip(directions, parts, strict=True):
        b = values[d.task][NEW]
        for way in rivals:
            a = values[d.task][way]
            if b.any() and (a != b).any():
                columns.append(np.bincount(mine, weights=a - a.sum() / b.sum() * b, minlength=member.max() + 1))
    units = int(member.max()) + 1
    if not columns or units < 2:
        return confidence
    c = joint_quantile(np.stack(columns, axis=1), confidence, resamples, np.random.default_rng(seed))
    least = t_quantile(confidence, units - 1)
    return float(2 * special.stdtr(units - 1, max(c, least)) - 1)


def _units(d: Direction) -> np.ndarray:
    """Return a name for each query's group: things are the same in all directions, rows of a modality only there."""
    return np.array([f"{'' if d.things else d.asks}/{g}" for g in d.groups])


def _corrected(found: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Correct the p-values of one way over its directions."""
    if not found:
        return {}
    p_values = holm([c.p_value_raw for c in found.values()])
    return {d: replace(c, p_value=float(p)) for (d, c), p in zip(found.items(), p_values, strict=True)}
