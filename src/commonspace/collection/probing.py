"""Probes of a collection: items, and queries if there are any, in its own space and in one that may replace it.

Vectors that are stored are not made again. What the new space has to encode is counted and timed, for the costs of
what a plan offers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import Table
from commonspace.encode.columns import check_columns, column_of, given, rows_of
from commonspace.store import payload
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.space import Space
    from commonspace.upgrade.options import Corpus
    from commonspace.upgrade.probes import Probes

#: Items that are drawn from a collection unless told otherwise.
USUAL = 2_000
_TIMED = 64  # items that are encoded to time the encoder, if the cache had the vectors


@dataclass
class Speed:
    """Encodings that the new space has made, and how long they took; what came from a cache is not counted."""

    items: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, modality: str, items: int, seconds: float) -> None:
        """Count some."""
        self.items[modality] = self.items.get(modality, 0) + items
        self.seconds[modality] = self.seconds.get(modality, 0.0) + seconds

    def corpus(self, counts: Mapping[str, int]) -> Corpus:
        """Return what the costs are of: modality -> items, and what an encoding takes where it was measured."""
        from commonspace.upgrade.options import Corpus

        timed = {m: s / self.items[m] for m, s in self.seconds.items() if self.items[m] and m in counts}
        told = ", ".join(f"{self.items[m]:,} of {m}" for m in timed)
        return Corpus(dict(counts), timed, f"the new encoder, on {told} of the probes" if told else "")


@dataclass
class Encoded:
    """Items of one modality that both spaces could read: their vectors, and places among those that were given."""

    old: np.ndarray
    new: np.ndarray
    places: np.ndarray


def encode_both(
    old: Space, new: Space, items: Sequence[Any], modality: str, speed: Speed, *, stored: np.ndarray | None = None,
    on_error: str, cache: Any,
) -> Encoded:  # fmt: skip
    """Encode items by both spaces; where the old vectors are `stored`, by the new one only."""
    start = time.perf_counter()
    fresh = new.encode_items(items, modality, on_error=on_error, cache=cache)
    took, timed = time.perf_counter() - start, len(items)
    if getattr(fresh, "cached", 0):  # which says nothing about the encoder: some are encoded once more
        some = items[:_TIMED]
        start = time.perf_counter()
        new.encode_items(some, modality, on_error="skip", cache=False)
        took, timed = time.perf_counter() - start, len(some)
    speed.add(modality, timed, took)
    kept = np.asarray(fresh.kept, np.int64)
    if stored is not None:
        return Encoded(stored[kept], fresh.vectors, kept)
    known = old.encode_items(items, modality, on_error=on_error, cache=cache)
    both, of_old, of_new = np.intersect1d(known.kept, kept, return_indices=True)
    return Encoded(known.vectors[of_old], fresh.vectors[of_new], both.astype(np.int64))


def probes_of_table(
    table: Table, old: Space, new: Space, speed: Speed, *, columns: Mapping[str, str] | None, group: Any,
    on_error: str, cache: Any,
) -> tuple[dict[str, Encoded], dict[str, np.ndarray], np.ndarray]:  # fmt: skip
    """Return modality -> vectors, modality -> label a vector, and the row of the table that each label stands for."""
    check_columns(columns, new.modalities, table)
    shared = [m for m in old.modalities if m in new.modalities and column_of(m, columns) in table]
    if not shared:
        raise BadInput(
            f"the probes have no column of a modality that both spaces know; they have {', '.join(table.columns)}. "
            "Name one with columns={modality: column}"
        )
    rows = rows_of(table, {m: new.kind_of(m) for m in shared}, columns, group)
    found, labels = {}, {}
    for m, cells in rows.items.items():
        where = given(cells)
        if len(where):
            one = encode_both(old, new, [cells[i] for i in where], m, speed, on_error=on_error, cache=cache)
            found[m] = Encoded(one.old, one.new, where[one.places])
            labels[m] = rows.labels[found[m].places]
    return found, labels, rows.labels


def probes_of_items(
    now: Snapshot, names: Mapping[str, str], old: Space, new: Space, speed: Speed, *, n: int, group: str | None,
    wanted: Sequence[Any], rng: np.random.Generator, on_error: str, cache: Any,
) -> tuple[dict[str, Encoded], dict[str, np.ndarray], list[Any]]:  # fmt: skip
    """Draw items of a collection whose items are kept; whole groups, and those that are `wanted` first.

    `names` maps a modality to the column of its old vectors. Returns modality -> vectors, modality -> label a vector,
    and the ids of the items that `places` count.
    """
    sources = {m: payload.readable(now.schema.names, m) for m in names if m in new.modalities}
    ready = {m: now.present(names[m]) & now.present(s) for m, s in sources.items() if s is not None}
    usable = np.logical_or.reduce(list(ready.values())) if ready else np.zeros(len(now), bool)
    if not usable.any():
        raise NotFound(
            "no items are kept from which the new space could make vectors: give probes, a table of items, or store "
            "items with add(..., keep=...)"
        )
    labels = np.arange(len(now))
    if group is not None:
        if group not in now.fields:
            raise NotFound(f"there is no field {group!r}; there are {', '.join(now.fields) or 'none'}")
        cells = now.take(np.arange(len(now)), [group]).column(0).to_pylist()
        known: dict[Any, int] = {}
        labels = np.array([known.setdefault(i if c is None else digest(c), len(known)) for i, c in enumerate(cells)])
    first = now.positions(now.as_ids(list(wanted))) if len(wanted) else np.empty(0, np.int64)
    turn = rng.permutation(int(labels.max()) + 1)[labels].astype(np.int64)
    turn[first[first >= 0]] = -1
    order = np.flatnonzero(usable)[np.argsort(turn[usable], kind="stable")]
    last = len(order) if len(order) <= n else int(np.searchsorted(turn[order], turn[order[n - 1]], side="right"))
    chosen = np.sort(order[:last])
    found, told = {}, {}
    for m, there in ready.items():
        mine = np.flatnonzero(there[chosen])
        if not len(mine):
            continue
        source = sources[m]
        assert source is not None
        rows = now.take(chosen[mine], [source, names[m]])
        flat = rows.column(names[m]).combine_chunks().flatten().to_numpy(zero_copy_only=False)
        stored = flat.reshape(len(mine), -1)
        cells = rows.column(source).to_pylist()
        one = encode_both(old, new, cells, m, speed, stored=stored, on_error=on_error, cache=cache)
        found[m] = Encoded(one.old, one.new, mine[one.places])
        told[m] = labels[chosen[found[m].places]]
    return found, told, now.ids.take(chosen).to_pylist()


def join(
    found: Mapping[str, Encoded],
    labels: Mapping[str, np.ndarray],
    ids: Sequence[Any],
    queries: Mapping[str, Encoded],
    relevant: Sequence[Sequence[Any]],
) -> Probes:
    """Return probes of items, and of queries with the ids that are right for each."""
    from commonspace.upgrade.pairs import Pairs
    from commonspace.upgrade.probes import Probes

    items = Pairs({m: e.old for m, e in found.items()}, {m: e.new for m, e in found.items()})
    if not queries:
        return Probes(items, labels)
    asks = Pairs({m: e.old for m, e in queries.items()}, {m: e.new for m, e in queries.items()})
    judged = {
        f"{a}->{m}": _relevance(q.places, relevant, [ids[i] for i in e.places])
        for a, q in queries.items()
        for m, e in found.items()
    }
    return Probes(items, labels, asks, relevance={task: x for task, x in judged.items() if x.nnz})


def _relevance(rows: np.ndarray, relevant: Sequence[Sequence[Any]], ids: Sequence[Any]) -> Any:
    """Return (q, n) sparse: which items are right for each query."""
    from scipy.sparse import csr_array

    at: dict[Any, list[int]] = {}
    for i, id in enumerate(ids):
        at.setdefault(id, []).append(i)
    pairs = [(q, i) for q, row in enumerate(rows) for id in dict.fromkeys(relevant[row]) for i in at.get(id, ())]
    places = np.array(pairs, np.int64).reshape(-1, 2)
    ones = np.ones(len(places), np.float32)
    return csr_array((ones, (places[:, 0], places[:, 1])), shape=(len(rows), len(ids)))
