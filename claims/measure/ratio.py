"""Does the interval of a ratio of two means over the same queries cover the truth, above all by its lower end?

Queries have one or four relevant items, each found by the better system with probability p, and by the other one with
another probability where the better found it than where it did not; what share of the first is kept is known therefore.
Queries stand alone or come in groups of one to twelve that succeed and fail together. The cautious interval is compared
with the bootstrap (BCa), Fieller's own and the linearised one. What matters is how often the lower end lies above the
truth: such a bridge would be taken for better than it is.
"""

from __future__ import annotations

import json

import numpy as np
from claims._outcome import compared
from claims.measure._queries import uneven
from scipy import stats

from commonspace.measure.statistics.ratio import ratio

KINDS = ("cautious", "fieller", "delta", "bca")
KEPT = {0.5: 0.1, 0.9: 0.1, 0.95: 0.05, 0.99: 0.02}  # kept -> found where the better system did not find it


def run(seeds: int = 5, samples: int = 30, sizes: tuple[int, ...] = (50, 200)) -> dict:
    above = {(kind, n): np.zeros(seeds) for kind in KINDS for n in sizes}
    inside = dict.fromkeys(above, 0.0)
    cells: dict[str, float] = {}
    count = 2 * len(KEPT) * 2 * 2
    for seed in range(seeds):
        rng = np.random.default_rng(7000 + seed)
        for n in sizes:
            for grouped in (False, True):
                for p in (0.3, 0.8):
                    for kept, lucky in KEPT.items():
                        for relevant in (1, 4):
                            said = cell(rng, n, grouped, p, kept, lucky, relevant, samples)
                            for kind, (high, within) in said.items():
                                above[kind, n][seed] += high / count
                                inside[kind, n] += within / count / seeds
                                name = f"{kind}, {n} {'groups' if grouped else 'queries'}, {p}, {kept}, {relevant}"
                                cells[name] = cells.get(name, 0.0) + high / seeds
    small = sizes[0]
    out = compared(1 - above["cautious", small], 1 - above["bca", small])
    ours = [v for k, v in cells.items() if k.startswith("cautious")]
    theirs = [v for k, v in cells.items() if k.startswith("bca")]
    plain = [v for k, v in cells.items() if k.startswith("fieller")]
    covered = float(np.mean([inside["cautious", n] for n in sizes]))
    safe = np.mean(ours) <= 0.025 and covered >= 0.93
    return {
        "method": "ratio",
        "titles": ["Some Problems in Interval Estimation"],
        "claim": "The lower end of the nominal 95 % interval of a ratio of means lies above the truth in no more "
        "samples than the 2.5 % that are promised, on average over the cells, and in fewer than that of a bootstrap.",
        "data": f"planted truth, {count} cells, {sizes} queries or groups, {seeds * samples} samples a cell; figure: "
        f"share of samples with {small} whose lower end is not above the truth; baseline: the bootstrap (BCa)",
        **out,
        "verdict": "holds" if safe and out["low"] > 0 else "depends" if out["low"] > 0 else "does not hold",
        "sentence": f"The lower end is too high in {np.mean(ours):.1%} of samples on average and in {max(ours):.1%} at "
        f"worst; Fieller's own in {np.mean(plain):.1%} and {max(plain):.1%}, the bootstrap's in {np.mean(theirs):.1%} "
        f"and {max(theirs):.1%}. Both ends cover the truth in {covered:.1%}.",
        "details": {
            "inside": {f"{k}, {n}": v for (k, n), v in inside.items()},
            "lower end above the truth": {f"{k}, {n}": float(v.mean()) for (k, n), v in above.items()},
            "cells": cells,
        },
    }  # fmt: skip


def cell(
    rng: np.random.Generator,
    units: int,
    grouped: bool,
    p: float,
    kept: float,
    lucky: float,
    relevant: int,
    samples: int,
) -> dict[str, tuple[float, float]]:
    """Return by kind how often the lower end is above the truth, and how often the interval holds it."""
    found = {kind: [0, 0] for kind in KINDS}
    drawn = 0
    while drawn < samples:
        groups = uneven(rng, units) if grouped else np.arange(units)
        a, b = systems(rng, groups, grouped, p, kept, lucky, relevant)
        if not b.any():
            continue
        drawn += 1
        seed = int(rng.integers(1 << 31))
        for kind in KINDS:
            e = ratio(a, b, groups=groups, interval=kind, resamples=1000, random_state=seed)
            found[kind][0] += e.low > kept + 1e-12
            found[kind][1] += e.low - 1e-12 <= kept <= e.high + 1e-12
    return {kind: (high / samples, within / samples) for kind, (high, within) in found.items()}


def systems(
    rng: np.random.Generator, groups: np.ndarray, grouped: bool, p: float, kept: float, lucky: float, relevant: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the recall of two systems, of which the first keeps this share of the second."""
    share = 0.5 if grouped else 0.0  # of the variance that is the group's

    def chances() -> np.ndarray:
        between = rng.normal(size=groups.max() + 1)[groups][:, None]
        within = rng.normal(size=(len(groups), relevant))
        return np.asarray(stats.norm.cdf(np.sqrt(share) * between + np.sqrt(1 - share) * within))

    b = chances() < p
    also = kept - lucky * (1 - p) / p  # found by the first where the second found it
    a = chances() < np.where(b, also, lucky)
    return a.mean(axis=1), b.mean(axis=1)


if __name__ == "__main__":
    print(json.dumps(run()))
