"""Pairs of a query and a vector that are known to belong together: checked, and looked up in batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from commonspace.core.errors import BadInput


def check_pairs(pairs: np.ndarray, queries: int, docs: int) -> np.ndarray:
    """Return pairs as (p, 2) int64, or raise `BadInput` if they point nowhere."""
    found = np.asarray(pairs)
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iu":
        raise BadInput(f"pairs must be (p, 2) positions of a query and a vector, not {found.dtype} {found.shape}")
    if len(found) and (found.min() < 0 or found[:, 0].max() >= queries or found[:, 1].max() >= docs):
        raise BadInput(f"pairs name a position outside {queries} queries or {docs} vectors")
    return found.astype(np.int64)


def known_pairs(pairs: np.ndarray, docs: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function of (a,) queries and (b,) docs that says which of them are pairs: (a, b) bool."""
    known = np.unique(pairs[:, 0] * docs + pairs[:, 1])
    return lambda q, d: np.isin(q[:, None] * docs + d[None, :], known)
