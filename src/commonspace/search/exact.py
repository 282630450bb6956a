"""Exact search: the k rows of largest inner product, by BLAS in tiles, in bounded memory.

    score(q, x) = sum_j q_j x_j          (cosine, when both are unit rows)

A tile of scores is one matrix product in float32. Its rounding error is at most about d * 2^-24 * |q| * |x|, so every
row whose float32 score is within twice that bound of the k-th best may belong to the answer. These few candidates
are scored again in float64, and only that second score decides. Hence the result depends neither on the tile size
nor on how many queries are asked at once, equal vectors get equal scores, and ties stand in the order of the rows.

Most scores are never sorted: the largest entries of k disjoint groups of a tile give a lower bound of the k-th best
score at the price of one pass of maxima, and one comparison per score removes the rest (bench/exact_search.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_positive, check_vectors

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_COPIED = 512  # rows copied together at once
_QUERIES = 256  # queries in one tile
_SCORES = 1 << 21  # scores in one tile: 8 MB
_PAIRS = 256  # pairs scored again at once: both sides stay in the second cache
_GROUP = 32  # scores that share one maximum
_EPS = float(np.finfo(np.float32).eps)


def top_k(
    queries: npt.ArrayLike,
    matrix: npt.NDArray[np.floating],
    k: int,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    block: int | None = None,
    max_length: float | None = None,
) -> tuple[Ints, Floats]:
    """Return the k rows of largest inner product with each query, best first.

    Parameters
    ----------
    queries : array-like (q, d)
        Finite.
    matrix : (n, d) float array
        Finite; may be a memory map. Other types than float32 are converted tile by tile.
    k : int
        At least 1. Fewer rows than k give fewer hits.
    mask : (n,) bool, optional
        Search only the rows where it is true.
    block : int, optional
        Rows of the matrix in one tile. If left out, a tile has 2 million scores (8 MB), however many queries come.
    max_length : float, optional
        An upper bound of the rows' lengths (1 for unit rows). If left out it is computed, one more pass.

    Returns
    -------
    indices : (q, h) int64
        Positions in `matrix`, h = min(k, number of rows searched). Ties in ascending order.
    scores : (q, h) float32
        Inner products computed in float64 and rounded once.

    Raises
    ------
    BadInput
        k or block below 1, a mask of another shape, NaN or Inf in the queries.
    SpaceMismatch
        Queries and matrix of different dimension.
    """
    k = check_positive("k", k)
    matrix = np.asanyarray(matrix)
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise BadInput(f"matrix must be a float array of shape (n, d), not {matrix.dtype} {matrix.shape}")
    Q = check_vectors(queries, name="queries", dim=matrix.shape[1])
    n = len(matrix)
    block = check_positive("block", _SCORES // max(1, min(len(Q), _QUERIES)) if block is None else block)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != (n,) or mask.dtype != np.bool_:
            raise BadInput(f"mask must be a bool array of shape ({n},), not {mask.dtype} {mask.shape}")
    found = n if mask is None else int(np.count_nonzero(mask))
    h = min(k, found)
    if h == 0 or len(Q) == 0:
        return np.empty((len(Q), h), np.int64), np.empty((len(Q), h), np.float32)

    if max_length is None:
        max_length = _max_length(matrix, block)
    slack = 2 * (Q.shape[1] + 2) * _EPS * np.linalg.norm(Q.astype(np.float64), axis=1) * max_length
    parts = [_Best(Q[i : i + _QUERIES], h, slack[i : i + _QUERIES]) for i in range(0, len(Q), _QUERIES)]
    if mask is not None and 2 * found < n:  # copying few rows together is cheaper than scoring all
        chosen = np.flatnonzero(mask)
        for start in range(0, found, block):
            _search_few(parts, matrix, chosen[start : start + block])
    else:
        for start in range(0, n, block):
            keep = None if mask is None else mask[start : start + block]
            _search_tile(parts, matrix, start, min(start + block, n), keep)
    answers = [part.finish(matrix) for part in parts]
    return np.concatenate([a[0] for a in answers]), np.concatenate([a[1] for a in answers])


def _search_tile(
    parts: list[_Best],
    matrix: npt.NDArray[np.floating],
    start: int,
    stop: int,
    keep: npt.NDArray[np.bool_] | None,
) -> None:
    """Offer the scores of rows start..stop to every block of queries."""
    if keep is not None and not keep.any():
        return
    # The least of a score and an infinity: one pass, where an assignment to many scattered columns takes ten as long.
    limit = None if keep is None else np.where(keep, np.float32(np.inf), np.float32(-np.inf))
    tile = np.asarray(matrix[start:stop], dtype=np.float32)
    for part in parts:
        scores = part.queries @ tile.T
        if limit is not None:
            np.minimum(scores, limit, out=scores)
        part.offer(scores, start, None)


def _search_few(parts: list[_Best], matrix: npt.NDArray[np.floating], rows: Ints) -> None:
    """Offer the scores of some rows to every block of queries."""
    if len(parts) > 1:
        tile = np.asarray(matrix[rows], np.float32)
        for part in parts:
            part.offer(part.queries @ tile.T, 0, rows)
        return
    scores = np.empty((len(parts[0].queries), len(rows)), np.float32)
    for i in range(0, len(rows), _COPIED):  # the copy is still in the cache when it is multiplied
        piece = np.asarray(matrix[rows[i : i + _COPIED]], np.float32)
        np.matmul(parts[0].queries, piece.T, out=scores[:, i : i + _COPIED])
    parts[0].offer(scores, 0, rows)


@dataclass
class _Candidates:
    """Pairs that may belong to the answer, ordered by query, then best score first."""

    query: Ints
    row: Ints
    score: Floats


class _Best:
    """The best rows so far for a block of queries."""

    def __init__(self, queries: Floats, k: int, slack: npt.NDArray[np.float64]) -> None:
        self.queries = queries
        self.k = k
        self.slack = slack.astype(np.float32)
        # Lowest float32 score that can still belong to the answer.
        self.floor = np.full(len(queries), -np.inf, np.float32)
        self.found = _Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    def offer(self, scores: Floats, start: int, rows: Ints | None) -> None:
        """Take the candidates out of one tile of scores: (queries, rows of the tile)."""
        if len(self.found.row) == 0:
            self._raise_floor(scores)
        hit = self._above(scores)
        if len(hit) > 4 * self.k * len(scores):  # the rows get better as we go; learn from this tile alone
            self._raise_floor(scores)
            hit = self._above(scores)
        query, column = np.divmod(hit, scores.shape[1])
        row = column + start if rows is None else rows[column]
        self._merge(query, row, scores.ravel()[hit])

    def _raise_floor(self, scores: Floats) -> None:
        np.maximum(self.floor, _lower_bound(scores, self.k) - self.slack, out=self.floor)

    def _above(self, scores: Floats) -> Ints:
        # -inf marks rows outside the mask; they are below every floor but the first.
        return np.flatnonzero((scores >= self.floor[:, None]) & (scores > -np.inf))

    def _merge(self, query: Ints, row: Ints, score: Floats) -> None:
        """Add candidates, raise the floors to the k-th best and drop what fell below."""
        if len(query) == 0:
            return
        query = np.concatenate([self.found.query, query])
        row = np.concatenate([self.found.row, row])
        score = np.concatenate([self.found.score, score])
        order = np.lexsort((-score, query))
        query, row, score = query[order], row[order], score[order]
        first = np.searchsorted(query, np.arange(len(self.queries) + 1))
        full = np.flatnonzero(np.diff(first) >= self.k)
        self.floor[full] = np.maximum(self.floor[full], score[first[full] + self.k - 1] - self.slack[full])
        stay = score >= self.floor[query]
        self.found = _Candidates(query[stay], row[stay], score[stay])

    def finish(self, matrix: npt.NDArray[np.floating]) -> tuple[Ints, Floats]:
        """Score the candidates in float64 and return the k best: (queries, k) rows and scores."""
        query, row = self.found.query, self.found.row
        score = np.empty(len(query), np.float32)
        for i in range(0, len(query), _PAIRS):
            piece = slice(i, i + _PAIRS)
            q = self.queries[query[piece]].astype(np.float64)
            x = np.asarray(matrix[row[piece]], np.float32).astype(np.float64)
            score[piece] = np.einsum("ij,ij->i", q, x)
        order = np.lexsort((row, -score, query))
        first = np.searchsorted(query[order], np.arange(len(self.queries)))
        best = order[first[:, None] + np.arange(self.k)]
        return row[best], score[best]


def _lower_bound(scores: Floats, k: int) -> Floats:
    """Return a bound that at least k scores of each row reach; -inf if a row has fewer than k scores."""
    m, n = scores.shape
    if n < k:
        return np.full(m, -np.inf, np.float32)
    size = min(_GROUP, n // k)
    groups = n // size
    # Group g holds the columns g, g + groups, ...: the maxima run along contiguous memory.
    peaks = scores[:, : groups * size].reshape(m, size, groups).max(axis=1)
    bound: Floats = np.partition(peaks, groups - k, axis=1)[:, groups - k]
    return bound


def _max_length(matrix: npt.NDArray[np.floating], block: int) -> float:
    """Return the largest length of a row."""
    longest = 0.0
    for i in range(0, len(matrix), block):
        tile = np.asarray(matrix[i : i + block], np.float64)
        longest = max(longest, float(np.einsum("ij,ij->i", tile, tile).max()))
    return float(np.sqrt(longest))
