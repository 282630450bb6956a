"""Does picking the best of several bridges make a plan promise too much?

Twelve bridges keep the same share of a full re-embed in truth, and fail in part on the same queries. A plan takes one
of which the lower end of the interval reaches what is asked. With the interval of each alone, the more bridges are
tried, the more often one of them reaches above the truth by luck; the joint interval is made for all of them at once.
"""

from __future__ import annotations

import json

import numpy as np
from claims._outcome import compared
from scipy import stats

from commonspace.measure import Estimate
from commonspace.measure.metrics.relevance import Relevance
from commonspace.upgrade.figures import NEW, OLD, joint_confidence, kept_of
from commonspace.upgrade.probes import Direction

CELLS = ((200, 0.9, 0.5), (1000, 0.9, 0.5), (1000, 0.97, 0.5), (1000, 0.97, 0.9))  # queries, kept, alike


def run(seeds: int = 5, worlds: int = 40, bridges: int = 12) -> dict:
    joint, single = np.zeros(seeds), np.zeros(seeds)
    cells: dict[str, list[float]] = {}
    names = [f"bridge {i}" for i in range(bridges)]
    for seed in range(seeds):
        for n, kept, alike in CELLS:
            rng = np.random.default_rng([seed, n, round(100 * kept), round(100 * alike)])
            for world in range(worlds):
                values = drawn(rng, n, kept, alike, names)
                level = joint_confidence({"a->b": values}, [direction(n)], names, 0.95, 500, world)
                for sums, name, confidence in ((joint, "joint", level), (single, "each alone", 0.95)):
                    ends = [kept_of(b, values, np.arange(n), confidence) for b in names]
                    sums[seed] += honest(ends, kept) / worlds / len(CELLS)
                    key = f"{name}, {n} queries, kept {kept}, alike {alike}"
                    cells.setdefault(key, []).append(float(not honest(ends, kept)))
    out = compared(joint, single)
    too_high = {k: float(np.mean(v)) for k, v in cells.items()}
    worst = max(v for k, v in too_high.items() if k.startswith("joint"))
    return {
        "method": "plan",
        "titles": [],
        "claim": "Of twelve bridges tried, none has a lower end above the truth in at least 95 % of plans.",
        "data": f"planted truth: {len(CELLS)} cells, {seeds * worlds} plans of {bridges} bridges in each; figure: "
        "share of plans in which no lower end is above the truth, joint intervals; baseline: those of each alone",
        **out,
        "verdict": "holds" if out["low"] > 0 and out["figure"] >= 0.95 else "depends" if out["low"] > 0 else
        "does not hold",
        "sentence": f"With the interval of each alone some bridge looks better than it is in {1 - out['baseline']:.0%} "
        f"of plans, with joint ones in {1 - out['figure']:.1%} (2.5 % are promised), {worst:.1%} in the worst cell.",
        "details": {"some lower end above the truth": too_high},
    }  # fmt: skip


def honest(ends: list[Estimate], kept: float) -> bool:
    """Return whether no bridge is taken for better than it is."""
    return all(e.low <= kept for e in ends)


def direction(n: int) -> Direction:
    """Return n queries of which each is a thing."""
    every = np.arange(n)
    return Direction("a", "b", every, Relevance.of((every, every)), every, np.full(n, -1), True, things=True)


def drawn(rng: np.random.Generator, n: int, kept: float, alike: float, names: list[str]) -> dict[str, np.ndarray]:
    """Return values of the queries: a full re-embed answers seven in ten, and each bridge keeps its share of them."""
    new = (rng.random(n) < 0.7) * 1.0
    shared = rng.normal(size=n)
    values = {OLD: new * (rng.random(n) < 0.5), NEW: new}
    for name in names:
        z = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.normal(size=n)
        values[name] = new * (stats.norm.cdf(z) < kept)
    return values


if __name__ == "__main__":
    print(json.dumps(run()))
