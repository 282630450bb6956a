"""Take off the mean of each modality and the few directions in which all rows vary most."""

from __future__ import annotations

from typing import Any

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.judge.remedy import MapRemedy
from commonspace.reshape.top_components import AllButTheTop


@register(
    "top-components",
    protocol="Remedy",
    papers=[
        Paper(
            "All-but-the-Top: Simple and Effective Postprocessing for Word Representations",
            2018,
            "https://arxiv.org/abs/1702.01417",
        )
    ],
    claim="judge/remedies",
)
class TopComponents(MapRemedy):
    """Take off the means and the strongest directions.

    Parameters
    ----------
    count : int, optional
        Directions to take off; a hundredth of the dimension by default, at least 1.
    """

    title = "the mean and the strongest directions taken off"

    def __init__(self, *, count: int | None = None) -> None:
        self.count = count

    def build(self) -> Any:
        """Return the map."""
        return AllButTheTop(count=self.count)
