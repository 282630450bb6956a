"""Ways to answer queries while a collection goes from one space to another, as scorers of a block.

    bridge     every item is met across it
    both       old items are met in the old space, by a query of the old encoder
    partial    some items are met in the new space, the others in one of the two ways above; scores of the latter pass
               through a scale that was learned on other folds
    rescore    of what a first search finds, the best few are encoded anew and stand first, in the new space's order

Which items are encoded anew at random is drawn for each query on its own, and several times: each item is left out in
as many of the draws as its share says, to one, so that what a query keeps is hardly a matter of luck (systematic
sampling, W. G. Madow and L. H. Madow, 1944).

Which bridge serves the others is chosen for the queries of each fold by those of the other folds, so that the choice
adds nothing to the figures on average.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from commonspace.upgrade.crossfit import CrossFitted
from commonspace.upgrade.figures import NEW
from commonspace.upgrade.measuring import Bench, Block, Scorer, Values
from commonspace.upgrade.scaling import ScorePairs, level_of

BOTH = "both encoders"
FOUND = 10  # places of the old space's answers that count as hits
ORDERS = {"random": "random", "hits": "most found", "asked": "most asked"}
DRAWS = 10  # of the items that are encoded anew, where they are drawn at random
NEAR = 0.005  # what two bridges may differ by in what they keep, before it counts
_FIRST = 4.0  # more than any two cosines differ


@dataclass(frozen=True)
class Best:
    """The bridge that keeps most, in its worst direction.

    Parameters
    ----------
    name : str
        By all queries.
    by_fold : tuple of str
        By the queries of all folds but each.
    """

    name: str
    by_fold: tuple[str, ...]

    @classmethod
    def of(cls, bench: Bench, values: Values, bridges: Mapping[str, CrossFitted]) -> Best:
        """Choose among bridges; of those that keep nearly the same, one that writes nothing."""
        folds = {d.task: bench.fold_of(d) for d in bench.directions}
        cheap_first = sorted(bridges, key=lambda n: bridges[n].carries == "items")

        def best(but: int) -> str:
            def least(name: str) -> float:
                shares = []
                for task, found in values.items():
                    rows = folds[task] != but
                    full = found[NEW][rows].sum()
                    shares.append(found[name][rows].sum() / full if full else 0.0)
                return min(shares)

            kept = {name: least(name) for name in bridges}
            return next(n for n in cheap_first if kept[n] >= max(kept.values()) - NEAR)

        return cls(best(-1), tuple(best(f) for f in range(bench.folds.count)))


@dataclass(frozen=True)
class Hits:
    """How often each item was found in the old space, by the fold of the query."""

    counts: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, block: Block) -> None:
        """Count the best answers of a block."""
        scores = block.native("old")
        n = scores.shape[1]
        counts = self.counts.setdefault(block.direction.searched, np.zeros((block.bench.folds.count, n)))
        top = np.argpartition(-scores, min(FOUND, n) - 1, axis=1)[:, :FOUND]
        counts[block.fold] += np.bincount(top.ravel(), minlength=n)


@dataclass(frozen=True)
class Ways:
    """Scorers of whatever needs a bridge that was chosen already.

    Parameters
    ----------
    bench : Bench
    bridges : mapping of str to CrossFitted
    best : Best
    pairs : mapping of str to ScorePairs
        Bridge, or `BOTH` -> its scores beside those of the new space.
    hits : Hits
    """

    bench: Bench
    bridges: Mapping[str, CrossFitted]
    best: Best | None
    pairs: Mapping[str, ScorePairs]
    hits: Hits

    @property
    def orders(self) -> list[str]:
        """Orders of backfilling that can be measured.

        What others found says nothing where things ask for themselves: nobody else asks for them.
        """
        hits = [] if self.bench.folds.crossed else ["hits"]
        return ["random", *hits, *(["asked"] if self.bench.probes.asked else [])]

    def bridge(self, name: str) -> Scorer:
        """Return all items through one bridge."""
        crossed = self.bridges[name]
        return lambda block: (block.across(crossed),)

    def old_items(self, through: str, block: Block) -> np.ndarray:
        """Return scores of items that have no new vector yet, as they are."""
        return block.native("old") if through == BOTH else block.across(self.bridges[self._name(block)])

    def partial(self, share: float, order: str, through: str) -> Scorer:
        """Return a share of the items in the new space, the rest through the best bridge or by both encoders."""

        def score(block: Block) -> Iterator[np.ndarray]:
            name = BOTH if through == BOTH else self._name(block)
            pairs, others, native = self.pairs[name], self.old_items(through, block), block.native("new")
            scale = pairs.scale(block.direction.task, block.fold)
            levels = (level_of(others), level_of(native)) if pairs.standard else ()
            scaled = np.asarray(scale(others, *levels), np.float32)
            for draw in range(DRAWS if order == "random" else 1):
                yield np.where(self.anew(share, order, block, draw), native, scaled)

        return score

    def rescore(self, depth: int, through: str) -> Scorer:
        """Return the best `depth` items of a first search in the order of the new space, the others after them."""

        def score(block: Block) -> Iterator[np.ndarray]:
            scores = self.old_items(through, block).copy()
            top = np.argpartition(-scores, min(depth, scores.shape[1]) - 1, axis=1)[:, :depth]
            again = np.take_along_axis(block.native("new"), top, axis=1)
            np.put_along_axis(scores, top, again + np.float32(_FIRST), axis=1)
            yield scores

        return score

    def anew(self, share: float, order: str, block: Block, draw: int = 0) -> np.ndarray:
        """Return which items are encoded anew: (q, n) or (n,) bool; more of them for a larger share."""
        if order == "random":
            turn = np.uint16((draw << 16) // DRAWS)  # numbers of 16 bits begin anew behind the last
            return block.lottery + turn < round(share * (1 << 16))
        searched = block.direction.searched
        n = self.bench.size(block.direction)
        if order == "hits":
            counts = self.hits.counts[searched]
            worth = counts.sum(axis=0) - counts[block.fold]
        else:
            worth = np.asarray(self.bench.probes.asked.get(searched, np.zeros(n)), np.float64)
        chance = np.random.default_rng([self.bench.seed, n]).random(n)
        first = np.lexsort((chance, -worth))[: round(share * n)]
        out = np.zeros(n, bool)
        out[first] = True
        return out

    def _name(self, block: Block) -> str:
        assert self.best is not None
        return self.best.by_fold[block.fold]
