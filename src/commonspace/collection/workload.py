"""A workload: the filters that a collection was asked with, after which its index is laid out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from commonspace.core.errors import BadInput
from commonspace.store.snapshot import Snapshot

Ints = npt.NDArray[np.int64]

_NEARLY = 0.05  # share of questions that may be others before everything is laid out anew


def counted(now: Snapshot, workload: Iterable[str | None]) -> dict[str, int]:
    """Return filter -> how often it was asked; `BadInput` for one that cannot be evaluated."""
    from commonspace.search.index.layout import MOST

    if isinstance(workload, str | Mapping):
        raise BadInput("workload must be a list of filters as they were asked, not a single one")
    found = dict(Counter(where for where in workload if where is not None).most_common(MOST))
    for where in found:
        now.where(where)
    return found


def alike(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Return whether two workloads ask nearly the same: at most one question in twenty is another one.

        1/2 sum_f |share_1(f) - share_2(f)| <= 0.05

    A log that grows keeps its shares, though every count changes, and rare filters come and go.
    """
    if not one or not other:
        return not one and not other
    totals = sum(one.values()), sum(other.values())
    apart = sum(abs(one.get(f, 0) / totals[0] - other.get(f, 0) / totals[1]) for f in {*one, *other})
    return apart / 2 <= _NEARLY


def leaves_of(now: Snapshot, rows: Ints, workload: Mapping[str, int]) -> Ints | None:
    """Return the leaf of each vector in the layout after a workload, None without one; `rows` are their items."""
    selected, weights = [], []
    for where, times in workload.items():
        with suppress(BadInput):  # a field that it names may have been dropped since
            mask = np.zeros(len(now), bool)
            mask[now.where(where)] = True
            selected.append(mask[rows])
            weights.append(times)
    if not selected:
        return None
    from commonspace.search.index.layout import leaves

    return leaves(np.array(selected), weights)
