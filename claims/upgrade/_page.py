"""Write docs/migrations.md from the results of the claim: ``python -m claims.upgrade._page``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "migrations.md"
HEAD = """# Migrations, in full

<!-- Written by `python -m claims.upgrade._page` from claims/results.json; do not edit. -->

What bridges kept, and whether the plan was right, in {count} migrations between real encoders ({draws} draws of
{different}). For each a plan is made from {probes:,} items of every modality that both encoders have read, or from two
thirds of what there is (`plan_upgrade`). Then the plan's own bridges and scales are tried on the rest of the corpus:
other items, other queries, a gallery of up to 1,500. The metric is recall@10, and enough is {keep:.0%} of a full
re-embed in every direction.

- **right**: the verdict names the cheapest that is enough on the rest, what is kept there being taken as known exactly.
  In brackets: what the rule itself says of the rest, with the intervals of these queries.
- **safe**: what was advised does what was promised: a bridge or a share of a re-embed keeps {keep:.0%} there and is not
  worse than the old space; where the answer was no, no more than 0.02 was to be gained; where it was to re-embed,
  something was.

{sentence}

A plan promises with 95 % confidence. What lies just above {keep:.0%} is not shown to be so, and the verdict is the next
dearer one; with less confidence it is right more often, and keeps too little more often:

{curve}

"""


def main() -> None:
    """Write the page."""
    results = {r["name"]: r for r in json.loads((ROOT / "claims" / "results.json").read_text())}
    PAGE.write_text(page(results["upgrade/migrations"]), encoding="utf-8")


def page(result: Mapping[str, Any]) -> str:
    """Return the page."""
    found = result["details"]["migrations"]
    parts = [
        HEAD.format(
            count=len(found), probes=result["details"]["probes"], keep=result["details"]["keep"], draws=result["seeds"],
            different=len(found) // result["seeds"], curve=curve(result["details"]["by confidence"]),
            sentence=result["sentence"].partition(" Wrong: ")[0].replace(" From ", "\n\nFrom "),
        ),
        "## Verdicts\n\n" + verdicts(found, result["details"]["fewer"]),
        "## Where it was wrong\n\n" + wrong(found, result["details"]["keep"]),
        "## What bridges kept\n\nShare of a full re-embed's recall@10 on the rest, in the worst direction. `items`: "
        "stored vectors go forward; `queries`: new queries go back.\n\n" + bridges(found),
        "## What shares and re-scoring kept\n\nShare of the items encoded anew, drawn at random (`most found`: those "
        "that the probes' queries found most often in the old space come first), the rest through the best bridge of "
        "the "
        "plan or asked by both encoders. Re-scoring encodes the 50 best answers of every query anew.\n\n"
        + others(found),
    ]  # fmt: skip
    return "\n\n".join(p.strip() for p in parts) + "\n"


def curve(by: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return how often verdicts of more or less confidence are right and safe."""
    rows = [
        [
            f"{int(probes):,}", f"{float(level):g}", f"{one['right']:.0%}", f"{one['safe']:.0%}",
            f"{one['keep too little']} of {one['served']}", f"{one['least kept']:.3f}",
        ]
        for probes, levels in by.items()
        for level, one in levels.items()
    ]  # fmt: skip
    head = ["probes, at most", "confidence", "right", "safe", "bridges and shares that keep too little", "least kept"]
    return _table(head, rows)


def verdicts(found: Sequence[Mapping[str, Any]], fewer: Mapping[str, Any]) -> str:
    """Return the table of verdicts."""
    rows = []
    again = {(f["name"], f["seed"]): f for f in fewer["migrations"]}
    for f in found:
        other = again.get((f["name"], f["seed"]))
        later = "–" if other is None else f"{other['verdict']}, {_yes(other['right'])}"
        old, new = (min(f["quality"][n].values()) for n in ("keep", "re-embed"))
        told = f["verdict"] if f["chosen"] in ("keep", "re-embed") else f"{f['verdict']}: {f['chosen']}"
        truth = f["truth"] if f["truth chosen"] in ("keep", "re-embed") else f"{f['truth']}: {f['truth chosen']}"
        right = f"{_yes(f['right'])} ({_yes(f['right with intervals'])})"
        sure = "certain" if f["certain"] else "not certain"
        rows.append([
            f["data"], changed(f), f"{old:.3f} → {new:.3f}", f"{told} ({sure})", truth, right, _yes(f["safe"]), later
        ])  # fmt: skip
    head = ["data", "change", "recall@10, old → new (worst direction)", "the plan", "the rest", "right", "safe"]
    head.append(f"from {fewer['probes']} probes: the plan, right")
    return _table(head, rows)


def wrong(found: Sequence[Mapping[str, Any]], keep: float) -> str:
    """Return a line for each verdict that was not right, with the figures that decided."""
    lines = []
    for f in found:
        if f["right"]:
            continue
        why = _gains(f)
        for name in dict.fromkeys([f["chosen"], f["truth chosen"]]):
            if (o := f["options"].get(name)) and o["kind"] in ("bridge", "partial"):
                d = min(o["promised"], key=lambda d: o["promised"][d][1])
                e, true = o["promised"][d], o["kept"][d][0]
                why.append(f"{name}: on the probes {e[0]:.3f} [{e[1]:.3f}, {e[2]:.3f}], on the rest {true:.3f} ({d})")
        said = f"**{title(f)}**: said {f['verdict']}, in truth {f['truth']}"
        lines.append(f"- {said}. {'; '.join(why)}; {keep} is asked.")
    return "\n".join(lines) or "Nowhere."


def _gains(f: Mapping[str, Any]) -> list[str]:
    if "do not upgrade" not in (f["verdict"], f["truth"]):
        return []
    promised = f["promised gain"].items()
    return [f"gain in {d}: on the probes {g:+.3f}, on the rest {f['gain'][d]:+.3f}" for d, g in promised]


def changed(f: Mapping[str, Any]) -> str:
    """Return what changes, and which draw of it this is."""
    return f["change"] + (f" (draw {f['seed'] + 1})" if f["seed"] else "")


def title(f: Mapping[str, Any]) -> str:
    """Return what a migration is called on the page."""
    return f"{f['data']}: {changed(f)}"


def bridges(found: Sequence[Mapping[str, Any]]) -> str:
    """Return what each bridge kept on the rest."""
    names = list(dict.fromkeys(n for f in found for n, o in f["options"].items() if o["kind"] == "bridge"))
    kinds = list(dict.fromkeys(n.rsplit(" of ", 1)[0] for n in names))
    head = ["migration", "old space", *(f"{k}, items / queries" for k in kinds)]
    rows = []
    for f in found:
        cells = []
        for k in kinds:
            both = [_worst(f, f"{k} of {side}") for side in ("items", "queries")]
            cells.append(" / ".join("–" if b is None else f"{b:.2f}" for b in both))
        rows.append([title(f), f"{_worst(f, 'keep'):.2f}", *cells])
    return _table(head, rows)


def others(found: Sequence[Mapping[str, Any]]) -> str:
    """Return what shares and re-scoring kept on the rest."""
    labels: dict[str, None] = {}
    for f in found:
        for name, o in f["options"].items():
            if o["kind"] in ("partial", "rescore"):
                labels.setdefault(_label(name))
    rows = []
    for f in found:
        mine = {_label(n): n for n, o in f["options"].items() if o["kind"] in ("partial", "rescore")}
        kept = [None if label not in mine else _worst(f, mine[label]) for label in labels]
        rows.append([title(f), *("–" if k is None else f"{k:.2f}" for k in kept)])
    return _table(["migration", *labels], rows)


def _label(name: str) -> str:
    """Return the name of an option without that of its bridge."""
    first, _, rest = name.partition(", rest ")
    if rest:
        return first + (", both encoders" if rest == "both encoders" else "")
    return "re-scored, both encoders" if "both encoders" in name else "re-scored"


def _worst(f: Mapping[str, Any], name: str) -> float | None:
    o = f["options"].get(name)
    return None if o is None else float(min(e[0] for e in o["kept"].values()))


def _yes(what: bool) -> str:
    return "yes" if what else "**no**"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
