"""Keep one row of each group of near-duplicates in the gallery.

Which rows go is decided in the gallery that is searched, from its vectors alone; only the cosine from which two rows
are near-duplicates is learned, from other rows. Queries stay. A query whose only right answer was taken out for
another row finds nothing: where near-duplicates are different things, this is what the remedy costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from commonspace.core.registry import register
from commonspace.judge.remedy import Remedy
from commonspace.judge.subject import Subject
from commonspace.measure.health.duplicates import duplicates


@register("deduplicate", protocol="Remedy", claim="judge/remedies")
class Deduplicate(Remedy):
    """Keep the first of each group of near-duplicates.

    Parameters
    ----------
    threshold : float, optional
        Cosine from which on two rows are near-duplicates; read off the data by default.
    """

    title = "one row kept of each group of near-duplicates"

    def __init__(self, *, threshold: float | None = None) -> None:
        self.threshold = threshold

    def fit(self, subject: Subject, rng: np.random.Generator) -> Self:
        """Learn the cosine of near-duplicates for each modality."""
        self.thresholds_: dict[str, float] = {}
        for m in subject.modalities:
            units = subject.sample(m, 10_000, rng)[1]
            found = self._found(units, self.threshold, rng)
            self.thresholds_[m] = found.threshold
        return self

    def keeps(self, subject: Subject) -> Mapping[str, np.ndarray]:
        """Return which rows stay: the first of each group."""
        kept = {}
        for m, x in subject.vectors.items():
            kept[m] = np.ones(len(x), bool)
            rows = subject.sound(m)
            found = self._found(subject.units(m, rows), self.thresholds_[m], np.random.default_rng(0))
            kept[m][rows[found.rows]] = False
        return kept

    def _found(self, units: np.ndarray, threshold: float | None, rng: np.random.Generator) -> Any:
        return duplicates(units, threshold=threshold, most=len(units), show=1, resamples=1, random_state=rng)
