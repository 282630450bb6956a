"""What a sampler is told of the rows of a table, as what it is told of those rows that are left to train on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np


def of_rows(sampler: Any, positions: np.ndarray) -> Any:
    """Return a sampler whose arrays hold one entry a row that is left.

    Parameters
    ----------
    sampler : str, mapping or sampler
        As `fit_heads` takes it. Arguments that are arrays or lists hold one entry a row of the table.
    positions : (m,) int64
        Where each of the rows that are left stood in the table.

    Returns
    -------
    str, mapping or sampler
        A copy where something had to change.
    """
    if isinstance(sampler, str) or sampler is None or np.array_equal(positions, np.arange(len(positions))):
        return sampler
    arguments = sampler if isinstance(sampler, Mapping) else vars(sampler)
    left = {name: np.asarray(v)[positions] for name, v in arguments.items() if _is_of_rows(v, positions)}
    if isinstance(sampler, Mapping):
        return {**sampler, **left}
    changed = copy.copy(sampler)
    for name, value in left.items():
        setattr(changed, name, value)
    return changed


def _is_of_rows(value: Any, positions: np.ndarray) -> bool:
    """Return whether a value has an entry for every position; too short a one is left for the sampler to refuse."""
    return isinstance(value, np.ndarray | list | tuple) and len(value) > positions.max(initial=-1)
