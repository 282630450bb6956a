"""What a plan promised, measured on what it has not seen: other items of the same corpus, asked by other queries.

Bridges and scales are those of the plan, learned from its probes; only the vectors are new. What stays to be said by
the plan's own rule is said by the figures found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.measure.metrics.metric import metric
from commonspace.measure.metrics.ranks import Ranks
from commonspace.measure.statistics.estimates import Estimate
from commonspace.upgrade.figures import figures
from commonspace.upgrade.measuring import Measured
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.options import Option
from commonspace.upgrade.plan import Plan
from commonspace.upgrade.probes import Probes
from commonspace.upgrade.scale import level
from commonspace.upgrade.steps import steps
from commonspace.upgrade.verdict import Rule, Verdict, decide
from commonspace.upgrade.ways import DRAWS

CONFIDENCES = (0.6, 0.8, 0.9, 0.95, 0.975)  # of verdicts; 0.95 is that of a plan


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
            for anew in self._anew(option, rng):
                yield np.where(anew, native, others)

    def _anew(self, option: Option, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield which items are encoded anew; at random each is left out of as many draws as its share says."""
        n = len(self.hits)
        chance = rng.random(n)
        if option.order == "random":
            yield from ((chance + d / DRAWS) % 1 < option.share for d in range(DRAWS))
            return
        out = np.zeros(n, bool)
        out[np.lexsort((chance, -self.hits))[: round(option.share * n)]] = True
        yield out

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


@dataclass(frozen=True)
class Values:
    """The metric of every query under every option, on the probes and on the rest.

    Parameters
    ----------
    options : tuple of Option
        As the plan had them: what they are and what they cost.
    probes, rest : Measured
        The rest is not measured in half of its gallery.
    label : str
        Name of the metric.
    """

    options: tuple[Option, ...]
    probes: Measured
    rest: Measured
    label: str

    @classmethod
    def of(cls, plan: Plan, rest: Probes, probes: Probes, seed: int) -> Values:
        """Measure the options of a plan on the rest."""
        assert plan.measured is not None
        directions = {task: Rest.of(rest, probes, task) for task in plan.directions}
        values = {task: {o.name: r.values(o, plan, seed) for o in plan.options} for task, r in directions.items()}
        _, number = np.unique(np.concatenate([r.groups for r in directions.values()]), return_inverse=True)
        parts = np.split(number, np.cumsum([len(r.groups) for r in directions.values()])[:-1])
        groups = dict(zip(directions, parts, strict=True))
        after = Measured(values, values, groups, dict.fromkeys(values, 0.0))
        return cls(plan.options, plan.measured, after, plan.metric)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all values as arrays of one file; the options are apart."""
        out: dict[str, np.ndarray] = {}
        for side in ("probes", "rest"):
            found: Measured = getattr(self, side)
            for task in found.whole:
                out[f"{side}|{task}|groups"] = found.groups[task]
                out[f"{side}|{task}|doublings"] = np.array(found.doublings[task])
                for i, o in enumerate(self.options):
                    out[f"{side}|{task}|whole|{i}"] = found.whole[task][o.name]
                    if side == "probes":
                        out[f"{side}|{task}|halved|{i}"] = found.halved[task][o.name]
        return out

    @classmethod
    def from_arrays(cls, options: tuple[Option, ...], arrays: dict[str, np.ndarray], label: str) -> Values:
        """Return what `to_arrays` took apart."""
        sides: dict[str, Measured] = {s: Measured({}, {}, {}, {}) for s in ("probes", "rest")}
        for name, a in arrays.items():
            side, task, field, *which = name.split("|")
            into: Any = getattr(sides[side], field)
            if which:
                into.setdefault(task, {})[options[int(which[0])].name] = a
            else:
                into[task] = float(a) if field == "doublings" else a
        sides["rest"] = replace(sides["rest"], halved=sides["rest"].whole)
        return cls(options, sides["probes"], sides["rest"], label)

    def figures(self, side: str, seed: int) -> tuple[Option, ...]:
        """Return the options with the figures of one side, as the plan has them."""
        said = figures(getattr(self, side), metric(self.label.lower()), confidence=0.95, resamples=1000, seed=seed)
        measured = ("quality", "kept", "against_old", "trend")
        return tuple(replace(o, **{m: getattr(said, m)[o.name] for m in measured}) for o in self.options)

    def verdict(self, side: str, options: Sequence[Option], seed: int, rule: Rule) -> Verdict:
        """Return the verdict on one side's figures."""
        found: Measured = getattr(self, side)
        return decide(options, steps(options, found, confidence=rule.confidence, resamples=1000, seed=seed), rule)


def exactly(options: Sequence[Option], rule: Rule) -> tuple[str, str]:
    """Return the verdict and the option by figures taken for known: the cheapest that keeps enough, tested or not."""
    new = next(o for o in options if o.kind == "re-embed")
    if rule.worse(new) or not rule.better(new):
        return "do not upgrade", "keep"
    for kind, verdict in (("bridge", "bridge"), ("partial", "partial backfill")):
        mine = [o for o in options if o.kind == kind and not rule.worse(o)]
        kept = {o.name: min(e.value for e in o.kept.values()) for o in mine}
        enough = [o for o in mine if kept[o.name] >= rule.keep]
        if enough:
            cheap = min(enough, key=lambda o: (o.share, o.cost.calls_per_query, o.cost.bytes_written, -kept[o.name]))
            return verdict, cheap.name
    return "re-embed", "re-embed"


def safe(told: Verdict, true: Mapping[str, Option], rule: Rule) -> tuple[bool, float]:
    """Return whether what was advised does what was promised, and what it keeps, by the figures of the rest."""
    chosen, new = true[told.chosen.name], true["re-embed"]
    kept = min(e.value for e in chosen.kept.values())
    gain = max(c.difference for c in new.against_old.values())
    if told.verdict == "do not upgrade":
        return gain < rule.worth or bool(rule.worse(new)), kept
    if told.verdict == "re-embed":
        return gain > 0 and not rule.worse(new), kept
    return kept >= rule.keep and not rule.worse(chosen), kept


def judged(values: Values, seed: int, rule: Rule) -> dict[str, Any]:
    """Return the verdict by the probes and what became of it, ready for JSON."""
    planned, true = values.figures("probes", seed), values.figures("rest", seed)
    (truth, best), later = exactly(true, rule), values.verdict("rest", true, seed, rule)
    promised, by_name = ({o.name: o for o in options} for options in (planned, true))
    told = {c: values.verdict("probes", planned, seed, replace(rule, confidence=c)) for c in CONFIDENCES}
    plan, new = told[rule.confidence], by_name["re-embed"]
    kept_by = {c: safe(v, by_name, rule) for c, v in told.items()}
    gain = {d: c.difference for d, c in new.against_old.items()}
    return {
        "verdict": plan.verdict, "chosen": plan.chosen.name, "certain": plan.certain,
        "truth": truth, "truth chosen": best, "truth with intervals": later.verdict,
        "right": plan.verdict == truth, "right with intervals": plan.verdict == later.verdict,
        "safe": kept_by[rule.confidence][0], "kept by the chosen": kept_by[rule.confidence][1],
        "by confidence": {
            str(c): {"verdict": v.verdict, "right": v.verdict == truth, "safe": kept_by[c][0], "kept": kept_by[c][1]}
            for c, v in told.items()
        },
        "gain": gain, "promised gain": {d: c.difference for d, c in promised["re-embed"].against_old.items()},
        "queries": {d: e.n for d, e in new.quality.items()},
        "quality": {n: {d: e.value for d, e in by_name[n].quality.items()} for n in ("keep", "re-embed")},
        "options": {
            o.name: {
                "kind": o.kind,
                "promised": {d: _short(e) for d, e in promised[o.name].kept.items()},
                "kept": {d: _short(e) for d, e in o.kept.items()},
            }
            for o in true
        },
    }  # fmt: skip


def _short(e: Estimate) -> list[float]:
    """Return a figure and its interval; what has no upper end is 999."""
    return [round(min(float(v), 999.0), 4) for v in (e.value, e.low, e.high)]
