"""Forgetting: what a space that is trained stage after stage still finds of what it found when a stage was new.

Stage s was learned in its turn, and its queries had the values v_s then (hits, reciprocal ranks ...) and w_s now:

    change of a stage    mean w_s - mean v_s, paired over its queries
    average              mean of the changes over the stages, each counting the same however many queries it has
    kept                 mean over stages of mean w_s  /  mean over stages of mean v_s

The values then are those right after the stage, not the best there ever were: the best of several figures is one that
luck has helped. With all past stages, the average is what continual learning calls backward transfer.

Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", 2017 (backward transfer). The paired
tests, their correction over stages and the interval of the share kept are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.measure.statistics.comparison import Comparison, compare
from commonspace.measure.statistics.corrections import corrected
from commonspace.measure.statistics.estimates import Estimate, check_values, group_numbers
from commonspace.measure.statistics.jackknife import PARTS, jackknifed


@dataclass(frozen=True)
class Forgetting:
    """What became of what earlier stages had learned.

    Parameters
    ----------
    stages : dict of str to Comparison
        Stage -> now minus then, over its queries; p-values corrected for the number of stages (Holm).
    average : Comparison
        Over all stages, each with the same weight.
    kept : Estimate
        Share of what was found then that is found now; above 1 where it is more.
    """

    stages: dict[str, Comparison]
    average: Comparison
    kept: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        stages = {name: c.to_dict() for name, c in self.stages.items()}
        return {"stages": stages, "average": self.average.to_dict(), "kept": self.kept.to_dict()}

    def __str__(self) -> str:
        rows = [*self.stages.items(), ("average", self.average), ("kept", self.kept)]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {figure}" for name, figure in rows)


def retrieval_forgetting(
    then: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    groups: Mapping[str, Any] | None = None,
    test: str = "randomisation",
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Forgetting:
    """Return how much of what earlier stages found is still found.

    Parameters
    ----------
    then : mapping of str to (n_s,) array or Estimate
        Stage -> value of each of its queries right after that stage, such as ``evaluate_retrieval(...)["hit@1"]``.
        Leave the last stage out: nothing has come after it.
    now : mapping of str to (n_s,) array or Estimate
        The same queries, in the same order, after the last stage; against the same gallery.
    groups : mapping of str to (n_s,) array, optional
        Stage -> label of each query; those of one label are one unit.
    test : {"randomisation", "t"}
        As in `compare`.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the signs and of the parts.

    Raises
    ------
    BadInput
        Different stages or queries, none at all, or nothing found then.
    """
    if not then or set(then) != set(now):
        raise BadInput(f"then and now must hold the same stages, at least one; got {sorted(then)} and {sorted(now)}")
    options: dict[str, Any] = {"test": test, "confidence": confidence, "random_state": random_state}
    stages: dict[str, Comparison] = {}
    values: list[np.ndarray] = []
    members: list[np.ndarray] = []
    for name in then:
        old, new = (check_values(v[name], f"the values of {name!r}") for v in (then, now))
        if len(old) != len(new):
            raise BadInput(f"stage {name!r} has {len(old)} queries then and {len(new)} now: give the same ones")
        member = group_numbers(None if groups is None else groups.get(name), len(old))
        found = compare(now[name], then[name], groups=member, **options)
        stages[name] = replace(found, a="now", b="then")
        values.append(np.stack([old, new]))
        members.append(member + (members[-1].max() + 1 if members else 0))
    every = corrected(np.array([c.p_value_raw for c in stages.values()]), "holm")
    stages = {name: replace(c, p_value=float(p)) for (name, c), p in zip(stages.items(), every, strict=True)}
    member, total = np.concatenate(members), sum(v.shape[1] for v in values)
    old, new = np.concatenate([v * (total / (len(values) * v.shape[1])) for v in values], axis=1)
    average = compare(new, old, groups=member, **options)
    kept = _kept(values, members, confidence, random_state)
    return Forgetting(stages, replace(average, a="now", b="then"), kept)


def _kept(values: list[np.ndarray], members: list[np.ndarray], confidence: float, seed: RandomState) -> Estimate:
    """Return the share of what was found that is found now, with the interval of a jackknife of groups of queries."""

    def share(rows: list[np.ndarray]) -> float:
        old, new = np.mean([v[:, r].mean(axis=1) for v, r in zip(values, rows, strict=True)], axis=0)
        return float(new / old) if old > 0 else np.nan

    rng, n = generator(seed), sum(v.shape[1] for v in values)
    units = [np.unique(m, return_inverse=True)[1] for m in members]
    parts = min(PARTS, *(int(u.max()) + 1 for u in units))
    part = [(rng.permutation(int(u.max()) + 1) % parts)[u] for u in units]
    whole = share([np.ones(len(p), bool) for p in part])
    without = np.array([share([p != i for p in part]) for i in range(parts)]) if parts > 1 else np.array([whole])
    if np.isnan([whole, *without]).any():
        raise BadInput("nothing was found then, so that no share of it can be kept: is this the right metric?")
    number = int(seed) if isinstance(seed, int | np.integer) else None
    return jackknifed(
        "kept", whole, without, n, confidence=confidence, corrected=False, bounds=(0.0, np.inf), seed=number
    )
