"""`continue_training`: heads learn pairs that arrived later, forget little, and a report says what became of the space.

    train    from the heads there are, by `mod-x`, on the new pairs and on old ones that are at hand
    mean     of the heads there were and those that were trained (`between`)
    measure  on held-out groups, of the new pairs and of the old ones: retrieval before and after, paired; the share of
             the old that is kept; how far the modalities turned, and whether together (`rotation`)

Each part alone forgets: see the claim `mod_x`, whose best mixture the defaults are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.forward import NumpyHead
from commonspace.align.heads.between import between
from commonspace.align.refinement import METRICS, tasks
from commonspace.align.training.starting import heads_of
from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.measure import (
    Comparison,
    Estimate,
    Rotation,
    compare,
    evaluate_retrieval,
    retrieval_forgetting,
    rotation,
)

KEPT = "hit@10"
Figures = dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Continued:
    """What `continue_training` did.

    Parameters
    ----------
    heads : dict of str to NumpyHead
        The heads to use from now on.
    result : FitResult
        Of the training; its own heads are those before the mean was taken.
    before, after : dict of str to (dict of str to (dict of str to Estimate))
        ``"new"`` and ``"past"`` -> ``"image->text"`` -> mrr, hit@1 and hit@10 on held-out pairs of that part.
    changes : dict of str to (dict of str to (dict of str to Comparison))
        The same: after minus before, over the same queries.
    kept : Estimate or None
        Share of the past's hit@10 that is left, mean of the directions; None where no old pairs were given.
    rotation : Rotation or None
        From the old vectors of held-out items to the new ones; None for fewer than 10 things.
    n : dict of str to int
        Items of each part that were measured on.
    """

    heads: dict[str, NumpyHead]
    result: FitResult
    before: dict[str, Figures]
    after: dict[str, Figures]
    changes: dict[str, dict[str, dict[str, Comparison]]]
    kept: Estimate | None
    rotation: Rotation | None
    n: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        told = {name: _plain(getattr(self, name)) for name in ("before", "after", "changes")}
        ends = {name: found and found.to_dict() for name, found in (("kept", self.kept), ("rotation", self.rotation))}
        return {"n": dict(self.n), **told, **ends}

    def __str__(self) -> str:
        lines = []
        for part, of in self.changes.items():
            lines.append(f"on {self.n[part]:,} held-out {part} items, after - before")
            lines += [f"  {task:<18} {name:<8} {c}" for task, found in of.items() for name, c in found.items()]
        if self.kept is not None:
            lines.append(f"kept of the past's {KEPT}: {self.kept}")
        if self.rotation is not None:
            lines.append(str(self.rotation))
        return "\n".join(lines)


def continue_training(
    heads: Any,
    X: Mapping[str, Any],
    *,
    present: Mapping[str, np.ndarray] | None = None,
    groups: np.ndarray | None = None,
    memory: tuple[Any, Any, Any] | None = None,
    valid: float = 0.1,
    objective: Any = "infonce",
    alpha: float = 1000.0,
    share: float = 0.5,
    epochs: int = 10,
    lr: float = 7e-4,
    batch_size: int = 64,
    random_state: RandomState = 0,
    **options: Any,
) -> Continued:
    """Train heads further on new pairs.

    Parameters
    ----------
    heads : Space, FitResult or mapping of str to NumpyHead
        What to go on from; it stays as it is.
    X, present, groups
        New pairs, as for `fit_heads`.
    memory : (X, present, groups), optional
        Old pairs that are at hand, a few hundred do: they join the batches, and part of them tells what is kept. An
        equal group is the same thing in both, where both have groups.
    valid : float
        Share of the groups, of new and of old pairs, on which the figures are measured.
    objective : str, mapping, instance or list of these
        What the new pairs are learned by.
    alpha : float
        Of `mod-x`: more keeps more and learns less.
    share : float
        How far the heads go from the old ones to the trained ones, 0 to 1; less keeps more and learns less.
    epochs, lr, batch_size
        Of the training.
    random_state : int, Generator or None
        Seed.
    **options
        Further arguments of `fit_heads` that do not name items.

    Raises
    ------
    BadInput, SpaceMismatch
        As `fit_heads`; a memory of other modalities.
    """
    given = heads_of(heads)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else seed_of(generator(random_state))
    data, recent = _joined(PairData.check(X, present, groups), memory, named=groups is not None)
    training, held = data.split(valid, generator(seed))
    result = fit_heads(
        training.X, present=training.present, groups=training.groups, valid=None, baselines=(), start=given,
        old=embedded(given, training), objective={"name": "mod-x", "objective": objective, "alpha": alpha},
        epochs=epochs, lr=lr, batch_size=batch_size, random_state=seed, **options,
    )  # fmt: skip
    after = between(given, result.heads, share)
    known = {m: after[m] for m in given if m in after}
    sides = embedded(given, held), embedded(known, held)
    parts = {"new": np.flatnonzero(recent[held.rows]), "past": np.flatnonzero(~recent[held.rows])}
    parts = {name: rows for name, rows in parts.items() if len(rows)}
    old, new = ({name: _figures(z, held.take(rows), rows, seed) for name, rows in parts.items()} for z in sides)
    changes = {name: _changes(old[name], new[name], held.take(rows), seed) for name, rows in parts.items()}
    return Continued(
        heads=after,
        result=result,
        before=old,
        after=new,
        changes=changes,
        kept=_kept(old.get("past", {}), new.get("past", {}), held.take(parts.get("past", np.zeros(0, int))), seed),
        rotation=_rotation(*sides, held, seed),
        n={name: len(rows) for name, rows in parts.items()},
    )


def embedded(heads: Mapping[str, NumpyHead], data: PairData) -> dict[str, np.ndarray]:
    """Return modality -> (n, dim) vectors of the items by these heads, zeros where a modality is absent."""
    found = {}
    for m in data.modalities:
        if m in heads:
            found[m] = np.zeros((len(data), heads[m].dim), np.float32)
            found[m][data.present[m]] = heads[m](data.first(m))
    return found


def _joined(data: PairData, memory: tuple[Any, Any, Any] | None, *, named: bool) -> tuple[PairData, np.ndarray]:
    """Return new and old pairs as one, and which are new; `named` says whether the groups of the new were given."""
    if memory is None:
        return data, np.ones(len(data), bool)
    try:
        old = PairData.check(memory[0], memory[1], memory[2], name="memory X")
    except (TypeError, IndexError):
        raise BadInput(f"memory must be (X, present, groups), not {type(memory).__name__}") from None
    shapes = [{m: v.shape[1:] for m, v in d.X.items()} for d in (data, old)]
    if shapes[0] != shapes[1]:
        raise BadInput(
            f"the memory must have the modalities, variants and dimensions of X, which are {shapes[0]}, not {shapes[1]}"
        )
    X = {m: np.concatenate([v, old.X[m]]) for m, v in data.X.items()}
    there = {m: np.concatenate([v, old.present[m]]) for m, v in data.present.items()}
    # Numbers that nobody gave say nothing about the other part.
    apart = 0 if named and memory[2] is not None else int(data.groups.max()) + 1 - int(old.groups.min())
    joined = PairData.check(X, there, np.concatenate([data.groups, old.groups + apart]))
    return joined, np.arange(len(joined)) < len(data)


def _figures(z: Mapping[str, np.ndarray], data: PairData, rows: np.ndarray, seed: int) -> Figures:
    """Return what is found between every two modalities, over these rows of z."""
    return {
        f"{a}->{b}": evaluate_retrieval(
            z[a][rows[asks]], z[b][rows[there]], (data.groups[asks], data.groups[there]), METRICS,
            groups=data.groups[asks], random_state=seed,
        )
        for a, b, asks, there in tasks(data)
        if a in z and b in z
    }  # fmt: skip


def _changes(old: Figures, new: Figures, data: PairData, seed: int) -> dict[str, dict[str, Comparison]]:
    """Return after minus before, over the same queries."""
    found: dict[str, dict[str, Comparison]] = {}
    for task, groups in _asked(old, data).items():
        for name, was in old[task].items():
            c = compare(new[task][name], was, groups=groups, random_state=seed)
            found.setdefault(task, {})[name] = replace(c, a="after", b="before")
    return found


def _kept(old: Figures, new: Figures, data: PairData, seed: int) -> Estimate | None:
    """Return the share of what was found of the past that is found now; None where nothing was, or no past is there."""
    found = {task: e[KEPT] for task, e in old.items() if e[KEPT].value > 0}
    if not found:
        return None
    now = {task: new[task][KEPT] for task in found}
    groups = {task: of for task, of in _asked(old, data).items() if task in found}
    return retrieval_forgetting(found, now, groups=groups, random_state=seed).kept


def _asked(figures: Figures, data: PairData) -> dict[str, np.ndarray]:
    """Return task -> the groups of its queries."""
    found = {f"{a}->{b}": data.groups[asks] for a, b, asks, _ in tasks(data)}
    return {task: found[task] for task in figures}


def _rotation(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], data: PairData, seed: int
) -> Rotation | None:
    try:
        return rotation(before, after, groups=data.groups, random_state=seed)
    except BadInput:  # fewer than ten things in a modality, or in two of them together
        return None


def _plain(figures: Any) -> Any:
    return {k: _plain(v) for k, v in figures.items()} if isinstance(figures, dict) else figures.to_dict()
