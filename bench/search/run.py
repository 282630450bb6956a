"""One run: build the engines, ask them, write results and pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench.search import cells, plots
from bench.search.axes import Team, speed
from bench.search.collected import collected
from bench.search.data import Data, glosses, icons, like, tiny
from bench.search.figures import cost_at, speed_at
from bench.search.peers import OURS, variants
from bench.search.peers.base import Variant
from bench.search.wordnet import NoWordNet
from bench.search.worker import Failed, Worker

from bench import _results

CELLS = ("speed", "filters", "many", "changed")
DATA = ("glosses", "icons", "like", "tiny")
MANY = 10_000
NAN = float("nan")
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
#: Engines whose growth is measured: of each family one, the graphs that take longest to build left out.
GROWN = (OURS, "numpy", "faiss HNSW32 SQ8", "faiss IVF PQ", "usearch bf16")


def get(name: str, size: int | None) -> Data:
    """Return a data set by name; `size` is the rows of "like" and "tiny", and cuts the others."""
    if name == "like":
        return like(glosses(), size or 1_000_000)
    if name == "tiny":
        return tiny(size or 2000)
    data = {"glosses": glosses, "icons": icons}[name]()
    if size and size < len(data.X):
        return Data(data.name, np.ascontiguousarray(data.X[:size]), data.queries, data.train, data.about)
    return data


def choose(only: Sequence[str], wanted: Sequence[str]) -> list[Variant]:
    """Return the variants to run: those that a word names, that are installed and that a cell needs.

    A word that is a whole name means that one engine, any other all whose names contain it.
    """
    chosen = []
    names = {v.name for v in variants()}
    for v in variants():
        if only and not any(word == v.name if word in names else word in v.name for word in only):
            continue
        if "changing" in v.name and "changed" not in wanted:
            continue
        if why := v.missing():
            print(f"{v.name} is left out: {why}")
            continue
        chosen.append(v)
    return chosen


def build(data: Data, chosen: Sequence[Variant], *, threads: int, columns: Path | None) -> Team:
    """Start and build every engine, one after the other."""
    corpus, train = data.files()
    team: Team = {}
    for v in chosen:
        try:
            team[v.name] = Worker(v, threads=threads, corpus=corpus, train=train, fields=columns)
            print(f"  {v.name}: built in {team[v.name].built['build_seconds']:.1f} s", flush=True)
        except Failed as e:
            print(f"  {v.name} is out: {str(e).strip().splitlines()[-1]}", flush=True)
    return team


def measure(
    data: Data, *, wanted: Sequence[str] = CELLS, only: Sequence[str] = (), threads: int = 2, repeats: int = 3
) -> list[dict[str, Any]]:
    """Return the rows of all wanted cells on one data set."""
    K = cells.K
    columns, asked = cells.filters(data) if {"filters", "many"} & set(wanted) else ({}, {})
    fields = cells.save(columns, data.folder / "fields.npz") if columns else None
    team = build(data, choose(only, wanted), threads=threads, columns=fields)
    rows: list[dict[str, Any]] = []
    try:
        if "speed" in wanted:
            queries = {kind: (Q, data.truth(kind, K)) for kind, Q in data.queries.items()}
            still = {name: w for name, w in team.items() if "changing" not in name}
            rows += speed(still, queries, repeats=repeats)
        if "filters" in wanted:
            rows += cells.filtered(team, data, columns, asked, repeats=repeats)
        if "many" in wanted:
            rows += cells.many(team, data, columns, count=min(MANY, len(data.X)))
            if not only or any(word in f"{OURS} collection" for word in only):
                with tempfile.TemporaryDirectory() as folder:
                    rows += collected(data, columns, folder=Path(folder), count=min(MANY, len(data.X)))
        if "changed" in wanted:
            rows += cells.changed(team, data, repeats=repeats)
    finally:
        for worker in team.values():
            worker.close()
    about = {"data": data.name, "n": len(data.X), "dim": data.X.shape[1], "threads": threads}
    return [{**about, **row} for row in rows]


def ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals of the comparison that these rows can answer."""
    goals = []
    asked = [r for r in rows if r["measure"] == "speed" and r["queries"] == "cross-modal" and r["qps_at_0.95"]]
    ours = next((r for r in asked if r["system"] == OURS), None)
    peers = [r for r in asked if not r["system"].startswith(OURS)]
    if ours and peers:
        best = max(peers, key=lambda r: float(r["qps_at_0.95"]))
        at = f"{ours['data']}, {ours['n']:,} rows, cross-modal, recall@10 0.95"
        goals.append(
            _results.goal(
                f"{at}: queries a second over {best['system']}", ours["qps_at_0.95"] / best["qps_at_0.95"], 1.5
            )
        )
        if ours["own_bytes"] and best["own_bytes"]:
            goals.append(
                _results.goal(
                    f"{at}: memory of {best['system']} over ours, both without what a process has once",
                    best["own_bytes"] / ours["own_bytes"],
                    2,
                )
            )
    cell = {(r["system"], r["kind"], r["share"]): r["points"] for r in rows if r["measure"] == "filter"}
    mine = [max(p["recall"] for p in points) for (system, *_), points in cell.items() if system == OURS]
    if mine:
        goals.append(_results.goal("lowest recall@10 of a filtered cell", min(mine), 0.95))
    for kind in cells.KINDS:
        at_one = {r["system"]: r for r in rows if r["measure"] == "filter" and (r["kind"], r["share"]) == (kind, 0.01)}
        at = f"{kind} 1 % filter, recall@10 0.95, queries a second"
        together = {s: speed_at(0.95, r["points"]) or 0.0 for s, r in at_one.items()}
        alone = {s: (r["single_at_0.95"] or {"qps": 0.0})["qps"] for s, r in at_one.items()}
        for how, speeds in {f"{cells.ASKED} that share it": together, "one at a time": alone}.items():
            others = {s: v for s, v in speeds.items() if not s.startswith(OURS) and v}
            if speeds.get(OURS) and others:
                name = max(others, key=lambda s: others[s])
                goals.append(_results.goal(f"{at}, {how}: over {name}", speeds[OURS] / others[name], 2))
    for row in rows:
        if row["measure"] == "batch of filters" and row["system"] in (OURS, f"{OURS} collection"):
            ratio = row["qps"] / row["loop_qps"]
            goals.append(_results.goal(f"{row['system']}: filters of their own, one call over a loop", ratio, 10))
    return goals


def run(
    names: Sequence[str] = ("glosses",),
    *,
    wanted: Sequence[str] = CELLS,
    only: Sequence[str] = (),
    size: int | None = None,
    threads: int = 2,
    repeats: int = 3,
    suffix: str = "",
) -> list[dict[str, Any]]:
    """Run the wanted cells on each data set and write ``results/search-<data>.json`` and pictures.

    Returns
    -------
    list of dict
        All rows.
    """
    all_rows: list[dict[str, Any]] = []
    for name in names:
        try:
            data = get(name, size)
        except NoWordNet as e:
            print(f"{name} is skipped: {e}")
            continue
        print(f"{data.name}: {len(data.X):,} rows of {data.X.shape[1]}", flush=True)
        rows = measure(data, wanted=wanted, only=only, threads=threads, repeats=repeats)
        packages = _packages(rows)
        about = {"measure": "data", "data": data.name, **data.about}
        label = f"search-{data.name}{suffix}"
        _results.write(label, goals=ratios(rows), rows=[about, *rows], packages=packages)
        for kind in data.queries if plots.possible() else ():
            mine = [r for r in rows if r["measure"] == "speed" and r["queries"] == kind]
            if mine:
                title = f"{data.name}, {len(data.X):,} rows, {kind} queries, {threads} threads"
                plots.curves(mine, _results.FOLDER / f"{label}-{kind}.png", title)
        filtered = [r for r in rows if r["measure"] == "filter"]
        if filtered and plots.possible():
            title = f"{data.name}, {len(data.X):,} rows, {cells.ASKED} queries that share a filter, {threads} threads"
            plots.filters(filtered, _results.FOLDER / f"{label}-filters.png", title)
        show(rows)
        all_rows += rows
    return all_rows


def grow(*, sizes: Sequence[int] = SIZES, only: Sequence[str] = (), threads: int = 2, repeats: int = 2) -> None:
    """Measure the speed at each size of synthetic rows, by default of a few engines, and draw it."""
    rows: list[dict[str, Any]] = []
    for n in sizes:
        rows += measure(get("like", n), wanted=("speed",), only=only or GROWN, threads=threads, repeats=repeats)
        goals = ratios([r for r in rows if r["n"] == n])
        _results.write("search-growth", goals=goals, rows=rows, packages=_packages(rows))
    if plots.possible():
        plots.growth([r for r in rows if r["queries"] == "cross-modal"], _results.FOLDER / "search-growth.png")
        for kind in dict.fromkeys(r["queries"] for r in rows):
            largest = [r for r in rows if r["n"] == max(sizes) and r["queries"] == kind]
            title = f"{largest[0]['data']}, {max(sizes):,} rows, {kind} queries, {threads} threads"
            plots.curves(largest, _results.FOLDER / f"search-growth-{kind}.png", title)
    show([r for r in rows if r["n"] == max(sizes)])


def _packages(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the distributions of the engines that were measured."""
    systems = {r["system"] for r in rows if "system" in r}
    return sorted({v.cls.distribution for v in variants() if v.name in systems} - {"commonspace"})


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print what was measured as tables."""
    for kind in dict.fromkeys(r["queries"] for r in rows if r["measure"] == "speed"):
        print(f"\n{kind}: queries/s at recall@10 0.90, 0.95, 0.99; at 0.95 processor us a query, p50 and p99 ms of one")
        print("query; bytes/row in memory and serialised, MB once a process; seconds to build")
        mine = [r for r in rows if r["measure"] == "speed" and r["queries"] == kind]
        for r in sorted(mine, key=lambda r: -(r["qps_at_0.95"] or 0)):
            speeds = "".join(f"{r[f'qps_at_{t}'] or NAN:10,.0f}" for t in ("0.90", "0.95", "0.99"))
            single = r["single_at_0.95"] or {"p50_ms": float("nan"), "p99_ms": float("nan")}
            bytes_ = f"{r['own_bytes'] / r['n']:8,.0f}{r['serialised_bytes'] / r['n']:8,.0f}"
            bytes_ += f"{r['once_bytes'] / 1e6:6,.0f}"
            cost = f"{r['cpu_us_at_0.95'] or NAN:8,.0f}"
            wait = f"{single['p50_ms']:8.2f}{single['p99_ms']:8.2f}"
            print(f"{r['system']:28}{speeds}{cost}{wait}{bytes_}{r['build_seconds']:8.1f}")
    for kind, share in dict.fromkeys((r["kind"], r["share"]) for r in rows if r["measure"] == "filter"):
        print(
            f"\nfilter {share:.1%} {kind}: highest recall; queries/s and processor us a query at 0.95, together; alone"
        )
        mine = [r for r in rows if r["measure"] == "filter" and (r["kind"], r["share"]) == (kind, share)]
        for r in sorted(mine, key=lambda r: -(speed_at(0.95, r["points"]) or 0)):
            one = r["single_at_0.95"] or {"qps": NAN, "cpu_us": NAN}
            figures = f"{max(p['recall'] for p in r['points']):8.4f}{speed_at(0.95, r['points']) or NAN:12,.0f}"
            figures += f"{cost_at(0.95, r['points']) or NAN:10,.1f}{one['qps']:12,.0f}{one['cpu_us']:10,.0f}"
            print(f"{r['system']:28}{figures}")
    if mine := [r for r in rows if r["measure"] == "batch of filters"]:
        print("\nfilters of their own: recall; queries/s and processor us a query in one call; in a loop; ratio")
        for r in sorted(mine, key=lambda r: -r["qps"]):
            figures = f"{r['recall']:8.4f}{r['qps']:12,.0f}{r['cpu_us']:10,.1f}"
            print(
                f"{r['system']:28}{figures}{r['loop_qps']:12,.0f}{r['loop_cpu_us']:10,.0f}"
                f"{r['qps'] / r['loop_qps']:8.1f}"
            )
    if mine := [r for r in rows if r["measure"] == "changed"]:
        print("\nhalf deleted, 30 % of the rest replaced: seconds; highest recall; queries/s and processor us at 0.95")
        for r in sorted(mine, key=lambda r: -(speed_at(0.95, r["points"]) or 0)):
            figures = f"{r['change_seconds']:10.1f}{max(p['recall'] for p in r['points']):8.4f}"
            figures += f"{speed_at(0.95, r['points']) or NAN:12,.0f}{cost_at(0.95, r['points']) or NAN:10,.1f}"
            print(f"{r['system']:28}{figures}")
