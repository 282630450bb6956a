"""Planted worlds: two spaces of which as many items can be drawn as one likes, so that the truth of a plan is known.

A thing is shown by a text and an image. Its vectors in the new space lie around a point of its own, and so do those in
the old one; the worlds differ in what the two points have to do with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from commonspace.core.vectors import unit
from commonspace.measure import metric
from commonspace.measure.metrics.ranks import Ranks
from commonspace.upgrade.options import Option
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.plan import Plan
from commonspace.upgrade.probes import Probes
from commonspace.upgrade.scaling import level_of
from commonspace.upgrade.verdict import Rule
from commonspace.upgrade.ways import DRAWS

DIM = 24
MODALITIES = ("text", "image")
Sides = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def _views(rng: np.random.Generator, points: np.ndarray, noise: float) -> dict[str, np.ndarray]:
    return {m: points + noise * rng.normal(size=points.shape) for m in MODALITIES}


@dataclass(frozen=True)
class World:
    """A pair of spaces; `draw` gives things that were not seen before."""

    turn: np.ndarray
    make: Callable[[np.random.Generator, int, np.ndarray], Sides]

    def draw(self, rng: np.random.Generator, n: int) -> Probes:
        old, new = self.make(rng, n, self.turn)
        return Probes(Pairs(old, new), dict.fromkeys(MODALITIES, np.arange(n)))


def _rotated(rng: np.random.Generator, n: int, turn: np.ndarray) -> Sides:
    """The old space is the new one, seen from another side and less sharply."""
    new = _views(rng, rng.normal(size=(n, DIM)), 1.0)
    return {m: (x + 0.4 * rng.normal(size=x.shape)) @ turn for m, x in new.items()}, new


def _stretched(rng: np.random.Generator, n: int, turn: np.ndarray) -> Sides:
    """The old space knows what the new one knows, but lets a few directions drown the others."""
    new = _views(rng, rng.normal(size=(n, DIM)), 0.9)
    return {m: (x * np.geomspace(1, 0.1, DIM) + 0.02 * rng.normal(size=x.shape)) @ turn for m, x in new.items()}, new


def _partly(rng: np.random.Generator, n: int, turn: np.ndarray) -> Sides:
    """The old space knows two thirds of what the new one knows."""
    new = _views(rng, rng.normal(size=(n, DIM)), 0.9)
    known = np.arange(DIM) < 2 * DIM // 3
    old = {m: np.where(known, x + 0.2 * rng.normal(size=x.shape), 0.5 * rng.normal(size=x.shape)) @ turn
           for m, x in new.items()}  # fmt: skip
    return old, new


def _unrelated(rng: np.random.Generator, n: int, turn: np.ndarray) -> Sides:
    """The new space knows better, and something else."""
    return _views(rng, rng.normal(size=(n, DIM)), 1.6), _views(rng, rng.normal(size=(n, DIM)), 1.0)


def _worse(rng: np.random.Generator, n: int, turn: np.ndarray) -> Sides:
    """The new space is the old one, less sharp."""
    old = _views(rng, rng.normal(size=(n, DIM)), 0.9)
    return old, {m: (x + 0.5 * rng.normal(size=x.shape)) @ turn for m, x in old.items()}


def _alike(rng: np.random.Generator, n: int, turn: np.ndarray) -> Sides:
    """The new space is as good as the old one, and otherwise noisy."""
    points = rng.normal(size=(n, DIM))
    return _views(rng, points, 1.0), {m: x @ turn for m, x in _views(rng, points, 1.0).items()}


WORLDS = {
    "stretched": _stretched,
    "rotated": _rotated,
    "partly": _partly,
    "unrelated": _unrelated,
    "worse": _worse,
    "alike": _alike,
}


def world(name: str, seed: int) -> World:
    rng = np.random.default_rng([seed, 1])
    return World(np.linalg.qr(rng.normal(size=(DIM, DIM)))[0], WORLDS[name])


def qualities(plan: Plan, sample: Probes, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Return direction -> option -> quality of what the plan would carry out, on a sample of things."""
    found: dict[str, dict[str, float]] = {}
    recall, codes = metric(plan.metric), np.arange(len(sample.items.old["text"]))
    for task in plan.directions:
        asks, _, searched = task.partition("->")
        query = codes, codes, np.ones(len(codes))
        found[task] = {
            o.name: float(
                np.mean([
                    recall.from_ranks(Ranks.of_block(s, *query)) for s in _scores(plan, o, sample, asks, searched, rng)
                ])
            )
            for o in plan.options
            if o.kind != "rescore"
        }  # fmt: skip
    return found


def _scores(
    plan: Plan, option: Option, sample: Probes, asks: str, searched: str, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield scores of all queries and items; several times where items are drawn, each left out as its share says."""
    old, new = ((s[asks] @ s[searched].T) for s in (sample.items.old, sample.items.new))
    if option.kind in ("keep", "re-embed"):
        yield old if option.kind == "keep" else new
        return
    others = old
    if option.bridge:
        bridge = plan.bridges[option.name]
        if bridge.carries == "items":
            others = sample.items.new[asks] @ unit(bridge.carry(sample.items.old[searched], searched)).T
        else:
            others = bridge.carry(sample.items.new[asks], asks) @ sample.items.old[searched].T
    if option.kind == "bridge":
        yield others
        return
    scale = plan.scales[option.name][f"{asks}->{searched}"]
    levels = (level_of(others), level_of(new)) if scale.standard else ()
    scaled, chance = scale(others, *levels), rng.random(new.shape[1])
    for draw in range(DRAWS):
        yield np.where((chance + draw / DRAWS) % 1 < option.share, new, scaled)


def truth(plan: Plan, of: World, n: int, galleries: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Return the qualities over many galleries as large as that of the probes, of things that were not seen."""
    drawn = [qualities(plan, of.draw(rng, n), rng) for _ in range(galleries)]
    return {t: {o: float(np.mean([d[t][o] for d in drawn])) for o in drawn[0][t]} for t in drawn[0]}


def by_points(plan: Plan, found: dict[str, dict[str, float]], rule: Rule) -> tuple[str, str]:
    """Return verdict and option by the same rule on bare figures: no interval, no test."""
    new, old = ({t: f[o] for t, f in found.items()} for o in ("re-embed", "keep"))
    if all(new[t] <= old[t] for t in new) or any(new[t] < old[t] for t in new):
        return "do not upgrade", "keep"
    for kind, verdict in (("bridge", "bridge"), ("partial", "partial backfill")):
        price = {o.name: (o.cost.encoder_calls, o.cost.bytes_written) for o in plan.options if o.kind == kind}
        enough = [o for o in price if kept(found, o) >= rule.keep]
        if enough:
            return verdict, min(enough, key=lambda o: (price[o], -kept(found, o)))
    return "re-embed", "re-embed"


def kept(found: dict[str, dict[str, float]], option: str) -> float:
    """Return what an option keeps of a full re-embed, in its worst direction."""
    return min(f[option] / f["re-embed"] for f in found.values())


def wrong(plan: Plan, verdict: str, option: str, true: dict[str, dict[str, float]], rule: Rule, slack: float) -> str:
    """Return what is wrong with a verdict, given the truth; nothing if it is right.

    Figures of the truth are themselves of a sample, hence 0.01 on the one side. On the other, `slack` is how far beyond
    `keep` a cheaper kind of option must be before it is a mistake not to have taken it.
    """
    gains = [f["re-embed"] - f["keep"] for f in true.values()]
    if verdict == "do not upgrade":
        missed = max(gains) > rule.worth + 0.03 and min(gains) > -0.01
        return "a gain was missed" if missed else ""
    if max(gains) < 0.01 or min(gains) < -0.03:
        return "an upgrade that gains nothing"
    if kept(true, option) < rule.keep - 0.01:
        return "too little is kept"
    order = {"bridge": 0, "partial": 1, "re-embed": 2}
    mine = next(o for o in plan.options if o.name == option)
    cheaper = [o.name for o in plan.options if o.kind in order and order[o.kind] < order[mine.kind]]
    enough = any(kept(true, o) >= rule.keep + slack for o in cheaper)
    return "a cheaper kind was enough" if enough else ""
