"""Which of many systems can be told apart? Letters, so that systems that share one cannot.

A table of all pairs of twenty systems has 190 rows. The compact letter display says the same in one column: each letter
is a set of systems no two of which were told apart, and any two systems that were not told apart share a letter.

    ndcg_a  0.512 [0.487, 0.537]  a
    ndcg_b  0.498 [0.474, 0.523]  ab
    ndcg_c  0.461 [0.437, 0.486]   b

a and c differ; b was told apart from neither. "Not told apart" is no equality: it need not carry over, as here.

The letters come from insertion and absorption: begin with one set of all systems; for each pair that differs, split
every set that holds both into one without the first and one without the second; drop sets that lie within others. What
is left are all largest sets without a difference. Sets are then dropped whose pairs all share another letter. Single
memberships that no pair needs stay, unlike in the source: without them the letters of neighbours would have gaps.

Source: Piepho, "An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons", 2004.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_letters
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_share
from commonspace.measure.statistics.alignment import aligned, labels_of
from commonspace.measure.statistics.comparison import Comparison, compare_many
from commonspace.measure.statistics.estimates import Estimate, estimate


@dataclass(frozen=True)
class RankGroups:
    """Systems in order, with letters: those that share one were not told apart.

    Parameters
    ----------
    names : tuple of str
        The systems, best first.
    figures : tuple of Estimate
        The mean of each.
    letters : tuple of str
        The letters of each.
    comparisons : tuple of Comparison
        All pairs, p-values corrected.
    alpha : float
        Pairs with a corrected p-value below this are told apart.
    """

    names: tuple[str, ...]
    figures: tuple[Estimate, ...]
    letters: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    alpha: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        rows = zip(self.names, self.figures, self.letters, strict=True)
        return {
            "systems": [{"name": n, "letters": s, **f.to_dict()} for n, f, s in rows],
            "comparisons": [c.to_dict() for c in self.comparisons],
            "alpha": self.alpha,
        }

    def __str__(self) -> str:
        used = sorted(set("".join(self.letters)), key=ascii_letters.index)
        width = max(map(len, self.names))
        rows = []
        for name, figure, own in zip(self.names, self.figures, self.letters, strict=True):
            rows.append(f"{name:<{width}}  {figure}  {''.join(u if u in own else ' ' for u in used)}".rstrip())
        return "\n".join(rows)


def rank_groups(
    systems: Mapping[str, Any],
    *,
    alpha: float = 0.05,
    higher_is_better: bool = True,
    correction: str = "holm",
    test: str = "randomisation",
    resamples: int = 10_000,
    groups: Any = None,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> RankGroups:
    """Order systems by their mean and say which of them are told apart, by corrected tests of all pairs.

    Parameters
    ----------
    systems : mapping of str to (n,) array or Estimate
        Name -> values of the same queries, as in `compare_many`.
    alpha : float
        Level of the corrected tests.
    higher_is_better : bool
        False for ranks and errors.
    correction : {"holm", "bh", "none"}
        As in `compare_many`.
    confidence : float
        Nominal coverage of the intervals; each is that of its system alone.

    Notes
    -----
    The remaining parameters are those of `compare`.
    """
    check_share("alpha", alpha)
    found = compare_many(
        systems, correction=correction, test=test, resamples=resamples, groups=groups, confidence=confidence,
        random_state=random_state,
    )  # fmt: skip
    columns, ids = aligned(systems)
    means = np.array([c.mean() for c in columns])
    order = np.argsort(-means if higher_is_better else means, kind="stable")
    names = tuple(list(systems)[i] for i in order)
    labels = labels_of(groups, ids)
    figures = tuple(
        _figure(systems[name], columns[i], name, labels, ids, confidence, random_state)
        for name, i in zip(names, order, strict=True)
    )
    apart = [(c.a, c.b) for c in found if c.p_value < alpha]
    return RankGroups(names, figures, letters(names, apart), tuple(found), alpha)


def letters(names: Sequence[Any], told_apart: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
    """Return the letters of systems, so that two share one exactly if they were not told apart.

    Parameters
    ----------
    names : sequence
        The systems in order; the first has an "a".
    told_apart : iterable of (name, name)
        The pairs that differ.

    Raises
    ------
    NotFound
        A pair names what is no system.
    BadInput
        A system told apart from itself, or more sets than the 52 letters.
    """
    place = {name: i for i, name in enumerate(names)}
    apart = set()
    for a, b in told_apart:
        if a not in place or b not in place:
            raise NotFound(f"there is no system {a if a not in place else b!r}; there are {', '.join(map(str, names))}")
        if a == b:
            raise BadInput(f"{a!r} cannot be told apart from itself")
        apart.add((min(place[a], place[b]), max(place[a], place[b])))
    sets = _needed(_inserted(len(place), apart))
    if len(sets) > len(ascii_letters):
        raise BadInput(f"{len(sets)} sets of systems need more letters than there are: compare fewer systems")
    return tuple("".join(x for x, s in zip(ascii_letters, sets, strict=False) if i in s) for i in range(len(place)))


def _inserted(n: int, apart: set[tuple[int, int]]) -> set[frozenset[int]]:
    """Return all largest sets of systems without a pair that differs."""
    sets = {frozenset(range(n))} if n else set()
    for a, b in sorted(apart):
        whole = {s for s in sets if not (a in s and b in s)}
        halves = {s - {x} for s in sets - whole for x in (a, b)}
        # Only a half can lie within another set: those left whole did not lie within each other before.
        sets = whole | {h for h in halves if not any(h < s for s in whole | halves) and h}
    return sets


def _needed(sets: set[frozenset[int]]) -> list[frozenset[int]]:
    """Return the sets in order, less those whose pairs all share another one; small ones are dropped first."""
    shared = Counter(p for s in sets for p in combinations(sorted(s), 2))
    left = sorted(sets, key=sorted)
    for s in sorted(sets, key=lambda s: (len(s), sorted(s)[::-1])):
        own = list(combinations(sorted(s), 2))
        if own and all(shared[p] > 1 for p in own):
            shared.subtract(own)
            left.remove(s)
    return left


def _figure(
    given: Any, values: np.ndarray, name: str, labels: Any, ids: Any, confidence: float, random_state: RandomState
) -> Estimate:
    """Return the mean of a system; as it was given, if it is that of single queries with this confidence."""
    if isinstance(given, Estimate) and labels is None and given.confidence == confidence:
        if np.isclose(given.value, values.mean(), rtol=1e-12):
            return given
        name = given.metric
    return estimate(values, name, groups=labels, confidence=confidence, random_state=random_state, ids=ids)
