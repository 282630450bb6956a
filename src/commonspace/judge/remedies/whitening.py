"""Bring all directions of the space to nearly the same variance, after taking off the mean of each modality."""

from __future__ import annotations

from typing import Any

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.judge.remedy import MapRemedy
from commonspace.reshape.whitening import Whitening as WhiteningMap


@register(
    "whitening",
    protocol="Remedy",
    papers=[
        Paper(
            "Whitening Sentence Representations for Better Semantics and Faster Retrieval",
            2021,
            "https://arxiv.org/abs/2103.15316",
        )
    ],
    claim="judge/remedies",
)
class Whitening(MapRemedy):
    """Take off the means and whiten.

    Parameters
    ----------
    power, shrinkage : float
        As in the map: 1 whitens fully, and the shrinkage keeps the weakest directions from being blown up.
    """

    title = "all directions brought to one variance"

    def __init__(self, *, power: float = 1.0, shrinkage: float = 0.1) -> None:
        self.power = power
        self.shrinkage = shrinkage

    def build(self) -> Any:
        """Return the map."""
        return WhiteningMap(power=self.power, shrinkage=self.shrinkage)
