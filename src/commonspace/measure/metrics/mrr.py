"""mrr: one over the rank of the first relevant item, 0 if it comes after the first k.

In a tie of n items with r relevant ones below s others, the first relevant item stands at place j of the tie with
probability C(n - j, r - 1) / C(n, r), so that

    E[1 / rank] = sum over j = 1 .. n - r + 1 of C(n - j, r - 1) / C(n, r) / (s + j)
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric, check_cut
from commonspace.measure.metrics.ranks import TIES, Ranks


@register("mrr", protocol="Metric", synonyms=("rr", "reciprocal_rank"), papers=[TIES], claim="measure/intervals")
class MRR(RankMetric):
    """One over the rank of the first relevant item.

    Parameters
    ----------
    k : int, optional
        Ranks beyond k count as 0; by default every rank counts.
    """

    def __init__(self, *, k: int | None = None) -> None:
        self.k = k

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) values in [0, 1]."""
        first = ranks.ties.first
        last = np.minimum(first.size - first.relevant + 1, first.inside(check_cut("mrr", self.k, optional=True)))
        # One entry for each place the first relevant item may take: one a query unless there are ties.
        g = np.repeat(np.arange(len(last)), last)
        j = np.arange(len(g)) - np.repeat(np.cumsum(last) - last, last) + 1
        n, r = first.size[g], first.relevant[g]
        chance = np.exp(_log_choose(n - j, r - 1) - _log_choose(n, r))
        return ranks.total(first.query[g], chance / (first.above[g] + j))


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    out: np.ndarray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return out
