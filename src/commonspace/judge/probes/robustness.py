"""Robustness: is a known item still recognised when somebody has changed it?

References are what is known (marks, originals), strangers what is not. An item is recognised if its nearest reference
is its own *and* their cosine is above a threshold, which is set on strangers alone so that at most a stated share of
them (the false-positive rate) would be taken for a reference. Then every reference is changed, by each manipulation at
each level, and counted:

    recall(manipulation, level) = share of references still recognised

One half of the strangers sets the threshold, the other half says what its false-positive rate really is. A rate that is
smaller than one in as many strangers as there are cannot be set, and is refused. Precision is what recall and that rate
make at a stated base rate of known items, since a curated test says little about the wild:

    precision = base * recall / (base * recall + (1 - base) * rate)

Source: "Evaluating the Effectiveness and Robustness of Visual Similarity-based Phishing Detection Models" (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.progress import silent, task
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_share, check_vectors, unit
from commonspace.judge.pictures import Curve
from commonspace.judge.probes.manipulations import Manipulation
from commonspace.judge.report import Case, Report, Section, Sheet
from commonspace.measure import Estimate, estimate

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Robustness:
    """How recognition stands changes.

    Parameters
    ----------
    threshold : float
        Cosine above which an item is taken for its nearest reference.
    false_positives : Estimate
        Share of the strangers that had no part in the threshold which it lets through.
    recall : mapping of str to (mapping of float to Estimate)
        Manipulation -> level -> share of references recognised.
    precision : mapping of str to Estimate
        Manipulation -> precision at its hardest level, at the base rate; its interval takes recall and false positives
        at their worst and best together, so it is wide.
    base_rate : float
    evaded : tuple of (str, int, Any)
        Manipulation, reference and changed item for some that were missed at the lowest level at which any was.
    """

    threshold: float
    false_positives: Estimate
    recall: Mapping[str, Mapping[float, Estimate]]
    precision: Mapping[str, Estimate]
    base_rate: float
    evaded: tuple[tuple[str, int, Any], ...] = ()

    @property
    def weakest(self) -> str:
        """The manipulation with the lowest recall over its levels: what to train against first."""
        return min(self.recall, key=lambda name: float(np.mean([e.value for e in self.recall[name].values()])))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "threshold": self.threshold,
            "false_positives": self.false_positives.to_dict(),
            "recall": {m: {str(k): e.to_dict() for k, e in found.items()} for m, found in self.recall.items()},
            "precision": {m: e.to_dict() for m, e in self.precision.items()},
            "base_rate": self.base_rate,
            "weakest": self.weakest,
        }

    def __str__(self) -> str:
        wide = max(map(len, self.recall))
        levels = list(next(iter(self.recall.values())))
        lines = [f"{'level':<{wide}}  " + "  ".join(f"{k:<24g}" for k in levels)]
        lines += [
            f"{m:<{wide}}  " + "  ".join(f"{e!s:<24}" for e in found.values()) for m, found in self.recall.items()
        ]
        said = f"threshold {self.threshold:.3f}, false positives {self.false_positives}; weakest against {self.weakest}"
        return "\n".join([*lines, said])

    def to_report(self) -> Report:
        """Return a page with a curve for each manipulation."""
        lines = {
            m: tuple([f(k, e) for k, e in found.items()] for f in (_level, _value, _low, _high))
            for m, found in self.recall.items()
        }
        picture = Curve("Recall by level", "level of the manipulation", "recall", lines=lines)
        levels = list(next(iter(self.recall.values())))
        rows = [[m, *found.values(), self.precision[m]] for m, found in self.recall.items()]
        head = ["manipulation", *(f"level {k:g}" for k in levels), f"precision at a base rate of {self.base_rate:g}"]
        cases = tuple(
            Case(item, f"reference {i}", f"missed after: {m}", "text" if isinstance(item, str) else "image")
            for m, i, item in self.evaded
        )
        verdict = f"Recognition suffers most from: {self.weakest.replace('_', ' ')}."
        section = Section("Recall at a fixed rate of false positives", sheets=(Sheet(head, rows),), pictures=(picture,))
        return Report("Robustness", verdict, [section, Section("Missed", cases=cases)] if cases else [section])


def robustness(
    encode: Callable[[list[Any]], Any],
    references: Sequence[Any],
    strangers: Sequence[Any],
    manipulations: Mapping[str, Manipulation],
    *,
    levels: Sequence[float] = LEVELS,
    false_positive_rate: float = 0.01,
    base_rate: float = 0.01,
    groups: Any = None,
    resamples: int = 1000,
    random_state: RandomState = 0,
    progress: bool = True,
) -> Robustness:
    """Return how well known items are recognised after graded changes.

    Parameters
    ----------
    encode : callable
        Items -> (n, dim) vectors.
    references : sequence of n items
        What is known; each is changed.
    strangers : sequence of items
        What is not known. Twice as many as one over the rate, at least.
    manipulations : mapping of str to callable
        Name -> function of item, level and generator: `IMAGES`, `TEXTS` or your own.
    levels : sequence of float
        In [0, 1].
    false_positive_rate : float
        Share of strangers that may be taken for a reference.
    base_rate : float
        Share of known items among all that come, for the precision.
    groups : (n,) array, optional
        References that belong together (variants of one brand) and are drawn together.
    resamples : int
    random_state : int, Generator or None
        Seed of the halves, the manipulations and the intervals.
    progress : bool
        Show a bar on terminals.

    Raises
    ------
    BadInput
        Fewer than two references, too few strangers for the rate, levels outside [0, 1], no manipulation.
    """
    rate, base = check_share("false_positive_rate", false_positive_rate), check_share("base_rate", base_rate)
    if len(references) < 2:
        raise BadInput(f"recognition needs at least two references, got {len(references)}")
    if len(strangers) < 2 / rate:
        raise BadInput(
            f"a false-positive rate of {rate:g} cannot be told from {len(strangers)} strangers, of which half set the "
            f"threshold: give at least {int(np.ceil(2 / rate))}, or a higher rate"
        )
    if not manipulations or not len(levels) or any(not 0 <= k <= 1 for k in levels):
        raise BadInput(f"give at least one manipulation, and levels within [0, 1], not {list(levels)}")
    rng = generator(random_state)
    known = _encoded(encode, references)
    nearest = (_encoded(encode, strangers) @ known.T).max(axis=1)[rng.permutation(len(strangers))]
    setting, held = nearest[: len(nearest) // 2], nearest[len(nearest) // 2 :]
    # The largest number of strangers let through that keeps the rate; the threshold lies just below the next one.
    threshold = float(np.sort(setting)[::-1][int(rate * len(setting))])
    options: dict[str, Any] = {"bounds": (0.0, 1.0), "resamples": resamples, "random_state": 0}
    recall: dict[str, dict[float, Estimate]] = {}
    evaded: list[tuple[str, int, Any]] = []
    work = len(manipulations) * len(levels)
    with task("Changing and asking", work) if progress else silent() as bar:
        for name, change in manipulations.items():
            recall[name], first = {}, True
            for level in sorted(levels):
                items = [change(item, float(level), rng) for item in references]
                scores = _encoded(encode, items) @ known.T
                own = np.arange(len(known))
                right = (scores[own, own] >= scores.max(axis=1)) & (scores[own, own] > threshold)
                recall[name][float(level)] = estimate(right.astype(float), f"recall ({name})", groups=groups, **options)
                if first and level > 0 and not right.all():
                    evaded += [(name, int(i), items[i]) for i in np.flatnonzero(~right)[:2]]
                    first = False
                bar.advance()
    false = estimate((held > threshold).astype(float), "false_positives", **options)
    hardest = {name: min(found.values(), key=lambda e: e.value) for name, found in recall.items()}
    precision = {name: _precision(e, false, base) for name, e in hardest.items()}
    return Robustness(threshold, false, recall, precision, base, tuple(evaded))


def _encoded(encode: Callable[[list[Any]], Any], items: Sequence[Any]) -> np.ndarray:
    vectors = unit(check_vectors(encode(list(items)), name="vectors"))
    if len(vectors) != len(items):
        raise BadInput(f"encode gave {len(vectors)} vectors for {len(items)} items")
    return vectors


def _level(level: float, e: Estimate) -> float:
    return level


def _value(level: float, e: Estimate) -> float:
    return e.value


def _low(level: float, e: Estimate) -> float:
    return e.low


def _high(level: float, e: Estimate) -> float:
    return e.high


def _precision(recall: Estimate, false: Estimate, base: float) -> Estimate:
    """Return the share of what is recognised that is known, where `base` of all that comes is."""

    def share(hits: float, alarms: float) -> float:
        right, wrong = base * hits, (1 - base) * alarms
        return right / (right + wrong) if right + wrong > 0 else 0.0

    value, low, high = share(recall.value, false.value), share(recall.low, false.high), share(recall.high, false.low)
    return Estimate("precision", value, low, high, n=recall.n, confidence=recall.confidence, seed=recall.seed)
