"""The shortlist: the c rows whose codes score best with each query, from all rows or from the cells it probes.

    S = <expand(code), prepare(q)>          one product for a tile of rows and the queries that ask for it

A few queries look into their cells one by one. Of many, each looks at all tiles, of the same number of rows, that touch
its cells: one large product costs less than several small ones. Cells that lie next to each other are alike, so what it
sees beside its cells is worth seeing.

Nothing is sorted while rows pass by. A floor is set for each query beforehand, from the scores of a sample of rows, so
that it is exceeded by some more rows than are wanted; one comparison per score then removes the rest. Queries for which
that was too few are asked again with a lower floor, down to none, so the answer never has fewer rows than there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from commonspace.core.protocols import Code
from commonspace.search.index.keys import NOTHING, keyed, unkeyed
from commonspace.search.index.products import Product, product
from commonspace.search.index.scanner import scan
from commonspace.search.index.workers import by_blocks, each, threads
from commonspace.search.planner import FEW, SPARED

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Scores computed at once, 8 MB in bfloat16. A quarter of that would stay in the second cache, but all that is done once
# a product, in Python, then takes longer than is gained.
_ROWS, _QUERIES = 4096, 1024
_TILE = 1024  # rows that are asked or not asked together
_BATCH = 8192  # queries whose tiles and hits are kept at once
_LONG = 50_000  # rows that are worth a thread of their own: 0.5 ms
_GROUPS = 64  # most rows of the sample that share one maximum
_CROWD = 8  # times the hits wanted of a query, beyond which only the best of a block are kept
_STEP = 2.0**-7  # between numbers of bfloat16, relative
_SURE = 1.0  # standard deviations of the sample's error by which a floor is set lower


@dataclass(frozen=True)
class Cells:
    """Rows in groups of similar ones.

    Parameters
    ----------
    starts : (cells + 1,) int64
        Cell i holds the rows starts[i] to starts[i + 1].
    means : (cells, dim) float32
        The mean of each cell's vectors.
    """

    starts: Ints
    means: Floats

    def __len__(self) -> int:
        return len(self.means)


@dataclass(frozen=True)
class Coded:
    """Rows as codes.

    Parameters
    ----------
    code : Code
        The fitted method.
    rows : (n, width) uint8
        The codes, the rows of a cell next to each other; may be a memory map.
    cells : Cells
        The groups.
    sample : (m,) int64
        Rows drawn at random, ascending, from which floors are guessed.
    """

    code: Code
    rows: npt.NDArray[np.uint8]
    cells: Cells
    sample: Ints

    def __len__(self) -> int:
        return len(self.rows)


def shortlist(
    coded: Coded,
    queries: Floats,
    c: int,
    *,
    probes: int | None = None,
    keep: Mask | None = None,
    least: int | None = None,
    apart: bool = False,
) -> tuple[Ints, Floats]:
    """Return the c best rows of each query by their codes, in no particular order.

    Parameters
    ----------
    coded : Coded
        The rows.
    queries : (q, dim) float32
        The queries.
    c : int
        At least 1.
    probes : int, optional
        Cells to look at, those whose means score best; all by default. Many queries look at what lies around them,
        too, or at all rows where that is no dearer. A query gets no more rows than it looks at.
    keep : (n,) bool, optional
        Rows that take part.
    least : int, optional
        Rows with which a query is content if no more exceed the floor that c or more should; c by default.
    apart : bool
        Whether even of many queries each gets rows of its own cells only, as it would if it were asked alone. That
        saves no time.

    Returns
    -------
    rows : (q, c) int64
        -1 where there are fewer.
    scores : (q, c) float32
        Their approximate scores, -inf where there are fewer.
    """
    if len(queries) == 0 or len(coded) == 0:
        return np.full((len(queries), c), -1, np.int64), np.full((len(queries), c), -np.inf, np.float32)
    if len(queries) <= FEW and (bits := coded.code.packing) is not None:
        return _one_by_one(coded, queries, bits, c, probes, keep)
    wanted = c if least is None else min(c, least)
    parts = [_together(coded, queries[at], c, probes, keep, wanted, apart) for at in _slices(len(queries), _BATCH)]
    rows, scores = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(scores)


def _together(
    coded: Coded, queries: Floats, c: int, probes: int | None, keep: Mask | None, least: int, apart: bool
) -> tuple[Ints, Floats]:
    """Return the c best rows of each of many queries, or those that exceed its floor if they are `least` or more."""
    rows, scores = np.full((len(queries), c), -1, np.int64), np.full((len(queries), c), -np.inf, np.float32)
    way, prepared, cells = product(), by_blocks(coded.code.prepare, queries), coded.cells
    own = _probed(cells, queries, probes, keep) if apart else None
    asked = None if apart else _asked(cells, queries, probes, keep)
    if own is not None:
        there = own @ _sizes(cells.starts, keep)
    elif asked is not None:
        there = _sizes(_edges(len(coded)), keep) @ asked
    else:
        there = np.full(len(queries), len(coded) if keep is None else np.count_nonzero(keep))
    wanted = np.minimum(there, least)
    ask = np.flatnonzero(wanted)
    for more in (1, 8, np.inf):
        if len(ask) == 0:
            break
        floors = _floors(coded, way, prepared[ask], c * more, keep)
        if more > 1:  # rows that are all the same may all have the score that was to be exceeded
            floors -= _STEP * np.abs(floors)
        looked = None if asked is None else asked[:, ask]
        query, row, score = _collect(coded, way, prepared[ask], floors, looked, keep, None if apart else c)
        if own is not None:
            inside = own[ask[query], np.searchsorted(cells.starts, row, side="right") - 1]
            query, row, score = query[inside], row[inside], score[inside]
        rows[ask], scores[ask], count = _best(query, row, score, len(ask), c)
        ask = ask[count < wanted[ask]]
    return rows, scores


def _one_by_one(
    coded: Coded, queries: Floats, bits: int, c: int, probes: int | None, keep: Mask | None
) -> tuple[Ints, Floats]:
    """Return the c best rows of each of a few queries, whose rows are shared out among threads where they are many."""
    prepared, probed = by_blocks(coded.code.prepare, queries), _probed(coded.cells, queries, probes, keep)
    runs = [[(0, len(coded))]] * len(prepared) if probed is None else [_runs(coded.cells, own) for own in probed]
    rows = [sum(stop - start for start, stop in own) for own in runs]
    helpers = threads() if sum(rows) > _LONG else 1
    parts = [min(-(-helpers // len(prepared)), -(-n // _LONG)) for n in rows]
    tasks = [(i, j, part) for i, own in enumerate(runs) for j, part in enumerate(_cut(own, max(1, parts[i])))]
    keys = np.full((len(prepared), max(1, *parts), c), NOTHING)

    def work(task: tuple[int, int, list[tuple[int, int]]]) -> None:
        i, j, part = task
        found, scores = scan(prepared[i], coded.rows, bits, part, c, keep)
        keys[i, j] = keyed(scores, found)

    each(work, tasks, helpers)
    of_all: Ints = keys.reshape(len(keys), -1)
    return unkeyed(np.partition(of_all, c - 1, axis=1)[:, :c])


def _cut(runs: list[tuple[int, int]], parts: int) -> list[list[tuple[int, int]]]:
    """Return runs of rows, cut into so many parts of about as many rows each."""
    size = max(1, -(-sum(stop - start for start, stop in runs) // parts))
    out: list[list[tuple[int, int]]] = [[]]
    room = size
    for start, stop in runs:
        while start < stop:
            if room == 0:
                out.append([])
                room = size
            take = min(room, stop - start)
            out[-1].append((start, start + take))
            start, room = start + take, room - take
    return out


def _runs(cells: Cells, probed: Mask) -> list[tuple[int, int]]:
    """Return the rows of the probed cells, cells next to each other as one run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], probed, [False]])))
    return [(int(a), int(b)) for a, b in cells.starts[edges].reshape(-1, 2)]


def _sizes(edges: Ints, keep: Mask | None) -> Ints:
    """Return how many rows take part from each edge to the next."""
    if keep is None:
        return np.diff(edges)
    upto = np.concatenate([[0], np.cumsum(keep)])
    return np.diff(upto[edges])


def _edges(n: int) -> Ints:
    """Return where tiles begin, and the end of the last."""
    return np.minimum(np.arange(0, n + _TILE, _TILE), n)


def _probed(cells: Cells, queries: Floats, probes: int | None, keep: Mask | None) -> Mask | None:
    """Return which cells each query looks at: (q, cells); None if all look at all."""
    if probes is None or probes >= len(cells):
        return None
    scores = by_blocks(lambda part: part @ cells.means.T, queries)
    scores[:, _sizes(cells.starts, keep) == 0] = -np.inf  # a cell without a row that takes part is no use to anybody
    floor = np.partition(scores, len(cells) - probes, axis=1)[:, len(cells) - probes]
    out: Mask = (scores >= floor[:, None]) & (scores > -np.inf)
    return out


def _asked(cells: Cells, queries: Floats, probes: int | None, keep: Mask | None) -> Mask | None:
    """Return which tiles are asked by which query, (tiles, q): those that touch its cells. None if all ask for all."""
    if probes is None or (len(cells) - probes) * len(queries) < SPARED * len(cells):
        return None
    probed = _probed(cells, queries, probes, keep)
    if probed is None:
        return None
    edges, by_cell = _edges(int(cells.starts[-1])), probed.T.copy()
    first = np.searchsorted(cells.starts, edges[:-1], side="right") - 1
    behind = np.searchsorted(cells.starts, edges[1:], side="left")
    asked = np.stack([by_cell[i:j].any(axis=0) for i, j in zip(first, behind, strict=True)])
    asked[_sizes(edges, keep) == 0] = False
    return None if asked.size - np.count_nonzero(asked) < SPARED * len(asked) else asked


def _floors(coded: Coded, way: Product, prepared: Floats, wanted: float, keep: Mask | None) -> Floats:
    """Return scores that for most queries are exceeded by more rows than wanted, and for some by a few less."""
    sample = coded.sample if keep is None else coded.sample[keep[coded.sample]]
    total = len(coded) if keep is None else np.count_nonzero(keep)
    expected = wanted * len(sample) / max(1, total)  # of the rows wanted; a Poisson distributed number
    place = int(min(len(sample), expected + _SURE * np.sqrt(expected) + 1))
    if 2 * (place + 1) > len(sample):  # the sample has too few rows to say
        return np.full(len(prepared), -np.inf, np.float32)
    # Several times more groups than maxima wanted, or too many of the best would share a group.
    size = min(_GROUPS, max(1, len(sample) // (4 * (place + 1))))
    groups = len(sample) // size
    left, expand = way.left(prepared), way.right(coded.code)
    codes = coded.rows[sample[: groups * size]]

    def peaks(at: slice) -> npt.NDArray[Any]:
        # Maxima of groups: the place-th best of them is at most the place-th best score, and nearly always equals it.
        right, best = expand(codes[at]), []
        for ask in _slices(len(prepared), _QUERIES):
            scores = way.scores(right, left, ask)[: at.stop - at.start]
            of_groups = np.maximum.reduce(scores.reshape(-1, groups, scores.shape[1]), axis=0)
            best.append(of_groups[:, : ask.stop - ask.start])
        return np.concatenate(best, axis=1)

    step = groups * max(1, _ROWS // groups)
    of_all = np.maximum.reduce(each(peaks, _slices(len(codes), step), way.workers))
    floors: Floats = np.partition(way.values(of_all), groups - 1 - place, axis=0)[groups - 1 - place]
    return floors


def _slices(n: int, size: int) -> list[slice]:
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


@dataclass(frozen=True)
class _Task:
    """Rows and the queries that ask for them; None for all of them."""

    rows: slice | Ints
    queries: Ints | None


def _tasks(n: int, asked: Mask | None, keep: Mask | None) -> Iterator[_Task]:
    if asked is not None:
        for tile in np.flatnonzero(asked.any(axis=1)).tolist():
            yield from _kept(slice(tile * _TILE, min((tile + 1) * _TILE, n)), np.flatnonzero(asked[tile]), keep)
    elif keep is None or 2 * np.count_nonzero(keep) > n:
        for at in _slices(n, _ROWS):
            yield from _kept(at, None, keep)
    else:
        rows = np.flatnonzero(keep)
        for at in _slices(len(rows), _ROWS):
            yield _Task(rows[at], None)


def _kept(rows: slice, queries: Ints | None, keep: Mask | None) -> Iterator[_Task]:
    """Give the task of those of the rows that take part, unless there are none."""
    if keep is None or 2 * (kept := np.count_nonzero(keep[rows])) > rows.stop - rows.start:
        yield _Task(rows, queries)
    elif kept:  # copying few rows is cheaper than scoring many
        yield _Task(rows.start + np.flatnonzero(keep[rows]), queries)


def _collect(
    coded: Coded,
    way: Product,
    prepared: Floats,
    floors: Floats,
    asked: Mask | None,
    keep: Mask | None,
    most: int | None,
) -> tuple[Ints, Ints, Floats]:
    """Return what exceeds the floors: query, row and score of each hit, in no order.

    Where very many do, as of rows that are all the same, no more than the `most` best of a query in one block are kept.
    """
    left, limits, expand = way.left(prepared), way.limits(floors), way.right(coded.code)

    def multiply(task: _Task) -> list[tuple[Ints, Ints, Floats]]:
        rows, hits = task.rows, []
        codes = coded.rows[rows]
        right = expand(codes)
        n = len(prepared) if task.queries is None else len(task.queries)
        for at in _slices(n, _ROWS // len(right) * _QUERIES):
            ask: Any = at if task.queries is None else task.queries[at]
            row, query, value = way.above(way.scores(right, left, ask), len(codes), limits[ask])
            if keep is not None and isinstance(rows, slice):
                there = keep[rows.start + row]
                query, row, value = query[there], row[there], value[there]
            if most is not None and len(query) > _CROWD * most * (at.stop - at.start):
                query, row, value = _thinned(query, row, value, at.stop - at.start, most)
            query = query + at.start if task.queries is None else ask[query]
            row = rows.start + row if isinstance(rows, slice) else rows[row]
            hits.append((query, row, value))
        return hits

    tasks = _tasks(len(coded), asked, keep)
    found = [hit for hits in each(multiply, tasks, way.workers) for hit in hits]
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    query, row, score = (np.concatenate(part) for part in zip(*found, strict=True))
    return query, row, score


def _thinned(query: Ints, row: Ints, score: Floats, q: int, c: int) -> tuple[Ints, Ints, Floats]:
    """Return the c best hits of each query, or all of one that has fewer."""
    rows, scores, _ = _best(query, row, score, q, c)
    there = rows >= 0
    return np.nonzero(there)[0], rows[there], scores[there]


def _best(query: Ints, row: Ints, score: Floats, q: int, c: int) -> tuple[Ints, Floats, Ints]:
    """Return the c best hits of each query, (q, c), and how many each had."""
    count = np.bincount(query, minlength=q)
    width = max(c, int(count.max(initial=0)))
    # Numbers of 16 bits are sorted by their digits, others by comparisons.
    order = np.argsort(query.astype(np.uint16 if q <= 2**16 else np.uint32), kind="stable")
    keys = np.full((q, width), NOTHING)
    first = np.arange(q) * width - (np.cumsum(count) - count)
    keys.reshape(-1)[np.arange(len(query)) + np.repeat(first, count)] = keyed(score, row)[order]
    if width > c:
        keys = np.partition(keys, c - 1, axis=1)[:, :c]
    return *unkeyed(keys), count
