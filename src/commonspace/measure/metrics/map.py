"""map: average precision, the mean over the relevant items of the precision at their ranks.

    AP@k = (1 / relevant items) sum over relevant items at rank i <= k of (relevant among the first i) / i

In a tie of n items with r relevant ones, below s items of which b are relevant, place j holds a relevant item with
probability r / n, and then (j - 1)(r - 1) / (n - 1) of the places before it do on average; the tie adds

    r / n * sum over j of (b + 1 + (j - 1)(r - 1) / (n - 1)) / (s + j)

over its c places within the first k. Harmonic numbers give both sums without a loop, because the sum of
(j - 1) / (s + j) is c - (s + 1) times the sum of 1 / (s + j).
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric, check_cut
from commonspace.measure.metrics.ranks import TIES, Ranks


@register("map", protocol="Metric", synonyms=("ap", "average_precision"), papers=[TIES], claim="measure/intervals")
class MAP(RankMetric):
    """Average precision of each query; its mean over queries is MAP.

    Parameters
    ----------
    k : int, optional
        Relevant items beyond rank k add nothing (they still count below the line); by default all count.
    """

    def __init__(self, *, k: int | None = None) -> None:
        self.k = k

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) values in [0, 1]."""
        ties = ranks.ties
        places = ties.inside(check_cut("map", self.k, optional=True))
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ranks.n_items + 1))])
        inverse = harmonic[ties.above + places] - harmonic[ties.above]
        slope = (ties.relevant - 1) / np.maximum(ties.size - 1, 1)
        precision = (ties.before + 1) * inverse + slope * (places - (ties.above + 1) * inverse)
        return ranks.total(ties.query, ties.relevant / ties.size * precision, mean=True)
