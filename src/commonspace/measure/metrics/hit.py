"""hit@k: whether at least one relevant item is among the first k.

Only the best tie that holds a relevant item can be in doubt. With n tied items, r of them relevant and c places
within the first k, all c places go to irrelevant items with probability

    C(n - r, c) / C(n, c)

and hit@k is one minus that. Also called success@k; papers on image-text retrieval call it R@k.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from commonspace.core.registry import register
from commonspace.measure.metrics.metric import RankMetric, check_cut
from commonspace.measure.metrics.ranks import TIES, Ranks


@register("hit", protocol="Metric", synonyms=("success", "hit_rate"), papers=[TIES], claim="measure/intervals")
class Hit(RankMetric):
    """Whether at least one relevant item is among the first k.

    Parameters
    ----------
    k : int
        The cut-off, at least 1.
    """

    def __init__(self, *, k: int | None = None) -> None:
        self.k = k

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) probabilities in [0, 1]; without ties 0 or 1."""
        first = ranks.ties.first
        places = first.inside(check_cut("hit", self.k, optional=False))
        spare = first.size - first.relevant
        left = np.maximum(spare - places, 0)
        log_miss = _log_orders(spare, left) - _log_orders(first.size, first.size - places)
        hit = np.where(places > spare, 1.0, -np.expm1(np.minimum(log_miss, 0)))
        return ranks.total(first.query, np.where(places == 0, 0.0, hit))


def _log_orders(n: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return log(n! / left!), the ways to fill n - left places in order."""
    out: np.ndarray = gammaln(n + 1) - gammaln(left + 1)
    return out
