"""recall@k: the fraction of the relevant items found among the first k.

    recall@k = (relevant items among the first k) / (all relevant items)

Of a tie of n items with r relevant ones and c places within the first k, r c / n relevant items are found on average.
This is the meaning in information retrieval and in papers on nearest-neighbour search. What papers on image-text
retrieval print as R@k is `hit@k`; the two agree where every query has one relevant item.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric, check_cut
from commonspace.measure.metrics.ranks import TIES, Ranks


@register("recall", protocol="Metric", papers=[TIES], claim="measure/intervals")
class Recall(RankMetric):
    """Fraction of the relevant items found among the first k.

    Parameters
    ----------
    k : int
        The cut-off, at least 1.
    """

    def __init__(self, *, k: int | None = None) -> None:
        self.k = k

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) values in [0, 1]."""
        ties = ranks.ties
        found = ties.relevant * ties.inside(check_cut("recall", self.k, optional=False)) / ties.size
        return ranks.total(ties.query, found, mean=True)
