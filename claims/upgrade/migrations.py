"""Does a plan made from a few hundred probes give the verdict that the whole corpus would give?

39 migrations between real encoders (`_grid.py`). In each a plan is made from 500 items of every modality. Its bridges,
learned from these, are then measured on the rest of the corpus: other items, other queries, a gallery up to three times
as large. The plan's rule is applied to these figures:

    right    the rule gives the same verdict, what is kept being known exactly: no interval around it
    safe     what was advised does what was promised: a bridge or a share of a re-embed keeps 95 % of a full one and is
             not worse than the old space; where the answer is no, nothing was to be gained; where it is to re-embed,
             something was

All figures are in `details`, and in docs/migrations.md. It takes about half an hour; every migration is kept in the
cache folder as soon as it is measured, so that it goes on where it was interrupted. Kept values count as long as the
code that they depend on has not changed; verdicts are made of them anew, by the rule as it is.
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
from claims.upgrade._truth import Values, judged

import commonspace.upgrade as room
from commonspace.core.digest import digest
from commonspace.measure.statistics.estimates import bootstrap, estimate
from commonspace.upgrade.plan import plan_upgrade
from commonspace.upgrade.saving import _option
from commonspace.upgrade.verdict import Rule

RULE = Rule()
#: Modules of the library that no value depends on.
LATER = ("verdict", "figures", "plan", "showing", "saving", "cutoffs", "calibrators", "migration", "__init__")


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
    """Return what became of one migration: values from the cache folder if they are there, the verdict by the rule."""
    root = Path(os.environ.get("COMMONSPACE_CACHE", "~/.cache/commonspace")).expanduser() / "migrations"
    path = root / f"values-{digest([case.name, seed, probes, most, code()])[:24]}.npz"
    if not path.exists():
        start = time.perf_counter()
        values, about = one(case, seed, probes, most)
        about["options"] = [
            {**o.to_dict(), "quality": {}, "kept": {}, "against_old": {}, "trend": {}} for o in values.options
        ]
        root.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(draft, about=np.array(json.dumps(about)), **values.to_arrays())
        draft.replace(path)
        print(f"{case.name}: {time.perf_counter() - start:.0f} s", flush=True)
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    about = json.loads(str(arrays.pop("about")))
    options = tuple(_option(o) for o in about.pop("options"))
    values = Values.from_arrays(options, arrays, about.pop("metric"))
    return {
        "name": case.name,
        "data": case.data,
        "change": case.change,
        "seed": seed,
        **about,
        **judged(values, seed, RULE),
    }


def one(case: Case, seed: int, probes: int, most: int) -> tuple[Values, dict[str, Any]]:
    """Plan one migration and measure the plan on the rest of the corpus."""
    drawn, rest = case.make(seed).split(seed, probes, most)
    plan = plan_upgrade(drawn, keep=RULE.keep, random_state=seed, progress=False)
    items = {"probes": len(drawn.items), "rest": len(rest.items), "metric": plan.metric}
    return Values.of(plan, rest, drawn, seed), items


def code() -> str:
    """Return a digest of the code that values depend on: all that plans but what is made of the values later."""
    here = Path(__file__).parent
    files = [f for f in Path(str(room.__file__)).parent.rglob("*.py") if f.stem not in LATER]
    return digest([f.read_text() for f in sorted([*files, *here.glob("_[gsw]*.py"), here / "_texts.py"])])


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
