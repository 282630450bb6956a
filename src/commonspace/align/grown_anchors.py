"""Anchors grown from few: match the rest of two spaces by the pairs that are known, keep the surest, and match again.

With S the pairs so far (at first those given) and m = |S|:

    1. both spaces into one by S: relative representations while m is below the dimension, a rotation from then on
    2. csls(x, y) = 2 cos(x, y) - mean of the 10 largest cos(x, .) - mean of the 10 largest cos(., y)
    3. candidates are the x, y that are each other's best; S = those given and the surest others, 1.5 m in all

and so on until there are as many as asked for or no more candidates. Relative representations need the fewest pairs;
from about as many as there are dimensions a rotation matches better.

Nothing in this says whether it worked: wrong pairs agree with each other as happily as right ones. Therefore each of
the pairs given is left out in turn, with its fold, all is grown without it, and its partner is looked for: `found`,
beside `before`, the same with no growing. Growing is `shown` to work where it finds as many as without or more, and
either surely more than half of all, or more than without (p < 0.05). Only then are the grown pairs `trusted`; with
fewer than six pairs given nothing can be shown.

Sources: "Bootstrapping Parallel Anchors for Relative Representations", which learns the other side's anchors by
gradients through a soft matching; matching in rounds is that of Artetxe, Labaka and Agirre, "A robust self-learning
method for fully unsupervised cross-lingual mappings of word embeddings", 2018, and csls of Conneau et al., "Word
Translation Without Parallel Data", 2018. Growing by steps, the change of map and the check are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.protocols import Map
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.measure.statistics.comparison import Comparison, compare_many
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.reshape.procrustes import Procrustes
from commonspace.reshape.relative import Relative

STEP = 1.5
NEIGHBOURS = 10


@dataclass(frozen=True)
class GrownAnchors:
    """Pairs found from few, and whether they can be trusted.

    Parameters
    ----------
    pairs : (m, 2) int64
        Positions in X and in Y: first the pairs given, then those found, surest first.
    given : int
        How many were given.
    found : Estimate
        Share of the pairs given, each grown without, whose partner comes first.
    before : Estimate
        The same without growing.
    gain : Comparison
        The difference of both; the folds are its units.
    chance : float
        What a random order would find.
    """

    pairs: np.ndarray
    given: int
    found: Estimate
    before: Estimate
    gain: Comparison
    chance: float

    @property
    def shown(self) -> bool:
        """Whether growing is shown to work: no worse than without, and mostly right or better than without."""
        better = self.gain.difference > 0 and self.gain.p_value < 0.05
        return self.gain.difference >= 0 and (self.found.low > 0.5 or better)

    @property
    def trusted(self) -> np.ndarray:
        """All pairs where growing is shown to work, otherwise those given."""
        return self.pairs if self.shown else self.pairs[: self.given]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "pairs": self.pairs.tolist(), "given": self.given, "found": self.found.to_dict(),
            "before": self.before.to_dict(), "gain": self.gain.to_dict(), "chance": self.chance, "shown": self.shown,
        }  # fmt: skip

    def __str__(self) -> str:
        grown = len(self.pairs) - self.given
        said = "growing works" if self.shown else "growing is not shown to work: use the pairs given alone"
        return (
            f"{grown} pairs grown from {self.given}; pairs left out are found {self.found} with growing, {self.before} "
            f"without ({self.chance:.4f} by chance); {said} ({self.gain})"
        )


def grow_anchors(
    X: Any,
    Y: Any,
    pairs: Any,
    *,
    count: int | None = None,
    folds: int = 10,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> GrownAnchors:
    """Find more pairs of two spaces from few.

    Parameters
    ----------
    X, Y : (n, d_x) and (m, d_y) arrays
        Rows in any order; some things should be in both. None of length zero.
    pairs : (p, 2) array
        Positions in X and in Y of things known in both, at least 3; no row twice.
    count : int, optional
        Most pairs in the end; half of the smaller side by default.
    folds : int
        Times that all is grown again, for the check; at most as many as pairs.
    resamples, confidence, random_state
        Of the estimates, and of how the pairs are dealt to folds.

    Returns
    -------
    GrownAnchors
        ``Relative().fit(X[p[:, 0]], Y[p[:, 1]])`` with its ``trusted`` p is the map to go on with.

    Notes
    -----
    Keeps a few (n, m) float32 tables; costs (folds + 1) times a dozen matrix products of (n, m, dimension).
    """
    x, y = (check_vectors(v, name=name, allow_zero=False) for v, name in ((X, "X"), (Y, "Y")))
    known = _check(pairs, x, y)
    most = max(len(known), min(len(x), len(y)) // 2 if count is None else check_positive("count", count))
    rng = generator(random_state)
    parts = np.array_split(rng.permutation(len(known)), min(check_positive("folds", folds), len(known)))
    fold = np.empty(len(known), np.int64)
    hits = np.zeros((2, len(known)))
    for i, part in enumerate(parts):
        fold[part] = i
        kept = np.delete(known, part, axis=0)
        for row, limit in enumerate((most, 0)):
            scores = _scores(x, y, _grown(x, y, kept, limit))
            hits[row, part] = scores[known[part, 0]].argmax(axis=1) == known[part, 1]
    seed: RandomState = int(random_state) if isinstance(random_state, int | np.integer) else rng
    options: dict[str, Any] = {"groups": fold, "confidence": confidence, "random_state": seed}
    found, before = (
        estimate(h, name, bounds=(0.0, 1.0), resamples=resamples, **options)
        for h, name in zip(hits, ("found", "before"), strict=True)
    )
    (gain,) = compare_many({"grown": hits[0], "given": hits[1]}, correction="none", **options)
    return GrownAnchors(_grown(x, y, known, most), len(known), found, before, gain, 1 / len(y))


def _check(pairs: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    known = np.asarray(pairs)
    if known.ndim != 2 or known.shape[1] != 2 or known.dtype.kind not in "iu" or len(known) < 3:
        raise BadInput(
            f"pairs must be an integer array of shape (p, 2), p of at least 3, not {known.dtype} {known.shape}"
        )
    for column, (rows, name) in enumerate(((x, "X"), (y, "Y"))):
        places = known[:, column]
        if places.min() < 0 or places.max() >= len(rows):
            raise BadInput(f"pairs name row {places.max()} of {name}, which has rows 0 to {len(rows) - 1}")
        if len(np.unique(places)) < len(places):
            raise BadInput(f"pairs name a row of {name} twice: give each row one partner")
    return known.astype(np.int64)


def _grown(x: np.ndarray, y: np.ndarray, known: np.ndarray, most: int) -> np.ndarray:
    """Return the pairs known and those found, surest first, `most` in all."""
    pairs = known
    while len(pairs) < most:
        wanted = min(most, int(np.ceil(STEP * len(pairs))))
        new = _surest(_scores(x, y, pairs), known)[: wanted - len(known)]
        pairs = np.concatenate([known, new])
        if len(pairs) < wanted:
            break
    return pairs


def _surest(scores: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return rows and columns that are each other's best and not known, highest score first: (c, 2)."""
    best, back = scores.argmax(axis=1), scores.argmax(axis=0)
    rows = np.flatnonzero(back[best] == np.arange(len(best)))
    rows = rows[~np.isin(rows, known[:, 0]) & ~np.isin(best[rows], known[:, 1])]
    rows = rows[np.argsort(-scores[rows, best[rows]], kind="stable")]
    return np.stack([rows, best[rows]], axis=1)


def _scores(x: np.ndarray, y: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the csls score of every row of X with every row of Y, both brought together by the pairs: (n, m)."""
    # Means of all rows are known whatever the pairs, and better than those of few.
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    m: Map = Procrustes() if len(pairs) >= min(x.shape[1], y.shape[1]) else Relative(center=False)
    m.fit(x[pairs[:, 0]], y[pairs[:, 1]])
    cosines: np.ndarray = unit(m.transform(x)) @ unit(m.transform_target(y)).T
    of_x, of_y = (_mean_of_largest(c) for c in (cosines, cosines.T))
    scores: np.ndarray = 2 * cosines - of_x[:, None] - of_y
    return scores


def _mean_of_largest(scores: np.ndarray) -> np.ndarray:
    k = min(NEIGHBOURS, scores.shape[1])
    means: np.ndarray = np.partition(scores, -k, axis=1)[:, -k:].mean(axis=1)
    return means
