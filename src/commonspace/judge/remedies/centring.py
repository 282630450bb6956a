"""Take off the mean of each modality: the gap between modalities, and what all rows have in common, go with it."""

from __future__ import annotations

from typing import Any

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.judge.remedy import MapRemedy
from commonspace.reshape.centring import Centring as CentringMap


@register(
    "centring",
    protocol="Remedy",
    synonyms=("gap-shift",),
    papers=[
        Paper(
            "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning",
            2022,
            "https://arxiv.org/abs/2203.02053",
        )
    ],
    claim="judge/remedies",
)
class Centring(MapRemedy):
    """Take off the mean of each modality."""

    title = "the mean of each modality taken off"

    def build(self) -> Any:
        """Return a map that does no more."""
        return CentringMap()
