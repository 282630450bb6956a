"""Values of every query under every way to answer it, in the whole gallery and in half of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from commonspace.measure.metrics.evaluation import unique_rows
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.ranks import Ranks
from commonspace.upgrade.crossfit import Folds
from commonspace.upgrade.probes import Direction, Probes, neighbours

BLOCK = 256  # queries scored at a time

#: Scores of some queries of one fold with the whole gallery, from (direction, places of the queries, fold).
Scorer = Callable[[Direction, np.ndarray, int], np.ndarray]
#: Direction -> name of the way -> (q,) values.
Values = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Bench:
    """What all options are measured on.

    Parameters
    ----------
    probes : Probes
    folds : Folds
    directions : sequence of Direction
    metric : RankMetric
    """

    probes: Probes
    folds: Folds
    directions: list[Direction]
    metric: RankMetric
    _galleries: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def asking(self) -> Any:
        """Both spaces' vectors of what asks."""
        return self.probes.items if self.probes.queries is None else self.probes.queries

    def native(self, side: str) -> Scorer:
        """Return the cosines within one space, ``"old"`` or ``"new"``; equal rows get equal scores."""

        def score(direction: Direction, some: np.ndarray, fold: int) -> np.ndarray:
            key = side, direction.searched
            if key not in self._galleries:
                self._galleries[key] = unique_rows(getattr(self.probes.items, side)[direction.searched])
            rows, place = self._galleries[key]
            scores: np.ndarray = getattr(self.asking, side)[direction.asks][direction.rows[some]] @ rows.T
            return scores if len(rows) == len(place) else scores[:, place]

        return score

    def blocks(self, direction: Direction) -> Iterator[tuple[np.ndarray, int]]:
        """Yield places of queries, all of one fold, and the fold."""
        fold = self.folds.queries[direction.asks][direction.rows]
        for f in range(self.folds.count):
            mine = np.flatnonzero(fold == f)
            for start in range(0, len(mine), BLOCK):
                yield mine[start : start + BLOCK], f

    def measure(
        self, scorers: Mapping[str, Scorer], half: Mapping[str, Half], advance: Callable[[], None] = lambda: None
    ) -> tuple[Values, Values]:
        """Return the values of every query under each scorer, in the whole gallery and in half of it."""
        whole: Values = {d.task: {name: np.empty(len(d)) for name in scorers} for d in self.directions}
        halved: Values = {d.task: {name: np.empty(len(d)) for name in scorers} for d in self.directions}
        for d in self.directions:
            for name, score in scorers.items():
                for some, fold in self.blocks(d):
                    scores = score(d, some, fold)
                    asked = np.flatnonzero(d.own[some] >= 0)
                    scores[asked, d.own[some][asked]] = -np.inf
                    whole[d.task][name][some] = self._values(scores, *d.answers(some))
                    query, item, grade = half[d.task].direction.answers(some)
                    own = scores[query, item]
                    scores[:, half[d.task].hidden] = -np.inf
                    scores[query, item] = own
                    halved[d.task][name][some] = self._values(scores, query, item, grade)
                advance()
        return whole, halved

    def _values(self, scores: np.ndarray, query: np.ndarray, item: np.ndarray, grade: np.ndarray) -> np.ndarray:
        return self.metric.from_ranks(Ranks.of_block(scores, query, item, grade))


@dataclass(frozen=True)
class Half:
    """A gallery of half the size, in which all that is right for a query is still there.

    Parameters
    ----------
    direction : Direction
        What is right in it.
    hidden : (n,) bool
        Items that are only there for queries to which they are right.
    """

    direction: Direction
    hidden: np.ndarray

    @classmethod
    def of(cls, probes: Probes, direction: Direction, k: int, rng: np.random.Generator) -> Half:
        """Hide half of the items at random."""
        n = len(probes.items.old[direction.searched])
        hidden = np.zeros(n, bool)
        hidden[rng.permutation(n)[: n // 2]] = True
        if not direction.labelled:
            judged = neighbours(probes, direction.asks, direction.searched, k, ~hidden)
            direction = replace(direction, relevance=judged)
        return cls(direction, hidden)
