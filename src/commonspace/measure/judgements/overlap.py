"""How alike two rankings are: rank-biased overlap and Jaccard at k.

    agreement at depth d    A_d = X_d / d, with X_d the ids that stand among the first d of both
    rbo                     (1 - p) times the sum over d >= 1 of p^(d - 1) A_d

p is the chance that a reader goes on from one depth to the next: the first 10 ranks carry 86 % of the weight with
p = 0.9, the first 50 with p = 0.98. What two rankings say beyond their ends is not known; so there is a smallest value
(no id beyond the ends in common), a largest (all that can be), and one between that lets the agreement at the end go on
for ever. For rankings of lengths s <= t:

    rbo_ext = (1 - p)/p (sum_{d<=t} X_d/d p^d + sum_{s<d<=t} X_s (d - s)/(s d) p^d) + ((X_t - X_s)/t + X_s/s) p^t
    rbo_min = (1 - p)/p (sum_{d<=t} X_d/d p^d + X_t sum_{d>t} p^d/d)
    rbo_max - rbo_min = p^s + p^t - p^f - (1 - p)/p (s sum_{s<d<=f} p^d/d + t sum_{t<d<=f} p^d/d + X_t sum_{d>f} p^d/d)
    with f = t + s - X_t

For given lengths an id that both hold adds an amount to rbo_ext that depends on its worse rank only. So a table of
these amounts, looked up once an id, gives the overlaps of many systems.

Ties: a ranking is taken in the order in which it stands. Where many scores are equal that order is chance, and so is
part of the overlap; "The Treatment of Ties in Rank-Biased Overlap" (Corsi and Urbano, 2024) treats them.

Source: Webber, Moffat and Zobel, "A Similarity Measure for Indefinite Rankings", 2010, equations 10, 11, 30 and 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from commonspace.core.method import check_choice
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.judgements.runs import Id, check_runs, ranking
from commonspace.measure.statistics.estimates import Estimate, estimate

SIMILARITIES = ("rbo", "jaccard")


@dataclass(frozen=True)
class RBO:
    """Rank-biased overlap of two rankings.

    Parameters
    ----------
    value : float
        Extrapolated: the agreement at the end goes on beyond it.
    low, high : float
        The smallest and largest value that the unseen rest allows.
    p : float
        How far readers go.
    """

    value: float
    low: float
    high: float
    p: float

    @property
    def residual(self) -> float:
        """How much is open: high - low."""
        return self.high - self.low

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.value:.3f}, between {self.low:.3f} and {self.high:.3f} (p={self.p:g})"


def rbo(a: Any, b: Any, *, p: float = 0.9) -> RBO:
    """Return the rank-biased overlap of two rankings.

    Parameters
    ----------
    a, b : sequence of ids, best first, or mapping of id to score
        Of any lengths. An empty one agrees with nothing, not even with another empty one.
    p : float
        Between 0 and 1, both excluded; greater looks deeper.
    """
    check_share("p", p)
    short, long = sorted((ranking(a), ranking(b)), key=len)
    s, t = len(short), len(long)
    place = {i: n for n, i in enumerate(short)}
    worse = np.sort([max(place[i], n) for n, i in enumerate(long) if i in place]).astype(int)
    value = float(_shares(s, t, p)[worse].sum()) if s else 0.0
    overlap = len(worse)
    f = t + s - overlap
    d = np.arange(1, f + 1)
    terms = np.concatenate([[0.0], np.cumsum(p**d / d)])  # terms[n] = sum of p^d / d over d <= n
    whole = -np.log1p(-p)
    reached = np.cumsum(np.bincount(worse, minlength=t)[:t]) if t else np.zeros(0)
    low = (1 - p) / p * float((reached * p ** d[:t] / d[:t]).sum() + overlap * (whole - terms[t]))
    rest = s * (terms[f] - terms[s]) + t * (terms[f] - terms[t]) + overlap * (whole - terms[f])
    high = low + p**s + p**t - p**f - (1 - p) / p * float(rest)
    return RBO(value, low, float(high), p)


def jaccard(a: Any, b: Any, *, k: int | None = None) -> float:
    """Return the ids that both hold as a share of those that either holds, among the first k; 0 for two empty ones.

    Parameters
    ----------
    a, b : sequence of ids, best first, or mapping of id to score
    k : int, optional
        All by default.
    """
    first, second = (set(ranking(r, None if k is None else check_positive("k", k))) for r in (a, b))
    either = len(first | second)
    return len(first & second) / either if either else 0.0


def overlap(
    a: Any,
    b: Any,
    *,
    similarity: str = "rbo",
    p: float = 0.9,
    depth: int = 100,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Estimate:
    """Return how alike two runs are, on average over their queries.

    Parameters
    ----------
    a, b : run
        Query -> ids, best first (or id -> score); of the same queries.
    similarity : {"rbo", "jaccard"}
    p : float
        Of rank-biased overlap, which is extrapolated.
    depth : int
        Only so many of the first of each ranking.
    groups : (n,) array, optional
        Queries of one label are drawn together.
    resamples, confidence, random_state
        As in `estimate`.

    Returns
    -------
    Estimate
        It knows its queries' ids, so that `compare` sets two overlaps side by side query by query.
    """
    tables = check_runs({"a": a, "b": b}, depth=check_positive("depth", depth))
    values = [between([tables["a"][q], tables["b"][q]], similarity, p)[0, 1] for q in tables["a"]]
    name = f"rbo (p={p:g})" if similarity == "rbo" else f"jaccard@{depth}"
    return estimate(
        values,
        name,
        bounds=(0.0, 1.0),
        groups=groups,
        resamples=resamples,
        confidence=confidence,
        random_state=random_state,
        ids=tuple(tables["a"]),
    )


def between(rankings: Sequence[list[Id]], similarity: str = "rbo", p: float = 0.9) -> np.ndarray:
    """Return the similarity of every ranking with every other: (n, n) float64.

    Parameters
    ----------
    rankings : sequence of lists of ids
        As `ranking` returns them.
    similarity : {"rbo", "jaccard"}
    p : float
    """
    check_choice("similarity", similarity, SIMILARITIES)
    check_share("p", p)
    ids: dict[Id, int] = {}
    places = [np.array([ids.setdefault(i, len(ids)) for i in r], int) for r in rankings]
    lengths = np.array(list(map(len, places)), int)
    deepest = int(lengths.max(initial=0))
    ranks = np.full((len(places), len(ids)), deepest)
    for row, at in zip(ranks, places, strict=True):
        row[at] = np.arange(len(at))
    if similarity == "jaccard":
        held = (ranks < deepest).astype(np.float64)
        both = held @ held.T
        either = lengths[:, None] + lengths - both
        shares: np.ndarray = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
        return shares
    out = np.zeros((len(places), len(places)))
    for i, row in enumerate(ranks):
        worse = np.maximum(row[places[i]], ranks[i:, places[i]])  # only ids of i can be in both
        for j, found in enumerate(worse, start=i):
            s, t = sorted((int(lengths[i]), int(lengths[j])))
            if s:
                out[i, j] = out[j, i] = _shares(s, t, p, deepest)[found].sum()
    return out


@lru_cache(maxsize=4096)
def _shares(s: int, t: int, p: float, absent: int | None = None) -> np.ndarray:
    """Return what an id that both rankings hold adds to rbo_ext, by its worse rank from 0: (t + 1 or more,).

    The rankings have lengths s <= t. Entries from t on stand for ids that one of them lacks, and are zero.
    """
    d = np.arange(1, t + 1)
    seen = (1 - p) / p * p**d / d
    inside = (1 - p) / p * float((p ** d[s:] * (d[s:] - s) / (s * d[s:])).sum()) + p**t * (1 / s - 1 / t)
    out = np.zeros((t if absent is None else max(t, absent)) + 1)
    out[:t] = np.cumsum(seen[::-1])[::-1] + p**t / t
    out[:s] += inside
    out.flags.writeable = False
    return out
