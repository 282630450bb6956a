"""What a plan promised, measured on what it has not seen: other items of the same corpus, asked by other queries.

Bridges and scales are those of the plan, learned from its probes; only the vectors are new. What stays to be said by
the plan's own rule is said by the figures found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.measure import holm
from commonspace.measure.metrics.metric import metric
from commonspace.measure.metrics.ranks import Ranks
from commonspace.measure.statistics.comparison import compare
from commonspace.measure.statistics.estimates import Estimate
from commonspace.measure.statistics.ratio import ratio
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.options import Option
from commonspace.upgrade.plan import Plan
from commonspace.upgrade.probes import Probes
from commonspace.upgrade.scale import level
from commonspace.upgrade.verdict import Rule, decide

DRAWS = 3  # of the items that are encoded anew where they are drawn at random


@dataclass(frozen=True)
class Rest:
    """One direction of what the plan has not seen.

    Parameters
    ----------
    asks, searched : str
        Modalities.
    old, new : (queries, items) of vectors
        Vectors in both spaces.
    right : (q, n) bool
        What is right for each query.
    own : (q,) int64
        The item that each query is itself, -1 if none.
    sample : (old, new) arrays
        Items of the probes, for levels.
    hits : (n,) array
        How often the probes' queries find each item in the old space.
    """

    asks: str
    searched: str
    old: tuple[np.ndarray, np.ndarray]
    new: tuple[np.ndarray, np.ndarray]
    right: np.ndarray
    groups: np.ndarray
    own: np.ndarray
    sample: tuple[np.ndarray, np.ndarray]
    hits: np.ndarray

    @classmethod
    def of(cls, rest: Probes, probes: Probes, task: str) -> Rest:
        """Return one direction, queries without an answer left out."""
        asks, _, searched = task.partition("->")
        asking, shown = (rest.items, rest.things) if rest.queries is None else (rest.queries, rest.query_things)
        right = shown[asks][:, None] == rest.things[searched][None, :]
        itself = np.full(len(right), -1)
        if rest.queries is None and asks == searched:
            itself = np.arange(len(right))
            np.fill_diagonal(right, False)
        rows = np.flatnonzero(right.any(axis=1))
        items = (rest.items.old[searched], rest.items.new[searched])
        before = (probes.items if probes.queries is None else probes.queries).old[asks] @ items[0].T
        top = np.argpartition(-before, 9, axis=1)[:, :10]
        return cls(
            asks, searched, (asking.old[asks][rows], items[0]), (asking.new[asks][rows], items[1]), right[rows],
            shown[asks][rows], itself[rows], (probes.items.old[searched], probes.items.new[searched]),
            np.bincount(top.ravel(), minlength=len(items[0])),
        )  # fmt: skip

    def native(self, side: str) -> np.ndarray:
        """Return the scores within a space."""
        queries, items = getattr(self, side)
        return queries @ items.T

    def across(self, migration: Migration) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scores of old items through a migration, the queries that met them, and the sample as it is met."""
        bridge = migration.bridge
        if bridge is None:
            return self.native("old"), self.old[0], self.sample[0]
        if bridge.carries == "queries":
            queries = bridge.carry(self.new[0], self.asks)
            return queries @ self.old[1].T, queries, self.sample[0]
        items = bridge.carry(self.old[1], self.searched)
        return self.new[0] @ items.T, self.new[0], bridge.carry(self.sample[0], self.searched)

    def scores(self, option: Option, plan: Plan, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the scores of an option, several times where something is drawn."""
        if option.kind in ("keep", "re-embed"):
            yield self.native("old" if option.kind == "keep" else "new")
            return
        migration = _migration(plan, option)
        scores, queries, sample = self.across(migration)
        native = self.native("new")
        if option.kind == "bridge":
            yield scores
        elif option.kind == "rescore":
            top = np.argpartition(-scores, min(option.depth, scores.shape[1]) - 1, axis=1)[:, : option.depth]
            out = scores.copy()
            np.put_along_axis(out, top, np.take_along_axis(native, top, axis=1) + 4, axis=1)
            yield out
        else:
            scale = migration.scale(self.asks, self.searched)
            levels = (level(queries, sample), level(self.new[0], self.sample[1])) if scale.standard else ()
            others = scale(scores, *levels)
            for _ in range(DRAWS if option.order == "random" else 1):
                yield np.where(self._anew(option, rng), native, others)

    def _anew(self, option: Option, rng: np.random.Generator) -> np.ndarray:
        n = len(self.hits)
        worth = np.zeros(n) if option.order == "random" else self.hits
        out = np.zeros(n, bool)
        out[np.lexsort((rng.random(n), -worth))[: round(option.share * n)]] = True
        return out

    def values(self, option: Option, plan: Plan, seed: int) -> np.ndarray:
        """Return the metric of every query."""
        measured: Any = metric(plan.metric.lower())
        found = []
        for scores in self.scores(option, plan, np.random.default_rng(seed)):
            s = scores.astype(np.float32)
            mine = np.flatnonzero(self.own >= 0)
            s[mine, self.own[mine]] = -np.inf
            query, item = np.nonzero(self.right)
            found.append(measured.from_ranks(Ranks.of_block(s, query, item, np.ones(len(query)))))
        return np.mean(found, axis=0)


def _migration(plan: Plan, option: Option) -> Migration:
    if option.kind != "rescore":
        return plan.migration(option.name)
    return Migration(plan.old, plan.new, plan.dims[1], plan.bridges.get(option.name), {})


def measure(plan: Plan, rest: Probes, probes: Probes, seed: int) -> tuple[Option, ...]:
    """Return the plan's options with the figures of what it has not seen."""
    directions = {task: Rest.of(rest, probes, task) for task in plan.directions}
    values = {task: {o.name: r.values(o, plan, seed) for o in plan.options} for task, r in directions.items()}
    found = []
    for o in plan.options:
        kept, quality, against = {}, {}, {}
        for task, r in directions.items():
            mine, old, new = (values[task][n] for n in (o.name, "keep", "re-embed"))
            kept[task] = ratio(mine, new, "kept", groups=r.groups)
            quality[task] = Estimate(plan.metric, float(mine.mean()), float(mine.mean()), float(mine.mean()), len(mine))
            if o.name != "keep":
                against[task] = compare(mine, old, groups=r.groups, random_state=seed)
        p_values = holm([c.p_value_raw for c in against.values()]) if against else []
        against = {d: replace(c, p_value=float(p)) for (d, c), p in zip(against.items(), p_values, strict=True)}
        found.append(replace(o, quality=quality, kept=kept, against_old=against, trend={}))
    return tuple(found)


def exactly(options: tuple[Option, ...]) -> tuple[Option, ...]:
    """Return the options as if what was found were all there is: no interval around what is kept."""

    def point(e: Estimate) -> Estimate:
        return replace(e, low=e.value, high=e.value)

    return tuple(replace(o, kept={d: point(e) for d, e in o.kept.items()}) for o in options)


def judged(plan: Plan, rest: Probes, probes: Probes, seed: int, rule: Rule) -> dict[str, Any]:
    """Return the plan's verdict and what became of it, ready for JSON."""
    true = measure(plan, rest, probes, seed)
    told = {"exact": decide(exactly(true), rule), "intervals": decide(true, rule)}
    by_name = {o.name: o for o in true}
    chosen, new = by_name[plan.chosen], by_name["re-embed"]
    kept = min(e.value for e in chosen.kept.values())
    gain = {d: c.difference for d, c in new.against_old.items()}
    safe = {
        "do not upgrade": max(gain.values()) < rule.worth or bool(rule.worse(new)),
        "re-embed": not rule.worse(new) and max(gain.values()) > 0,
    }.get(plan.verdict, kept >= rule.keep and not rule.worse(chosen))
    return {
        "verdict": plan.verdict, "chosen": plan.chosen, "certain": plan.certain,
        "truth": told["exact"].verdict, "truth chosen": told["exact"].chosen.name,
        "truth with intervals": told["intervals"].verdict,
        "right": plan.verdict == told["exact"].verdict,
        "right with intervals": plan.verdict == told["intervals"].verdict,
        "safe": bool(safe), "kept by the chosen": kept,
        "gain": gain, "promised gain": {d: c.difference for d, c in plan["re-embed"].against_old.items()},
        "queries": {d: e.n for d, e in new.quality.items()},
        "quality": {n: {d: e.value for d, e in by_name[n].quality.items()} for n in ("keep", "re-embed")},
        "options": {
            o.name: {
                "kind": o.kind,
                "promised": {d: [e.value, e.low, e.high] for d, e in plan[o.name].kept.items()},
                "kept": {d: [e.value, e.low, e.high] for d, e in o.kept.items()},
            }
            for o in true
        },
    }  # fmt: skip
