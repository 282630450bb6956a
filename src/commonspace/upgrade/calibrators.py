"""Calibrators go along: probabilities of being right, for scores of the new space.

A function from score to probability that was fitted on one space's cosines is wrong on another's. With judgements of
the new space's answers it is fitted anew, and it is told how wrong the old one would have been. Without them each score
takes the probability of the old score that as many answers reach: right where both spaces rank equally well, and never
checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.measure.metrics.calibration import Calibration, calibration
from commonspace.measure.statistics.estimates import Estimate, check_values, draw_counts, group_numbers
from commonspace.upgrade.cutoffs import LEAST, check_sizes, check_spread, match_share, share_doubts

BINS = 10


@dataclass(frozen=True)
class Calibrator:
    """Probabilities of being right for scores of the new space.

    Parameters
    ----------
    fit : ((m,), (m,)) arrays
        Scores and probabilities between which the function is linear.
    by : {"share", "judgements"}
        Whether the old function was moved by the distribution of scores, or a new one fitted.
    error, left : Estimate, optional
        Calibration error of this function on answers it was not fitted on, and of the old one had it been left as it
        was; with judgements.
    least : float, optional
        The error that perfect probabilities would show.
    doubts : tuple of str
        What may be wrong with it, in words.
    """

    fit: tuple[np.ndarray, np.ndarray]
    by: str
    error: Estimate | None = None
    left: Estimate | None = None
    least: float | None = None
    doubts: tuple[str, ...] = ()

    def probability(self, scores: Any) -> np.ndarray:
        """Return the probability of being right for scores, flat beyond those seen."""
        found: np.ndarray = np.interp(np.asarray(scores, np.float64), *self.fit)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "fit": [side.tolist() for side in self.fit], "by": self.by, "least": self.least, "doubts":
            list(self.doubts), **{name: e if e is None else e.to_dict() for name, e in (("error", self.error), ("left",
            self.left))},
        }  # fmt: skip

    def __str__(self) -> str:
        if self.error is None:
            return "\n".join(["calibrator moved by the distribution of scores, not checked", *self.doubts])
        told = f"calibration error {self.error} (perfect probabilities would show {self.least:.3f})"
        return "\n".join([f"{told}; left as it was it would be {self.left}", *self.doubts])


def migrate_calibrator(
    old: Calibration | Calibrator,
    old_scores: Any,
    new_scores: Any,
    right: Any = None,
    *,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Calibrator:
    """Return the function from scores of the new space to probabilities that takes the place of an old one.

    Parameters
    ----------
    old : Calibration or Calibrator
        What was fitted on scores of the old space.
    old_scores, new_scores : (n,) arrays
        Scores of answers in either space.
    right : (n,) bool, optional
        Whether each new answer is right. With it the function is fitted anew; without, each score takes the
        probability of the old score that as many answers reach.
    groups : (n,) array, optional
        The query of each new answer.
    resamples, confidence, random_state
        Of the bootstrap.

    Raises
    ------
    BadInput
        Fewer than 20 scores on a side, or new ones that are all the same; no function to move; judgements that are not
        yes or no.
    """
    sides = [check_values(s, name) for s, name in ((old_scores, "old_scores"), (new_scores, "new_scores"))]
    check_sizes(sides)
    if not isinstance(old, Calibration | Calibrator):
        raise BadInput(
            "old must be what measure.calibration or migrate_calibrator has returned, the probabilities that were in "
            f"use, not {type(old).__name__}"
        )
    if right is None:
        check_spread(sides[1])
        moved = np.array([match_share(c, *sides) for c in old.fit[0]])
        at, p = _rising(moved, old.fit[1])
        return Calibrator((at, p), "share", doubts=share_doubts(sides))
    options: dict[str, Any] = {
        "groups": groups, "resamples": resamples, "confidence": confidence, "random_state": random_state,
    }  # fmt: skip
    fresh = calibration(sides[1], right, **options)
    # The old probabilities are scores like any other, whose error is measured as they are.
    left = _plain_error(old.probability(sides[1]), np.asarray(right, float), **options)
    doubts = []
    share = float(np.mean(np.asarray(right, float)))
    if min(share, 1 - share) * len(sides[1]) < LEAST:
        doubts.append(f"only {round(min(share, 1 - share) * len(sides[1]))} of the answers differ from the rest")
    return Calibrator(fresh.fit, "judgements", fresh.error, left, fresh.least, tuple(doubts))


def _plain_error(
    p: np.ndarray, right: np.ndarray, *, groups: Any, resamples: int, confidence: float, random_state: RandomState
) -> Estimate:
    """Return the calibration error of probabilities as they are, in ten bins of equal number."""
    member = group_numbers(groups, len(p), "scores")
    place = np.empty(len(p), np.int64)
    place[np.argsort(p, kind="stable")] = np.arange(len(p)) * BINS // len(p)
    excess = np.zeros((member.max() + 1, BINS))
    np.add.at(excess, (member, place), p - right)
    sizes = np.bincount(member).astype(float)
    value = float(np.abs(excess.sum(axis=0)).sum() / len(p))
    counts = draw_counts(generator(random_state), resamples, len(sizes))
    found = np.abs(counts @ excess).sum(axis=1) / (counts @ sizes)
    low, high = np.quantile(found - (found.mean() - value), [(1 - confidence) / 2, (1 + confidence) / 2])
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    return Estimate(
        "calibration_error", value, max(0.0, float(low)), min(1.0, float(high)), len(p), confidence, seed=seed
    )


def _rising(at: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points with distinct, rising scores; of equal ones the last counts."""
    keep = np.append(np.diff(at) > 0, True)
    return at[keep], np.asarray(p, np.float64)[keep]
