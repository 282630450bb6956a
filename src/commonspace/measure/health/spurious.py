"""Spurious context: does a space tell things apart by what they are, or by where they were seen?

Items have a concept (what they are) and a context (background, vendor, style, source). An episode has N concepts with K
labelled items each and asks for the concept of others. Two kinds of episodes are drawn on the same concepts:

    alike     labelled items and queries come from the same contexts, whatever their concept
    swapped   every concept is labelled in one context and asked in the context in which *another* concept was labelled

Who reads the concept answers both alike; who reads the context falls below chance in the swapped ones. The gap is the
accuracy of the first less that of the second.

Beside it, without episodes, how much of the space each of the two explains: the share of variance between means,

    share(labels) = sum over labels of n_l |mean_l - mean|^2 / sum over items of |x - mean|^2

corrected for what random labels of the same sizes would explain, (share - e) / (1 - e), e = (labels - 1) / (n - 1). The
dominance of the context is context / (context + concept), 0.5 where both explain as much.

Intervals of the accuracies and the gap are over episodes: they say how far the figure depends on which episodes were
played on these items, and shrink to nothing with their number. How much other concepts and contexts would change them
is not in them, and larger: in 20 planted worlds of six concepts, 5.6 times the width of intervals of 800 episodes. The
intervals of the shares of variance and of the dominance are over concepts.

Source: the episodes are those of "MetaCoCo: A New Few-Shot Classification Benchmark with Spurious Correlation" (2024),
sharpened from "other contexts" to "the context of another concept"; its own score of the shift needs names of contexts,
the shares of variance here do not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.measure.statistics.estimates import Estimate, draw_counts, estimate


@dataclass(frozen=True)
class Spurious:
    """How much a space leans on context; every field is an `Estimate`.

    Parameters
    ----------
    alike, swapped : Estimate
        Accuracy in episodes of the two kinds; n counts episodes, and the interval is for other episodes of these items.
    gap : Estimate
        alike - swapped, paired by episode.
    concept, context : Estimate
        Share of variance that each explains, beyond random labels; n counts items, and the interval is for other
        concepts.
    dominance : Estimate
        context / (context + concept), in [0, 1].
    """

    alike: Estimate
    swapped: Estimate
    gap: Estimate
    concept: Estimate
    context: Estimate
    dominance: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {f.name: getattr(self, f.name).to_dict() for f in fields(self)}

    def __str__(self) -> str:
        return "\n".join(f"{f.name:<9} {getattr(self, f.name)}" for f in fields(self))


def spurious_context(
    X: Any,
    concepts: Any,
    contexts: Any,
    *,
    ways: int = 5,
    shots: int = 1,
    queries: int = 5,
    classifier: str = "prototype",
    episodes: int = 600,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Spurious:
    """Return how much a space leans on the context of its items.

    Parameters
    ----------
    X : (n, dim) array
        Vectors; brought to unit length.
    concepts, contexts : (n,) arrays
        Labels. Concepts must occur in several contexts: those that lack items in a context are left out of episodes
        that need it.
    ways, shots, queries : int
        Concepts an episode, labelled items and queries a concept.
    classifier : {"prototype", "neighbour"}
        By the mean of a concept's labelled items, or by the nearest one.
    episodes : int
        Of each kind.
    resamples : int
        Resamples of the bootstrap, over episodes and over concepts.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the episodes and the bootstrap.

    Raises
    ------
    BadInput
        Labels of another length, fewer than two contexts, too few concepts with enough items in two contexts.
    """
    check_choice("classifier", classifier, ("prototype", "neighbour"))
    for name, value in (("ways", ways), ("shots", shots), ("queries", queries), ("episodes", episodes)):
        check_positive(name, value)
    z = unit(check_vectors(X, allow_zero=False))
    concept, context = (
        _codes(labels, len(z), name) for labels, name in ((concepts, "concepts"), (contexts, "contexts"))
    )
    rng = generator(random_state)
    world = _World.of(concept, context, shots + queries)
    world.check(ways)
    found = np.array([world.play(z, ways, shots, queries, classifier, rng) for _ in range(episodes)])
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "random_state": rng}
    alike, swapped = found.T
    return Spurious(
        estimate(alike, "alike", bounds=(0.0, 1.0), **options),
        estimate(swapped, "swapped", bounds=(0.0, 1.0), **options),
        estimate(alike - swapped, "gap", **options),
        *_shares(z, concept, context, resamples, confidence, rng),
    )


@dataclass(frozen=True)
class _World:
    """Which items there are of each (concept, context), where there are enough for an episode."""

    rows: dict[tuple[int, int], np.ndarray]
    contexts: int

    @classmethod
    def of(cls, concept: np.ndarray, context: np.ndarray, enough: int) -> _World:
        rows = {}
        for c, k in np.unique(np.column_stack([concept, context]), axis=0).tolist():
            members = np.flatnonzero((concept == c) & (context == k))
            if len(members) >= enough:
                rows[c, k] = members
        return cls(rows, int(context.max()) + 1)

    def check(self, ways: int) -> None:
        if self.contexts < 2:
            raise BadInput("contexts hold one label only: a context that never changes cannot mislead")
        of: dict[int, set[int]] = {}
        for c, k in self.rows:
            of.setdefault(c, set()).add(k)
        able = [c for c, k in of.items() if len(k) >= 2]
        if ways < 2 or len(able) < ways:
            raise BadInput(
                f"an episode of {ways} concepts (at least 2) needs as many with enough items in two contexts; there "
                f"are {len(able)}: ask for fewer ways, shots or queries"
            )

    def play(
        self, z: np.ndarray, ways: int, shots: int, queries: int, classifier: str, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Return the accuracy of an episode of each kind, on the same concepts and contexts."""
        concepts, places = self._draw(ways, rng)
        turned = np.roll(places, -1)
        right = []
        for swapped in (False, True):
            labelled, asked = [], []
            for c, here, there in zip(concepts, places, turned, strict=True):
                if swapped:
                    labelled.append(rng.choice(self.rows[c, here], shots, replace=False))
                    asked.append(rng.choice(self.rows[c, there], queries, replace=False))
                else:
                    both = np.concatenate([self.rows[c, here], self.rows[c, there]])
                    drawn = rng.choice(both, shots + queries, replace=False)
                    labelled.append(drawn[:shots])
                    asked.append(drawn[shots:])
            right.append(_accuracy(z, labelled, asked, classifier))
        return right[0], right[1]

    def _draw(self, ways: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return concepts, and a context for each, so that each also occurs in the context of the next one.

        Concepts are drawn until a ring closes; neighbours on the ring have different contexts.
        """
        known = np.unique([c for c, _ in self.rows])
        for _ in range(1000):
            concepts = rng.choice(known, ways, replace=False)
            places: list[int] = []
            for i, c in enumerate(concepts):
                free = [
                    k for k in range(self.contexts)
                    if (c, k) in self.rows
                    and (i == 0 or (k != places[-1] and (concepts[i - 1], k) in self.rows))
                    and (i < ways - 1 or (k != places[0] and (c, places[0]) in self.rows))
                ]  # fmt: skip
                if not free:
                    break
                places.append(int(rng.choice(free)))
            if len(places) == ways:
                return concepts, np.array(places)
        raise BadInput(
            f"no {ways} concepts share contexts so that each is asked where another was labelled: concepts must occur "
            "in several contexts, and an odd number of ways needs three"
        )


def _accuracy(z: np.ndarray, labelled: list[np.ndarray], asked: list[np.ndarray], classifier: str) -> float:
    queries = z[np.concatenate(asked)]
    truth = np.repeat(np.arange(len(asked)), [len(a) for a in asked])
    if classifier == "prototype":
        scores = queries @ unit(np.stack([z[rows].mean(axis=0) for rows in labelled])).T
    else:
        scores = np.stack([(queries @ z[rows].T).max(axis=1) for rows in labelled], axis=1)
    best = scores == scores.max(axis=1, keepdims=True)
    return float((best[np.arange(len(truth)), truth] / best.sum(axis=1)).mean())  # a tie is a toss


def _shares(
    z: np.ndarray, concept: np.ndarray, context: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator
) -> list[Estimate]:
    """Return the shares of variance and the dominance, with intervals over concepts drawn anew."""
    weights = np.vstack([np.ones(concept.max() + 1), draw_counts(rng, resamples, int(concept.max()) + 1)])
    found = []
    for draw in weights:
        w = draw[concept]
        a, b = _explained(z, concept, w), _explained(z, context, w)
        low_a, low_b = max(a, 0.0), max(b, 0.0)
        found.append((a, b, low_b / (low_a + low_b) if low_a + low_b > 0 else 0.5))
    table = np.array(found).T
    low, high = np.quantile(table[:, 1:], [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return [
        Estimate(name, float(table[i, 0]), float(low[i]), float(high[i]), n=len(z), confidence=confidence)
        for i, name in enumerate(("concept", "context", "dominance"))
    ]


def _explained(z: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Return the share of variance between the means of labels, less what random labels would explain."""
    total = weights.sum()
    mean = weights @ z / total
    around = float(weights @ np.square(z).sum(axis=1)) - total * float(mean @ mean)
    sizes = np.bincount(labels, weights=weights)
    sums = np.zeros((len(sizes), z.shape[1]))
    np.add.at(sums, labels, weights[:, None] * z)
    there = sizes > 0
    between = float((np.square(sums[there]).sum(axis=1) / sizes[there]).sum()) - total * float(mean @ mean)
    chance = (there.sum() - 1) / max(total - 1, 1)
    return 0.0 if around <= 0 or chance >= 1 else (between / around - chance) / (1 - chance)


def _codes(labels: Any, n: int, name: str) -> np.ndarray:
    given = np.asarray(labels)
    if given.shape != (n,):
        raise BadInput(f"{name} must hold one label for each of the {n} rows, not shape {given.shape}")
    return np.unique(given, return_inverse=True)[1]
