"""Cut-offs go along: the score of the new space that means what a score meant in the old one.

A cut-off that was tuned on cosines of one space says nothing about another. Two things can be kept:

    by share        F_new(c') = F_old(c): as many answers pass as did before. Needs no judgements. Right where both
                    spaces rank equally well; a better space then passes more right answers than needed.
    by precision    the lowest c' for which the answers that pass are right as often as those that passed c, or as often
                    as is asked for. Needs judgements of answers.

    precision(c) = mean of p(s) over the scores s >= c,  p the best rising fit of right on score

Without the fit the precision of the few best answers would jump with each of them. The precision that is reported of a
cut-off is that of answers it was not chosen on. Distribution functions are linear between scores, so that a linear
change of scores moves a cut-off by the same line. Intervals are bootstraps over groups, which both sides share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.estimates import Estimate, check_values, draw_counts, estimate, group_numbers

LEAST = 20  # answers of a side
ALL_RIGHT = "all new answers are right, so that every cut-off is: wrong ones would tell where they begin"


@dataclass(frozen=True)
class Cutoff:
    """A cut-off of the new space.

    Parameters
    ----------
    value : Estimate
        The score of the new space, with its interval.
    old : float
        The cut-off that it stands for.
    by : {"share", "precision"}
        What was kept.
    shares : (Estimate, Estimate)
        Share of answers that pass: before, and now.
    precisions : (Estimate, Estimate), optional
        Share of right ones among the answers that pass, before and now, with judgements; the latter of answers that
        the cut-off was not chosen on, None where none of those pass.
    goal : float, optional
        The precision that was to be kept.
    doubts : tuple of str
        What may be wrong with it, in words.
    """

    value: Estimate
    old: float
    by: str
    shares: tuple[Estimate, Estimate]
    precisions: tuple[Estimate, Estimate | None] | None = None
    goal: float | None = None
    doubts: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.value.value

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        both = None if self.precisions is None else [p and p.to_dict() for p in self.precisions]
        return {
            "value": self.value.to_dict(), "old": self.old, "by": self.by, "goal": self.goal,
            "shares": [s.to_dict() for s in self.shares], "precisions": both, "doubts": list(self.doubts),
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [
            f"cut-off {self.old:.3f} becomes {self.value}, by {self.by}",
            f"  share that passes  {self.shares[0]} -> {self.shares[1]}",
        ]
        if self.precisions is not None:
            lines.append(f"  precision          {self.precisions[0]} -> {self.precisions[1] or 'not known'}")
        return "\n".join([*lines, *(f"  ! {d}" for d in self.doubts)])


def migrate_cutoff(
    cutoff: float,
    old_scores: Any,
    new_scores: Any,
    right: Any = None,
    *,
    precision: float | None = None,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Cutoff:
    """Return the score of the new space that takes the place of a cut-off.

    Parameters
    ----------
    cutoff : float
        Answers of at least this score passed in the old space.
    old_scores, new_scores : (n,) arrays
        Scores of answers, the k best of each query, say, in either space. Row i of both belongs together where they
        are of one length; otherwise each side has its own.
    right : (n,) bool, or a pair of them, optional
        Whether each answer is right: one array where both sides hold the same answers, else one a side.
    precision : float, optional
        The precision to keep; default is what the old cut-off reached.
    groups : (n,) array, or a pair of them, optional
        The query of each answer; answers of one query are drawn together.
    resamples, confidence, random_state
        Of the bootstrap.

    Raises
    ------
    BadInput
        Fewer than 20 answers on a side, old ones all or none of which pass, new ones of one score; none of those that
        passed is right, and no precision is named; judgements that are not yes or no; a cut-off that is no number.
    """
    check_share("confidence", confidence)
    sides = [check_values(s, name) for s, name in ((old_scores, "old_scores"), (new_scores, "new_scores"))]
    cutoff = _check_cutoff(cutoff, sides)
    judged = None if right is None else _judgements(right, sides)
    if precision is not None and judged is None:
        raise BadInput("a precision can only be kept with judgements: give right, or leave precision out")
    goal = None if precision is None else check_share("precision", precision)
    if judged is not None and goal is None and not judged[0][sides[0] >= cutoff].any():
        raise BadInput(
            f"of the {int((sides[0] >= cutoff).sum())} old answers that reach the cut-off none is right: there is no "
            "precision to keep. Name one with precision=, or leave right out to keep the share that passes"
        )
    answers = _Answers(cutoff, sides, judged, _members(groups, sides), goal)
    rng = generator(random_state)
    value = answers.choose([np.arange(len(s)) for s in sides])
    found = [answers.choose(rows) for rows in _draws(answers.member, check_positive("resamples", resamples), rng)]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    new = Estimate("cutoff", value, min(low, value), max(high, value), len(sides[1]), confidence, seed=seed)

    def rate(name: str, values: np.ndarray, side: int, of: np.ndarray | slice = slice(None)) -> Estimate:
        return estimate(
            values.astype(np.float64), name, groups=answers.member[side][of], resamples=resamples, bounds=(0.0, 1.0),
            confidence=confidence, random_state=rng if seed is None else seed,
        )  # fmt: skip

    passed = [s >= c for s, c in zip(sides, (cutoff, value), strict=True)]
    shares = rate("share", passed[0], 0), rate("share", passed[1], 1)
    if judged is None:
        said = (*_unequal(shares), *answers.few())
        doubts = (*share_doubts(sides), *(text for text, true in said if true))
        return Cutoff(new, cutoff, "share", shares, doubts=doubts)
    unseen = answers.unseen(rng)
    before = rate("precision", judged[0][passed[0]], 0, passed[0])
    now = rate("precision", judged[1][unseen], 1, unseen) if unseen.any() else None
    wanted = before.value if goal is None else goal
    return Cutoff(new, cutoff, "precision", shares, (before, now), wanted, answers.doubts(wanted, now))


@dataclass(frozen=True)
class _Answers:
    """Answers of either side, and what is to be kept."""

    cutoff: float
    sides: list[np.ndarray]
    judged: list[np.ndarray] | None
    member: list[np.ndarray]
    goal: float | None

    def choose(self, rows: list[np.ndarray]) -> float:
        """Return the cut-off that these rows of either side give."""
        old, new = (s[r] for s, r in zip(self.sides, rows, strict=True))
        if self.judged is None:
            return match_share(self.cutoff, old, new)
        before, now = (y[r] for y, r in zip(self.judged, rows, strict=True))
        return _lowest(_precision_at(self.cutoff, old, before) if self.goal is None else self.goal, new, now)

    def unseen(self, rng: np.random.Generator) -> np.ndarray:
        """Return which new answers pass a cut-off that was chosen on the other half of the groups."""
        half = rng.permutation(1 + max(int(m.max()) for m in self.member)) % 2
        passed = np.zeros(len(self.sides[1]), bool)
        for h in (0, 1):
            rows = [np.flatnonzero(half[m] == h) for m in self.member]
            rest = half[self.member[1]] != h
            if all(len(r) for r in rows):
                passed[rest] = self.sides[1][rest] >= self.choose(rows)
        return passed

    def doubts(self, wanted: float, now: Estimate | None) -> tuple[str, ...]:
        """Return what may be wrong with a cut-off by precision, in words."""
        assert self.judged is not None
        best = float(_precisions(self.sides[1], self.judged[1])[1].max())
        never = f"no cut-off of the new space reaches a precision of {wanted:.3f}; the best reach {best:.3f}"
        nothing = "of answers that it was not chosen on none pass: its precision is not known"
        missed = f"of answers that it was not chosen on fewer are right than the {wanted:.3f} that was to be kept"
        low, every = best < wanted - 1e-12, bool(self.judged[1].all())
        found = (
            (ALL_RIGHT, every),
            (never, low),
            (nothing, now is None),
            (missed, not low and now is not None and now.high < wanted),
        )
        return tuple(text for text, true in (*found, *self.few()) if true)

    def few(self) -> tuple[tuple[str, bool], ...]:
        """Return what to say of answers to few queries, and whether it is true."""
        count = len(np.unique(np.concatenate(self.member)))
        return ((f"the answers are to {count} queries: what others would give is hardly known", count < LEAST),)


def match_share(cutoff: float, old: np.ndarray, new: np.ndarray) -> float:
    """Return the new score that as many answers reach, both distributions linear between scores."""
    a, b = np.sort(old), np.sort(new)
    p = np.interp(cutoff, a, (np.arange(len(a)) + 0.5) / len(a))
    return float(np.interp(p, (np.arange(len(b)) + 0.5) / len(b), b))


def _precisions(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct scores, rising, and the fitted precision of what reaches each."""
    from scipy.optimize import isotonic_regression

    at, inverse, n = np.unique(scores, return_inverse=True, return_counts=True)
    y = np.bincount(inverse, weights=right) / n
    p = isotonic_regression(y, weights=n).x
    above = np.cumsum((p * n)[::-1])[::-1] / np.cumsum(n[::-1])[::-1]
    return at, above


def _precision_at(cutoff: float, scores: np.ndarray, right: np.ndarray) -> float:
    """Return the fitted precision of a cut-off."""
    at, above = _precisions(scores, right)
    return float(above[min(int(np.searchsorted(at, cutoff)), len(at) - 1)])


def _lowest(goal: float, scores: np.ndarray, right: np.ndarray) -> float:
    """Return the lowest cut-off of this precision, halfway to the next lower score; the highest score if none has."""
    at, above = _precisions(scores, right)
    enough = np.flatnonzero(above >= goal - 1e-12)
    first = int(enough[0]) if len(enough) else len(at) - 1
    return float(at[first] if first == 0 else (at[first - 1] + at[first]) / 2)


def _draws(member: list[np.ndarray], resamples: int, rng: np.random.Generator) -> Any:
    """Yield the rows of either side in each resample of the groups that they share."""
    groups = max(int(m.max()) for m in member) + 1
    for counts in draw_counts(rng, resamples, groups):
        rows = [np.repeat(np.arange(len(m)), counts[m].astype(np.int64)) for m in member]
        if all(len(r) for r in rows):
            yield rows


def share_doubts(sides: list[np.ndarray]) -> tuple[str, ...]:
    """Return what may be wrong with keeping the share, in words."""
    same = "the share that passes is kept, right or wrong: a space that ranks better or worse has another precision"
    few = [f"only {len(s)} scores" for s in sides if len(s) < 10 * LEAST]
    return (same, *few[:1])


def _unequal(shares: tuple[Estimate, Estimate]) -> tuple[tuple[str, bool], ...]:
    """Return what to say of a share that no cut-off keeps, because many answers are of one score, and whether it is."""
    before, now = shares
    said = f"many new answers are of one score: {before.value:.3f} passed before, {now.value:.3f} pass now"
    return ((said, not now.low <= before.value <= now.high),)


def check_spread(scores: np.ndarray) -> None:
    """Refuse new scores among which no cut-off can tell one from another."""
    if scores.min() == scores.max():
        raise BadInput(f"all {len(scores)} new scores are {scores[0]:g}: no cut-off tells them apart; search again")


def check_sizes(sides: list[np.ndarray]) -> None:
    """Refuse too few scores."""
    for s, name in zip(sides, ("old", "new"), strict=True):
        if len(s) < LEAST:
            raise BadInput(f"there are {len(s)} {name} scores, at least {LEAST} are needed: search with more queries")


def _check_cutoff(cutoff: Any, sides: list[np.ndarray]) -> float:
    """Return a cut-off as a number, if the scores tell what it does."""
    check_sizes(sides)
    number = np.asarray(cutoff)
    if number.ndim or number.dtype.kind not in "iuf":
        raise BadInput(f"the cut-off must be a number, a score of the old space, not {cutoff!r}")
    passed = int((sides[0] >= cutoff).sum())
    if not np.isfinite(number) or passed in (0, len(sides[0])):
        raise BadInput(
            f"{passed} of {len(sides[0])} old scores reach the cut-off {cutoff}, which lie between "
            f"{sides[0].min():.3f} "
            f"and {sides[0].max():.3f}: nothing tells what it does; give scores on both sides of it"
        )
    check_spread(sides[1])
    return float(number)


def _judgements(right: Any, sides: list[np.ndarray]) -> list[np.ndarray]:
    """Return yes or no for the answers of either side, as floats."""
    out = [_floats(r) for r in _both(right)]
    for y, s, name in zip(out, sides, ("old", "new"), strict=True):
        if y is None or y.shape != s.shape or not np.isin(y, (0, 1)).all():
            raise BadInput(f"right must say yes or no for each of the {len(s)} {name} scores: a pair if they differ")
    return [y for y in out if y is not None]


def _both(given: Any) -> Any:
    """Return what was given for each side: a pair as it is, anything else twice."""
    pair = np.ndim(given) != 0 if isinstance(given, np.ndarray) else hasattr(given, "__len__")
    return given if pair and len(given) == 2 else (given, given)  # no side has as few as two answers


def _floats(values: Any) -> np.ndarray | None:
    """Return numbers as an array; None if they are not numbers."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return None


def _members(groups: Any, sides: list[np.ndarray]) -> list[np.ndarray]:
    """Return the number of the group of each answer; both sides share the numbers."""
    if groups is None:
        n, m = map(len, sides)
        return [np.arange(n), np.arange(m)] if n == m else [np.arange(n), n + np.arange(m)]
    labels = [np.asarray(g) for g in _both(groups)]
    for g, s, name in zip(labels, sides, ("old", "new"), strict=True):
        if g.shape != s.shape:
            raise BadInput(f"groups must hold one label for each of the {len(s)} {name} scores: a pair if they differ")
    numbers = group_numbers(np.concatenate(labels), sum(map(len, sides)), "scores")
    return [numbers[: len(labels[0])], numbers[len(labels[0]) :]]
