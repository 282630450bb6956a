"""Exact nearest neighbours by cosine in a gallery that is read block by block."""

from __future__ import annotations

import numpy as np

from commonspace.core.errors import SpaceMismatch
from commonspace.measure.streams import Rows


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
    import faiss

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
        wanted = min(len(block), k + (own is not None))
        scores, local = faiss.knn(queries, block, wanted, metric=faiss.METRIC_INNER_PRODUCT)
        found = positions[local]
        if own is not None:
            scores = np.where(found == own[:, None], -np.inf, scores)
        best, rows = _best(np.hstack([best, scores]), np.hstack([rows, found]), k)
    if own is not None and best.shape[1]:
        usable = int(np.isfinite(best).sum(axis=1).min(initial=best.shape[1]))
        best, rows = best[:, :usable], rows[:, :usable]
    return best, rows


def _best(scores: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
