"""Ranks of relevant items in a gallery that does not fit into memory, block by block, exactly.

Two passes over the gallery. The first takes the scores of the relevant items of every query; the second counts, for
each of them, the items that score higher or the same. What is kept is a score and two counts for each pair of a query
and a relevant item, and one block of scores.

What is exact: the score of a query and an item is one function of their two vectors, their dot product in double
precision, summed in one fixed order; equal vectors have equal scores, in whatever block they stand, and are ties. A
matrix product would sum in an order that depends on the block. It is therefore used only for what it can decide: where
it differs from the score of a relevant item by more than the rounding errors of both can be,

    |product - score| > 2 (d + 2) e |q| |g|,    e = 2^-53, d dimensions,

it says which is higher. The few others, above all the duplicates of a relevant item, are computed again in the fixed
order. The bound holds for any order of summation (Higham, "Accuracy and Stability of Numerical Algorithms", 2002,
section 3.1).

A gallery in memory is ranked in single precision, where scores that differ by less than its rounding may come out as
ties or the other way round; the figures agree but for such items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors
from commonspace.measure.metrics.ranks import Ranks
from commonspace.measure.metrics.relevance import Relevance

ROWS = 8192  # of a block that are scored at once: with 256 queries 16 MB of scores
PAIRS = 1 << 23  # of a query and a relevant item that are kept at once: some 300 MB; more take further passes
_UNIT = 2.0**-53
_FEW = 8  # scores up to which comparing with each is faster than sorting


def is_stream(gallery: Any) -> bool:
    """Return whether a gallery is read in blocks: a memory map, a function that returns blocks, or a row of blocks."""
    if isinstance(gallery, np.memmap) or (callable(gallery) and not hasattr(gallery, "__array__")):
        return True
    if isinstance(gallery, list | tuple):
        return bool(gallery) and all(getattr(b, "ndim", None) == 2 for b in gallery)
    return hasattr(gallery, "__iter__") and not hasattr(gallery, "__array__")


def stream_ranks(
    queries: np.ndarray,
    gallery: Any,
    relevance: Relevance,
    *,
    block: int = 256,
    pairs: int = PAIRS,
    advance: Callable[[int], None] = lambda rows: None,
) -> Iterator[tuple[int, Ranks]]:
    """Yield the first query of some and the ranks of their relevant items.

    Parameters
    ----------
    queries : (q, dim) float32 array
    gallery : np.memmap, callable or iterable
        A (n, dim) memory map; or blocks of rows, from a function that returns them anew for each pass, or from
        something that can be gone through several times.
    relevance : Relevance
        Of q queries and n items.
    block : int
        Queries scored at a time.
    pairs : int
        Pairs of a query and a relevant item kept at once. Queries with more take two passes each time.
    advance : callable
        Called with the number of rows of each block that was counted.
    """
    lengths = np.maximum(relevance.end - relevance.begin, 1)
    part = (np.cumsum(lengths) - lengths) // pairs
    for start in np.flatnonzero(np.diff(part, prepend=-1)):
        stop = start + int((part == part[start]).sum())
        yield int(start), _counted(queries, gallery, relevance, int(start), int(stop), block, advance)


def _counted(
    queries: np.ndarray,
    gallery: Any,
    relevance: Relevance,
    start: int,
    stop: int,
    block: int,
    advance: Callable[[int], None],
) -> Ranks:
    """Return the ranks of the relevant items of queries start to stop."""
    query, item, grade = relevance.block(start, stop)
    asked = queries[start:stop].astype(np.float64)
    score = _scores(asked, gallery, query, item, relevance.n_items)
    best_first = np.lexsort((-score, query))
    query, score, grade = query[best_first], score[best_first], grade[best_first]

    above, tied = np.zeros(len(query), np.int64), np.zeros(len(query), np.int64)
    ends = query.searchsorted(np.arange(len(asked) + 1))
    length = np.sqrt(np.square(asked).sum(axis=1))
    for first, rows in _blocks(gallery, queries.shape[1], relevance.n_items):
        for top in range(0, len(rows), ROWS):
            some = rows[top : top + ROWS].astype(np.float64)
            reach = 2 * (len(some.T) + 2) * _UNIT * float(np.sqrt(np.square(some).sum(axis=1).max(initial=0)))
            for i in range(0, len(asked), block):
                products = asked[i : i + block] @ some.T
                if relevance.leave_one_out:
                    _leave_out(products, start + i, first + top)
                for j, row in enumerate(products, i):
                    own = slice(ends[j], ends[j + 1])
                    if own.start < own.stop:
                        _settle(row, score[own], reach * length[j], asked[j], some)
                        higher, same = _count(row, score[own])
                        above[own] += higher
                        tied[own] += same
        advance(len(rows))
    return Ranks(query, above, tied, grade, stop - start, relevance.n_items)


def _scores(asked: np.ndarray, gallery: Any, query: np.ndarray, item: np.ndarray, n_items: int) -> np.ndarray:
    """Return the scores of pairs of a query and an item, in one pass: (m,) float64."""
    score = np.empty(len(item))
    by_item = np.argsort(item, kind="stable")
    rising = item[by_item]
    for first, rows in _blocks(gallery, asked.shape[1], n_items):
        low, high = rising.searchsorted([first, first + len(rows)])
        for at in np.array_split(by_item[low:high], (high - low) // ROWS + 1):
            score[at] = _dot(asked[query[at]], rows[item[at] - first])
    return score


def _settle(products: np.ndarray, scores: np.ndarray, reach: float, asked: np.ndarray, rows: np.ndarray) -> None:
    """Replace products that rounding may have put on the wrong side of a score by the exact scores of their rows."""
    if len(scores) <= _FEW:
        close = np.abs(products - scores[0]) <= reach
        for s in scores[1:]:
            close |= np.abs(products - s) <= reach
    else:
        rising = np.concatenate([[-np.inf], scores[::-1], [np.inf]])
        at = rising.searchsorted(products).clip(1)
        with np.errstate(invalid="ignore"):  # an item that is left out has minus infinity, and is close to nothing
            close = (products - rising[at - 1] <= reach) | (rising[at] - products <= reach)
    where = np.flatnonzero(close)
    products[where] = _dot(asked[None, :], rows[where])


def _count(products: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many products are higher than each score, and how many the same."""
    if len(scores) <= _FEW:
        higher = np.array([np.count_nonzero(products > s) for s in scores])
        return higher, np.array([np.count_nonzero(products == s) for s in scores])
    rising = np.sort(products)
    higher = len(rising) - rising.searchsorted(scores, "right")
    return higher, len(rising) - rising.searchsorted(scores, "left") - higher


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the dot products of rows, each summed in the same order wherever it stands: (m,) float64."""
    products: np.ndarray = np.multiply(a, b, dtype=np.float64).sum(axis=1)
    return products


def _leave_out(products: np.ndarray, query: int, row: int) -> None:
    """Put the items that ask last: item i is query i."""
    asks = np.arange(max(query, row), min(query + len(products), row + products.shape[1]))
    products[asks - query, asks - row] = -np.inf


def _blocks(gallery: Any, dim: int, n_items: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first row of each block and the block; all of them together must be the gallery."""
    done = 0
    for rows in _parts(gallery):
        some = check_vectors(rows, name=f"gallery (block from row {done})", dim=dim)
        yield done, some
        done += len(some)
    if done != n_items:
        raise BadInput(
            f"the gallery had {done} rows in this pass, but the relevance speaks of {n_items} items; where it is made "
            "anew for each pass, it must be the same each time"
        )


def _parts(gallery: Any) -> Iterable[Any]:
    if isinstance(gallery, np.memmap):
        return (gallery[i : i + 4 * ROWS] for i in range(0, len(gallery), 4 * ROWS))
    made = gallery() if callable(gallery) else gallery
    if not callable(gallery) and iter(made) is made:
        raise BadInput(
            f"a {type(gallery).__name__} can be gone through once only, and this takes two passes: give a function "
            "that returns a new one, such as lambda: read_blocks(path)"
        )
    return made  # type: ignore[no-any-return]
