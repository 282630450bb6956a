"""Does a plan give the verdict that the whole corpus would give?

39 migrations between real encoders (`_grid.py`), two draws of each. A plan is made from as many items as a collection
takes when it is not told otherwise (2,000 of every modality, at most two thirds of what there is), and again from 500.
Its bridges, learned from these, are then measured on the rest of the corpus: other items, other queries, a gallery of
up to 1,500; the plan is told how large that is. The rule is applied to these figures:

    right    the verdict is the cheapest that is enough there, what is kept being known exactly: no interval around it
    safe     what was advised does what was promised: a bridge or a share of a re-embed keeps 95 % of a full one and is
             not worse than the old space; where the answer is no, nothing was to be gained; where it is to re-embed,
             something was

A plan promises with 95 % confidence, so that it is on the cautious side where a figure lies near 0.95; how often it
would be right and safe with more or less confidence is measured, too. The rule and the number of draws were found on
other migrations and other seeds (`DEVELOPMENT`).

All figures are in `details`, and in docs/migrations.md. It takes about two hours of processor; what every migration
measures is kept in the cache folder (`migrations`) at once, so that it goes on where it was interrupted. Verdicts are
made of these values anew each time, by the rule as it is; `VERSION` says when they must be measured anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from claims import Skip
from claims.upgrade._grid import GRID, Case
from claims.upgrade._truth import CONFIDENCES, Values, judged

from commonspace.core.digest import digest
from commonspace.measure.statistics.estimates import bootstrap, estimate
from commonspace.upgrade.options import Corpus
from commonspace.upgrade.plan import plan_upgrade
from commonspace.upgrade.saving import _option
from commonspace.upgrade.verdict import Rule

RULE = Rule()
GOAL = 0.9  # share of verdicts that are right
#: Of the kept values; another number when bridges, scales, or the ways that a plan measures have changed.
VERSION = 3


def run(
    seeds: int = 2, probes: int = 2000, fewer: int | None = 500, most: int = 1500, cases: Sequence[Case] = GRID
) -> dict[str, Any]:
    """Return the share of migrations in which the verdict was right.

    Parameters
    ----------
    seeds : int
        How often each migration is drawn: which items are probes, which heads were trained.
    probes : int
        Items of each modality that the plan is made from, at most two thirds of all.
    fewer : int, optional
        The same once more from so many.
    most : int
        Items of each modality that the truth is measured on.
    cases : sequence of Case
        What migrates into what.
    """
    found, again, absent = [], [], []
    for case in cases:
        try:
            found += [known(case, seed, probes, most) for seed in range(seeds)]
            again += [known(case, seed, fewer, most) for seed in range(seeds)] if fewer else []
        except Skip as reason:
            absent.append(f"{case.name}: {reason}")
    if not found:
        raise Skip(absent[0])
    right = np.array([f["right"] for f in found], float)
    usual = max({f["truth"] for f in found}, key=lambda v: sum(f["truth"] == v for f in found))
    blind = np.array([f["truth"] == usual for f in found], float)
    low, high = bootstrap(right - blind, groups=np.arange(len(found)) // seeds)
    told = f"From up to {probes:,} probes: {summary(found, seeds)}"
    if again:
        told += f" From {fewer}: {summary(again, seeds)}"
    wrong = [
        f"{f['name']}, draw {f['seed'] + 1} ({f['verdict']}, in truth {f['truth']})" for f in found if not f["right"]
    ]
    short = [{k: v for k, v in f.items() if k != "options"} for f in again]
    return {
        "method": "plan_upgrade",
        "titles": [],
        "claim": f"The verdict from up to {probes:,} probes is that of the whole corpus, more often than always "
        f"'{usual}' is",
        "data": f"{len(found)} migrations of cisi, cranfield, xquad, wikitables, emoji, icons and digits",
        "figure": float(right.mean()),
        "baseline": float(blind.mean()),
        "difference": float((right - blind).mean()),
        "low": low,
        "high": high,
        "seeds": seeds,
        "verdict": "holds" if low > 0 and right.mean() >= GOAL else "depends" if low > 0 else "does not hold",
        "sentence": f"{told} The goal was {GOAL:.0%} right. Wrong: {'; '.join(wrong) or 'none'}.",
        "details": {
            "migrations": found, "fewer": {"probes": fewer, "migrations": short}, "absent": absent, "probes": probes,
            "keep": RULE.keep,
            "by confidence": {str(n): by_confidence(f) for n, f in ((probes, found), (fewer, again))},
        },
    }  # fmt: skip


def by_confidence(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return how often verdicts of more or less confidence are right and safe, and the least that one keeps."""
    out = {}
    for level in (str(c) for c in CONFIDENCES) if found else ():
        told = [f["by confidence"][level] for f in found]
        kept = [t["kept"] for t in told if t["verdict"] in ("bridge", "partial backfill")]
        out[level] = {
            "right": float(np.mean([t["right"] for t in told])),
            "safe": float(np.mean([t["safe"] for t in told])),
            "served": len(kept),
            "keep too little": sum(k < RULE.keep for k in kept),
            "least kept": min(kept, default=1.0),
        }
    return out


def summary(found: Sequence[dict[str, Any]], seeds: int) -> str:
    """Return in words how often the verdict was right and safe."""
    shares = {
        name: estimate([f[name] for f in found], name, bounds=(0.0, 1.0), groups=np.arange(len(found)) // seeds)
        for name in ("right", "right with intervals", "safe")
    }
    sure = [f for f in found if f["certain"]]
    kept = [f["kept by the chosen"] for f in found if f["verdict"] in ("bridge", "partial backfill")]
    short = sum(k < RULE.keep for k in kept)
    return (
        f"the verdict was right in {shares['right']}, held against exact figures, and in "
        f"{shares['right with intervals']} by the rule with the intervals of the rest; what was advised did what was "
        f"promised in {shares['safe']}; of {len(kept)} served by less than a re-embed {short} kept too little, the "
        f"least {min(kept, default=1.0):.3f}; of {len(sure)} verdicts called certain {sum(f['right'] for f in sure)} "
        "were right."
    )


def known(case: Case, seed: int, probes: int, most: int) -> dict[str, Any]:
    """Return what became of one migration: values from the cache folder if they are there, the verdict by the rule."""
    path = kept_at(case, seed, probes, most)
    if not path.exists():
        start = time.perf_counter()
        values, about = one(case, seed, probes, most)
        empty: dict[str, Any] = {"quality": {}, "kept": {}, "against_old": {}, "trend": {}}
        about["options"] = [{**o.to_dict(), **empty} for o in values.options]
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(draft, about=np.array(json.dumps(about)), **values.to_arrays())
        draft.replace(path)
        print(f"{case.name}: {time.perf_counter() - start:.0f} s", flush=True)
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    about = json.loads(str(arrays.pop("about")))
    options = tuple(_option(o) for o in about.pop("options"))
    values = Values.from_arrays(options, arrays, about.pop("metric"))
    named = {"name": case.name, "data": case.data, "change": case.change, "seed": seed}
    return {**named, **about, **judged(values, seed, RULE)}


def kept_at(case: Case, seed: int, probes: int, most: int) -> Path:
    """Return where the values of a migration are kept."""
    root = Path(os.environ.get("COMMONSPACE_CACHE", "~/.cache/commonspace")).expanduser() / "migrations"
    return root / f"values-{digest([case.name, seed, probes, most, VERSION, *(case.directions or ())])[:24]}.npz"


def one(case: Case, seed: int, probes: int, most: int) -> tuple[Values, dict[str, Any]]:
    """Plan one migration and measure the plan on the rest of the corpus."""
    drawn, rest = case.make(seed).split(seed, probes, most)
    corpus = Corpus({m: len(x) for m, x in rest.items.new.items()})
    plan = plan_upgrade(
        drawn, corpus=corpus, keep=RULE.keep, directions=case.directions, random_state=seed, progress=False
    )
    items = {"probes": len(drawn.items), "rest": len(rest.items), "metric": plan.metric}
    return Values.of(plan, rest, drawn, seed), items


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
