"""Leave likely wrong pairs out of training, and train again.

Vectors cannot be mended by this, only what is learned from their pairs. So that the effect shows without the original
encoders and hours, both sides of the comparison learn a map on top of the vectors (canonical correlation analysis in
closed form): one from all pairs of the first half, one from those that are likely right.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Self

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import unit
from commonspace.judge.findings.pair_outliers import LEAST
from commonspace.judge.remedy import Remedy
from commonspace.judge.subject import Subject
from commonspace.measure.health.outliers import pair_outliers


@register(
    "pair-cleaning",
    protocol="Remedy",
    papers=[
        Paper(
            "Noisy-Correspondence Learning for Text-to-Image Person Re-identification",
            2024,
            "https://arxiv.org/abs/2308.09911",
        )
    ],
    claim="judge/remedies",
)
class PairCleaning(Remedy):
    """Learn from the pairs that are likely right only.

    Parameters
    ----------
    doubt : float
        Pairs that are more likely wrong than this are left out.
    most : int
        Pairs that are learned from; time grows with the square.
    """

    title = "a map learned without the pairs that are likely wrong"

    def __init__(self, *, doubt: float = 0.5, most: int = 2_500) -> None:
        self.doubt = doubt
        self.most = most

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: two modalities that share things."""
        return None if len(subject.things) > 1 else "no two modalities whose rows are known to show the same thing"

    def fit(self, subject: Subject, rng: np.random.Generator) -> Self:
        """Learn both maps for every two modalities."""
        from commonspace.align.hygiene.pair_judges import learned_map

        self.maps_: dict[tuple[str, str], tuple[Any, Any]] = {}
        self.dropped_: dict[str, float] = {}
        for a, b in combinations(subject.things, 2):
            rows_a, rows_b, things = subject.pairs(a, b)
            chosen = np.sort(rng.permutation(len(things))[: self.most])
            if len(chosen) < LEAST or len(np.unique(things[chosen])) < 2:  # one thing has no other partner
                continue
            A, B = subject.units(a, rows_a[chosen]), subject.units(b, rows_b[chosen])
            found = pair_outliers(A, B, groups=things[chosen], most=len(chosen), random_state=rng)
            right = np.ones(len(chosen), bool)
            right[found.positions[found.doubt > self.doubt]] = False
            self.maps_[a, b] = learned_map(A, B), learned_map(A[right], B[right])
            self.dropped_[f"{a}-{b}"] = float(1 - right.mean())
        return self

    def apply(self, subject: Subject) -> Subject | None:
        """Return None: which pairs of the other half are wrong is not changed by learning from this one."""
        return None

    def meet(self, asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both sides through the map learned from the pairs that are likely right."""
        return self._mapped(1, asks, searched, queries, gallery)

    def without(
        self, asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both sides through the map learned from all pairs."""
        return self._mapped(0, asks, searched, queries, gallery)

    def _mapped(
        self, which: int, asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        sides = {asks: unit(queries), searched: unit(gallery)}
        if asks == searched:
            return unit(queries), unit(gallery)
        for (a, b), maps in self.maps_.items():
            if {a, b} == set(sides):
                side_a, side_b, fitted = maps[which]
                done = {
                    a: unit(fitted.transform(side_a(sides[a]))),
                    b: unit(fitted.transform_target(side_b(sides[b]))),
                }
                return done[asks], done[searched]
        return sides[asks], sides[searched]
