"""A million vectors carried across a bridge, beside encoding their items anew; a collection before, during and after.

carry       a million unit vectors of `dim` numbers through each kind of bridge, in blocks of 50,000, learned from
            2,000 pairs, all of the million
encode      MiniLM and n-grams on some thousand icon names (about three words: the cheapest texts there are), and
            MiniLM on texts of about a hundred words, made of names; seconds scaled to a million, and said so
queries     queries a second of the processor, of one collection with exact search, asked by vector: before, while
            none, half and all of the items have vectors of the new space, and after
bytes       what `apply` and `backfill` write, over 4 bytes a number of the vectors that they write

Ratios are those of the processor's seconds; seconds by the clock stand beside them.

python -m bench.upgrade [--rows 1000000] [--dim 384] [--items 50000]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from bench._results import goal, write

from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.bridges.base import Bridge
from commonspace.upgrade.pairs import Pairs

BLOCK, PAIRS, NUMBER = 50_000, 2_000, 4
PARTS = 10
BRIDGES = ("procrustes", "ridge", "low-rank", "adapter")


def main(rows: int, dim: int, items: int) -> None:
    """Time all parts and write what was found."""
    world = World(dim)
    found = [*carry(world, rows), *encode(rows)]
    seconds = {r["way"]: r["cpu_seconds"] for r in found}
    cheapest, slowest = seconds["minilm, names"], max(seconds[b] for b in BRIDGES if b in seconds)
    goals = [
        goal("times less than MiniLM on names, slowest bridge", cheapest / slowest, 10.0),
        goal("times less than n-grams on names, slowest bridge", seconds["n-grams, names"] / slowest, 1.0),
    ]
    served = serve(world, items)
    rate = {r["phase"]: r["queries a second"] for r in served["rates"]}
    for phase in list(rate)[1:]:
        goals.append(goal(f"of the queries a second before, {phase}", rate[phase] / rate["before"], 0.4))
    for r in served["bytes"]:
        goals.append(goal(f"of the bytes written are vectors, {r['step']}", r["theory"] / r["written"], 0.8))
    write(
        "upgrade",
        goals=goals,
        rows=[*found, *served["rates"], *served["bytes"]],
        packages=("numpy", "torch", "pylance"),
    )


class World:
    """Old vectors, and new ones that are a map of them and some noise."""

    def __init__(self, dim: int) -> None:
        rng = np.random.default_rng(0)
        self.dim = dim
        self.spread = (np.arange(1, dim + 1) ** -0.3).astype(np.float32)
        self.turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0].astype(np.float32)

    def draw(self, seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return unit rows of both spaces."""
        rng = np.random.default_rng(seed)
        old = unit(rng.standard_normal((n, self.dim), dtype=np.float32) * self.spread)
        noise = unit(rng.standard_normal((n, self.dim), dtype=np.float32) * self.spread)
        return old, unit(old @ self.turn + 0.3 * noise)

    def bridge(self, name: str, carries: str = "items") -> Bridge:
        """Return a bridge learned from a few pairs."""
        old, new = self.draw(1, PAIRS)
        learned: Bridge = build("Bridge", {"name": name, "carries": carries})
        return learned.fit(Pairs({"item": old}, {"item": new}))


def carry(world: World, rows: int) -> list[dict[str, Any]]:
    """Return the seconds that each bridge takes for all rows; blocks of four kinds are carried over and over."""
    blocks = [world.draw(10 + i, min(BLOCK, rows))[0] for i in range(4)]
    out = []
    for name in BRIDGES:
        start = time.perf_counter()
        bridge = world.bridge(name)
        learning = time.perf_counter() - start
        bridge.carry(blocks[0][:1000], "item")
        wall, cpu, done = time.perf_counter(), time.process_time(), 0
        while done < rows:
            block = blocks[done // BLOCK % 4][: rows - done]
            done += len(bridge.carry(block, "item"))
        out.append(
            {
                "part": "carry", "way": name, "rows": rows, "measured on": rows,
                "seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu,
                "seconds to learn": learning,
            }
        )  # fmt: skip
    return out


def encode(rows: int) -> list[dict[str, Any]]:
    """Return the seconds that encoders take for so many texts, scaled from some thousand."""
    from commonspace.demo.icons import load_icons
    from commonspace.encode.ngrams import NGrams
    from commonspace.encode.sentence import MiniLM

    names = [str(n) for n in np.random.default_rng(0).permutation(np.unique(load_icons().names))]
    long = [" ".join(names[i : i + 35]) for i in range(0, 35 * 150, 35)]
    ngrams = NGrams(dim=256, max_features=20_000).fit(names[:5000])
    minilm = MiniLM(device="cpu")
    minilm.encode(names[-100:])
    work = {
        "minilm, names": (minilm.encode, names[:3000]),
        "minilm, a hundred words": (minilm.encode, long),
        "n-grams, names": (ngrams.encode, names),
    }
    out = []
    for way, (call, texts) in work.items():
        wall, cpu = time.perf_counter(), time.process_time()
        call(texts)
        factor = rows / len(texts)
        wall, cpu = (time.perf_counter() - wall) * factor, (time.process_time() - cpu) * factor
        out.append(
            {"part": "encode", "way": way, "rows": rows, "measured on": len(texts), "seconds": wall, "cpu_seconds": cpu}
        )
    return out


class Given:
    """A space whose vectors come from elsewhere; nothing is encoded."""

    def __init__(self, id: str, dim: int) -> None:
        self.id, self.dim, self.modalities = id, dim, ["item"]

    def kind_of(self, modality: str) -> str:
        return "vector"

    def save(self, path: Path) -> None:
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps({"id": self.id, "dim": self.dim}))

    @classmethod
    def load(cls, path: Path) -> Given:
        return cls(**json.loads((Path(path) / "config.json").read_text()))


def serve(world: World, items: int, queries: int = 64, rounds: int = 3) -> dict[str, list[dict[str, Any]]]:
    """Return queries a second in each phase of a migration, and the bytes that its steps write."""
    from commonspace import Collection
    from commonspace.upgrade.migration import Migration

    old, new = world.draw(2, items)
    ask_old, ask_new = world.draw(3, queries)
    rates: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []

    def asked(c: Any, phase: str, vectors: np.ndarray) -> None:
        """Note the best of some rounds."""
        c.search(vectors[0], k=10)
        best = min(_seconds(lambda: [c.search(v, k=10) for v in vectors], time.process_time) for _ in range(rounds))
        rates.append({"part": "queries", "phase": phase, "items": items, "queries a second": len(vectors) / best})

    def written(step: str, vectors: int, call: Callable[[], Any], folder: Path) -> None:
        before = _files(folder)
        seconds = _seconds(call)
        after = sum(size for f, size in _files(folder).items() if f not in before)
        theory = vectors * world.dim * NUMBER
        steps.append({"part": "bytes", "step": step, "written": after, "theory": theory, "seconds": seconds})

    with (
        tempfile.TemporaryDirectory() as where,
        patch.dict(sys.modules, {"commonspace.space": SimpleNamespace(Space=Given)}),
        Collection.create(Path(where) / "c.cs", Given("old", world.dim), durability="os") as c,
    ):
        folder = Path(where) / "c.cs"
        for rows in np.array_split(np.arange(items), PARTS):  # a backfill of half writes half of the parts
            c.add([{"id": int(i)} for i in rows], vectors={"item": old[rows]}, progress=False)
        asked(c, "before", ask_old)
        migration = Migration("old", "new", world.dim, world.bridge("ridge"))
        written("apply", items, lambda: c.apply(migration, Given("new", world.dim), progress=False), folder)
        asked(c, "nothing new yet", ask_new)
        for share, phase in ((0.5, "half of it new"), (1.0, "all of it new")):
            fill = lambda share=share: c.backfill(  # noqa: E731
                "item", vectors=lambda ids: new[np.asarray(ids)], first=None, share=share, progress=False
            )
            written(f"backfill to {share:.0%}", items // 2, fill, folder)
            asked(c, phase, ask_new)
        c.finish_upgrade(drop_old=True)
        asked(c, "after", ask_new)
    return {"rates": rates, "bytes": steps}


def _seconds(call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def _files(folder: Path) -> dict[Path, int]:
    """Return the data files of a collection and their sizes; none is ever changed once it is written."""
    return {f: f.stat().st_size for f in folder.rglob("*.lance") if f.is_file()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--items", type=int, default=50_000)
    options = parser.parse_args()
    main(options.rows, options.dim, options.items)
