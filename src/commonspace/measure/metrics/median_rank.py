"""median_rank: the rank of the first relevant item; its median over the queries.

In a tie of n items with r relevant ones below s others the first relevant item stands at rank s + (n + 1) / (r + 1)
on average. Lower is better, 1 is perfect.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.ranks import TIES, Ranks


@register("median_rank", protocol="Metric", synonyms=("medr",), papers=[TIES], claim="measure/intervals")
class MedianRank(RankMetric):
    """Rank of the first relevant item, lower is better; the median over queries."""

    statistic: ClassVar[str] = "median"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float] | None] = None

    def __init__(self) -> None:
        pass

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) expected ranks, at least 1; infinite where no relevant item was ranked."""
        first = ranks.ties.first
        expected = first.above + (first.size + 1) / (first.relevant + 1)
        if first.ranked is not None:
            expected = np.where(first.above < first.ranked, expected, np.inf)
        return ranks.total(first.query, expected)
