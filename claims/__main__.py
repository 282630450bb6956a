"""Run claims, one process each, and keep their results: ``python -m claims [WORD ...]``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from bench._results import machine, versions

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
SHEET = HERE / "RESULTS.md"
KEYS = (
    "method titles claim data figure baseline difference low high seeds verdict sentence".split()  # noqa: SIM905
)
VERDICTS = ("holds", "does not hold", "depends")
CHILD = """
import importlib, json, sys
from claims import Skip
try:
    print("RESULT" + json.dumps(importlib.import_module(sys.argv[1]).run()))
except Skip as reason:
    print("SKIP" + str(reason))
"""


def names() -> list[str]:
    """Return every claim as ``family/method``."""
    files = sorted(f for f in HERE.glob("*/*.py") if not f.name.startswith("_"))
    return [f.relative_to(HERE).with_suffix("").as_posix() for f in files]


def run(name: str) -> dict[str, Any] | None:
    """Run one claim in a process of its own; None if it skipped itself."""
    start = time.perf_counter()
    module = "claims." + name.replace("/", ".")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, module], cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False
    )
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if last.startswith("SKIP"):
        print(f"{name}: skipped, {last[4:]}")
        return None
    if done.returncode or not last.startswith("RESULT"):
        raise SystemExit(f"{name}: failed with status {done.returncode}\n{done.stdout}")
    result: dict[str, Any] = json.loads(last[6:])
    check(name, result)
    seconds = time.perf_counter() - start
    print(f"{name}: {result['verdict']} ({seconds:.0f} s). {result['sentence']}", flush=True)
    about = {"name": name, "seconds": round(seconds), "date": date.today().isoformat()}
    return result | about | {"machine": machine(), "versions": versions()}


def check(name: str, result: dict[str, Any]) -> None:
    """Stop if a result lacks a part or contradicts itself."""
    missing = [k for k in KEYS if k not in result]
    if missing:
        raise SystemExit(f"{name}: the result lacks {', '.join(missing)}")
    if result["verdict"] not in VERDICTS:
        raise SystemExit(f"{name}: verdict {result['verdict']!r} is none of {VERDICTS}")
    if not result["low"] <= result["difference"] <= result["high"]:
        raise SystemExit(f"{name}: the difference lies outside its own interval")


def sheet(results: list[dict[str, Any]]) -> str:
    """Return RESULTS.md."""
    lines = [
        "# Claims",
        "",
        "Made by `make claims`; each row is one runnable experiment in this folder. The difference is figure minus",
        "baseline, with its 95 % interval over seeds. A claim that does not hold stays here as it is.",
        "",
        "| claim | figure | baseline | difference | seeds | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        numbers = (
            f"{r['figure']:.3f} | {r['baseline']:.3f} | {r['difference']:+.3f} [{r['low']:+.3f}, {r['high']:+.3f}]"
        )
        lines.append(f"| [{r['name']}]({r['name']}.py): {r['claim']} | {numbers} | {r['seeds']} | **{r['verdict']}** |")
    lines += ["", "## In one sentence each", ""]
    for r in results:
        lines.append(f"- **{r['name']}** ({r['data']}): {r['sentence']}")
    lines += ["", "## Where and when", ""]
    for r in results:
        made = ", ".join(f"{k} {v}" for k, v in r["versions"].items())
        where = f"{r['machine']['cores']} cores, {r['machine']['processor']}, {r['machine']['system']}"
        lines.append(f"- {r['name']}: {r['date']}, {r['seconds']} s, {where}; {made}")
    return "\n".join(lines) + "\n"


def main(words: list[str]) -> None:
    """Run the claims whose names contain one of the words; all without words."""
    chosen = [n for n in names() if not words or any(w in n for w in words)]
    if not chosen:
        raise SystemExit(f"no claim matches {' '.join(words)}; there is {', '.join(names())}")
    for name in chosen:
        result = run(name)
        if result is not None:
            keep(result)


def keep(result: dict[str, Any]) -> None:
    """Put a result in the place of the last one of its name.

    The file is read when the result is there and not before the run: others may have written theirs meanwhile.
    """
    known = {r["name"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    known[result["name"]] = result
    ordered = [known[n] for n in names() if n in known]
    _replace(RESULTS, json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    _replace(SHEET, sheet(ordered))


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text)
    os.replace(part, path)


if __name__ == "__main__":
    main(sys.argv[1:])
