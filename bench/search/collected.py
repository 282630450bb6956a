"""A whole collection under the filters of the bench: SQL over its fields, in one call and in a loop of calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from bench.search.axes import K
from bench.search.cells import many_filters
from bench.search.data import Data
from bench.search.figures import recall
from bench.search.peers import OURS


class Given:
    """A space whose vectors were made elsewhere."""

    modalities = ("text",)
    id = "given"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def kind_of(self, modality: str) -> str:
        """Return the kind of items of a modality."""
        return modality

    def bank(self, modality: str) -> np.ndarray:
        """Return no vectors: nothing was trained."""
        return np.empty((0, self.dim), np.float32)

    def save(self, path: Path) -> None:
        """Write what a collection asks for."""
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps({"id": self.id}), encoding="utf-8")


def collected(
    data: Data, columns: Mapping[str, np.ndarray], *, folder: Path, count: int = 10_000, loop: int = 100
) -> list[dict[str, Any]]:
    """Return the row of a collection: `count` queries, each with one of the filters at 1 %, together and one by one."""
    from commonspace.collection import Collection

    Q, wanted, truth = many_filters(data, columns, count)
    fields = {name: mask for name, mask in columns.items() if name.split("_")[1] == "10"}
    table = {"id": np.arange(len(data.X)), **fields}
    with Collection.create(folder / "items.cs", Given(data.X.shape[1])) as items:  # type: ignore[arg-type]
        items.add(table, vectors={"text": data.X}, progress=False)
        items.build_index(queries=data.train, progress=False)
        names = wanted.tolist()

        def together(n: int) -> list[Any]:
            return items.search_many(list(Q[:n]), k=K, where=names[:n], with_fields=False)

        def alone(n: int) -> list[Any]:
            return [items.search(q, k=K, where=name, with_fields=False) for q, name in zip(Q[:n], names, strict=False)]

        together(20), alone(20)  # opens the index
        found, seconds, cpu = _timed(together, count)
        _, single, single_cpu = _timed(alone, loop)
    ids = np.array([[*hits.ids, *[-1] * (K - len(hits))] for hits in found])
    return [
        {
            "measure": "batch of filters",
            "system": f"{OURS} collection",
            "recall": recall(ids, truth),
            "qps": count / seconds,
            "cpu_us": cpu / count * 1e6,
            "loop_qps": loop / single,
            "loop_cpu_us": single_cpu / loop * 1e6,
        }
    ]


def _timed(work: Callable[[int], list[Any]], n: int) -> tuple[list[Any], float, float]:
    """Return what the work gives, its seconds and its processor time."""
    start, cpu = perf_counter(), process_time()
    found = work(n)
    return found, perf_counter() - start, process_time() - cpu
