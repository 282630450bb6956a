"""Probes: a small set of batches for each task, equally many rows of each at every step.

What a task may be given as:

    Probe(views, groups)          rows of the same things in two views, drawn anew for every step
    (x, y) or (x, y, groups)      the same for one model that encodes both sides
    {"text": x, "image": y}       the same by name; for heads, views are named after modalities
    a list of batches             taken in turn as they are; each is one of the above, or whatever the objective takes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput


@dataclass(frozen=True, eq=False)
class Probe:
    """Rows of the same things, seen in one view or several.

    Parameters
    ----------
    views : mapping of str to sequence of n inputs
        (n, d) rows, a tensor, or a list of texts; row i of every view shows the same thing.
    groups : (n,) array, optional
        Rows of one label are positives of each other; every row is only its own by default.
    """

    views: Mapping[str, Any]
    groups: Any = None

    def __post_init__(self) -> None:
        sizes = {v: len(x) for v, x in self.views.items()}
        if not sizes or len(set(sizes.values())) > 1 or 0 in sizes.values():
            raise BadInput(f"the views of a probe must hold the same things, at least one: they have {sizes} rows")
        if self.groups is not None and np.shape(self.groups) != (len(self),):
            raise BadInput(f"groups must hold one label for each of the {len(self)} rows of a probe")
        for view, rows in self.views.items():
            if isinstance(rows, np.ndarray) and not np.isfinite(rows).all():
                raise BadInput(f"the view {view!r} of a probe holds NaN or Inf: leave these rows out")

    def __len__(self) -> int:
        return len(next(iter(self.views.values())))

    def take(self, rows: np.ndarray) -> Batch:
        """Return some of the rows as a batch."""
        groups = None
        if self.groups is not None:
            groups = torch.from_numpy(np.unique(np.asarray(self.groups), return_inverse=True)[1][rows])
        return Batch({v: _rows(x, rows) for v, x in self.views.items()}, groups)


@dataclass(frozen=True, eq=False)
class Batch:
    """What an objective gets of a `Probe` at one step.

    Parameters
    ----------
    views : mapping of str to inputs
        As they go into the model.
    groups : (n,) int64 tensor, optional
        Rows of one number are positives of each other.
    """

    views: Mapping[str, Any]
    groups: Tensor | None = None


def as_probe(given: Any) -> Probe:
    """Return a probe from a `Probe`, a tuple or a mapping of views."""
    if isinstance(given, Probe):
        return given
    if isinstance(given, Mapping):
        return Probe(given)
    if isinstance(given, tuple) and len(given) in (2, 3):
        return Probe({"a": given[0], "b": given[1]}, given[2] if len(given) == 3 else None)
    raise BadInput(
        f"a probe must be (x, y), (x, y, groups), a mapping of views or a Probe, not {type(given).__name__}; batches "
        "of another form go in a list, with an objective of your own"
    )


class Probes:
    """The probes of several tasks.

    Parameters
    ----------
    given : mapping of str to probe
        Task -> what the module's docstring allows.
    batch_size : int
        Most rows of a task in a step. The smallest task decides for all, so that losses can be compared.
    rng : Generator
    """

    def __init__(self, given: Mapping[str, Any], batch_size: int, rng: np.random.Generator) -> None:
        if not isinstance(given, Mapping) or not given:
            raise BadInput('probes must map tasks to probes, such as {"titles": (x, y)}')
        self.tasks = list(given)
        self.rng = rng
        self._lists = {t: list(v) for t, v in given.items() if isinstance(v, list)}
        if empty := [t for t, v in self._lists.items() if not v]:
            raise BadInput(f"the probes of {', '.join(empty)} hold no batch")
        self._rows = {t: as_probe(v) for t, v in given.items() if t not in self._lists}
        self.size = min([batch_size, *map(len, self._rows.values())])
        self._turn = 0

    def draw(self) -> dict[str, Any]:
        """Return the next batch of every task."""
        found: dict[str, Any] = {t: batches[self._turn % len(batches)] for t, batches in self._lists.items()}
        for task, probe in self._rows.items():
            found[task] = probe.take(self.rng.choice(len(probe), self.size, replace=False))
        self._turn += 1
        return {t: found[t] for t in self.tasks}

    def check_covers(self, tasks: Sequence[str], why: str) -> None:
        """Raise `BadInput` unless every task has probes."""
        if missing := [t for t in tasks if t not in self.tasks]:
            raise BadInput(f"{why} needs probes of every task: those of {', '.join(missing)} are missing")


def _rows(inputs: Any, rows: np.ndarray) -> Any:
    if isinstance(inputs, np.ndarray):
        return inputs[rows]
    if isinstance(inputs, Tensor):
        return inputs[torch.from_numpy(rows)]
    return [inputs[int(i)] for i in rows]
