"""From values of queries to what is kept: ratios with joint intervals, and comparisons with the old space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.statistics.comparison import Comparison, compare
from commonspace.measure.statistics.corrections import holm
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.measure.statistics.paired import t_quantile
from commonspace.measure.statistics.ratio import joint_quantile, ratio
from commonspace.upgrade.measuring import Values
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
    joint : float
        Confidence of each interval of `kept` that makes all of them hold at once with the confidence asked for.
    """

    quality: Mapping[str, Mapping[str, Estimate]]
    kept: Mapping[str, Mapping[str, Estimate]]
    against_old: Mapping[str, Mapping[str, Comparison]]
    joint: float


def figures(
    values: Values,
    directions: list[Direction],
    metric: RankMetric,
    rivals: list[str],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Figures:
    """Return the figures of all ways.

    Parameters
    ----------
    rivals : list of str
        Ways among which the best is chosen, and whose intervals hold together therefore.
    """
    joint = joint_confidence(values, directions, rivals, confidence, resamples, seed)
    ways = list(values[directions[0].task])
    quality: dict[str, dict[str, Estimate]] = {w: {} for w in ways}
    kept: dict[str, dict[str, Estimate]] = {w: {} for w in ways}
    against: dict[str, dict[str, Comparison]] = {w: {} for w in ways}
    for d in directions:
        found = values[d.task]
        for w in ways:
            quality[w][d.task] = estimate(
                found[w], metric.label, bounds=metric.bounds, groups=d.groups, resamples=resamples,
                confidence=confidence, random_state=seed,
            )  # fmt: skip
            kept[w][d.task] = kept_of(w, found, d.groups, joint)
            if d.labelled and w != OLD:
                one = compare(found[w], found[OLD], groups=d.groups, confidence=confidence, random_state=seed)
                against[w][d.task] = replace(one, a=w, b="old")
    return Figures(quality, kept, {w: _corrected(c) for w, c in against.items()}, joint)


def kept_of(way: str, values: Mapping[str, np.ndarray], groups: np.ndarray, confidence: float) -> Estimate:
    """Return a way's quality as a share of that of a full re-embed, which keeps all of it."""
    if way == NEW:
        v = values[NEW]
        share = 1.0 if v.any() else math.nan
        return Estimate("kept", share, share, share, n=len(v), confidence=confidence, per_query=v)
    return ratio(values[way], values[NEW], "kept", groups=groups, confidence=confidence)


def joint_confidence(
    values: Values, directions: list[Direction], rivals: list[str], confidence: float, resamples: int, seed: int
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
