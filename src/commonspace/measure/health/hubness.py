"""Hubness: items that turn up among the nearest neighbours of far too many queries, and items that never do.

N_k(j) is the number of queries that have item j among their k nearest. Fair shares would be q k / m for q queries and m
items, with the spread of coin tosses; in high dimensions, and across a gap between modalities, a few items take most.

    skewness     of N_k over the items: (mean (N - mean)^3) / (mean (N - mean)^2)^1.5
    robin_hood   share of all places that would have to move for all items to have the same: sum |N - mean| / (2 sum N)
    antihubs     share of items that no query finds
    taken        share of the places of a query that hubs take, the hubs being those of the other queries

A hub is an item that is found more than `times` times as often as its fair share, and more often than chance explains
(binomial, corrected for the number of items).

With many rows only `most` queries are asked. Then N_k counts a sample, and its skewness would be that of the sampling;
but a row that N of n queries find is found by a hypergeometric number of those asked, whose factorial moments are those
of N times q (q-1) .. / (n (n-1) ..). The moments of the skewness are taken back by that, so that it is the one of all n
queries. Robin Hood index and anti-hubs cannot be taken back: they come with what chance alone would give for the same
numbers (`chance`), and are to be compared with it.

Intervals are a grouped jackknife over queries (a bootstrap for `taken`), for other queries of the same kind and the
same gallery. Choosing hubs and counting their places by the same queries would count luck as hubness.

Sources: k-occurrence and its skewness Radovanovic, Nanopoulos and Ivanovic, "Hubs in Space", 2010; Robin Hood index
Feldbauer, Leodolter, Plant and Flexer, "Fast Approximate Hubness Reduction for Large High-dimensional Data", 2018; the
10-occurrence as reported in "Balance Act: Mitigating Hubness in Cross-Modal Retrieval with Query and Gallery Banks".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.health.neighbours import nearest
from commonspace.measure.health.streams import Rows
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.measure.statistics.jackknife import PARTS, jackknifed, share

_FIGURES = ("skewness", "robin_hood", "antihubs", "taken")
LEVEL = 0.05


@dataclass(frozen=True)
class Hub:
    """An item that too many queries find.

    Parameters
    ----------
    row : int
        Position in the gallery.
    count : int
        Queries that have it among their k nearest.
    share : Estimate
        The same as a share of the queries that were asked.
    """

    row: int
    count: int
    share: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {"row": self.row, "count": self.count, "share": self.share.to_dict()}


@dataclass(frozen=True)
class Hubness:
    """Who is found how often.

    Parameters
    ----------
    skewness, robin_hood, antihubs, taken : Estimate
        As defined above.
    chance : dict of str to float
        What skewness, robin_hood and antihubs would be if all items had the same chance, by closed forms.
    hubs : tuple of Hub
        The most frequent ones, most frequent first.
    n_hubs : int
        How many hubs there are in all.
    k, queries, items : int
        Neighbours of a query, queries asked, items that could be found.
    counts : (gallery rows,) int64
        N_k of every row, of the queries that were asked.
    """

    skewness: Estimate
    robin_hood: Estimate
    antihubs: Estimate
    taken: Estimate
    chance: dict[str, float]
    hubs: tuple[Hub, ...]
    n_hubs: int
    k: int
    queries: int
    items: int
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the counts of all rows, ready for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in _FIGURES}
        plain = {name: getattr(self, name) for name in ("chance", "n_hubs", "k", "queries", "items")}
        return {**figures, **plain, "hubs": [h.to_dict() for h in self.hubs]}

    def __str__(self) -> str:
        words = {"skewness": f"skewness of N_{self.k}", "robin_hood": "Robin Hood index", "antihubs": "never found"}
        lines = [f"{words[n]:<18} {getattr(self, n)}, by chance {self.chance[n]:.3f}" for n in words]
        lines.append(f"{'places of hubs':<18} {self.taken}; {self.n_hubs} hubs among {self.items} items")
        return "\n".join(lines + [f"  row {h.row}: found by {h.count} of {self.queries}" for h in self.hubs])


def hubness(
    X: Any,
    gallery: Any = None,
    *,
    k: int = 10,
    most: int = 5000,
    times: float = 5.0,
    show: int = 10,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Hubness:
    """Return how unevenly items are found by nearest-neighbour search.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) blocks
        Queries, compared by cosine. Rows that are zero or not finite are left out and counted as skipped.
    gallery : (m, dim), likewise, optional
        What they search, for instance another modality; X itself otherwise, where no query finds itself.
    k : int
        Neighbours of a query.
    most : int
        Queries that are asked, drawn at random; time grows with their product with the gallery.
    times : float
        How many times its fair share an item must take to be a hub.
    show : int
        Hubs that are listed.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the queries and of the parts of the jackknife.

    Raises
    ------
    BadInput
        No queries, nothing to find, or an iterator where X is read twice.
    """
    check_positive("k", k)
    rng, rows = generator(random_state), Rows(X)
    own = gallery is None
    items = rows if own else Rows(gallery, "gallery")
    if own:
        rows.again("it is both searched and searching")
    positions, queries = rows.sample(check_positive("most", most), rng)
    skipped = rows.skipped
    _, found = nearest(queries, items, k, own=positions if own else None)
    choice = items.n - items.skipped - own
    if not len(queries) or choice < 1 or not found.shape[1]:
        raise BadInput(f"hubness needs queries and items to find, got {len(queries)} and {max(choice, 0)}")
    asked, k = len(queries), found.shape[1]
    population = choice + 1 if own else round(rows.n * asked / (asked + skipped))
    usable = np.ones(items.n, bool) if not items.skipped else _usable(items)
    part = rng.permutation(asked) % min(PARTS, asked)
    counts = np.bincount(found.ravel(), minlength=items.n)
    without, taken = [], np.zeros(asked)
    for b in range(part.max() + 1):
        others = counts - np.bincount(found[part == b].ravel(), minlength=items.n)
        left = int((part != b).sum())
        if left:
            without.append(_figures(others[usable], left, population))
            hub = others > _limit(left, k, choice, times)
            taken[part == b] = hub[found[part == b]].mean(axis=1)
    whole = _figures(counts[usable], asked, population)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    options: dict[str, Any] = {"confidence": confidence, "skipped": skipped}
    estimates = {
        name: jackknifed(
            name, value, np.array([w[name] for w in without]), asked, corrected=False, seed=seed,
            bounds=(-np.inf, np.inf) if name == "skewness" else (0.0, 1.0), **options,
        )
        for name, value in whole.items()
    }  # fmt: skip
    estimates["taken"] = estimate(
        taken, "taken", bounds=(0.0, 1.0), random_state=rng if seed is None else seed, **options
    )
    limit = _limit(asked, k, choice, times)
    first = np.argsort(-counts, kind="stable")[:show]
    listed = tuple(
        Hub(int(j), int(counts[j]), share("share", int(counts[j]), asked, confidence=confidence))
        for j in first
        if counts[j] > limit
    )
    return Hubness(
        **estimates, chance=_chance(asked, population, k, choice), hubs=listed, n_hubs=int((counts > limit).sum()),
        k=k, queries=asked, items=int(usable.sum()), counts=counts,
    )  # fmt: skip


def _usable(items: Rows) -> np.ndarray:
    """Return which rows have a direction."""
    usable = np.zeros(items.n, bool)
    for positions, _ in items.unit_blocks():
        usable[positions] = True
    return usable


def _figures(counts: np.ndarray, asked: int, population: int) -> dict[str, float]:
    n = counts.astype(np.float64)
    return {
        "skewness": _skewness(n, asked, population),
        "robin_hood": float(np.abs(n - n.mean()).sum() / max(2 * n.sum(), 1)),
        "antihubs": float((n == 0).mean()),
    }


def _skewness(n: np.ndarray, asked: int, population: int) -> float:
    """Return the skewness that the counts would have if all of the population were asked."""
    first, second, third = n.mean(), (n * (n - 1)).mean(), (n * (n - 1) * (n - 2)).mean()
    if asked < population:
        first *= population / asked
        second *= population * (population - 1) / (asked * max(asked - 1, 1))
        third *= population * (population - 1) * (population - 2) / (asked * max((asked - 1) * (asked - 2), 1))
    squares, cubes = second + first, third + 3 * second + first
    variance = squares - first**2
    if variance <= 1e-12 * max(squares, 1e-300):
        return 0.0
    return float((cubes - 3 * first * squares + 2 * first**3) / variance**1.5)


def _limit(asked: int, k: int, choice: int, times: float) -> float:
    """Return the count that a hub exceeds."""
    from scipy import stats

    fair = min(k / choice, 1.0)
    return max(times * asked * fair, float(stats.binom.isf(LEVEL / choice, asked, fair)))


def _chance(asked: int, population: int, k: int, choice: int) -> dict[str, float]:
    """Return the figures of counts that are binomial, the same for every item."""
    from scipy import stats

    fair = min(k / choice, 1.0)
    if fair >= 1:
        return {"skewness": 0.0, "robin_hood": 0.0, "antihubs": 0.0}
    mean = asked * fair
    floor = np.floor(mean)
    # mean deviation of a binomial (de Moivre): 2 (floor + 1) (1 - p) P(floor + 1)
    deviation = 2 * (floor + 1) * (1 - fair) * float(stats.binom.pmf(floor + 1, asked, fair))
    return {
        "skewness": float((1 - 2 * fair) / np.sqrt(population * fair * (1 - fair))),
        "robin_hood": float(deviation / (2 * mean)),
        "antihubs": float((1 - fair) ** asked),
    }
