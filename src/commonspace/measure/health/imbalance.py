"""Modality imbalance: does search in a mixed index answer with all modalities, or with one of them?

Vectors of all modalities stand in one index. Items of modality a ask, without themselves; over the queries of a

    share(a -> b)    mean share of the k nearest that are of modality b
    expected(b)      the share of b in the index
    lift             share / expected: 1 is balance, 0 means that b is never found

A gap between modalities makes lift(a -> a) large and all others near 0: users who search with text then see texts only.
Intervals are a bootstrap over the queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.health.neighbours import nearest
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.measure.statistics.streams import Rows


@dataclass(frozen=True)
class Direction:
    """How much of what one modality finds is of another.

    Parameters
    ----------
    asks, answers : str
        The modality of the queries, and that of the results.
    share : Estimate
        Mean share of the first k results.
    expected : float
        Share of the index, without the query itself.
    """

    asks: str
    answers: str
    share: Estimate
    expected: float

    @property
    def lift(self) -> Estimate:
        """Share over expected share."""
        e, by = self.share, self.expected
        return Estimate("lift", e.value / by, e.low / by, e.high / by, e.n, e.confidence, e.skipped, e.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        figures = {"share": self.share.to_dict(), "lift": self.lift.to_dict()}
        return {"asks": self.asks, "answers": self.answers, "expected": self.expected, **figures}

    def __str__(self) -> str:
        return f"{self.asks} finds {self.answers}: {self.share}, expected {self.expected:.3f}"


@dataclass(frozen=True)
class Imbalance:
    """What `imbalance` found, one `Direction` for every ordered pair of modalities, equal ones too."""

    directions: tuple[Direction, ...]
    k: int

    def __getitem__(self, pair: tuple[str, str]) -> Direction:
        for d in self.directions:
            if (d.asks, d.answers) == pair:
                return d
        raise NotFound(f"there is no direction {pair!r}; modalities are {sorted({d.asks for d in self.directions})}")

    @property
    def worst(self) -> Direction:
        """The direction whose answers are missed most."""
        return min(self.directions, key=lambda d: d.lift.value)

    def to_dict(self) -> dict[str, Any]:
        """Return the directions, ready for JSON."""
        return {"k": self.k, "directions": [d.to_dict() for d in self.directions]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.directions))


def imbalance(
    vectors: Mapping[str, Any],
    *,
    k: int = 10,
    most: int = 2000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Imbalance:
    """Return which modality finds which in an index of all of them.

    Parameters
    ----------
    vectors : mapping of str to (n, dim) array, memory map or iterable of blocks
        Modality -> vectors of one space, compared by cosine; they need not belong to the same items. Rows that are zero
        or not finite are left out.
    k : int
        Results looked at.
    most : int
        Queries of each modality.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the queries and the bootstrap.

    Raises
    ------
    BadInput
        Fewer than two modalities, a modality without rows, or an iterator, which could be read only once.
    """
    if not isinstance(vectors, Mapping) or len(vectors) < 2:
        raise BadInput("vectors must map at least two modalities to their vectors")
    check_positive("k", k)
    rng = generator(random_state)
    rows = {m: Rows(v, f"vectors[{m!r}]") for m, v in vectors.items()}
    for r in rows.values():
        r.again("every modality searches it")
    seed: Any = int(random_state) if isinstance(random_state, int | np.integer) else None
    found = []
    for asks, own in rows.items():
        positions, queries = own.sample(check_positive("most", most), rng)
        if not len(queries):
            raise BadInput(f"vectors[{asks!r}] has no row with a direction")
        scores = {m: nearest(queries, r, k, own=positions if m == asks else None)[0] for m, r in rows.items()}
        if any(s.shape[1] == 0 for s in scores.values()):
            raise BadInput("every modality needs at least two rows with a direction")
        size = {m: r.n - r.skipped - (m == asks) for m, r in rows.items()}
        for answers, share in _shares(scores, k).items():
            value = estimate(
                share, "share", bounds=(0.0, 1.0), resamples=resamples, confidence=confidence,
                random_state=rng if seed is None else seed,
            )  # fmt: skip
            found.append(Direction(asks, answers, value, size[answers] / sum(size.values())))
    return Imbalance(tuple(found), k)


def _shares(scores: Mapping[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """Return for each modality its (q,) share of the k best of all; places that are tied for go to each in part."""
    every = np.hstack(list(scores.values()))
    of = np.repeat(np.arange(len(scores)), [s.shape[1] for s in scores.values()])
    k = min(k, every.shape[1])
    last = -np.partition(-every, k - 1, axis=1)[:, k - 1 : k]
    above, tied = every > last, every == last
    weight = above + tied * ((k - above.sum(axis=1)) / tied.sum(axis=1))[:, None]
    return {m: weight[:, of == i].sum(axis=1) / k for i, m in enumerate(scores)}
