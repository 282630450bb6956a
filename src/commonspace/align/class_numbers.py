"""Numbers of classes that versions of a space agree on, for objectives in which a class has a place of its own.

    an earlier space's classes      keep their numbers, whether the new table has them or not
    classes that it lacks           follow in the order of their labels, numbers before words
    rows without a label            follow last, each a class of its own

So the number of a class does not depend on the order of the rows, and a table that grows moves none. The classes are
kept with the space, in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from commonspace.align.auto import AUTO
from commonspace.align.objectives.base import Sum
from commonspace.align.objectives.classes import ClassVectors
from commonspace.core.registry import resolve
from commonspace.encode.columns import Label, Rows


def tells_classes(objective: Any) -> bool:
    """Return whether an objective, given by name, as a mapping, an instance or a list, has a class vector a class."""
    if isinstance(objective, str):
        return objective != AUTO and issubclass(resolve("Objective", objective), ClassVectors)
    if isinstance(objective, Mapping):
        return tells_classes(objective.get("name")) or tells_classes(objective.get("objective"))
    if isinstance(objective, list | tuple):
        return any(tells_classes(o) for o in objective)
    if isinstance(objective, Sum):
        return tells_classes(objective.objectives)
    if isinstance(objective, type):
        return issubclass(objective, ClassVectors)
    if objective is None or isinstance(objective, ClassVectors):
        return objective is not None
    return tells_classes(getattr(objective, "objective", None))


def class_numbers(rows: Rows, *earlier: Any) -> tuple[np.ndarray, list[Label]]:
    """Return (n,) int64 the number of each row's class, and the classes in the order of their numbers.

    Parameters
    ----------
    rows : Rows
        What is trained on; its names are those of the whole table, so that held-out classes have their numbers, too.
        Without names the labels are numbers already.
    *earlier : Space, FitResult or None
        What the numbers must agree with, the first that knows classes.
    """
    known = next((c for c in map(_classes_of, earlier) if c), [])
    if not rows.names:
        return rows.labels, known
    classes = known + sorted(set(rows.names.values()) - set(known), key=lambda label: (isinstance(label, str), label))
    place = {label: number for number, label in enumerate(classes)}
    numbers = {code: place[label] for code, label in rows.names.items()}
    nameless = np.unique(rows.labels[~np.isin(rows.labels, list(numbers))]).tolist()
    numbers |= {code: len(classes) + i for i, code in enumerate(nameless)}
    return np.array([numbers[code] for code in rows.labels.tolist()], dtype=np.int64), classes


def _classes_of(space: Any) -> list[Label]:
    """Return the classes that a space or the result of a fit knows, in the order of their numbers."""
    training = space.info().get("training", {}) if hasattr(space, "info") else getattr(space, "params", {})
    return list(training.get("classes", []))
