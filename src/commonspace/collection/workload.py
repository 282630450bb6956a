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


def counted(now: Snapshot, workload: Iterable[str | None]) -> dict[str, int]:
    """Return filter -> how often it was asked; `BadInput` for one that cannot be evaluated."""
    from commonspace.search.index.layout import MOST

    if isinstance(workload, str):
        raise BadInput("workload must be a list of filters as they were asked, not a single one")
    found = dict(Counter(where for where in workload if where is not None).most_common(MOST))
    for where in found:
        now.where(where)
    return found


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
