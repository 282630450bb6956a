"""Values of every query under every way to answer it, in the whole gallery and in half of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from commonspace.measure.metrics.evaluation import unique_rows
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.ranks import Ranks
from commonspace.upgrade.crossfit import CrossFitted, Folds
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.probes import Direction, Probes, neighbours

BLOCK = 512  # queries scored at a time, at most
_SCORES = 1 << 22  # scores held at once for each way: 16 MB

#: Direction -> name of the way -> (q,) values.
Values = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Measured:
    """What was measured of every query.

    Parameters
    ----------
    whole, halved : mapping of str to (mapping of str to (q,) array)
        Direction -> way -> value of each query, in the whole gallery and in half of it.
    groups : mapping of str to (q,) int64
        Direction -> queries of one number stand and fall together, in all directions.
    doublings : mapping of str to float
        Direction -> how often the gallery doubles to become that of the corpus.
    labelled : bool
        Whether it is known what is right.
    """

    whole: Values
    halved: Values
    groups: Mapping[str, np.ndarray]
    doublings: Mapping[str, float]
    labelled: bool = True


class Block:
    """Some queries of one fold, and their scores with the whole gallery; the query itself scores minus infinity.

    Parameters
    ----------
    bench : Bench
    direction : Direction
    some : (q,) int64
        Places of the queries in the direction.
    fold : int
        The fold that all of them are in.
    """

    def __init__(self, bench: Bench, direction: Direction, some: np.ndarray, fold: int) -> None:
        self.bench, self.direction, self.some, self.fold = bench, direction, some, fold
        self._known: dict[Any, np.ndarray] = {}

    def native(self, side: str) -> np.ndarray:
        """Return the cosines within one space, ``"old"`` or ``"new"``: (q, n); equal items get equal scores."""
        if side not in self._known:
            rows, place = self.bench.gallery(side, self.direction.searched)
            queries = getattr(self.bench.asking, side)[self.direction.asks][self.direction.rows[self.some]]
            scores = queries @ rows.T
            self._known[side] = self._without_self(scores if len(rows) == len(place) else scores[:, place])
        return self._known[side]

    def across(self, bridge: CrossFitted) -> np.ndarray:
        """Return the cosines through a bridge that has seen neither side: (q, n)."""
        if id(bridge) not in self._known:
            self._known[id(bridge)] = self._without_self(bridge.scores(self.direction, self.some, self.fold))
        return self._known[id(bridge)]

    @cached_property
    def lottery(self) -> np.ndarray:
        """Numbers drawn for each query and item, the same whenever they are asked for: (q, n) uint16."""
        place = self.bench.directions.index(self.direction)
        rng = np.random.default_rng([self.bench.seed, place, self.fold, int(self.some[0])])
        return rng.integers(0, 1 << 16, (len(self.some), self.bench.size(self.direction)), np.uint16)

    def halved(self, half: Half) -> Block:
        """Return the same queries in half of the gallery."""
        return _Halved(self, half)

    def answers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what is right: places of queries, items, grades."""
        return self.direction.answers(self.some)

    def _without_self(self, scores: np.ndarray) -> np.ndarray:
        own = self.direction.own[self.some]
        scores[np.flatnonzero(own >= 0), own[own >= 0]] = -np.inf
        return scores


class _Halved(Block):
    """Scores of a block where hidden items that are not right count as not there."""

    def __init__(self, whole: Block, half: Half) -> None:
        super().__init__(whole.bench, half.direction, whole.some, whole.fold)
        self.whole, self.hidden = whole, half.hidden
        self.lottery = whole.lottery

    def native(self, side: str) -> np.ndarray:
        return self._hide(side, self.whole.native(side))

    def across(self, bridge: CrossFitted) -> np.ndarray:
        return self._hide(id(bridge), self.whole.across(bridge))

    def _hide(self, key: Any, scores: np.ndarray) -> np.ndarray:
        if key not in self._known:
            query, item, _ = self.answers()
            left = np.where(self.hidden, np.float32(-np.inf), scores)
            left[query, item] = scores[query, item]
            self._known[key] = left
        return self._known[key]


#: How a way to answer scores the gallery, from a block: (q, n), not to be changed by whoever asks. Several where
#: something is drawn, of which the mean counts.
Scorer = Callable[[Block], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Bench:
    """What all options are measured on.

    Parameters
    ----------
    probes : Probes
    folds : Folds
    directions : list of Direction
    halves : mapping of str to Half
        Direction -> a gallery of half the size.
    metric : RankMetric
    seed : int
        Of whatever is drawn for a block.
    """

    probes: Probes
    folds: Folds
    directions: list[Direction]
    halves: Mapping[str, Half]
    metric: RankMetric
    seed: int = 0
    _galleries: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def asking(self) -> Pairs:
        """Both spaces' vectors of what asks."""
        return self.probes.items if self.probes.queries is None else self.probes.queries

    def size(self, direction: Direction) -> int:
        """Return how many items are searched."""
        return len(self.probes.items.old[direction.searched])

    def gallery(self, side: str, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the different vectors of a modality, and which of them each item has."""
        if (side, modality) not in self._galleries:
            self._galleries[side, modality] = unique_rows(getattr(self.probes.items, side)[modality])
        found: tuple[np.ndarray, np.ndarray] = self._galleries[side, modality]
        return found

    def fold_of(self, direction: Direction) -> np.ndarray:
        """Return the fold of each query: (q,) int64."""
        dealt: np.ndarray = self.folds.queries[direction.asks][direction.rows]
        return dealt

    def blocks(self, direction: Direction) -> Iterator[Block]:
        """Yield the queries in blocks of one fold each."""
        fold = self.fold_of(direction)
        step = int(np.clip(_SCORES // self.size(direction), 1, BLOCK))
        for f in range(self.folds.count):
            mine = np.flatnonzero(fold == f)
            for start in range(0, len(mine), step):
                yield Block(self, direction, mine[start : start + step], f)

    def measure(
        self, scorers: Mapping[str, Scorer], watch: Callable[[Block], None] = lambda block: None
    ) -> tuple[Values, Values]:
        """Return the values of every query under each scorer, in the whole gallery and in half of it.

        Parameters
        ----------
        scorers : mapping of str to callable
            Name of a way -> what it answers.
        watch : callable
            Is shown every block of the whole gallery.
        """
        whole: Values = {d.task: {name: np.empty(len(d)) for name in scorers} for d in self.directions}
        halved: Values = {d.task: {name: np.empty(len(d)) for name in scorers} for d in self.directions}
        for d in self.directions:
            for block in self.blocks(d):
                watch(block)
                for into, one in ((whole, block), (halved, block.halved(self.halves[d.task]))):
                    answers = one.answers()
                    for name, score in scorers.items():
                        found = [self.metric.from_ranks(Ranks.of_block(s, *answers)) for s in score(one)]
                        into[d.task][name][block.some] = np.mean(found, axis=0)
        return whole, halved


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
