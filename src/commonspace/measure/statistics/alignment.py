"""Values of several systems brought to the same queries in one order, and the groups that queries hang together in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.measure.statistics.estimates import Estimate, check_values, group_numbers


def aligned(systems: Mapping[str, Any]) -> tuple[list[np.ndarray], tuple[Any, ...]]:
    """Return each system's values on the same queries, and the ids of these if they are known.

    Parameters
    ----------
    systems : mapping of str to (n,) array or Estimate
        Name -> values. Estimates that know their queries (from `evaluate_run`) are put in the order of the first of
        them; all others are taken to be in that order.

    Raises
    ------
    BadInput
        Different numbers of queries, or different queries.
    """
    values = {name: check_values(v, name) for name, v in systems.items()}
    lengths = {name: len(v) for name, v in values.items()}
    if len(set(lengths.values())) > 1:
        said = " and ".join(f"{name} has {n} values" for name, n in lengths.items())
        raise BadInput(f"{said}: a paired comparison needs the same queries in all")
    known = {name: v.ids for name, v in systems.items() if isinstance(v, Estimate) and v.ids}
    if not known:
        return list(values.values()), ()
    (first, ids), *others = known.items()
    for name, found in others:
        if found == ids:
            continue
        place = {q: i for i, q in enumerate(found)}
        lacking = [q for q in ids if q not in place]
        if lacking:
            raise BadInput(
                f"{name} lacks {len(lacking)} of the {len(ids)} queries of {first}, first {lacking[0]!r}: a paired "
                "comparison needs the same queries; evaluate all runs against the same qrels, with the same options"
            )
        values[name] = values[name][[place[q] for q in ids]]
    return list(values.values()), ids


def members(groups: Any, ids: tuple[Any, ...], n: int) -> np.ndarray:
    """Return the number of each query's group: (n,) int64.

    Parameters
    ----------
    groups : (n,) array, mapping of query id to label, or None
        None puts each query in a group of its own.
    ids : tuple
        The ids of the n queries, if they are known.
    n : int
        Number of queries.
    """
    return group_numbers(labels_of(groups, ids), n)


def labels_of(groups: Any, ids: tuple[Any, ...]) -> Any:
    """Return the labels of groups in the order of the queries, where they are given by query id."""
    if not isinstance(groups, Mapping):
        return groups
    if not ids:
        raise BadInput("groups by query id need values that know their queries, as those of evaluate_run do")
    lacking = [q for q in ids if q not in groups]
    if lacking:
        raise BadInput(f"groups lack {len(lacking)} of the {len(ids)} queries, first {lacking[0]!r}")
    return np.array([groups[q] for q in ids])
