"""`locality`: batches of items that are mistaken for one another, found by walking from near miss to near miss.

Items i and j are linked when they share a near miss: some vector that both of them rank high and neither wants. A batch
starts at a random item and grows along links (each item draws a few of its near misses and offers the others that have
them) until it is full or there is nowhere to go, then starts again elsewhere:

    walk       the item offered last is taken next: long paths, more varied batches
    snowball   the item offered first is taken next: all neighbours of one item, then theirs

Every item comes once an epoch. In such a batch the other items' positives are hard negatives for free.

Source: the locality-centric sampling of "Progressively Optimized Bi-Granular Document Representation for Scalable
Embedding Based Retrieval".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive


@register(
    "locality",
    protocol="Sampler",
    claim="compress/bigranular",
    papers=[
        Paper(
            "Progressively Optimized Bi-Granular Document Representation for Scalable Embedding Based Retrieval",
            2022,
            "https://arxiv.org/abs/2201.05409",
        )
    ],
)
class Locality:
    """Batches along the graph of shared near misses.

    Parameters
    ----------
    batch_size : int
        The most items a batch holds.
    misses : (n, k) int array, optional
        Near misses of each item that training was given, numbers below 0 for none; without it batches are random.
    growth : {"walk", "snowball"}
        How a batch grows.
    draws : int
        How many near misses an item follows.
    """

    def __init__(
        self,
        *,
        batch_size: int = 1024,
        misses: np.ndarray | None = None,
        growth: str = "walk",
        draws: int = 4,
    ) -> None:
        check_choice("growth", growth, ("walk", "snowball"))
        self.batch_size = check_positive("batch_size", batch_size)
        self.misses = misses
        self.growth = growth
        self.draws = check_positive("draws", draws)
        self._near: np.ndarray | None = None

    def prepare(self, data: Any, rng: np.random.Generator) -> None:
        """Find the near misses of the items that will be sampled, where some were held out or dropped.

        Parameters
        ----------
        data : PairData
            The training items.
        rng : numpy Generator
            Not used.
        """
        if self.misses is None:
            return
        given = np.asarray(self.misses)
        if given.ndim != 2 or given.dtype.kind not in "iu" or (len(data) and len(given) <= data.rows.max()):
            raise BadInput(f"misses must be whole numbers, one row an item given to training, not {given.shape}")
        self._near = given[data.rows]

    def batches(self, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the index arrays of one epoch over n items."""
        if n == 0:
            return
        given = self.misses if self._near is None else self._near
        misses = np.full((n, 0), -1) if given is None else np.asarray(given)
        if misses.ndim != 2 or len(misses) != n or misses.dtype.kind not in "iu":
            raise BadInput(f"misses must be ({n}, k) whole numbers, one row an item, not {misses.shape}")
        holders = _holders(misses)
        fresh = np.ones(n, bool)
        starts = iter(rng.permutation(n))
        for part in np.array_split(np.arange(n), -(-n // self.batch_size)):
            yield self._grow(len(part), misses, holders, fresh, starts, rng)

    def _grow(
        self,
        size: int,
        misses: np.ndarray,
        holders: dict[int, np.ndarray],
        fresh: np.ndarray,
        starts: Iterator[int],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return the next batch; `fresh` says which items have not come yet."""
        batch: list[int] = []
        offered: deque[int] = deque()
        while len(batch) < size:
            if not offered:
                offered.append(int(next(starts)))
            item = offered.pop() if self.growth == "walk" else offered.popleft()
            if not fresh[item]:
                continue
            fresh[item] = False
            batch.append(item)
            known = misses[item][misses[item] >= 0]
            for miss in rng.permutation(known)[: self.draws]:
                near = holders[int(miss)]
                offered.extend(int(j) for j in rng.permutation(near[fresh[near]]))
        return np.array(batch, np.int64)


def _holders(misses: np.ndarray) -> dict[int, np.ndarray]:
    """Return near miss -> the items that have it."""
    items = np.repeat(np.arange(len(misses)), misses.shape[1])
    values = misses.ravel()
    order = np.argsort(values, kind="stable")
    names, first = np.unique(values[order], return_index=True)
    return dict(zip(names.tolist(), np.split(items[order], first[1:]), strict=True)) if len(values) else {}
