"""A study: every way to answer is measured on the same queries, and what a migration needs is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotInstalled
from commonspace.core.progress import Task
from commonspace.core.registry import build, entries, name_of
from commonspace.upgrade.bridges.base import CARRIES, Bridge
from commonspace.upgrade.crossfit import CrossFitted
from commonspace.upgrade.figures import NEW, OLD, Figures
from commonspace.upgrade.measuring import Bench, Block, Scorer, Values
from commonspace.upgrade.options import NUMBER, Corpus, Cost, Option
from commonspace.upgrade.scale import Scale
from commonspace.upgrade.scaling import ScorePairs
from commonspace.upgrade.ways import BOTH, ORDERS, Best, Hits, Ways


@dataclass(frozen=True)
class Way:
    """What an option is made of.

    Parameters
    ----------
    kind : str
        As in `Option`.
    through : str
        Name of the bridge, or `BOTH`, that serves what is not encoded anew; empty where there is none.
    share, order, depth
        As in `Option`.
    """

    kind: str
    through: str = ""
    share: float = 0.0
    order: str = ""
    depth: int = 0


@dataclass
class Study:
    """What was measured.

    Attributes
    ----------
    ways : dict of str to Way
        Name of each option -> what it is made of.
    whole, halved : dict of str to (dict of str to (q,) array)
        Direction -> option -> value of each query.
    learned : dict of str to Bridge
        Bridges, learned from all items.
    seconds : dict of str to (float, float)
        Bridge -> seconds to learn it, and to carry an item.
    left_out : dict of str to str
        Bridge that could not be learned -> why.
    """

    bench: Bench
    ways: dict[str, Way] = field(default_factory=dict)
    whole: Values = field(default_factory=dict)
    halved: Values = field(default_factory=dict)
    learned: dict[str, Bridge] = field(default_factory=dict)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, ScorePairs] = field(default_factory=dict)

    @classmethod
    def of(
        cls, bench: Bench, bridges: Sequence[Any] | None, shares: Sequence[float], depths: Sequence[int], shown: Task
    ) -> Study:
        """Measure everything."""
        study = cls(bench)
        hits, native = Hits(), {OLD: Way("keep"), NEW: Way("re-embed", share=1.0)}
        study.pairs[BOTH] = ScorePairs(standard=True)

        def watch(block: Block) -> None:
            hits.add(block)
            study.pairs[BOTH].add(block, block.native("old"))

        study._measure(native, {OLD: lambda b: (b.native("old"),), NEW: lambda b: (b.native("new"),)}, watch)
        crossed: dict[str, CrossFitted] = {}
        for name, spec in _kinds(bridges).items():
            shown.advance(note=name)
            study._bridge(name, spec, crossed)
        best = Best.of(bench, study.whole, crossed) if crossed else None
        known = Ways(bench, crossed, best, study.pairs, hits)
        study._measure(*_combined(known, shares, depths))
        return study

    def _measure(
        self, ways: Mapping[str, Way], scorers: Mapping[str, Scorer], watch: Callable[[Block], None] = lambda b: None
    ) -> None:
        whole, halved = self.bench.measure(scorers, watch)
        self.ways.update(ways)
        for into, found in ((self.whole, whole), (self.halved, halved)):
            for task, values in found.items():
                into.setdefault(task, {}).update(values)

    def _bridge(self, name: str, spec: tuple[Any, str], crossed: dict[str, CrossFitted]) -> None:
        """Learn a bridge from everything, and again for each set of folds; measure the latter."""
        items, make = self.bench.probes.items, partial(_made, *spec)
        try:
            start = time.perf_counter()
            bridge = make().fit(items, random_state=self.bench.seed)
            learned = time.perf_counter() - start
            fitted = CrossFitted.fit(make, self.bench.probes, self.bench.folds, self.bench.seed)
        except (BadInput, NotInstalled) as e:
            self.left_out[name] = str(e)
            return
        start = time.perf_counter()
        for m, x in items.old.items() if bridge.carries == "items" else ():
            bridge.carry(x, m)
        self.learned[name] = bridge
        self.seconds[name] = learned, (time.perf_counter() - start) / len(items)
        pairs = self.pairs[name] = ScorePairs(standard=bridge.carries == "queries")
        ways, scorers = {name: Way("bridge", name)}, {name: lambda block: (block.across(fitted),)}
        self._measure(ways, scorers, lambda block: pairs.add(block, block.across(fitted)))
        fitted.forget()
        crossed[name] = fitted

    # --------------------------------------------------------------- what it says

    @property
    def bridges(self) -> dict[str, Bridge]:
        """Option -> its bridge."""
        return {n: self.learned[w.through] for n, w in self.ways.items() if w.through in self.learned}

    @property
    def scales(self) -> dict[str, dict[str, Scale]]:
        """Option -> direction -> the scale of scores of items that were not encoded anew."""
        known = {through: pairs.scales() for through, pairs in self.pairs.items()}
        return {n: known[w.through] for n, w in self.ways.items() if w.through}

    def options(self, said: Figures, corpus: Corpus) -> tuple[Option, ...]:
        """Return every option with its figures and costs."""
        return tuple(self._option(name, way, said, corpus) for name, way in self.ways.items())

    def _option(self, name: str, way: Way, said: Figures, corpus: Corpus) -> Option:
        bridge = self.learned.get(way.through)
        return Option(
            name=name,
            kind=way.kind,
            quality=said.quality[name],
            kept=said.kept[name],
            against_old=said.against_old[name],
            cost=self._cost(way, bridge, corpus),
            trend=said.trend[name],
            bridge="" if bridge is None else name_of(bridge),
            carries="" if bridge is None else bridge.carries,
            share=way.share,
            order=way.order,
            depth=way.depth,
        )

    def _cost(self, way: Way, bridge: Bridge | None, corpus: Corpus) -> Cost:
        """Return what it costs: calls and bytes by theory, seconds as measured and scaled up."""
        dim = self.bench.probes.items.dims[1]
        anew = {m: round(way.share * n) for m, n in corpus.items.items()}
        calls = sum(anew.values())
        carried = corpus.total - calls if bridge is not None and bridge.carries == "items" else 0
        learning, carrying = self.seconds.get(way.through, (0.0, 0.0))
        encoding = sum(n * corpus.seconds.get(m, np.nan) for m, n in anew.items() if n)
        return Cost(
            encoder_calls=calls,
            calls_per_query=1 + (way.through == BOTH) + way.depth,
            bytes_written=(calls + carried) * dim * NUMBER,
            encode_seconds=float(encoding),
            learn_seconds=learning,
            carry_seconds=carrying * carried,
        )


def _combined(known: Ways, shares: Sequence[float], depths: Sequence[int]) -> tuple[dict[str, Way], dict[str, Scorer]]:
    """Return what is done on top of the best bridge, or of both encoders."""
    ways: dict[str, Way] = {}
    scorers: dict[str, Scorer] = {}
    for through in ([known.best.name] if known.best else []) + [BOTH]:
        for share in shares:
            for order in known.orders:
                name = f"{100 * share:g}% {ORDERS[order]}, rest {through}"
                ways[name] = Way("partial", through, share, order)
                scorers[name] = known.partial(share, order, through)
        for depth in depths:
            name = f"top {depth} of {through} re-scored"
            ways[name] = Way("rescore", through, depth=depth)
            scorers[name] = known.rescore(depth, through)
    return ways, scorers


def _kinds(wanted: Sequence[Any] | None) -> dict[str, tuple[Any, str]]:
    """Return name of the option -> bridge to make and which side it carries, both sides unless it is said."""
    kinds: dict[str, tuple[Any, str]] = {}
    for spec in [e.name for e in entries("Bridge")] if wanted is None else wanted:
        plain = {"name": spec} if isinstance(spec, str) else spec
        for carries in CARRIES:
            made = _made(plain, carries)
            if made.carries == carries:
                kinds[_name(made, kinds)] = plain, carries
    return kinds


def _name(made: Bridge, taken: Mapping[str, Any]) -> str:
    """Return what to call a bridge: its parameters too, where another one has the same name."""
    name = f"{name_of(made)} of {made.carries}"
    if name not in taken:
        return name
    params = {k: v for k, v in made.get_params().items() if k != "carries"}
    return f"{name} ({', '.join(f'{k}={v}' for k, v in params.items())})"


def _made(spec: Any, carries: str) -> Bridge:
    """Return a new bridge of a kind, not yet learned."""
    if isinstance(spec, Mapping):
        made: Bridge = build("Bridge", {"carries": carries, **spec})
        return made
    again: Bridge = type(spec)(**spec.get_params())
    return again
