"""Is search within a modality worse than the way round through another? A diagnosis from vectors and labels.

A space trained on pairs alone is told which text belongs to which image, and nothing about which images belong
together. For every modality m that is searched and every other o, over the items i that have both, with a metric such
as map over the items of the same label, i itself left out:

    own     z_m(i) asks the vectors of m
    other   z_o(i) asks the same vectors: the partner speaks for the item
    both    the mean of the two asks

An item is its own control, so the difference own - other has a paired test; p-values are corrected by Holm's procedure
over all (m, o). Where it is clearly negative, search within m wastes what the space knows.

A partner may say what the item itself does not show (a name says more than a sketch). The source asks about the space
alone: it makes the partner from the item's own vector, by optimisation through the encoder. That needs an encoder that
cannot reach every point of the space. Light heads can: a linear one onto fewer numbers than its input has reaches every
vector exactly, and the partner made this way is the item again.

Source: the question is that of "Cross the Gap: Exposing the Intra-modal Misalignment in CLIP via Modality Inversion".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_vectors, unit
from commonspace.measure.metrics.evaluation import evaluate_retrieval
from commonspace.measure.metrics.metric import metric as named_metric
from commonspace.measure.statistics.comparison import Comparison, compare, holm
from commonspace.measure.statistics.estimates import Estimate, estimate

LEVEL = 0.05


@dataclass(frozen=True)
class Detour:
    """Search of one modality, asked by itself and by another.

    Parameters
    ----------
    searched, asks : str
        The modality that is searched, and the one that asks instead.
    own, other, both : Estimate
        The metric, asked by the item itself, by its partner, by the mean of both.
    difference : Comparison
        own - other, with a p-value corrected for all ways round that were looked at.
    """

    searched: str
    asks: str
    own: Estimate
    other: Estimate
    both: Estimate
    difference: Comparison

    @property
    def misaligned(self) -> bool:
        """Whether the item itself asks worse than its partner, beyond chance."""
        return self.difference.difference < 0 and self.difference.p_value < LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in ("own", "other", "both", "difference")}
        return {"searched": self.searched, "asks": self.asks, **figures, "misaligned": self.misaligned}

    def __str__(self) -> str:
        verdict = "worse than the way round" if self.misaligned else "not shown to be worse than the way round"
        return (
            f"{self.searched} within itself: {self.own.metric} {self.own}; asked by {self.asks}: {self.other}; by both "
            f"{self.both}\n    {self.difference}: {verdict}"
        )


@dataclass(frozen=True)
class IntraModal:
    """What `intramodal` found, one `Detour` for every ordered pair of modalities that share labelled items."""

    detours: tuple[Detour, ...]

    @property
    def misaligned(self) -> tuple[Detour, ...]:
        """Those where search within a modality is worse than the way round."""
        return tuple(d for d in self.detours if d.misaligned)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return one mapping a detour, ready for JSON."""
        return [d.to_dict() for d in self.detours]

    def __str__(self) -> str:
        return "\n".join(map(str, self.detours))


def intramodal(
    vectors: Mapping[str, Any],
    labels: Any,
    *,
    present: Mapping[str, np.ndarray] | None = None,
    metric: Any = "map",
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> IntraModal:
    """Compare search within each modality with the way round through every other.

    Parameters
    ----------
    vectors : mapping of str to (n, dim) array
        Modality -> vectors of one space, row i of all belonging to item i; brought to unit length.
    labels : (n,) array
        Equal label = should find each other.
    present : mapping of str to (n,) bool, optional
        Modality -> which items have it; others may hold anything.
    metric : str, mapping or metric
        As in `evaluate`; one of which more is better.
    groups : (n,) array, optional
        Items drawn together by the bootstrap and the test; by default those of one label, for they ask for each other.
        Pass ``np.arange(n)`` where labels are few and broad.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed.

    Raises
    ------
    BadInput
        Fewer than two modalities, shapes that disagree, or no two modalities whose shared items find anything.
    """
    if not isinstance(vectors, Mapping) or len(vectors) < 2:
        raise BadInput("vectors must map at least two modalities to their vectors")
    keys = np.asarray(labels)
    named = {"labels": keys, "groups": keys if groups is None else np.asarray(groups)}
    masks = {m: np.ones(len(keys), bool) for m in vectors} | {m: np.asarray(v) for m, v in (present or {}).items()}
    units = {m: unit(check_vectors(v, name=f"vectors[{m!r}]")) for m, v in vectors.items()}
    shapes = {m: v.shape for m, v in units.items()}
    if len(set(shapes.values())) > 1 or any(s[0] != len(keys) for s in shapes.values()):
        raise BadInput(f"every modality needs one row for each of the {len(keys)} labels in one space, got {shapes}")
    for name, values in {**named, **{f"present[{m!r}]": v for m, v in masks.items()}}.items():
        if values.shape != (len(keys),):
            raise BadInput(f"{name} must have shape ({len(keys)},), not {values.shape}")
    if set(masks) != set(vectors):
        raise BadInput(f"present names {sorted(set(masks) - set(vectors))}, but vectors has {sorted(vectors)}")
    options = {"resamples": resamples, "confidence": confidence, "random_state": random_state}
    built = named_metric(metric)
    if not getattr(built, "higher_is_better", True):
        raise BadInput(f"{metric} is better the lower it is, and this asks which way round is higher: use map, or mrr")
    found = []
    for searched, asks in permutations(units, 2):
        rows = np.flatnonzero(masks[searched])
        detour = _detour(units, searched, asks, rows, masks[asks][rows], named, built, options)
        found += [] if detour is None else [detour]
    if not found:
        raise BadInput("no item has two modalities and another item of its label to find: check labels and present")
    corrected = holm([d.difference.p_value_raw for d in found])
    return IntraModal(
        tuple(
            replace(d, difference=replace(d.difference, p_value=float(p)))
            for d, p in zip(found, corrected, strict=True)
        )
    )


def _detour(
    units: Mapping[str, np.ndarray],
    searched: str,
    asks: str,
    rows: np.ndarray,
    partnered: np.ndarray,
    named: Mapping[str, np.ndarray],
    metric: Any,
    options: dict[str, Any],
) -> Detour | None:
    """Return the comparison over the items at `rows` that have a partner and something to find, or None without any.

    All of `rows` are the gallery, and ask too, so that each can be left out of its own search; those without a partner
    are dropped afterwards.
    """
    keys = named["labels"][rows]
    _, place, many = np.unique(keys, return_inverse=True, return_counts=True)
    judged = many[place] > 1  # what `evaluate_retrieval` has a value for
    asked = judged & partnered
    if not asked.any():
        return None
    gallery, partner = units[searched][rows], units[asks][rows]
    values = {}
    for name, queries in (("own", gallery), ("other", partner), ("both", unit(gallery + partner))):
        usable = np.where(partnered[:, None], queries, gallery)
        scored = evaluate_retrieval(usable, gallery, (keys, keys), [metric], leave_one_out=True, resamples=1)
        whole = next(iter(scored.values()))
        values[name] = (whole.metric, whole.per_query[asked[judged]])
    groups = named["groups"][rows][asked]
    bounds = getattr(metric, "bounds", None)
    figures = {n: estimate(v, label, groups=groups, bounds=bounds, **options) for n, (label, v) in values.items()}
    difference = compare(
        figures["own"], figures["other"], groups=groups, confidence=options["confidence"],
        random_state=options["random_state"],
    )  # fmt: skip
    return Detour(searched, asks, **figures, difference=replace(difference, a=searched, b=asks))
