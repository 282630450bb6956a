"""precision@k: the fraction of the first k that is relevant.

    precision@k = (relevant items among the first k) / k

Of a tie of n items with r relevant ones and c places within the first k, r c / n relevant items are found on average.
Divided by k even where fewer items were ranked, as trec_eval does.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric, check_cut
from commonspace.measure.metrics.ranks import TIES, Ranks


@register("precision", protocol="Metric", synonyms=("p",), papers=[TIES], claim="measure/intervals")
class Precision(RankMetric):
    """Fraction of the first k that is relevant.

    Parameters
    ----------
    k : int
        The cut-off, at least 1.
    """

    def __init__(self, *, k: int | None = None) -> None:
        self.k = k

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) values in [0, 1]."""
        k = check_cut("precision", self.k, optional=False)
        ties = ranks.ties
        return ranks.total(ties.query, ties.relevant * ties.inside(k) / ties.size) / k
