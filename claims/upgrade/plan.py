"""Does a plan say the truth: are its verdicts right, and do its intervals hold what a migration keeps in fact?

In planted worlds as many things can be drawn as one likes. A plan is made from few; what its bridges, shares and
scales keep in fact is measured on many others, in galleries of the same size. A verdict is wrong if it misses a gain,
upgrades for none, keeps too little, or takes a dearer kind where a cheaper one keeps more than enough (see `wrong` in
`_planted`). The baseline is the same rule on bare figures, of bridges tried on the items that they have learned from.
"""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
from claims._outcome import compared
from claims.upgrade._planted import WORLDS, by_points, qualities, truth, world, wrong

from commonspace.upgrade.plan import Plan, plan_upgrade
from commonspace.upgrade.verdict import Rule

RULE = Rule(keep=0.9)
SLACK = 0.06  # about the width of an interval
BRIDGES = ["swap", "procrustes", "ridge"]


def run(seeds: int = 5, plans: int = 3, things: int = 400, galleries: int = 6) -> dict:
    right, naive = np.zeros(seeds), np.zeros(seeds)
    faults: dict[str, Counter[str]] = {"plan": Counter(), "bare figures": Counter()}
    by_world: dict[str, Counter[str]] = {w: Counter() for w in WORLDS}
    held: list[tuple[float, float, float]] = []  # low, truth, high
    sure = [0, 0]  # certain verdicts, and those of them that are right
    for seed in range(seeds):
        for name in WORLDS:
            for i in range(plans):
                of, rng = world(name, 100 * seed + i), np.random.default_rng([seed, i, 3])
                probes = of.draw(rng, things)
                plan = plan_upgrade(
                    probes, bridges=BRIDGES, shares=(0.25, 0.6), keep=RULE.keep, resamples=200,
                    random_state=seed, progress=False,
                )  # fmt: skip
                true = truth(plan, of, things, galleries, rng)
                bare = by_points(plan, qualities(plan, probes, rng), RULE)
                fault = wrong(plan, plan.verdict, plan.chosen, true, RULE, SLACK)
                other = wrong(plan, *bare, true, RULE, SLACK)
                right[seed] += (not fault) / plans / len(WORLDS)
                naive[seed] += (not other) / plans / len(WORLDS)
                faults["plan"][fault or "right"] += 1
                faults["bare figures"][other or "right"] += 1
                by_world[name][plan.verdict + (f" ({fault})" if fault else "")] += 1
                sure = [sure[0] + plan.certain, sure[1] + (plan.certain and not fault)]
                held += _intervals(plan, true)
    return _result(right, naive, faults, by_world, np.array(held), sure, seeds * plans * len(WORLDS), things)


def _intervals(plan: Plan, true: dict[str, dict[str, float]]) -> list[tuple[float, float, float]]:
    """Return ends and truth of what every bridge and share keeps, in every direction."""
    rivals = [o for o in plan.options if o.kind in ("bridge", "partial")]
    return [(o.kept[d].low, f[o.name] / f["re-embed"], o.kept[d].high) for d, f in true.items() for o in rivals]


def _result(
    right: np.ndarray,
    naive: np.ndarray,
    faults: dict[str, Counter[str]],
    by_world: dict[str, Counter[str]],
    held: np.ndarray,
    sure: list[int],
    plans: int,
    things: int,
) -> dict:
    out = compared(right, naive)
    low, true, high = held.T
    inside, below = float(((low <= true) & (true <= high)).mean()), float((low <= true).mean())
    good = inside >= 0.93 and out["figure"] >= 0.9
    return {
        "method": "plan",
        "titles": [],
        "claim": "At least 93 % of the 95 % intervals of what an option keeps hold the truth, at least 90 % of the "
        "verdicts are right, and more than those of bare figures.",
        "data": f"planted truth: {len(WORLDS)} worlds, {plans} plans of {things} things in two modalities, "
        f"{len(held)} intervals; figure: share of verdicts that are right; baseline: the same rule on bare figures of "
        "bridges tried on what they have learned from",
        **out,
        "verdict": "holds" if good and out["low"] > 0 else "depends" if good else "does not hold",
        "sentence": f"{inside:.1%} of the intervals hold the truth, {below:.1%} of the lower ends are not above it. "
        f"{out['figure']:.0%} of the verdicts are right, of bare figures {out['baseline']:.0%}; of {sure[0]} verdicts "
        f"that are called certain {sure[1]} are right.",
        "details": {
            "faults": {k: dict(v) for k, v in faults.items()},
            "verdicts": {k: dict(v) for k, v in by_world.items()},
            "mean of (middle - truth)": float(((low + high) / 2 - true).mean()),
        },
    }


if __name__ == "__main__":
    print(json.dumps(run()))
