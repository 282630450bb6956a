"""rbp: rank-biased precision, for a user who goes on to the next item with a fixed probability.

    RBP = (1 - p) sum over relevant items at rank i of p^(i - 1)

is the rate at which this user meets relevant items, who looks at 1 / (1 - p) of them on average: 5 for p = 0.8. No
number of relevant items stands below the line, so that a query needs no complete judgements; what is not ranked could
add p^depth at most. In a tie of n items with r relevant ones below s others each place is relevant with probability
r / n, which adds r / n (p^s - p^(s + n)).

Source: Moffat and Zobel, "Rank-Biased Precision for Measurement of Retrieval Effectiveness", 2008.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_share
from commonspace.measure.metrics.metric import RankMetric, check_cut
from commonspace.measure.metrics.ranks import TIES, Ranks

BIASED = Paper(
    "Rank-Biased Precision for Measurement of Retrieval Effectiveness", 2008, "https://doi.org/10.1145/1416950.1416952"
)


@register(
    "rbp", protocol="Metric", synonyms=("rank_biased_precision",), papers=[BIASED, TIES], claim="measure/intervals"
)
class RBP(RankMetric):
    """Rank-biased precision, for relevance without grades.

    Parameters
    ----------
    k : int, optional
        Relevant items beyond rank k add nothing; by default all count.
    p : float
        Probability of going on to the next item, between 0 and 1.
    """

    def __init__(self, *, k: int | None = None, p: float = 0.8) -> None:
        self.k = k
        self.p = p

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return (q,) values in [0, 1]."""
        p, ties = check_share("p", self.p), ranks.ties
        places = ties.inside(check_cut("rbp", self.k, optional=True))
        met = np.power(p, ties.above) - np.power(p, ties.above + places)
        return ranks.total(ties.query, ties.relevant / ties.size * met)
