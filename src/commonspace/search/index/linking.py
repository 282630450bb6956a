"""The choice of links, compiled by Numba. `graph` says what they are for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from commonspace.search.index.compiling import compiled, filled, read

Links = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@compiled(
    read(types.float32, 2), types.int64, read(types.int32, 2), types.float32, types.int64,
    filled(types.int32), fast=True,
)  # fmt: skip
def prune(vectors: Floats, start: int, candidates: Links, alpha: float, least: int, links: Links) -> None:
    """Fill `links` (m, degree) with the candidates that no nearer link makes superfluous, nearest first.

    Parameters
    ----------
    vectors : (n, dim) float32
        All vectors.
    start : int
        The first of the m rows whose links are chosen.
    candidates : (m, c) int32
        Rows, in any order; -1 for none. The row itself and repetitions are passed over.
    alpha : float
        A candidate is dropped if some link is nearer to it, alpha times the squared distance, than the row is.
    least : int
        Links that dropped candidates fill up to, nearest first.
    links : (m, degree) int32
        Filled; -1 after the last.
    """
    dim = vectors.shape[1]
    order = np.empty(candidates.shape[1], np.int64)
    apart = np.empty(candidates.shape[1], np.float32)
    for i in range(len(candidates)):
        row, count, size = start + i, 0, 0
        for j in range(candidates.shape[1]):
            near = np.int64(candidates[i, j])
            if near < 0 or near == row:
                continue
            d = np.float32(0)
            for t in range(dim):
                d += (vectors[row, t] - vectors[near, t]) ** 2
            place = count
            while place > 0 and (apart[place - 1] > d or (apart[place - 1] == d and order[place - 1] > near)):
                place -= 1
            if place > 0 and order[place - 1] == near:
                continue
            for p in range(count, place, -1):
                order[p], apart[p] = order[p - 1], apart[p - 1]
            order[place], apart[place] = near, d
            count += 1
        links[i] = -1
        for fill in range(2):
            for j in range(count):
                if size == links.shape[1] or (fill and size >= least):
                    break
                kept = order[j] >= 0
                for s in range(0 if fill or not kept else size):
                    d = np.float32(0)
                    for t in range(dim):
                        d += (vectors[links[i, s], t] - vectors[order[j], t]) ** 2
                    if alpha * d <= apart[j]:
                        kept = False
                        break
                if kept:
                    links[i, size] = order[j]
                    size += 1
                    order[j] = -1  # chosen


@compiled(read(types.int32, 2), filled(types.int32))
def turned(links: Links, out: Links) -> None:
    """Fill `out` (n, c) with the rows that link to each row: those that rank it high first; -1 after the last."""
    size = np.zeros(len(out), np.int64)
    out[:] = -1
    for j in range(links.shape[1]):
        for row in range(len(links)):
            near = links[row, j]
            if near >= 0 and size[near] < out.shape[1]:
                out[near, size[near]] = row
                size[near] += 1


@compiled(read(types.int32, 2), types.int64, filled(types.int32))
def asked_together(tops: Links, best: int, out: Links) -> None:
    """Fill `out` (n, c) with pairs of rows that answer a query: its best few, each with all its others, both ways.

    `tops` (m, t) are the best rows of each query, best first. Where there is no room for all pairs of a row, those with
    the very best of queries come first.
    """
    size = np.zeros(len(out), np.int64)
    out[:] = -1
    for i in range(min(best, tops.shape[1])):
        for q in range(len(tops)):
            for j in range(tops.shape[1]):
                if tops[q, i] < 0 or tops[q, j] < 0:
                    break
                for row, near in ((tops[q, i], tops[q, j]), (tops[q, j], tops[q, i])):
                    known = row == near or size[row] == out.shape[1]
                    for s in range(size[row]):
                        known = known or out[row, s] == near
                    if not known:
                        out[row, size[row]] = near
                        size[row] += 1


@compiled(read(types.int32, 2), filled(types.int32))
def join(others: Links, links: Links) -> None:
    """Append to the links (n, degree) those of `others` (n, d) that are not among them, as far as there is room."""
    for row in range(len(links)):
        size = 0
        while size < links.shape[1] and links[row, size] >= 0:
            size += 1
        for j in range(others.shape[1]):
            near = others[row, j]
            if near < 0 or size == links.shape[1]:
                break
            known = False
            for s in range(size):
                known = known or links[row, s] == near
            if not known:
                links[row, size] = near
                size += 1


@compiled(filled(types.int32), types.int64)
def adopt(links: Links, least: int) -> None:
    """Let `least` of the rows that a row links to lead back to it where fewer rows lead there: no row shall be lost.

    A row whose links are all taken gives up the last one that enough others share.
    """
    n, degree = links.shape
    leading = np.zeros(n, np.int64)
    for row in range(n):
        for j in range(degree):
            if links[row, j] >= 0:
                leading[links[row, j]] += 1
    for row in range(n):
        for j in range(degree):
            near = links[row, j]
            if near < 0 or leading[row] >= least:
                break
            free, known = -1, False
            for s in range(degree - 1, -1, -1):
                other = links[near, s]
                known = known or other == row
                if other < 0 or (free < 0 and leading[other] > least):
                    free = s
            if free >= 0 and not known:
                if links[near, free] >= 0:
                    leading[links[near, free]] -= 1
                links[near, free] = row
                leading[row] += 1
