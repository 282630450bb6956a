"""Leave out dimensions that say nothing, that repeat another, or that drown all others."""

from __future__ import annotations

from typing import Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.registry import register
from commonspace.judge.findings.dimensions import looked_at
from commonspace.judge.remedy import Remedy
from commonspace.judge.subject import Subject


@register("drop-dimensions", protocol="Remedy", claim="judge/remedies")
class DropDimensions(Remedy):
    """Leave out dead, redundant and dominating dimensions.

    A dead or redundant dimension goes only if it is so in every modality: what says nothing of the images may be all
    that tells texts apart. A dominating one goes if it dominates any.
    """

    title = "dead, repeated and dominating dimensions left out"

    def fit(self, subject: Subject, rng: np.random.Generator) -> Self:
        """Learn which dimensions stay."""
        useless = np.ones(subject.dim, bool)
        dominating = np.zeros(subject.dim, bool)
        for m in subject.modalities:
            looked = looked_at(subject, m, self.MOST, rng)
            mine = np.zeros(subject.dim, bool)
            if looked is not None:
                _, stored, length = looked
                mine[[*stored.dead, *(j for j, *_ in stored.redundant)]] = True
                dominating[[j for j, _ in length.dominating]] = True
            useless &= mine
        self.kept_ = np.flatnonzero(~(useless | dominating))
        if not len(self.kept_):
            raise BadInput("no dimension would be left")
        return self

    def transform(self, rows: np.ndarray, modality: str) -> np.ndarray:
        """Return the rows without those dimensions."""
        out: np.ndarray = rows[:, self.kept_]
        return out
