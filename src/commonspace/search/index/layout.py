"""Layout after a workload: rows that the same past filters select lie next to each other in a segment.

A qd-tree: a node is a set R of rows, and a cut by the filter p parts the rows that p selects, R_p, from the others.
Who asks with the filter f passes over every leaf of which f selects nothing, so a cut is worth

    gain(p) = sum_f  w_f ( |R_p| [f selects none of R_p]  +  |R - R_p| [f selects none of R - R_p] )

over the filters f that select some of R, w_f being how often each was asked. The best cut is made as long as there is
one that gains anything and leaves no side too small. Rows that all filters treat alike always stay together, so the
tree is grown over kinds of rows, of which there are few, and not over rows.

Source: "High-Throughput Vector Similarity Search in Knowledge Graphs" (2023), whose cuts between groups of similar
vectors are left out: inside a leaf rows lie in cells of similar ones anyway.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Distinct filters that a layout heeds, those asked most often.
MOST = 128
_LEAST = 64  # rows of a leaf


def leaves(selected: Mask, weights: npt.ArrayLike, *, least: int = _LEAST) -> Ints:
    """Return the leaf of each row, leaves numbered so that those of one branch follow each other.

    Parameters
    ----------
    selected : (filters, n) bool
        Which rows each filter selects.
    weights : (filters,) float
        How often each was asked.
    least : int
        Fewest rows of a leaf.
    """
    packed, kind = np.unique(np.packbits(selected, axis=0), axis=1, return_inverse=True)
    kinds = np.unpackbits(packed, axis=0, count=len(selected)).T.astype(np.float32)  # (kinds, filters)
    sizes = np.bincount(kind.ravel(), minlength=len(kinds)).astype(np.float32)
    weights = np.asarray(weights, np.float32)
    leaf = np.empty(len(kinds), np.int64)
    todo, made = [np.arange(len(kinds))], 0
    while todo:
        node = todo.pop()
        cut = _best_cut(kinds[node], sizes[node], weights, least)
        if cut is None:
            leaf[node], made = made, made + 1
        else:
            inside = kinds[node, cut] > 0
            todo += [node[~inside], node[inside]]
    found: Ints = leaf[kind.ravel()]
    return found


def _best_cut(kinds: Floats, sizes: Floats, weights: Floats, least: int) -> int | None:
    """Return the filter whose cut gains most; None if none is worth it."""
    both = kinds.T @ (kinds * sizes[:, None])  # [p, f]: rows that p and f select
    inside = np.diag(both).copy()
    outside = sizes.sum() - inside
    asked = weights * (inside > 0)
    gain = inside * ((both == 0) @ asked) + outside * ((both == inside) @ asked)
    gain[(inside < least) | (outside < least)] = 0
    best = int(gain.argmax()) if len(gain) else 0
    return best if len(gain) and gain[best] > 0 else None
