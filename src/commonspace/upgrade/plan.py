"""`Plan`: what can be done about a new space, what each keeps and costs, and what should be done."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound, NotInstalled
from commonspace.core.progress import Task, silent, task
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.registry import build, entries, name_of
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.metric import metric as metric_of
from commonspace.upgrade.bridges.base import CARRIES, Bridge
from commonspace.upgrade.crossfit import CrossFitted, Folds
from commonspace.upgrade.figures import NEW, OLD, figures
from commonspace.upgrade.measuring import Bench, Half, Scorer
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.options import NUMBER, Corpus, Cost, Option
from commonspace.upgrade.probes import Probes, directions_of
from commonspace.upgrade.scale import Scale
from commonspace.upgrade.verdict import Rule, decide


@dataclass(frozen=True)
class Plan:
    """What can be done about a new space.

    Parameters
    ----------
    verdict : str
        ``"bridge"``, ``"partial backfill"``, ``"re-embed"`` or ``"do not upgrade"``.
    certain : bool
        Whether the intervals leave no room for another verdict.
    reasons : tuple of str
        Why, in words.
    rule : str
        The rule, in words.
    options : tuple of Option
        What was measured.
    chosen : str
        Name of the option that the verdict means.
    directions : tuple of str
        What was measured, as ``"text->image"``.
    left_out : mapping of str to str
        Direction or bridge that could not be measured -> why.
    labelled : bool
        Whether it is known what is right; if not, what a full re-embed finds counts as right.
    metric : str
        The metric.
    old, new : str
        Ids of the spaces.
    dims : (int, int)
        Their dimensions.
    corpus : Corpus
        What the costs are of.
    bridges : mapping of str to Bridge
        Option -> the bridge that it uses, learned from all probes.
    scales : mapping of str to (mapping of str to Scale)
        Option -> direction -> what brings scores across its bridge to the scale of the new space.
    """

    verdict: str
    certain: bool
    reasons: tuple[str, ...]
    rule: str
    options: tuple[Option, ...]
    chosen: str
    directions: tuple[str, ...]
    left_out: Mapping[str, str]
    labelled: bool
    metric: str
    old: str
    new: str
    dims: tuple[int, int]
    corpus: Corpus
    bridges: Mapping[str, Bridge] = field(default_factory=dict, repr=False)
    scales: Mapping[str, Mapping[str, Scale]] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Option:
        found = {o.name: o for o in self.options}
        if name not in found:
            raise NotFound(f"this plan has no option {name!r}; there are {', '.join(map(repr, found))}")
        return found[name]

    @property
    def share(self) -> float:
        """Share of the items that the chosen option encodes anew."""
        return self[self.chosen].share

    def migration(self, option: str | None = None) -> Migration:
        """Return what a collection is served through under an option, the chosen one by default.

        Raises
        ------
        BadInput
            For ``"keep"``, which changes nothing, and for re-scoring, which serves nothing by itself.
        """
        one = self[option or self.chosen]
        if one.kind in ("keep", "rescore"):
            raise BadInput(
                f"{one.name!r} is no migration: "
                + (
                    "the plan says to keep the old space; name another option to migrate all the same"
                    if one.kind == "keep"
                    else "it was measured for comparison; name a bridge, a share, or re-embed"
                )
            )
        bridge = self.bridges.get(one.name)
        return Migration(self.old, self.new, self.dims[1], bridge, dict(self.scales.get(one.name, {})))

    def __str__(self) -> str:
        lines = [self.verdict, *(f"  {r}" for r in self.reasons)]
        for o in self.options:
            kept = "; ".join(f"{d} {e}" for d, e in o.kept.items())
            lines.append(f"  {o.name}: keeps {kept}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it but the bridges, ready for JSON."""
        plain = ("verdict", "certain", "rule", "chosen", "share", "labelled", "metric", "old", "new")
        return {
            **{n: getattr(self, n) for n in plain},
            "reasons": list(self.reasons),
            "directions": list(self.directions),
            "left_out": dict(self.left_out),
            "dims": list(self.dims),
            "corpus": self.corpus.to_dict(),
            "options": [o.to_dict() for o in self.options],
        }


def plan_upgrade(
    probes: Probes,
    *,
    corpus: Corpus | None = None,
    bridges: Sequence[Any] | None = None,
    keep: float = 0.95,
    metric: Any = "recall@10",
    shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75),
    folds: int = 5,
    most: int = 2000,
    resamples: int = 1000,
    confidence: float = 0.95,
    old: str = "old",
    new: str = "new",
    random_state: RandomState = 0,
    progress: bool = True,
) -> Plan:
    """Measure what can be done about a new space, and say what should be.

    Parameters
    ----------
    probes : Probes
        Items and queries that both spaces have encoded.
    corpus : Corpus, optional
        What the costs are of; the probes themselves by default.
    bridges : sequence of str, mapping or Bridge, optional
        What to try; by default every registered bridge whose packages are installed.
    keep : float
        Share of the quality of a full re-embed that is enough.
    metric : str or metric
        A mean of queries of which more is better.
    shares : sequence of float
        Shares of the items to encode anew.
    folds : int
        Into which the things are dealt, see `crossfit`.
    most : int
        Queries of a direction that are measured.
    resamples : int
        Of the bootstrap.
    confidence : float
        With which all intervals of what is kept hold at once.
    old, new : str
        Ids of the spaces.
    random_state : int, Generator or None
        Seed of folds, bridges and resamples.
    progress : bool
        Whether to show how far it is.

    Raises
    ------
    BadInput
        Too few probes to measure anything, with how many are needed.
    """
    rule, measured = Rule(keep), _check_metric(metric)
    rng = generator(random_state)
    k = getattr(measured, "k", None) or 10
    found, left_out = directions_of(probes, k, most, rng)
    bench = Bench(probes, Folds.deal(probes, folds, rng), found, measured)
    half = {d.task: Half.of(probes, d, k, rng) for d in found}
    kinds = _bridges(bridges)
    shown: AbstractContextManager[Task] = task("Planning the upgrade") if progress else silent()
    with shown:
        crossed, final, seconds = _learned(kinds, bench, left_out, seed_of(rng))
        scorers: dict[str, Scorer] = {OLD: bench.native("old"), **{n: c.scores for n, c in crossed.items()}}
        values, _ = bench.measure({**scorers, NEW: bench.native("new")}, half)
    said = figures(
        values, found, measured, list(crossed), confidence=confidence, resamples=resamples, seed=seed_of(rng)
    )
    corpus = corpus or Corpus({m: len(x) for m, x in probes.items.old.items()})
    options = []
    for name in values[found[0].task]:
        bridge = final.get(name)
        kind = "bridge" if bridge else name
        options.append(
            Option(
                name, kind, said.quality[name], said.kept[name], said.against_old[name],
                _cost(kind, corpus, probes.items.dims, bridge, seconds.get(name, (0.0, 0.0))),
                "" if bridge is None else name_of(bridge), "" if bridge is None else bridge.carries,
                1.0 if name == NEW else 0.0,
            )
        )  # fmt: skip
    told = decide(options, rule)
    return Plan(
        told.verdict, told.certain, told.reasons, rule.text(found[0].labelled), tuple(options), told.chosen.name,
        tuple(d.task for d in found), left_out, found[0].labelled, measured.label, old, new, probes.items.dims,
        corpus, final, {},
    )  # fmt: skip


def _check_metric(metric: Any) -> RankMetric:
    built: RankMetric = metric_of(metric)
    if not isinstance(built, RankMetric) or not built.higher_is_better or built.statistic != "mean":
        raise BadInput(
            f"what is kept is a ratio of means, so that {metric!r} does not do: take recall@10, ndcg@10, mrr"
        )
    return built


def _bridges(wanted: Sequence[Any] | None) -> dict[str, Any]:
    """Return name of the option -> how to make the bridge, for both ways to cross."""
    kinds: dict[str, Any] = {}
    for spec in [e.name for e in entries("Bridge")] if wanted is None else wanted:
        plain = {"name": spec} if isinstance(spec, str) else spec
        for carries in CARRIES:
            made = _made(plain, carries)
            kinds[f"{name_of(made)} of {made.carries}"] = plain, made.carries
    return kinds


def _made(spec: Any, carries: str) -> Bridge:
    if isinstance(spec, Mapping):
        made: Bridge = build("Bridge", {"carries": carries, **spec})
        return made
    return type(spec)(**spec.get_params())  # type: ignore[no-any-return]


def _learned(
    kinds: Mapping[str, Any], bench: Bench, left_out: dict[str, str], seed: int
) -> tuple[dict[str, CrossFitted], dict[str, Bridge], dict[str, tuple[float, float]]]:
    """Return each kind of bridge cross-fitted, learned from everything, and seconds to learn and to carry an item."""
    crossed, final, seconds = {}, {}, {}
    for name, (spec, carries) in kinds.items():
        try:
            start = time.perf_counter()
            bridge = _made(spec, carries).fit(bench.probes.items, random_state=seed)
            learned = time.perf_counter() - start
            crossed[name] = CrossFitted.fit(partial(_made, spec, carries), bench.probes, bench.folds, seed)
        except (BadInput, NotInstalled) as e:
            left_out[name] = str(e)
            continue
        start = time.perf_counter()
        if bridge.carries == "items":
            for m, x in bench.probes.items.old.items():
                bridge.carry(x, m)
        final[name], seconds[name] = bridge, (learned, (time.perf_counter() - start) / len(bench.probes.items))
    return crossed, final, seconds


def _cost(
    kind: str, corpus: Corpus, dims: tuple[int, int], bridge: Bridge | None, seconds: tuple[float, float]
) -> Cost:
    n = corpus.total
    if kind == NEW:
        encoding = sum(m * corpus.seconds.get(name, np.nan) for name, m in corpus.items.items())
        return Cost(n, 1.0, n * dims[1] * NUMBER, float(encoding))
    if bridge is None:
        return Cost()
    stored = n if bridge.carries == "items" else 0
    return Cost(0, 1.0, stored * dims[1] * NUMBER, 0.0, seconds[0], seconds[1] * stored)
