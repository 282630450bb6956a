"""Does a plan made from a few hundred probes give the verdict that the whole corpus would give?

39 migrations between real encoders (`_grid.py`). In each a plan is made from 500 items of every modality. Its bridges,
learned from these, are then measured on the rest of the corpus: other items, other queries, a gallery up to three times
as large. The plan's rule is applied to these figures:

    right    the rule gives the same verdict, what is kept being known exactly: no interval around it
    safe     what was advised does what was promised: a bridge or a share of a re-embed keeps 95 % of a full one and is
             not worse than the old space; where the answer is no, nothing was to be gained; where it is to re-embed,
             something was

All figures are in `details`, and in docs/migrations.md. It takes about half an hour; every migration is kept in the
cache folder as soon as it is done, so that it goes on where it was interrupted. Kept results count as long as neither
the library's way to plan nor this claim has changed.
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
from claims.upgrade._truth import judged

import commonspace.upgrade as room
from commonspace.core.digest import digest
from commonspace.measure.statistics.estimates import bootstrap, estimate
from commonspace.upgrade.plan import plan_upgrade
from commonspace.upgrade.verdict import Rule

RULE = Rule()


def run(seeds: int = 1, probes: int = 500, most: int = 1500, cases: Sequence[Case] = GRID) -> dict[str, Any]:
    """Return the share of migrations in which the verdict was right.

    Parameters
    ----------
    seeds : int
        How often each migration is drawn: which items are probes, which heads were trained.
    probes : int
        Items of each modality that the plan is made from.
    most : int
        Items of each modality that the truth is measured on.
    cases : sequence of Case
        What migrates into what.
    """
    found, absent = [], []
    for case in cases:
        try:
            found += [known(case, seed, probes, most) for seed in range(seeds)]
        except Skip as reason:
            absent.append(f"{case.name}: {reason}")
    if not found:
        raise Skip(absent[0])
    right = np.array([f["right"] for f in found], float)
    usual = max({f["truth"] for f in found}, key=lambda v: sum(f["truth"] == v for f in found))
    blind = np.array([f["truth"] == usual for f in found], float)
    groups = np.repeat(np.arange(len(found) // seeds), seeds)
    low, high = bootstrap(right - blind, groups=groups)
    shares = {
        name: estimate([f[name] for f in found], name, bounds=(0.0, 1.0), groups=groups)
        for name in ("right", "right with intervals", "safe")
    }
    sure = [f for f in found if f["certain"]]
    wrong = [f"{f['name']} ({f['verdict']}, in truth {f['truth']})" for f in found if not f["right"]]
    difference = float((right - blind).mean())
    return {
        "method": "plan_upgrade",
        "titles": [],
        "claim": f"The verdict from {probes} probes is that of the whole corpus, more often than always '{usual}' is",
        "data": f"{len(found)} migrations of cisi, cranfield, xquad, wikitables, emoji, icons and digits",
        "figure": float(right.mean()),
        "baseline": float(blind.mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "seeds": seeds,
        "verdict": "holds" if low > 0 else "does not hold" if high < 0 else "depends",
        "sentence": (
            f"The verdict was right in {shares['right']} of the migrations, held against exact figures; in "
            f"{shares['right with intervals']} by the rule with the intervals of the larger sample; what was advised "
            f"did what was promised in {shares['safe']}. Of {len(sure)} verdicts called certain "
            f"{sum(f['right'] for f in sure)} were right. Wrong: {'; '.join(wrong) or 'none'}."
        ),
        "details": {"migrations": found, "absent": absent, "probes": probes, "keep": RULE.keep},
    }


def known(case: Case, seed: int, probes: int, most: int) -> dict[str, Any]:
    """Return what became of one migration, from the cache folder if it is there."""
    root = Path(os.environ.get("COMMONSPACE_CACHE", "~/.cache/commonspace")).expanduser() / "migrations"
    path = root / f"found-{digest([case.name, seed, probes, most, code()])[:24]}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    start = time.perf_counter()
    found = one(case, seed, probes, most)
    print(
        f"{case.name}: {found['verdict']}, in truth {found['truth']} ({time.perf_counter() - start:.0f} s)", flush=True
    )
    root.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(found))
    draft.replace(path)
    return found


def one(case: Case, seed: int, probes: int, most: int) -> dict[str, Any]:
    """Plan one migration and hold the plan against the rest of the corpus."""
    drawn, rest = case.make(seed).split(seed, probes, most)
    plan = plan_upgrade(drawn, keep=RULE.keep, random_state=seed, progress=False)
    items = {"probes": len(drawn.items), "rest": len(rest.items)}
    about = {"name": case.name, "data": case.data, "change": case.change, "seed": seed}
    return about | items | judged(plan, rest, drawn, seed, RULE)


def code() -> str:
    """Return a digest of the code that plans and of the code that judges the plan."""
    here = Path(__file__).parent
    files = [*Path(str(room.__file__)).parent.rglob("*.py"), *here.glob("_[gtsw]*.py")]
    return digest([f.read_text() for f in sorted(files)])


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
