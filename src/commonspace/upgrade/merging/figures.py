"""What a metric says of a model, task by task, in one form.

A metric is a function of a model that returns one value a query: an (n,) array, or a mapping of tasks to such arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.measure.statistics.estimates import check_values

Metric = Callable[[Any], Any]
ALL = "all"  # the name of the only task where a metric names none


def measured(metric: Metric, model: Any) -> dict[str, np.ndarray]:
    """Return task -> (n,) values of a model."""
    found = metric(model)
    if not isinstance(found, Mapping):
        found = {ALL: found}
    if not found:
        raise BadInput("the metric returned no task")
    return {str(task): check_values(values, f"values of the metric for {task!r}") for task, values in found.items()}


def groups_of(groups: Any, task: str) -> Any:
    """Return the groups of the queries of a task."""
    return groups.get(task) if isinstance(groups, Mapping) else groups


def check_same(first: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    """Raise `BadInput` unless two models were asked the same queries."""
    sizes = [{t: len(v) for t, v in found.items()} for found in (first, other)]
    if sizes[0] != sizes[1]:
        raise BadInput(
            f"the metric must ask every model the same queries, not {sizes[0]} of one and {sizes[1]} of another"
        )
