"""Pictures of an evaluation: ranks, precision and recall against the cut-off, scores against being right.

Bands are 95 % intervals of each point by itself, from a bootstrap over groups of queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from commonspace.judge.directions import Direction
from commonspace.judge.pictures import Curve
from commonspace.measure import Calibration
from commonspace.measure.statistics.estimates import draw_counts

POINTS = 60
DRAWS = 300


def rank_curves(systems: Mapping[str, Direction], *, title: str = "Ranks", random_state: int = 0) -> Curve:
    """Return the share of queries whose first right answer stands at a rank or before, for each named system."""
    most = max(len(d.gallery) for d in systems.values())
    lines, chances = {}, {}
    for name, d in systems.items():
        x = _ranks(len(d.gallery))
        reached = d.first[:, None] <= x
        lines[name] = (x.tolist(), *_band(reached, d.groups, random_state))
        chances[name] = (x, chance_of_first(d, x))
    return Curve(
        title, "rank of the first right answer", "share of queries", lines, log_x=True,
        references=_merged(chances), note=f"How far one must look down a list of up to {most:,} items.",
    )  # fmt: skip


def cut_off_curves(directions: Sequence[Direction], *, random_state: int = 0) -> list[Curve]:
    """Return recall and precision against the number of answers looked at."""
    lines: dict[str, dict[str, tuple[list[float], ...]]] = {"recall": {}, "precision": {}}
    for d in directions:
        right = d.answers.right.cumsum(axis=1)
        k = np.unique(np.geomspace(1, right.shape[1], POINTS).round().astype(np.int64))
        found = right[:, k - 1].astype(np.float64)
        labels, there = np.unique(d.keys[1], return_counts=True)
        relevant = there[np.searchsorted(labels, d.groups)]
        for name, share in (("recall", found / relevant[:, None]), ("precision", found / k)):
            lines[name][d.title] = (k.tolist(), *_band(share, d.groups, random_state))
    notes = {
        "recall": "The share of all right answers among the first k.",
        "precision": "The share of the first k answers that is right.",
    }
    return [
        Curve(f"{n.capitalize()} against the cut-off", "answers looked at (k)", n, lines[n], log_x=True, note=notes[n])
        for n in lines
    ]


def calibration_curve(found: Mapping[str, Calibration]) -> Curve:
    """Return how probable it is that the first answer is right, by its score, for each named direction."""
    lines = {
        name: (list(c.scores), [r.value for r in c.right], [r.low for r in c.right], [r.high for r in c.right])
        for name, c in found.items()
    }
    note = "First answers in bins of equal number; the band is the interval of each bin's share."
    return Curve("Is a high score a right answer?", "score of the first answer", "share right", lines, note=note)


def chance_of_first(direction: Direction, ranks: np.ndarray) -> np.ndarray:
    """Return the share of queries that a random order would bring to a right answer within so many ranks.

    For R right among n, that is 1 - C(n - R, r) / C(n, r).
    """
    from scipy.special import gammaln

    labels, there = np.unique(direction.keys[1], return_counts=True)
    right, weight = np.unique(there[np.searchsorted(labels, direction.groups)], return_counts=True)
    n, r = len(direction.gallery), ranks[:, None].astype(np.float64)
    possible = r <= n - right  # else one of r must be right
    rest = np.where(possible, n - right - r, 0)
    log_missed = gammaln(n - right + 1) - gammaln(rest + 1) - gammaln(n + 1) + gammaln(n - r + 1)
    missed = np.where(possible, np.exp(log_missed), 0.0)
    share: np.ndarray = np.clip(1 - missed @ (weight / weight.sum()), 0, 1)
    return share


def _ranks(n: int) -> np.ndarray:
    return np.unique(np.geomspace(1, n, POINTS).round().astype(np.int64))


def _band(values: np.ndarray, groups: np.ndarray, random_state: int) -> tuple[list[float], list[float], list[float]]:
    """Return the mean of each column of (q, p) values, and the ends of its interval."""
    member = np.unique(groups, return_inverse=True)[1]
    sums = np.zeros((member.max() + 1, values.shape[1]))
    np.add.at(sums, member, values.astype(np.float64))
    sizes = np.bincount(member).astype(np.float64)
    counts = draw_counts(np.random.default_rng(random_state), DRAWS, len(sizes))
    drawn = (counts @ sums) / (counts @ sizes)[:, None]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    mean = sums.sum(axis=0) / sizes.sum()
    return mean.tolist(), np.minimum(low, mean).tolist(), np.maximum(high, mean).tolist()


def _merged(lines: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[list[float], list[float]]]:
    """Return lines of chance, as one where they are as good as one."""
    plain = {f"chance, {name}": (x.tolist(), y.tolist()) for name, (x, y) in lines.items()}
    (x, y), *others = lines.values()
    if all(np.abs(np.interp(x, a, b) - y).max() < 0.06 for a, b in others):
        return {"chance": (x.tolist(), y.tolist())}
    return plain
