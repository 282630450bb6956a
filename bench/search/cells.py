"""The harder cells: filters, deletions and upserts, batches in which every query has a filter of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench.search.axes import LONG, LOOP, SLOW, TARGETS, K, Team, out, rounds
from bench.search.data import TIES, Data, exact
from bench.search.figures import cheapest, recall
from bench.search.peers.base import Unsupported
from bench.search.worker import Failed, Worker

SHARES = (1.0, 0.1, 0.01, 0.001)
KINDS = ("random", "correlated", "anti-correlated")
ANCHORS = 3
ASKED = 200  # queries an anchor
ALONE = 50  # queries an anchor that are asked on their own


def filters(data: Data) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the filters' columns and the queries that are asked of each.

    An anchor is a random cross-modal query; the queries asked are the 200 most like it. "Correlated": the share of the
    rows most like the anchor; "anti-correlated": the share least like it; "random": any.

    Returns
    -------
    columns : dict of str to (n,) bool
        Named ``<kind>_<per mille>_<anchor>``, with ``anti`` for anti-correlated.
    asked : dict of str to (200,) int
        The same names -> positions in the cross-modal queries.
    """
    rng = np.random.default_rng(0)
    Q, n = data.queries["cross-modal"], len(data.X)
    columns, asked = {}, {}
    for anchor, chosen in enumerate(rng.permutation(len(Q))[:ANCHORS]):
        near = np.argsort(-(Q @ Q[chosen]), kind="stable")[:ASKED]
        order = np.argsort(-(data.X @ Q[chosen]), kind="stable")
        for share in SHARES:
            count = max(K, round(n * share))
            rows = {
                "random": rng.permutation(n)[:count],
                "correlated": order[:count],
                "anti-correlated": order[-count:],
            }
            for kind in KINDS if share < 1 else KINDS[:1]:
                name = f"{kind.split('-')[0]}_{round(share * 1000)}_{anchor}"
                columns[name] = np.isin(np.arange(n), rows[kind])
                asked[name] = near
    return columns, asked


def save(columns: Mapping[str, np.ndarray], path: Path) -> Path:
    """Write the columns for the engines' processes."""
    np.savez(path, **columns)  # type: ignore[arg-type]
    return path


def filtered(
    team: Team, data: Data, columns: Mapping[str, np.ndarray], asked: Mapping[str, np.ndarray], *, repeats: int
) -> list[dict[str, Any]]:
    """Return a row an engine, kind and share: at every setting recall and queries per second, over the anchors.

    The settings go up until the recall is 0.99; an engine that is slow at one is not asked at slower ones.
    """
    Q = data.queries["cross-modal"]
    cells: dict[tuple[str, str], list[str]] = {}
    for name in columns:
        kind, share, _ = name.split("_")
        cells.setdefault((kind, share), []).append(name)
    rows = []
    for (kind, share), names in cells.items():
        truth = {name: exact(Q[asked[name]], data.X, K, mask=columns[name]) for name in names}
        for engine, worker in rounds(team, 1):
            if not worker.variant.cls.filters:
                continue
            points: list[dict[str, Any]] = []
            few = ASKED if worker.variant.batch else LOOP // len(names)
            try:
                for knob in worker.variant.knobs():
                    seconds, found, busy = [], [], []
                    for _ in range(repeats):
                        total = 0.0
                        for name in names:
                            ids, took, cpu = worker.call("filtered", Q=Q[asked[name][:few]], k=K, name=name, knob=knob)
                            found.append(recall(ids, truth[name][:few]))
                            total += took
                            busy.append(cpu)
                        seconds.append(total)
                        if total > LONG or np.mean(found) < TARGETS[0]:  # what finds too little need not be timed well
                            break
                    points.append(
                        {
                            "knob": knob,
                            "recall": float(np.mean(found)),
                            "qps": float(np.median(few * len(names) / np.array(seconds))),
                            "cpu_us": float(np.median(busy)) / few * 1e6,
                        }
                    )
                    if points[-1]["recall"] >= 0.99 or min(seconds) > SLOW:
                        break
                single = _one_by_one(worker, Q, names, asked, cheapest(0.95, points))
            except Failed as e:
                out(team, engine, e)
                continue
            except Unsupported:
                continue
            about = {"kind": "anti-correlated" if kind == "anti" else kind, "share": int(share) / 1000}
            rows.append({"measure": "filter", "system": engine, **about, "points": points, "single_at_0.95": single})
    return rows


def _one_by_one(
    worker: Worker,
    Q: np.ndarray,
    names: Sequence[str],
    asked: Mapping[str, np.ndarray],
    setting: dict[str, Any] | None,
) -> dict[str, float] | None:
    """Return what a query on its own costs at a setting; the filters take turns."""
    if setting is None:
        return None
    turns = [name for _ in range(ALONE) for name in names]
    queries = Q[[asked[name][i // len(names)] for i, name in enumerate(turns)]]
    _, seconds, cpu = worker.call("loop", Q=queries, k=K, names=turns, knob=setting["knob"])
    return {"qps": len(turns) / seconds, "cpu_us": cpu / len(turns) * 1e6}


def many(
    team: Team, data: Data, columns: Mapping[str, np.ndarray], *, count: int = 10_000, loop: int = 100
) -> list[dict[str, Any]]:
    """Return a row an engine: `count` queries, each with one of the filters at 1 %, in one call and one by one.

    The setting is the first of the engine's that finds 0.95 of a trial, or its last. The loop is timed on the first
    `loop` queries; so is the call where all queries would take longer than `SLOW` seconds.
    """
    Q, wanted, truth = many_filters(data, columns, count)
    rows = []
    for engine, worker in rounds(team, 1):
        if not worker.variant.cls.filters:
            continue
        first, names = slice(loop), wanted.tolist()
        try:
            for knob in worker.variant.knobs():
                ids, took, _ = worker.call("many", Q=Q[first], k=K, names=names[first], knob=knob)
                if recall(ids, truth[first]) >= 0.95:
                    break
            some = slice(None) if took / loop * count < SLOW else first
            ids, took, cpu = worker.call("many", Q=Q[some], k=K, names=names[some], knob=knob)
            _, single, single_cpu = worker.call("loop", Q=Q[first], k=K, names=names[first], knob=knob)
        except (Failed, Unsupported) as e:
            if isinstance(e, Failed):
                out(team, engine, e)
            continue
        rows.append(
            {
                "measure": "batch of filters",
                "system": engine,
                "knob": knob,
                "recall": recall(ids, truth[some]),
                "qps": len(ids) / took,
                "cpu_us": cpu / len(ids) * 1e6,
                "loop_qps": min(loop, count) / single,
                "loop_cpu_us": single_cpu / min(loop, count) * 1e6,
            }
        )
    return rows


def many_filters(
    data: Data, columns: Mapping[str, np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return queries, the name of each one's filter, drawn in proportion to 1 / rank, and the true ids."""
    rng = np.random.default_rng(1)
    names = [name for name in columns if name.split("_")[1] == "10"]
    weights = 1 / np.arange(1, len(names) + 1)
    wanted = rng.choice(names, count, p=weights / weights.sum())
    Q = data.train[rng.integers(len(data.train), size=count)]
    truth = np.empty((count, K + TIES), np.int64)
    for name in names:
        truth[wanted == name] = exact(Q[wanted == name], data.X, K, mask=columns[name])
    return Q, wanted, truth


def changed(team: Team, data: Data, *, repeats: int) -> list[dict[str, Any]]:
    """Return a row an engine after half of the rows went and 30 % of the rest got another vector.

    The new vectors are those of rows that went, so that they are real. Engines are changed for good: call this last.
    """
    rng = np.random.default_rng(2)
    n = len(data.X)
    order = rng.permutation(n)
    gone, stay = order[: n // 2], order[n // 2 :]
    ids = stay[: round(0.3 * len(stay))]
    new = np.ascontiguousarray(data.X[gone[: len(ids)]])
    X, alive = data.X.copy(), np.ones(n, bool)
    X[ids], alive[gone] = new, False
    Q = data.queries["cross-modal"]
    truth = exact(Q, X, K, mask=alive)
    rows = []
    for engine, worker in rounds(team, 1):
        if not worker.variant.cls.changes:
            continue
        some = slice(None) if worker.variant.batch else slice(ASKED)
        try:
            seconds = worker.call("change", gone=gone, ids=ids, X=new)
            points = []
            for knob in worker.variant.knobs():
                runs = [worker.call("batch", Q=Q[some], k=K, knob=knob)]
                while len(runs) < repeats and runs[0][1] < LONG:
                    runs.append(worker.call("batch", Q=Q[some], k=K, knob=knob))
                points.append(
                    {
                        "knob": knob,
                        "recall": recall(runs[-1][0], truth[some]),
                        "qps": float(np.median([len(Q[some]) / took for _, took, _ in runs])),
                        "cpu_us": float(np.median([cpu for *_, cpu in runs])) / len(Q[some]) * 1e6,
                        "deleted_returned": int((~alive[runs[-1][0][runs[-1][0] >= 0]]).sum()),
                    }
                )
                if points[-1]["recall"] >= 0.99 or max(wall for _, wall, _ in runs) > SLOW:
                    break
        except Unsupported:
            continue
        except Failed as e:
            out(team, engine, e)
            continue
        rows.append({"measure": "changed", "system": engine, "change_seconds": seconds, "points": points})
    return rows
