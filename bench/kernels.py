"""The parts of a batch search, each against the other ways to compute it: what is worth which code.

`select` finds the few scores above a floor in a tile as the product leaves it. One loop compiled by Numba, where that
is installed, shows what the several passes of NumPy cost. `first` puts a shortlist in order, `expand` makes codes of
4 bits ready for the product.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from bench._results import goal, in_turn, write

from commonspace.compress.scalar import ScalarCode
from commonspace.search.index.keys import keyed, unkeyed
from commonspace.search.index.products import Product, product

_SHARE = 1 / 600  # of scores above the floor: 200 in 120,000


def main(queries: int = 1024, rows: int = 4096, dim: int = 160) -> None:
    """Time one tile of a search, the unpacking of its codes and the last sorting of its queries."""
    rng, way = np.random.default_rng(0), product()
    left = way.left(rng.normal(size=(queries, dim)).astype(np.float32))
    codes = rng.integers(0, 256, (rows, dim // 2), dtype=np.uint8)
    scalar = ScalarCode(bits=4).fit(rng.normal(size=(100, dim)).astype(np.float32))
    expand, every = way.right(scalar), slice(0, queries)
    right = expand(codes)
    scores = way.scores(right, left, every)
    floors = np.quantile(way.values(scores), 1 - _SHARE, axis=0).astype(np.float32)
    # The scores are read from where the product has left them, so they are computed anew each time.
    ways = {"the product alone": lambda: None, **_selections(way, scores, floors)}
    multiplied = {name: _after(lambda: way.scores(right, left, every), find) for name, find in ways.items()}
    times = {
        "select": in_turn(multiplied),
        "expand": in_turn(
            {"as it is done": lambda: expand(codes), "in integers first": lambda: _by_integers(scalar, codes, right)}
        ),
        "first": in_turn(_orders(rng, queries)),
    }
    alone = times["select"]["the product alone"]["cpu_seconds"]
    spent = {name: t["cpu_seconds"] - alone for name, t in times["select"].items()}
    goals = [
        goal("times faster than flatnonzero, selection", spent["flatnonzero"] / spent["maxima"], 1.0),
        goal("times faster than lexsort, ordering", _ratio(times["first"], "lexsort", "keys"), 1.0),
        goal(
            "times faster than by integers, expanding",
            _ratio(times["expand"], "in integers first", "as it is done"),
            1.0,
        ),
    ]
    if "one loop, Numba" in spent:  # NumPy is enough while a compiled loop would not save half of a tile's time
        share = (alone + spent["one loop, Numba"]) / (alone + spent["maxima"])
        goals.append(goal("time that a compiled loop would leave of product and selection", share, 0.5))
    shown = [
        {"part": part, "way": name, "product": way.name, **t}
        for part, found in times.items()
        for name, t in found.items()
    ]
    write("kernels", goals=goals, rows=shown, packages=["numpy", "torch", "numba"])


def _after(multiply: Callable[[], Any], find: Callable[[], Any], tiles: int = 10) -> Callable[[], None]:
    def work() -> None:
        for _ in range(tiles):
            multiply()
            find()

    return work


def _ratio(times: dict[str, dict[str, float]], slow: str, fast: str) -> float:
    return times[slow]["cpu_seconds"] / times[fast]["cpu_seconds"]


def _selections(way: Product, scores: np.ndarray, floors: np.ndarray) -> dict[str, Any]:
    """Return ways to find row, query and score of what exceeds the floors; all find the same."""
    limits = way.limits(floors)
    over = np.empty(scores.shape, bool)

    def flat() -> tuple[np.ndarray, ...]:
        row, query = np.divmod(np.flatnonzero(scores > limits), scores.shape[1])
        return row, query, way.values(scores[row, query])

    ways: dict[str, Any] = {
        "maxima": lambda: way.above(scores, len(scores), limits),
        "flatnonzero": flat,
        "comparison alone": lambda: np.greater(scores, limits, out=over),
    }
    if importlib.util.find_spec("numba") is not None:
        ways["one loop, Numba"] = _compiled(scores, limits)
    for find in (ways["maxima"], ways.get("one loop, Numba", flat)):
        row, query = find()[:2]
        assert set(zip(row.tolist(), query.tolist(), strict=True)) == set(
            zip(*(p.tolist() for p in flat()[:2]), strict=True)
        )
    return ways


def _compiled(scores: np.ndarray, limits: np.ndarray) -> Any:
    import numba

    @numba.njit(nogil=True)
    def loop(scores: Any, limits: Any, row: Any, query: Any, value: Any) -> int:
        found = 0
        for i in range(scores.shape[0]):
            for j in range(0, scores.shape[1], 64):
                block, limit = scores[i, j : j + 64], limits[j : j + 64]
                some = np.int16(0)
                for u in range(len(block)):  # without a branch, so that it becomes vector instructions
                    some |= np.int16(block[u] > limit[u])
                if some:
                    for u in range(len(block)):
                        if block[u] > limit[u]:
                            row[found], query[found], value[found] = i, j + u, block[u]
                            found += 1
        return found

    row, query = np.empty(scores.size, np.int32), np.empty(scores.size, np.int32)
    value = np.empty(scores.size, scores.dtype)

    def find() -> tuple[np.ndarray, ...]:
        found = loop(scores, limits, row, query, value)
        return row[:found], query[:found], value[:found]

    return find


def _by_integers(scalar: ScalarCode, codes: np.ndarray, right: Any) -> None:
    """Expand codes to integers, which are then converted, where the product does not take NumPy's."""
    made = scalar.expand(codes)
    if isinstance(right, np.ndarray):
        made.astype(right.dtype)
    else:
        right.copy_(right.new_tensor(made))


def _orders(rng: np.random.Generator, queries: int, c: int = 100, k: int = 10) -> dict[str, Any]:
    """Return ways to order the shortlists of queries; all give the same."""
    scores = rng.normal(size=(queries, c)).astype(np.float32)
    rows = rng.integers(0, 10**6, scores.shape)

    def keys() -> np.ndarray:
        return unkeyed(np.sort(keyed(scores, rows), axis=1)[:, :k])[0]

    def lexsort() -> np.ndarray:
        return np.take_along_axis(rows, np.lexsort((rows, -scores), axis=1)[:, :k], 1)

    assert np.array_equal(keys(), lexsort())
    return {"keys": keys, "lexsort": lexsort}


if __name__ == "__main__":
    main()
