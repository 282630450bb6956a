"""Arranging: the order of a segment's vectors, in cells of similar ones, cells next to cells like them.

Cells are those of k-means, learned from a sample. Where past filters were told, each of the leaves that they make has
cells of its own (see `layout`).
"""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt

from commonspace.core import progress as bars
from commonspace.search.index.shortlist import Cells

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_BLOCK = 8192  # vectors assigned at once
_PER_CELL = 64  # vectors a cell from which its centre is learned
_ROUNDS = 10  # of k-means
_LEAST = 64  # vectors for which a cell of their own is worth its while


def arrange(
    vectors: Floats,
    cells: int | None = None,
    *,
    leaves: Ints | None = None,
    random_state: int = 0,
    progress: bool = True,
) -> tuple[Ints, Cells]:
    """Return the order that puts similar vectors next to each other, and the cells in that order; see `build`."""
    n = len(vectors)
    wanted = round(np.sqrt(n)) if cells is None else cells
    if leaves is not None:
        return _by_leaves(vectors, wanted, leaves, random_state, progress)
    assigned, count = _assign(vectors, max(1, min(wanted, n // _LEAST)), random_state, progress)
    sizes = np.bincount(assigned, minlength=count)
    sums = np.zeros((count, vectors.shape[1]), np.float64)
    for i in range(0, n, _BLOCK):
        np.add.at(sums, assigned[i : i + _BLOCK], vectors[i : i + _BLOCK])
    means = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    chain = _chain(means)
    place = np.empty(count, np.int64)
    place[chain] = np.arange(count)
    starts = np.concatenate([[0], np.cumsum(sizes[chain])]).astype(np.int64)
    return np.argsort(place[assigned], kind="stable"), Cells(starts, means[chain])


def _chain(means: Floats) -> Ints:
    """Return an order in which neighbours are alike: from the most central one to the nearest that is left, and so on.

    A query that wants one cell often wants the next, too, and is asked of both in one product.
    """
    lengths = np.einsum("ij,ij->i", means, means)
    far = lengths[:, None] + lengths - 2 * (means @ means.T)
    at = int(np.argmin(np.square(means - means.mean(axis=0)).sum(axis=1)))
    chain = [at]
    for _ in range(len(means) - 1):
        far[:, at] = np.inf  # never again
        at = int(np.argmin(far[at]))
        chain.append(at)
    return np.array(chain)


def _by_leaves(vectors: Floats, wanted: int, leaves: Ints, random_state: int, progress: bool) -> tuple[Ints, Cells]:
    """Arrange each leaf on its own, leaf after leaf."""
    orders, starts, means = [], [np.zeros(1, np.int64)], []
    with bars.task("Sorting vectors into cells", total=len(vectors)) if progress else bars.silent() as bar:
        for leaf in range(int(leaves.max()) + 1):
            mine = np.flatnonzero(leaves == leaf)
            share = max(1, round(wanted * len(mine) / len(vectors)))
            order, cells = arrange(vectors[mine], share, random_state=random_state, progress=False)
            orders.append(mine[order])
            starts.append(starts[-1][-1] + cells.starts[1:])
            means.append(cells.means)
            bar.advance(len(mine))
    return np.concatenate(orders), Cells(np.concatenate(starts), np.concatenate(means))


def _assign(vectors: Floats, cells: int, random_state: int, progress: bool) -> tuple[Ints, int]:
    """Return the cell of each vector, by k-means, and the number of cells."""
    if cells == 1:
        return np.zeros(len(vectors), np.int64), 1
    means = faiss.Kmeans(
        vectors.shape[1], cells, niter=_ROUNDS, seed=random_state, max_points_per_centroid=_PER_CELL,
        min_points_per_centroid=1,
    )  # fmt: skip
    rng = np.random.default_rng(random_state)
    most = cells * _PER_CELL
    chosen = vectors if len(vectors) <= most else vectors[np.sort(rng.choice(len(vectors), most, replace=False))]
    means.train(np.ascontiguousarray(chosen, np.float32))
    assigned = np.empty(len(vectors), np.int64)
    with bars.task("Sorting vectors into cells", total=len(vectors)) if progress else bars.silent() as bar:
        for i in range(0, len(vectors), _BLOCK):
            block = np.ascontiguousarray(vectors[i : i + _BLOCK], np.float32)
            assigned[i : i + len(block)] = means.index.search(block, 1)[1][:, 0]
            bar.advance(len(block))
    return assigned, cells
