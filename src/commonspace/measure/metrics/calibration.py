"""How far scores can be trusted: the probability that an answer is right, given its score.

    reliability           answers in bins of equal number by score; in each, the share that is right
    calibration error     sum over bins of n_b / n |mean p - share right|, with p from a monotone fit of right on score

A cosine is no probability, so it is not compared with one as it is. A monotone function from score to probability is
fitted on one half of the answers (isotonic regression) and the error is measured on the other half: it says how far one
could rely on probabilities made of these scores. Halves are of whole groups. The error is never 0 on few answers, even
of perfect probabilities; `least` is what those would show, from draws of right and wrong by the fitted probabilities
themselves. Intervals are bootstraps over groups. Resampling adds to a sum of absolute values, so that the mean of the
resampled errors lies above the error seen; the difference is taken off.

Sources: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", 2002
(isotonic fit); Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015
(the error; their bins are of equal width).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.statistics.estimates import Estimate, check_values, draw_counts, estimate, group_numbers

LEAST = 40  # answers: 20 to fit on, 20 to measure on
IN_A_BIN = 10


@dataclass(frozen=True)
class Calibration:
    """What scores say about being right.

    Parameters
    ----------
    scores : tuple of float
        Mean score of each bin, rising.
    right : tuple of Estimate
        Share of right answers in each bin.
    error : Estimate
        Calibration error after the monotone fit, on the half not fitted on.
    least : float
        What perfect probabilities would show on as many answers that are independent; where groups hang together even
        they would show more.
    fit : ((m,), (m,)) arrays
        Scores and probabilities between which the fit on all answers is linear.
    """

    scores: tuple[float, ...]
    right: tuple[Estimate, ...]
    error: Estimate
    least: float
    fit: tuple[np.ndarray, np.ndarray]

    def probability(self, scores: Any) -> np.ndarray:
        """Return the fitted probability of being right for scores, flat beyond those seen."""
        found: np.ndarray = np.interp(np.asarray(scores, np.float64), *self.fit)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "scores": list(self.scores),
            "right": [r.to_dict() for r in self.right],
            "error": self.error.to_dict(),
            "least": self.least,
        }

    def __str__(self) -> str:
        bins = "\n".join(f"  score {s:.3f}: right {r}" for s, r in zip(self.scores, self.right, strict=True))
        return f"calibration error {self.error} (perfect probabilities would show {self.least:.3f})\n{bins}"


def calibration(
    scores: Any,
    right: Any,
    *,
    bins: int = 10,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Calibration:
    """Return how probable it is that an answer is right, by its score.

    Parameters
    ----------
    scores : (n,) array
        Higher should mean more often right.
    right : (n,) bool
        Whether each answer is right.
    bins : int
        Bins of equal number; fewer where that would leave less than 10 answers in each.
    groups : (n,) array, optional
        Answers of one label are drawn together and are in the same half.
    resamples : int
        Resamples of the bootstrap, and draws for `least`.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the halves, the bootstrap and the draws.

    Raises
    ------
    BadInput
        NaN, arrays of different length, fewer than 40 answers or 4 groups.
    """
    s, y = check_values(scores, "scores"), check_values(right, "right")
    if len(s) != len(y) or not np.isin(y, (0, 1)).all():
        raise BadInput(f"right must say yes or no for each of the {len(s)} scores")
    member = group_numbers(groups, len(s), "scores")
    if len(s) < LEAST or member.max() + 1 < 4:
        raise BadInput(f"calibration needs at least {LEAST} answers of 4 groups, got {len(s)} of {member.max() + 1}")
    rng = generator(random_state)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    places = _bins(s, check_positive("bins", bins))
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "bounds": (0.0, 1.0)}
    shares = tuple(
        estimate(y[b], "right", groups=member[b], random_state=rng if seed is None else seed, **options) for b in places
    )
    fitted = np.isin(member, rng.permutation(member.max() + 1)[: (member.max() + 1) // 2])
    p = np.interp(s[~fitted], *_isotonic(s[fitted], y[fitted]))
    error, least = _error(p, y[~fitted], member[~fitted], bins, resamples, confidence, rng, seed)
    return Calibration(tuple(float(s[b].mean()) for b in places), shares, error, least, _isotonic(s, y))


def _isotonic(s: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points between which the best rising function is linear."""
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(s, y)
    return np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)


def _bins(values: np.ndarray, bins: int) -> list[np.ndarray]:
    """Return the rows of each bin, by rising value, about as many in each; equal values are never parted."""
    order = np.argsort(values, kind="stable")
    ends = np.linspace(0, len(values), min(bins, max(1, len(values) // IN_A_BIN)) + 1).round().astype(np.int64)
    first = np.searchsorted(values[order], values[order], "left")  # of each run of equal values
    cuts = np.unique([0, *(first[e] for e in ends[1:-1]), len(values)])
    return [order[a:b] for a, b in pairwise(cuts)]


def _error(
    p: np.ndarray,
    y: np.ndarray,
    member: np.ndarray,
    bins: int,
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
    seed: int | None,
) -> tuple[Estimate, float]:
    """Return the calibration error of probabilities with its interval, and what perfect ones would show."""
    place = np.empty(len(p), np.int64)
    for i, rows in enumerate(_bins(p, bins)):
        place[rows] = i
    group = np.unique(member, return_inverse=True)[1]

    def table(weights: np.ndarray) -> np.ndarray:
        """Return (groups, bins) sums."""
        out = np.zeros((group.max() + 1, place.max() + 1))
        np.add.at(out, (group, place), weights)
        return out

    excess, sizes = table(p - y), np.bincount(group).astype(np.float64)
    value = float(np.abs(excess.sum(axis=0)).sum() / len(p))
    counts = draw_counts(rng, check_positive("resamples", resamples), len(sizes))
    found = np.abs(counts @ excess).sum(axis=1) / (counts @ sizes)
    low, high = np.quantile(found - (found.mean() - value), [(1 - confidence) / 2, (1 + confidence) / 2])
    one = np.eye(place.max() + 1)[place]
    draws = min(resamples, 200)
    perfect = [np.abs(((rng.random(len(p)) < p) - p) @ one).sum() / len(p) for _ in range(draws)]
    error = Estimate(
        "calibration_error", value, max(0.0, float(low)), min(1.0, float(high)), len(p), confidence, seed=seed
    )
    return error, float(np.mean(perfect))
