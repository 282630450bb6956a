"""Among twenty systems, corrected tests find what is not there no more often than they say, in groups of queries too.

Truth is planted (see `_queries`). Each system has the same law of ranks; its queries are in part as hard as for all
others, so that all 190 pairs hang together. In a second world five systems are better than ten others, and five more
are better still: there, findings within the three sets are false. Queries are 50 independent ones, or come in 25 uneven
groups with which the systems differ by chance.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.measure._queries import normals, ranks, uneven

from commonspace.measure import compare_many
from commonspace.measure.statistics.corrections import corrected

FIRST_SEED = 900
SYSTEMS, LEVEL = 20, 0.05
BETTER = {"equal": np.zeros(SYSTEMS), "three sets": np.repeat([0.0, 0.5, 1.0], [10, 5, 5])}
TESTS = ("randomisation", "t")


def run(seeds: int = 5, samples: int = 100, resamples: int = 10_000) -> dict[str, Any]:
    rows: dict[str, list[float]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(FIRST_SEED + seed)
        for world, better in BETTER.items():
            for grouped in (False, True):
                for test in TESTS:
                    for figure, value in rates(rng, better, grouped, test, samples, resamples).items():
                        key = f"{figure}, {world}, {'groups' if grouped else 'queries'}, {test}"
                        rows.setdefault(key, []).append(value)
    details = {k: float(np.round(np.mean(v), 4)) for k, v in rows.items()}

    def cells(start: str, part: str = "") -> list[str]:
        return [k for k in details if k.startswith(start) and part in k]

    holm = [details[k] for k in cells("holm: any false")]
    bh = [details[k] for k in cells("bh: false share")]
    joint = [details[k] for k in cells("joint intervals")]
    equal = [[rows[k] for k in cells(f"{c}: any false", ", equal,")] for c in ("holm", "none")]
    out = compared(*(-np.mean(v, axis=0) for v in equal))
    out |= {"figure": -out["figure"], "baseline": -out["baseline"], "difference": -out["difference"]}
    out |= {"low": -out["high"], "high": -out["low"]}
    error = float(1.64 * np.sqrt(LEVEL * (1 - LEVEL) / (seeds * samples)))  # of a share that is exactly at the level
    sound = max(holm + bh) <= LEVEL + error
    return {
        "method": "compare_many",
        "titles": [
            "A Simple Sequentially Rejective Multiple Test Procedure",
            "Controlling the False Discovery Rate: A Practical and Powerful Approach to Multiple Testing",
        ],
        "claim": f"Of all pairs of {SYSTEMS} systems, Holm's procedure finds a false difference in at most 5 % of "
        "studies and Benjamini and Hochberg's has at most 5 % false ones among its findings, with independent "
        "queries and with groups of them.",
        "data": f"planted truth, 50 queries or 25 groups, two tests, {seeds * samples} studies a cell; figure: share "
        "of studies of equal systems with a false finding after Holm; baseline: without correction",
        **out,
        "verdict": "holds" if sound else "does not hold",
        "sentence": f"A false finding after Holm in {min(holm):.1%} to {max(holm):.1%} of studies (without correction "
        f"{out['baseline']:.0%}); false share after Benjamini-Hochberg {min(bh):.1%} to {max(bh):.1%}; it finds "
        f"{np.mean([details[k] for k in cells('bh: found')]):.0%} of the true differences, Holm "
        f"{np.mean([details[k] for k in cells('holm: found')]):.0%}; simultaneous intervals all hold in "
        f"{min(joint):.1%} to {max(joint):.1%} of studies of equal systems.",
        "details": details,
    }


def rates(
    rng: np.random.Generator, better: np.ndarray, grouped: bool, test: str, samples: int, resamples: int
) -> dict[str, float]:
    """Return how often there is a false finding, and what share is false and is found, by correction."""
    a, b = np.triu_indices(SYSTEMS, 1)
    same = better[a] == better[b]
    found: dict[str, list[float]] = {}
    for _ in range(samples):
        groups = uneven(rng, 25) if grouped else np.arange(50)
        shared = normals(rng, groups)
        own = [normals(rng, groups) for _ in range(SYSTEMS)]
        values = {str(i): 1 / ranks("hard", 0.8 * shared + 0.6 * z - shift) for i, (z, shift) in
                  enumerate(zip(own, better, strict=True))}  # fmt: skip
        made = compare_many(
            values, correction="none", test=test, groups=groups if grouped else None, resamples=resamples,
            intervals="simultaneous" if same.all() else "each", random_state=rng,
        )  # fmt: skip
        raw = np.array([c.p_value_raw for c in made])
        for correction in ("holm", "bh", "none"):
            told = corrected(raw, correction) <= LEVEL
            found.setdefault(f"{correction}: any false", []).append(float((told & same).any()))
            found.setdefault(f"{correction}: false share", []).append((told & same).sum() / max(told.sum(), 1))
            if not same.all():
                found.setdefault(f"{correction}: found", []).append(told[~same].mean())
        if same.all():
            found.setdefault("joint intervals", []).append(float(all(c.low <= 0 <= c.high for c in made)))
    return {key: float(np.mean(v)) for key, v in found.items()}


if __name__ == "__main__":
    print(json.dumps(run()))
