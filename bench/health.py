"""Hubness and the gap of a million vectors on disk: memory and time, beside scikit-learn's neighbours.

Vectors of 256 dimensions in a memory map; the same queries ask all of them. Each way runs in a process of its own, and
its memory is the most that this process ever held. The peer is what a notebook does: `NearestNeighbors`, brute force by
cosine, then counts and their skewness; packages for hubness do the same inside. Both must find the same counts.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from bench._results import goal, write

DIM, LIMIT = 256, 2048  # MB


def made(path: Path, rows: int, seed: int) -> None:
    """Write vectors with some hubness: a common direction, and a falling spectrum."""
    rng = np.random.default_rng(seed)
    scale = np.arange(1, DIM + 1, dtype=np.float32) ** -0.25
    with path.open("wb") as file:
        for start in range(0, rows, 50_000):
            block = rng.standard_normal((min(50_000, rows - start), DIM), dtype=np.float32) * scale
            block[:, 0] += 0.5
            file.write(block.tobytes())


def opened(path: str, rows: int) -> np.memmap:
    return np.memmap(path, dtype=np.float32, mode="r", shape=(rows, DIM))


def ours(folder: Path, rows: int, queries: int) -> dict[str, Any]:
    from commonspace.measure import hubness

    found = hubness(opened(str(folder / "x"), rows), opened(str(folder / "y"), rows), most=queries)
    return {"skewness": str(found.skewness), "top": int(found.counts.max()), "places": int(found.counts.sum())}


def theirs(folder: Path, rows: int, queries: int) -> dict[str, Any]:
    from scipy import stats
    from sklearn.neighbors import NearestNeighbors

    x, y = (opened(str(folder / name), rows) for name in ("x", "y"))
    asked = np.sort(np.random.default_rng(0).permutation(rows)[:queries])
    found = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(y).kneighbors(x[asked])[1]
    counts = np.bincount(found.ravel(), minlength=rows)
    return {
        "skewness": f"{stats.skew(counts):.3f} (of the sample)",
        "top": int(counts.max()),
        "places": int(found.size),
    }


def gap(folder: Path, rows: int, queries: int) -> dict[str, Any]:
    from commonspace.measure import contrastive_gap

    found = contrastive_gap(*(opened(str(folder / name), rows) for name in ("x", "y")))
    return {"distance": str(found.distance)}


WAYS = {"commonspace": ours, "scikit-learn": theirs, "gap": gap}


def alone(way: str, folder: str, rows: int, queries: int) -> dict[str, Any]:
    """Run one way in a process of its own and return its time, processor time and memory."""
    order = [sys.executable, "-m", "bench.health", "--way", way, "--folder", folder]
    order += ["--rows", str(rows), "--queries", str(queries)]
    done = subprocess.run(order, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"way": way, "rows": rows, "queries": queries, **result}


def child(way: str, folder: str, rows: int, queries: int) -> None:
    wall, cpu = perf_counter(), process_time()
    found = WAYS[way](Path(folder), rows, queries)
    used = {"seconds": round(perf_counter() - wall, 1), "cpu_seconds": round(process_time() - cpu, 1)}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
    print(json.dumps({**used, "megabytes": round(memory), **found}))


def main(rows: int, queries: int) -> None:
    """Write the vectors, run every way, and keep what was found."""
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate("xy"):
            made(Path(folder) / name, rows, seed)
        found = {way: alone(way, folder, rows, queries) for way in WAYS}
    one, other = found["commonspace"], found["scikit-learn"]
    assert (one["top"], one["places"]) == (other["top"], other["places"]), (one, other)
    write(
        "health",
        goals=[
            goal(f"2 GB over the memory of hubness of {rows:,} x {DIM}", LIMIT / one["megabytes"], 1.0),
            goal(f"2 GB over the memory of the gap of {rows:,} x {DIM}", LIMIT / found["gap"]["megabytes"], 1.0),
            goal(
                "times faster than scikit-learn's neighbours, processor time",
                other["cpu_seconds"] / one["cpu_seconds"],
                1.0,
            ),
            goal("times less memory than scikit-learn's neighbours", other["megabytes"] / one["megabytes"], 1.0),
        ],
        rows=list(found.values()),
        packages=["numpy", "scikit-learn", "faiss-cpu"],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--way", choices=sorted(WAYS))
    parser.add_argument("--folder")
    given = parser.parse_args()
    if given.way:
        child(given.way, given.folder, given.rows, given.queries)
    else:
        main(given.rows, given.queries)
