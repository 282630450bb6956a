"""Exact nearest neighbours by cosine in a gallery that is read block by block.

A block is one matrix product; of its scores only those above the k-th best so far are looked at, which after the first
blocks are few (`bench/health.py`).
"""

from __future__ import annotations

import numpy as np

from commonspace.core.errors import SpaceMismatch
from commonspace.measure.health.streams import Rows

_QUERIES = 1024  # asked at a time: with a block of 16,000 rows 64 MB of scores


def nearest(
    queries: np.ndarray, gallery: Rows, k: int, *, own: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (q, k) cosines, falling, and (q, k) positions of the nearest rows of a gallery.

    Fewer columns come back where the gallery has fewer rows. Rows without a direction are nobody's neighbours.

    Parameters
    ----------
    queries : (q, dim) float32
        Unit rows.
    own : (q,) array, optional
        Position of each query in the gallery, left out of its neighbours.
    """
    best = np.full((len(queries), 0), -np.inf, np.float32)
    rows = np.full((len(queries), 0), -1, np.int64)
    for positions, block in gallery.unit_blocks():
        if block.shape[1] != queries.shape[1]:
            raise SpaceMismatch(
                f"queries have dimension {queries.shape[1]} and {gallery.name} has {block.shape[1]}: they come from "
                "different spaces"
            )
        if not len(block) or not len(queries):
            continue
        width = min(k, best.shape[1] + len(block))
        better, where = np.empty((len(queries), width), np.float32), np.empty((len(queries), width), np.int64)
        for start in range(0, len(queries), _QUERIES):
            some = slice(start, start + _QUERIES)
            scores = queries[some] @ block.T
            if own is not None:
                place = np.minimum(np.searchsorted(positions, own[some]), len(positions) - 1)
                here = np.flatnonzero(positions[place] == own[some])
                scores[here, place[here]] = -np.inf
            better[some], where[some] = _merged(best[some], rows[some], scores, positions, width)
        best, rows = better, where
    if own is not None and best.shape[1]:
        usable = int(np.isfinite(best).sum(axis=1).min(initial=best.shape[1]))
        best, rows = best[:, :usable], rows[:, :usable]
    return best, rows


def _merged(
    best: np.ndarray, rows: np.ndarray, scores: np.ndarray, positions: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `width` best of what was known and of a block of scores, both sorted."""
    known = best.shape[1]
    if known < width:  # the first blocks
        few = np.argpartition(-scores, min(width, scores.shape[1]) - 1, axis=1)[:, :width]
        query, column = np.repeat(np.arange(len(scores)), few.shape[1]), few.ravel()
    else:
        query, column = np.nonzero(scores > best[:, -1:])
    of = np.concatenate([np.repeat(np.arange(len(best)), known), query])
    value = np.concatenate([best.ravel(), scores[query, column]])
    place = np.concatenate([rows.ravel(), positions[column]])
    order = np.lexsort((place, -value, of))
    first = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(best)))[:-1]])
    keep = order[np.arange(len(of)) - first[of[order]] < width]
    return value[keep].reshape(-1, width), place[keep].reshape(-1, width)
