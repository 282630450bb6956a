"""What is measured: recall and speed, latency, memory, filters, changes and batches of filters.

Every function asks all engines in rotation, setting by setting and round by round, so that they share the weather of
the machine, and returns rows for the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from bench.search.figures import cheapest, cost_at, recall, speed_at, spread
from bench.search.peers.base import Unsupported
from bench.search.worker import Failed, Worker

K = 10
TARGETS = (0.90, 0.95, 0.99)
LOOP = 200  # queries asked of an engine that has no batch
SLOW = 20.0  # seconds after which a slower setting is not tried
LONG = 5.0  # seconds after which a setting is not repeated

Team = dict[str, Worker]


def rounds(team: Team, repeats: int) -> Iterator[tuple[str, Worker]]:
    """Yield every engine in turn, in another order each round; those that fail are taken out by the caller."""
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        for name in rng.permutation(sorted(team)).tolist():
            if name in team:
                yield name, team[name]


def out(team: Team, name: str, why: Exception) -> None:
    """Take a failed engine out of the team, and say so."""
    print(f"  {name} is out: {str(why).strip().splitlines()[-1]}", flush=True)
    team.pop(name).close()


def sweep(team: Team, Q: np.ndarray, truth: np.ndarray, *, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Return engine -> its settings with recall and queries per second of batches.

    "cpu_us" is the processor time of a query in microseconds, over all threads: on a machine that others use as well it
    says more than the clock, though a pool that spins while it waits pays for that.
    """
    seconds: dict[str, dict[int, list[float]]] = {name: {} for name in team}
    busy: dict[str, dict[int, list[float]]] = {name: {} for name in team}
    found: dict[str, dict[int, float]] = {name: {} for name in team}
    ways: dict[str, dict[int, str | None]] = {}
    given_up: dict[str, int] = {}
    steps = max(len(w.variant.knobs()) for w in team.values())
    for _ in range(repeats):
        for step in range(steps):
            for name, worker in rounds(team, 1):
                settings = worker.variant.knobs()
                if step >= given_up.get(name, len(settings)) or max(seconds[name].get(step, [0.0])) > LONG:
                    continue
                some = slice(None) if worker.variant.batch else slice(LOOP)
                try:
                    ids, took, cpu = worker.call("batch", Q=Q[some], k=K, knob=settings[step])
                    ways.setdefault(name, {})[step] = worker.call("how")
                except Failed as e:
                    out(team, name, e)
                    continue
                seconds[name].setdefault(step, []).append(took * len(Q) / len(Q[some]))
                busy[name].setdefault(step, []).append(cpu / len(Q[some]))
                found[name][step] = recall(ids, truth[some])
                if found[name][step] > 0.999 or took > SLOW:  # a dearer setting can only be slower
                    given_up[name] = step + 1
    points: dict[str, list[dict[str, Any]]] = {}
    for name in team:
        knobs = team[name].variant.knobs()
        points[name] = [
            {
                "knob": knobs[step],
                "recall": found[name][step],
                **spread(times, len(Q)),
                "cpu_us": float(np.median(busy[name][step])) * 1e6,
                **({"way": way} if (way := ways[name][step]) else {}),
            }
            for step, times in seconds[name].items()
        ]
    return points


def latency(
    team: Team, points: Mapping[str, list[dict[str, Any]]], Q: np.ndarray, target: float, *, repeats: int
) -> dict[str, dict[str, Any]]:
    """Return engine -> {"p50_ms", "p99_ms"} of single queries at the fastest setting that reaches the target."""
    times: dict[str, list[np.ndarray]] = {}
    chosen = {name: cheapest(target, points[name]) for name in team}
    for name, worker in rounds(team, repeats):
        if (setting := chosen[name]) is None:
            continue
        some = Q[: max(20, int(LONG * setting["qps"]))]
        try:
            times.setdefault(name, []).append(worker.call("single", Q=some, k=K, knob=setting["knob"])[1])
        except Failed as e:
            out(team, name, e)
    return {
        name: {
            "knob": chosen[name]["knob"],  # type: ignore[index]
            "p50_ms": float(np.median([np.percentile(t, 50) for t in ts]) * 1e3),
            "p99_ms": float(np.median([np.percentile(t, 99) for t in ts]) * 1e3),
        }
        for name, ts in times.items()
        if name in team
    }


def speed(team: Team, queries: Mapping[str, tuple[np.ndarray, np.ndarray]], *, repeats: int) -> list[dict[str, Any]]:
    """Return a row an engine and kind of queries: speeds at the targets, latency, memory, build time, the curve.

    Parameters
    ----------
    queries : mapping
        Kind -> the queries and their true ids.
    """
    rows = []
    for kind, (Q, truth) in queries.items():
        points = sweep(team, Q, truth, repeats=repeats)
        single = latency(team, points, Q[: min(500, len(Q))], 0.95, repeats=repeats)
        for name, worker in list(team.items()):
            try:
                resident, size = worker.call("memory"), worker.call("size")
            except Failed as e:
                out(team, name, e)
                continue
            rows.append(
                {
                    "measure": "speed",
                    "queries": kind,
                    "system": name,
                    **{f"qps_at_{t:.2f}": speed_at(t, points[name]) for t in TARGETS},
                    **{f"cpu_us_at_{t:.2f}": cost_at(t, points[name]) for t in TARGETS},
                    "single_at_0.95": single.get(name),
                    **worker.built,
                    "resident": resident,
                    "serialised_bytes": size,
                    "points": points[name],
                }
            )
    return rows


__all__ = ["TARGETS", "K", "Team", "Unsupported", "latency", "out", "rounds", "speed", "sweep"]
