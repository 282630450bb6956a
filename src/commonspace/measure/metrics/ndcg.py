"""ndcg: discounted cumulative gain of the first k, divided by that of the best possible order.

    DCG@k = sum over ranks i <= k of gain(grade of item i) / log2(i + 1),   nDCG@k = DCG@k / ideal DCG@k

with gain(g) = g (linear, as trec_eval) or 2^g - 1 (exponential). Each item of a tie has the mean gain of its tie on
average, whatever its place. The ideal order ranks all relevant items of the query first, found or not.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric, check_cut
from commonspace.measure.metrics.ranks import TIES, Ranks

GAIN = Paper("Cumulated gain-based evaluation of IR techniques", 2002, "https://doi.org/10.1145/582415.582418")


@register("ndcg", protocol="Metric", papers=[GAIN, TIES], claim="measure/intervals")
class NDCG(RankMetric):
    """Normalised discounted cumulative gain; the metric that honours grades.

    Parameters
    ----------
    k : int, optional
        The cut-off; by default the whole ranking counts.
    gain : {"linear", "exponential"}
        Gain of a grade g: g itself, or 2^g - 1.
    """

    def __init__(self, *, k: int | None = None, gain: str = "linear") -> None:
        self.k = k
        self.gain = gain

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) values in [0, 1]."""
        check_choice("gain", self.gain, ("linear", "exponential"))
        k = check_cut("ndcg", self.k, optional=True)
        gain = ranks.grade if self.gain == "linear" else np.exp2(ranks.grade) - 1
        # summed[i] = discounts of the first i ranks
        summed = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(ranks.n_items) + 2))])
        ties = ranks.ties
        earned = np.bincount(ranks.group, weights=gain, minlength=len(ties.query)) / ties.size
        share = summed[ties.above + ties.inside(k)] - summed[ties.above]
        ideal = self._ideal(ranks, gain, np.diff(summed), k)
        return ranks.total(ties.query, earned * share) / np.where(ideal > 0, ideal, 1)

    @staticmethod
    def _ideal(ranks: Ranks, gain: np.ndarray, discount: np.ndarray, k: int | None) -> np.ndarray:
        best = np.lexsort((-gain, ranks.query))
        start = np.cumsum(ranks.relevant) - ranks.relevant
        place = np.arange(len(best)) - start[ranks.query]  # `query` is sorted, so it reads the same in this order
        within = place < (len(discount) if k is None else k)
        return ranks.total(ranks.query[within], (gain[best] * discount[place])[within])
