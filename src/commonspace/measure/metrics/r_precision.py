"""r_precision: precision at R, where R is the number of relevant items of the query.

    r_precision = (relevant items among the first R) / R

At this cut-off precision and recall are the same, and a perfect ranking has 1 whatever R is. A tie of n items with r
relevant ones and c places within the first R holds r c / n relevant items there on average.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.ranks import TIES, Ranks


@register("r_precision", protocol="Metric", synonyms=("rprec",), papers=[TIES], claim="measure/intervals")
class RPrecision(RankMetric):
    """Precision at the number of relevant items."""

    def __init__(self) -> None:
        pass

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) values in [0, 1]."""
        ties = ranks.ties
        return ranks.total(ties.query, ties.relevant * ties.inside(ranks.relevant[ties.query]) / ties.size, mean=True)
