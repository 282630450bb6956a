"""Judges of pairs: what a map, or a pair of heads, that has not seen a pair says about it.

The loss of a pair, the losses of pairs that are wrong for sure because their partners were dealt out, and from both how
likely each pair is right; see `noisy_pairs` for the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.align.standard import Standard
from commonspace.core.registry import build
from commonspace.core.vectors import unit

BLOCK = 4096  # pairs that are compared with each other; memory grows with its square
TEMPERATURES = (0.02, 0.035, 0.05, 0.08)
TEMPERATURES_WIDE = (0.05, 0.08, 0.12, 0.2)  # heads and neighbours spread their cosines wider than maps
_MAP = {"name": "cca", "reg": 0.1, "power": 2.0}
TAIL = 0.75
_DEALS = 4  # times that partners are dealt out anew


@dataclass(frozen=True)
class Judge:
    """Something that scores pairs.

    Parameters
    ----------
    scores : callable
        From (k,) positions to (k, k) cosines of the first sides with the second ones.
    temperatures : tuple of float
        Softmax temperatures to choose from.
    """

    scores: Callable[[np.ndarray], np.ndarray]
    temperatures: tuple[float, ...]


def judged_once(
    keys: np.ndarray,
    parts: Sequence[np.ndarray],
    learned: Callable[[np.ndarray], Sequence[Judge]],
    *,
    apart: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probability (m,), shares of better partners (m, 2) and whether the loss is in the tail of wrong ones.

    Parameters
    ----------
    keys : (m,) int64
        The group of each pair.
    parts : sequence of int arrays
        The folds: positions of pairs that are judged together, by judges who learned from the others.
    learned : callable
        From the positions to learn from to judges; of several the losses are added, each in units of its spread over
        wrong pairs. The last one says how many partners are better.
    apart : bool
        Whether a partner that is dealt out competes without the pair's own one. Sharp judges see how much better the
        true one is, so that with it, wrong pairs would look worse than those whose true partner is somewhere else.
    """
    better = np.empty((len(keys), 2))
    losses: list[np.ndarray] = []
    dealt: list[list[np.ndarray]] = []
    for test in parts:
        judges = learned(np.setdiff1d(np.concatenate(parts), test, assume_unique=True))
        losses = losses or [np.empty((len(judge.temperatures), len(keys))) for judge in judges]
        dealt = dealt or [[] for _ in judges]
        for block in np.array_split(test, -(-len(test) // BLOCK)):
            alone = (keys[block][:, None] != keys[block][None, :]) | np.eye(len(block), dtype=bool)
            own_partner, *deals = [np.roll(np.arange(len(block)), s) for s in (0, *_shifts(len(block)))]
            wrong = [alone[own_partner, deal] for deal in deals]  # those that are right by chance are left out
            for judge, loss, null in zip(judges, losses, dealt, strict=True):
                scores = judge.scores(block)
                found = []
                for i, temperature in enumerate(judge.temperatures):
                    loss[i, block], *of_null = _losses(scores, alone, temperature, [own_partner, *deals], apart=apart)
                    found.append(np.concatenate([dealt_one[w] for dealt_one, w in zip(of_null, wrong, strict=True)]))
                null.append(np.stack(found))
            own = np.diag(scores)
            better[block, 0] = ((scores > own[:, None]) & alone).mean(axis=1)
            better[block, 1] = ((scores > own[None, :]) & alone).mean(axis=0)
    total, of_wrong = _added(losses, [np.concatenate(n, axis=1) for n in dealt])
    wrong_tail = total > np.quantile(of_wrong, TAIL)
    share = min(1.0, wrong_tail.mean() / (1 - TAIL))
    return 1 - share * _density_ratio(total, of_wrong, share), better, wrong_tail.astype(float)


def _added(losses: Sequence[np.ndarray], dealt: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums over judges, each at the temperature that tells most: (m,) of pairs and (k,) of wrong pairs."""
    total, null = np.zeros(losses[0].shape[1]), np.zeros(dealt[0].shape[1])
    for loss, wrong in zip(losses, dealt, strict=True):
        best = int(np.argmax([_separation(loss[i], wrong[i]) for i in range(len(loss))]))
        centre, spread = wrong[best].mean(), wrong[best].std() or 1.0
        total += (loss[best] - centre) / spread
        null += (wrong[best] - centre) / spread
    return total, null


def by_map(A: np.ndarray, B: np.ndarray, learn: np.ndarray) -> Judge:
    """Return the judge that is a map learned from the pairs at `learn`."""
    side_a, side_b, fitted = learned_map(A[learn], B[learn])

    def scores(rows: np.ndarray) -> np.ndarray:
        z, w = unit(fitted.transform(side_a(A[rows]))), unit(fitted.transform_target(side_b(B[rows])))
        out: np.ndarray = z @ w.T
        return out

    return Judge(scores, TEMPERATURES)


def by_neighbours(A: np.ndarray, B: np.ndarray, likely: np.ndarray, *, k: int = 10, temperature: float = 0.05) -> Judge:
    """Return the judge that compares second sides with those of the pairs at `likely` whose first sides are nearest.

    z_i = sum of w_in B_n over the k neighbours n of A_i        w_in ~ exp(cos(A_i, A_n) / temperature)
    """
    X, Y = unit(A - A[likely].mean(axis=0)), unit(B - B[likely].mean(axis=0))
    k = min(k, len(likely))

    def scores(rows: np.ndarray) -> np.ndarray:
        cosine = X[rows] @ X[likely].T
        near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        weight = np.exp((np.take_along_axis(cosine, near, 1) - 1) / temperature)
        expected = np.einsum("ik,ikd->id", weight, Y[likely[near]])
        out: np.ndarray = unit(expected) @ Y[rows].T
        return out

    return Judge(scores, TEMPERATURES_WIDE)


def learned_map(A: np.ndarray, B: np.ndarray) -> tuple[Standard, Standard, Any]:
    """Return what prepares each side, and the map between them."""
    side_a, side_b = Standard(A), Standard(B)
    return side_a, side_b, build("Map", _MAP).fit(side_a(A), side_b(B))


def _shifts(n: int) -> list[int]:
    return sorted({max(1, (i + 1) * n // (_DEALS + 1)) for i in range(_DEALS)})


def _losses(
    scores: np.ndarray, alone: np.ndarray, temperature: float, partners: list[np.ndarray], *, apart: bool = False
) -> list[np.ndarray]:
    """Return (n,) losses of the rows with each list of partners, both directions; the first list is the pairs' own.

    Alternatives of a row's own group do not compete, nor, if `apart`, its own partner with another.
    """
    from scipy.special import logsumexp

    logits = np.where(alone, scores / temperature, -np.inf)
    each = np.arange(len(scores))
    found = []
    for number, p in enumerate(partners):
        if number == 0 or (number == 1 and apart):  # the sums are the same for all lists that are dealt
            if number:
                logits[each, each] = -np.inf
            rows, columns = logsumexp(logits, axis=1), logsumexp(logits, axis=0)
        found.append((rows + columns[p]) / 2 - scores[each, p] / temperature)
    return found


def _separation(losses: np.ndarray, null: np.ndarray) -> float:
    """Return how often a pair has a lower loss than a wrong one: the larger, the more the losses tell."""
    return float(1 - np.searchsorted(np.sort(null), losses).mean() / len(null))


def _density_ratio(losses: np.ndarray, null: np.ndarray, share: float) -> np.ndarray:
    """Return f0 / f at the losses, at most 1 / share, rising with the loss."""
    from sklearn.isotonic import IsotonicRegression

    value = np.concatenate([losses, null])
    observed = np.concatenate([np.ones(len(losses)), np.zeros(len(null))])
    weight = np.concatenate([np.full(len(losses), 1 / len(losses)), np.full(len(null), 1 / len(null))])
    # Among as many observed as dealt pairs, the share of observed ones at l is f / (f + f0).
    curve = IsotonicRegression(increasing=False).fit(value, observed, sample_weight=weight)
    r = np.maximum(curve.predict(losses), 1e-9)
    out: np.ndarray = np.minimum((1 - r) / r, 1 / max(share, 1e-9))
    return out
