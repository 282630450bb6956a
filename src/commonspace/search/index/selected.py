"""Exact search of the vectors that a filter selects.

    |<q, x> - S(q, x)| <= e             S the fastest product of this machine, e what it may lose by rounding

For few queries every selected vector is compared where it lies. For many, the vectors are copied together and
multiplied by that product. The c best by S are compared in full; if the k-th best of them is higher than the lowest S
of the c, plus e, then no other vector belongs to the answer. Where that cannot be said c is raised, so the answer
always is that of comparing everything in full.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from commonspace.search.index.keys import keyed, unkeyed
from commonspace.search.index.products import Product, product
from commonspace.search.index.rerank import WORTH, rerank
from commonspace.search.index.workers import each, threads
from commonspace.search.planner import FEW

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_PAIRS = 4096  # pairs that are compared in full before a product would have begun
_TILE = 2048  # vectors multiplied at once
_TILES = 8  # tiles copied together at once
_QUERIES = 1024  # queries multiplied at once
_SORTED = 1 << 16  # scores that are sorted at once: 256 kB of keys
_MORE = 16  # candidates beyond the hits wanted
_LENGTH = 1.001  # of unit rows, rounding allowed for


def search(
    queries: Floats, vectors: Floats, places: Ints, k: int, *, candidates: int | None = None
) -> tuple[Ints, Floats]:
    """Return the k vectors of largest inner product with each query among some vectors, best first.

    Parameters
    ----------
    queries : (q, dim) float32
        The queries.
    vectors : (n, dim) float32, C-contiguous, unit rows
        All vectors; may be a memory map, of which only the selected rows are read.
    places : (m,) int64
        Which are searched, ascending.
    k : int
        At least 1.
    candidates : int, optional
        Vectors a query that are compared in full at first, where there are many queries.

    Returns
    -------
    places : (q, min(k, m)) int64
        Equal scores in ascending order.
    scores : (q, min(k, m)) float32
        As `rerank` computes them.
    """
    queries = np.ascontiguousarray(queries, np.float32)
    q, m, k = len(queries), len(places), min(k, len(places))
    c = k + _MORE if candidates is None else candidates
    if q <= FEW or q * m <= _PAIRS or m <= 2 * c:
        return _directly(queries, vectors, places, k)
    way = product()
    found, scores, lowest = _best(way, queries, vectors, places, k, c)
    lost = way.rounding + vectors.shape[1] * 2.0**-23  # additions are made in float32
    lengths = _LENGTH * np.sqrt(np.einsum("ij,ij->i", queries, queries))
    if len(unsure := np.flatnonzero(scores[:, -1] <= lowest + lost * lengths)):
        found[unsure], scores[unsure] = search(queries[unsure], vectors, places, k, candidates=4 * c)
    return found, scores


def _directly(queries: Floats, vectors: Floats, places: Ints, k: int) -> tuple[Ints, Floats]:
    """Compare every selected vector with every query, in as many parts as there are threads if it is worth them."""
    q, m = len(queries), len(places)
    parts = threads()
    if parts == 1 or q * m * vectors.shape[1] <= parts * WORTH:
        return rerank(queries, vectors, np.tile(places, (q, 1)), k)
    rows = np.full((parts, -(-m // parts)), -1, np.int64)
    rows.reshape(-1)[:m] = places
    found, scores = rerank(np.repeat(queries, parts, axis=0), vectors, np.tile(rows, (q, 1)), k)
    return unkeyed(np.sort(keyed(scores, found).reshape(q, -1), axis=1)[:, :k])


def _best(way: Product, queries: Floats, vectors: Floats, places: Ints, k: int, c: int) -> tuple[Ints, Floats, Floats]:
    """Return places and scores of the k best among the c best by the product, and the lowest product among these."""
    left, m, q = way.left(queries), len(places), len(queries)
    tiles = np.array_split(places, max(way.workers, -(-m // _TILE)))
    step = min(-(-q // way.workers), _QUERIES)
    slices = [slice(i, min(i + step, q)) for i in range(0, q, step)]
    best: list[list[tuple[Ints, Floats]]] = [[] for _ in slices]
    found, scores, lowest = np.empty((q, k), np.int64), np.empty((q, k), np.float32), np.empty(q, np.float32)
    for first in range(0, len(tiles), _TILES):
        group = tiles[first : first + _TILES]
        made = each(lambda tile: way.left(vectors[tile]), group, way.workers)

        def multiply(i: int, group: Any = group, made: Any = made, last: bool = first + _TILES >= len(tiles)) -> None:
            at = slices[i]
            for tile, right in zip(group, made, strict=True):
                products = way.scores(left[at], right, slice(0, len(tile)))[: at.stop - at.start, : len(tile)]
                few = max(1, _SORTED // len(tile))
                parts = [_highest(way, products[j : j + few], c) for j in range(0, len(products), few)]
                column, high = (np.concatenate(part) for part in zip(*parts, strict=True))
                best[i].append((tile[column], high))
            if last:
                rows, lowest[at] = _join(best[i], c)
                found[at], scores[at] = rerank(queries[at], vectors, rows, k, alone=True)

        each(multiply, range(len(slices)), way.workers)
    return found, scores, lowest


def _join(parts: list[tuple[Ints, Floats]], c: int) -> tuple[Ints, Floats]:
    """Return the c best places of each query among those of several tiles, in no order, and the lowest's score."""
    place, score = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    if score.shape[1] > c:
        chosen = np.argpartition(score, -c, axis=1)[:, -c:]
        place, score = np.take_along_axis(place, chosen, 1), np.take_along_axis(score, chosen, 1)
    return place, score.min(axis=1)


def _highest(way: Product, scores: npt.NDArray[Any], c: int) -> tuple[Ints, Floats]:
    """Return columns and values of the c highest scores of each row, in no order; of all if there are fewer."""
    t = scores.shape[1]
    c = min(c, t)
    if scores.dtype != np.int16:
        column = np.argpartition(scores, t - c, axis=1)[:, t - c :]
        return column, np.take_along_axis(way.values(scores), column, 1)
    # The bits of bfloat16, made to stand in the order of the numbers, and the column as one integer.
    bits = scores >> 15
    bits &= 0x7FFF
    bits ^= scores
    keys = bits.astype(np.int32)
    keys <<= 16
    keys |= np.arange(t, dtype=np.int32)
    keys.partition(t - c, axis=1)
    keys = keys[:, t - c :]
    bits = (keys >> 16).astype(np.int16)
    bits ^= (bits >> 15) & 0x7FFF
    return (keys & 0xFFFF).astype(np.int64), way.values(bits)
