"""`continue_training`: heads learn pairs that arrived later, forget little, and a report says what became of the space.

    train    from the heads there are, by `mod-x`, on the new pairs and on old ones that are at hand
    mean     of the heads there were and those that were trained (`between`)
    measure  on held-out groups of the new pairs, and on pairs of the past that no heads were trained on: retrieval
             before and after, paired; the share of the past that is kept; how far the modalities turned, and whether
             together (`rotation`)

Each part alone forgets: see the claim `mod_x`, whose best mixture the defaults are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.forward import NumpyHead, heads_of
from commonspace.align.heads.between import between
from commonspace.align.refinement import METRICS, tasks
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
from commonspace.measure.spaces.rotation import LEAST

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
        ``"new"`` and, if it was given, ``"past"`` -> ``"image->text"`` -> mrr, hit@1 and hit@10 on held-out pairs.
    changes : dict of str to (dict of str to (dict of str to Comparison))
        The same: after minus before, over the same queries.
    kept : Estimate or None
        Share of the past's hit@10 that is left, mean of the directions; None where no past was given.
    rotation : Rotation or None
        From the old vectors to the new ones, of the past's items, or of held-out new ones where none was given; None
        for fewer than 10 things.
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
    past: tuple[Any, Any, Any] | None = None,
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
        Old pairs that are at hand, a few hundred do: they join the batches. An equal group is the same thing in both,
        where both have groups.
    past : (X, present, groups), optional
        Old pairs that no heads were trained on, to measure what is kept. Pairs that the old heads know by heart would
        flatter: these are kept where others are forgotten.
    valid : float
        Share of the new groups on which the figures are measured.
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
        As `fit_heads`; heads of modalities that X lacks; a memory or past of other modalities.
    """
    given = heads_of(heads)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else seed_of(generator(random_state))
    data = PairData.check(X, present, groups)
    if lacking := [m for m in given if m not in data.X]:
        raise BadInput(
            f"the heads have {', '.join(map(repr, lacking))} and X has not: training would move the others away from "
            "there. Give X rows of it, False in present where an item has none, and a memory with some; or pass "
            "{m: heads[m] for m in X} of the heads, and keep the others knowing that they were not trained along"
        )
    parts = {"new": data} if past is None else {"new": data, "past": _like(data, past, "past")}
    training, parts["new"] = data.split(valid, generator(seed))
    if memory is not None:
        kept = _like(data, memory, "memory")
        named = groups is not None and memory[2] is not None
        training = _joined(training, kept, parts["new"].groups if named else None)
    result = fit_heads(
        training.X, present=training.present, groups=training.groups, valid=None, baselines=(), start=given,
        old=embedded(given, training), objective={"name": "mod-x", "objective": objective, "alpha": alpha},
        epochs=epochs, lr=lr, batch_size=batch_size, random_state=seed, **options,
    )  # fmt: skip
    after = between(given, result.heads, share)
    known = {m: after[m] for m in given if m in after}
    old, new = ({n: _figures(embedded(side, d), d, seed) for n, d in parts.items()} for side in (given, known))
    last = parts.get("past", parts["new"])
    return Continued(
        heads=after,
        result=result,
        before=old,
        after=new,
        changes={name: _changes(old[name], new[name], d, seed) for name, d in parts.items()},
        kept=_kept(old["past"], new["past"], parts["past"], seed) if past is not None else None,
        rotation=_rotation(embedded(given, last), embedded(known, last), last, seed),
        n={name: len(d) for name, d in parts.items()},
    )


def embedded(heads: Mapping[str, NumpyHead], data: PairData) -> dict[str, np.ndarray]:
    """Return modality -> (n, dim) vectors of the items by these heads, zeros where a modality is absent."""
    found = {}
    for m in data.modalities:
        if m in heads:
            found[m] = np.zeros((len(data), heads[m].dim), np.float32)
            found[m][data.present[m]] = heads[m](data.first(m))
    return found


def _like(data: PairData, given: tuple[Any, Any, Any], name: str) -> PairData:
    """Return further pairs, checked to be of the same modalities."""
    try:
        other = PairData.check(given[0], given[1], given[2], name=f"{name} X")
    except (TypeError, IndexError, KeyError):
        raise BadInput(f"{name} must be (X, present, groups), not {type(given).__name__}") from None
    shapes = [{m: v.shape[1:] for m, v in d.X.items()} for d in (data, other)]
    if shapes[0] != shapes[1]:
        raise BadInput(
            f"the {name} must have the modalities, variants and dimensions of X, which are {shapes[0]}, not {shapes[1]}"
        )
    return other


def _joined(training: PairData, memory: PairData, held: np.ndarray | None) -> PairData:
    """Return new and old pairs as one; `held` are groups that are kept out, None if equal numbers say nothing."""
    apart = 0
    if held is None:
        apart = int(training.groups.max()) + 1 - int(memory.groups.min(initial=0))
    else:
        memory = memory.take(np.flatnonzero(~np.isin(memory.groups, held)))
    X = {m: np.concatenate([v, memory.X[m]]) for m, v in training.X.items()}
    there = {m: np.concatenate([v, memory.present[m]]) for m, v in training.present.items()}
    return PairData.check(X, there, np.concatenate([training.groups, memory.groups + apart]))


def _figures(z: Mapping[str, np.ndarray], data: PairData, seed: int) -> Figures:
    """Return what is found between every two modalities."""
    return {
        f"{a}->{b}": evaluate_retrieval(
            z[a][asks], z[b][there], (data.groups[asks], data.groups[there]), METRICS, groups=data.groups[asks],
            random_state=seed,
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
    """Return how the modalities turned; None for fewer things than that takes, in one of them or in two together."""
    there = {m: z.any(axis=1) for m, z in before.items()}
    fewest = min(len(np.unique(data.groups[there[a] & there[b]])) for a, b in combinations_with_replacement(there, 2))
    return rotation(before, after, groups=data.groups, random_state=seed) if fewest >= LEAST else None


def _plain(figures: Any) -> Any:
    return {k: _plain(v) for k, v in figures.items()} if isinstance(figures, dict) else figures.to_dict()
