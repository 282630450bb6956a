"""From values of queries to what is kept: ratios with intervals, and comparisons with the old space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.statistics.comparison import Comparison, compare_many
from commonspace.measure.statistics.corrections import holm
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.measure.statistics.ratio import combined, ratio
from commonspace.upgrade.measuring import Measured
from commonspace.upgrade.options import Trend

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
    """

    quality: Mapping[str, Mapping[str, Estimate]]
    kept: Mapping[str, Mapping[str, Estimate]]
    against_old: Mapping[str, Mapping[str, Comparison]]
    trend: Mapping[str, Mapping[str, Trend]]


def figures(measured: Measured, metric: RankMetric, *, confidence: float, resamples: int, seed: int) -> Figures:
    """Return the figures of all ways."""
    tasks = list(measured.whole)
    ways = list(measured.whole[tasks[0]])
    quality: dict[str, dict[str, Estimate]] = {w: {} for w in ways}
    kept: dict[str, dict[str, Estimate]] = {w: {} for w in ways}
    trend: dict[str, dict[str, Trend]] = {w: {} for w in ways}
    for task in tasks:
        found, half, groups = measured.whole[task], measured.halved[task], measured.groups[task]
        for w in ways:
            quality[w][task] = estimate(
                found[w], metric.label, bounds=metric.bounds, groups=groups, resamples=resamples,
                confidence=confidence, random_state=seed,
            )  # fmt: skip
            kept[w][task] = kept_of(w, found, groups, confidence)
            if w != NEW:
                trend[w][task] = _trend(w, found, half, groups, measured.doublings[task], confidence)
    return Figures(quality, kept, against_old(measured, confidence=confidence, seed=seed), trend)


def against_old(measured: Measured, *, confidence: float, seed: int) -> dict[str, dict[str, Comparison]]:
    """Return way -> direction -> its values less those of the old space, p-values corrected over the directions.

    There is nothing to compare where what is right is not known.
    """
    found: dict[str, dict[str, Comparison]] = {w: {} for values in measured.whole.values() for w in values}
    for task, values in measured.whole.items() if measured.labelled else ():
        for one in compare_many(
            values, baseline=OLD, correction="none", groups=measured.groups[task], confidence=confidence,
            random_state=seed,
        ):  # fmt: skip
            found[one.a][task] = replace(one, b="old")
    return {w: _corrected(c) for w, c in found.items()}


def kept_in_growing(
    way: str,
    whole: Mapping[str, np.ndarray],
    half: Mapping[str, np.ndarray],
    groups: np.ndarray,
    doublings: float,
    confidence: float,
) -> Estimate:
    """Return what is kept in a gallery that has doubled so often, should every doubling change it as the last one."""
    name = "kept in twice the gallery" if doublings == 1 else "kept in a larger gallery"
    terms = [(1.0 + doublings, whole[way], whole[NEW]), (-doublings, half[way], half[NEW])]
    return combined(terms, name, groups=groups, confidence=confidence)


def _trend(
    way: str,
    whole: Mapping[str, np.ndarray],
    half: Mapping[str, np.ndarray],
    groups: np.ndarray,
    doublings: float,
    confidence: float,
) -> Trend:
    all_of_it, half_of_it = (whole[way], whole[NEW]), (half[way], half[NEW])
    change = [(1.0, *all_of_it), (-1.0, *half_of_it)]
    return Trend(
        ratio(*half_of_it, "kept in half of the gallery", groups=groups, confidence=confidence),
        combined(change, "change as the gallery doubles", groups=groups, confidence=confidence),
        replace(
            kept_in_growing(way, whole, half, groups, doublings, confidence), metric="kept at the size of the corpus"
        ),
        doublings,
    )


def kept_of(way: str, values: Mapping[str, np.ndarray], groups: np.ndarray, confidence: float) -> Estimate:
    """Return a way's quality as a share of that of a full re-embed, which keeps all of it."""
    if way == NEW:
        v = values[NEW]
        share = 1.0 if v.any() else math.nan
        return Estimate("kept", share, share, share, n=len(v), confidence=confidence, per_query=v)
    return ratio(values[way], values[NEW], "kept", groups=groups, confidence=confidence)


def _corrected(found: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Correct the p-values of one way over its directions."""
    if not found:
        return {}
    p_values = holm([c.p_value_raw for c in found.values()])
    return {d: replace(c, p_value=float(p)) for (d, c), p in zip(found.items(), p_values, strict=True)}
