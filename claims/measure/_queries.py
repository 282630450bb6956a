"""Queries of planted truth: ranks whose law is known, so that the figures of the whole population are known too.

The rank of the relevant item of a query is r = ceil(exp(m + s z)), z normal. Every metric of one relevant item is a
function of r, and its mean over the population is a sum over r of known probabilities. Where queries come in groups, z
is in part that of the group, which changes no single query's law.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

WORLDS = {"hard": (1.5, 1.5), "easy": (-1.0, 1.3)}  # the relevant item comes first for 16 % and 78 % of the queries
METRICS = {
    "hit@1": lambda r: (r <= 1) * 1.0,
    "hit@3": lambda r: (r <= 3) * 1.0,
    "mrr": lambda r: 1 / r,
    "ndcg@10": lambda r: np.where(r <= 10, 1 / np.log2(r + 1), 0.0),
}
_LONG = 1_000_000


def truth(world: str, name: str) -> float:
    """Return the mean of a metric over the population."""
    m, s = WORLDS[world]
    r = np.arange(1, _LONG + 1)
    below = stats.norm.cdf((np.log(r) - m) / s)
    return float(METRICS[name](r) @ np.diff(below, prepend=0.0))


def normals(rng: np.random.Generator, groups: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Return one standard normal number a query, of whose variance `share` is that of its group."""
    between, within = rng.normal(size=groups.max() + 1)[groups], rng.normal(size=len(groups))
    return np.asarray(np.sqrt(share) * between + np.sqrt(1 - share) * within)


def ranks(world: str, z: np.ndarray) -> np.ndarray:
    """Return the ranks of queries from normal numbers."""
    m, s = WORLDS[world]
    return np.maximum(np.ceil(np.exp(m + s * z)), 1)


def uneven(rng: np.random.Generator, groups: int) -> np.ndarray:
    """Return the group of each query, where groups have one to some ten queries, three on average."""
    return np.repeat(np.arange(groups), rng.geometric(1 / 3, groups).clip(1, 12))
