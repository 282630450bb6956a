"""`merge`: one model from several that were tuned from one base.

    merged = merge(base, {"a": tuned_a, "b": tuned_b}, "self-positioning", probes={"a": ..., "b": ...})

Models may be heads, the heads of a space, torch modules, states or safetensors files; see `models`. States are checked
to match in names and shapes, and to come from one start (`kinship`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from torch import nn

from commonspace.align.training.torch_state import seeded
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.registry import build, name_of
from commonspace.core.vectors import check_positive
from commonspace.measure import Comparison, Estimate, compare, estimate, holm
from commonspace.upgrade.merging.conflicts import Conflicts, conflicts
from commonspace.upgrade.merging.figures import Metric, check_same, groups_of, measured
from commonspace.upgrade.merging.kinship import POLICIES, Kinship, cosines, insist, kinship
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.method import Found, Merge
from commonspace.upgrade.merging.models import Model, model_of
from commonspace.upgrade.merging.objectives import objective_of
from commonspace.upgrade.merging.probes import Probes
from commonspace.upgrade.merging.report import MergeReport
from commonspace.upgrade.merging.states import State
from commonspace.upgrade.merging.vectors import TaskVectors


@dataclass(frozen=True, eq=False)
class Merged:
    """A merged model.

    Parameters
    ----------
    state : dict of str to tensor
        Its numbers, by the names, in the dtypes and on the device of the base.
    report : MergeReport
        How it came about.
    """

    state: State
    report: MergeReport
    _like: Model

    @property
    def model(self) -> Any:
        """The model, of the kind of the base: a head, heads by modality, a new copy of a module, a state."""
        return self._like.rebuild(self.state)

    def __str__(self) -> str:
        return str(self.report)


def merge(
    base: Any,
    tuned: Mapping[str, Any] | Sequence[Any],
    method: Any = "self-positioning",
    *,
    probes: Mapping[str, Any] | None = None,
    objective: Any = "infonce",
    module: nn.Module | None = None,
    metric: Metric | None = None,
    groups: Any = None,
    batch_size: int = 128,
    conflict_batches: int = 16,
    unrelated: str = "refuse",
    random_state: RandomState = 0,
    device: str | None = None,
) -> Merged:
    """Merge models that were tuned from one base.

    Parameters
    ----------
    base : head, heads, space, torch module, state or path
        What all were tuned from; None for ways that need none (`soup`, `fisher`), and the first model stands for it.
    tuned : mapping or sequence of models
        Task -> what was tuned on it; a sequence is numbered. Their numbers may lie on the disk or another device.
    method : str, mapping or Merge
        How; see ``commonspace methods --protocol Merge``.
    probes : mapping of str to probe, optional
        Task -> a small set to learn from or choose by, see `probes`. Few pairs are enough, as they are balanced: the
        smallest probe decides how many rows of each task a step sees. Not the rows a figure is taken on.
    objective : name, mapping, list, or function of (model, batch)
        What is made small on the probes; see `objectives`.
    module : torch module, optional
        The network of a base that was given as a state.
    metric : function of a model, optional
        Values of one model, one a query (or task -> such values), for the report's figures.
    groups : (n,) array or mapping of str to (n,) array, optional
        Queries of one label are one unit in the intervals.
    batch_size : int
        Most rows of a task in a step.
    conflict_batches : int
        Batches on which gradients of the tasks are compared, at the mean of the models, because that is where all meet
        on equal terms; one backward pass for each task and batch. 0 for none.
    unrelated : {"refuse", "warn", "ignore"}
        What to do about models that do not come from one start.
    random_state : int, Generator or None
    device : str, optional
        Where to compute; where the base is by default.

    Raises
    ------
    SpaceMismatch
        Other names, shapes, layers or ties.
    BadInput
        NaN, models of different starts, probes that lack.
    """
    check_choice("unrelated", unrelated, POLICIES)
    check_positive("batch_size", batch_size)
    made: Merge = build("Merge", method)
    rng = generator(random_state)
    named = _named(tuned)
    if base is None and made.needs_base:
        raise BadInput(f"{name_of(made)} measures from the weights that all were tuned from: give them as the base")
    models = {t: model_of(m, None, repr(t)) for t, m in named.items()}
    origin = model_of(base if base is not None else next(iter(named.values())), module)
    vectors = TaskVectors(origin, models, device)
    kin = kinships(vectors, with_base=base is not None)
    insist(kin, unrelated)
    landscape = None
    if probes is not None:
        landscape = Landscape(vectors, objective_of(objective), Probes(probes, batch_size, rng))
    elif made.needs_probes:
        raise BadInput(f"{name_of(made)} learns from probes: give probes={{task: (x, y), ...}} of every task")
    with seeded(seed_of(rng), vectors.device):
        if vectors.blocks:
            found = made(vectors, landscape, rng)
        else:  # the same model several times
            found = Found(vectors.base, dict.fromkeys(vectors.tasks, 0.0))
        state = vectors.whole(found.block, found.shares)
        clashes = None
        if landscape is not None and vectors.blocks and conflict_batches:
            clashes = conflicts(landscape, vectors.uniform(), conflict_batches)
    figures, gains = _figures(vectors, state, metric, groups, with_base=base is not None)
    report = _report(made, vectors, found, kin, clashes, figures, gains)
    return Merged(state, report, origin)


def kinships(vectors: TaskVectors, *, with_base: bool) -> tuple[Kinship, ...]:
    """Return how the models are related: each to the base, or to the first where there is none."""
    tasks = vectors.tasks if with_base else vectors.tasks[1:]
    first = "the base" if with_base else vectors.tasks[0]
    return tuple(kinship(first, t, vectors.matrices(t)) for t in tasks)


def _named(tuned: Mapping[str, Any] | Iterable[Any]) -> dict[str, Any]:
    if isinstance(tuned, str | nn.Module) or not isinstance(tuned, Iterable):
        raise BadInput('give the tuned models as a mapping of tasks to models, such as {"titles": a, "tags": b}')
    named = dict(tuned) if isinstance(tuned, Mapping) else {f"model {i}": m for i, m in enumerate(tuned)}
    if not named:
        raise BadInput("there is nothing to merge: give at least one tuned model")
    if taken := {"base", "uniform", "merged"} & {str(t) for t in named}:
        raise BadInput(
            f"a task cannot be called {taken.pop()!r}, which is a system of the report: give it another name"
        )
    return {str(t): m for t, m in named.items()}


def _figures(
    vectors: TaskVectors, state: State, metric: Metric | None, groups: Any, *, with_base: bool
) -> tuple[dict[str, dict[str, Estimate]], dict[str, Comparison]]:
    """Return the metric of every system, and of the merged model less the mean."""
    if metric is None:
        return {}, {}
    rebuild = vectors.model.rebuild
    values: dict[str, dict[str, np.ndarray]] = {}
    for name in [*(["base"] if with_base else []), *vectors.tasks, "uniform", "merged"]:  # one model at a time
        if name == "merged":
            system = state
        elif name == "base":
            system = vectors.model.state
        else:
            system = vectors.state(vectors.uniform()) if name == "uniform" else vectors.alone(name)
        values[name] = measured(metric, rebuild(system))
        check_same(next(iter(values.values())), values[name])
    figures = {
        name: {t: estimate(v, t, groups=groups_of(groups, t)) for t, v in found.items()}
        for name, found in values.items()
    }
    gains = {t: compare(values["merged"][t], v, groups=groups_of(groups, t)) for t, v in values["uniform"].items()}
    return figures, _corrected(gains)


def _corrected(gains: dict[str, Comparison]) -> dict[str, Comparison]:
    p_values = holm([c.p_value_raw for c in gains.values()])
    return {
        t: replace(c, p_value=float(p), a="merged", b="uniform")
        for (t, c), p in zip(gains.items(), p_values, strict=True)
    }


def _report(
    made: Merge,
    vectors: TaskVectors,
    found: Found,
    kin: tuple[Kinship, ...],
    clashes: Conflicts | None,
    figures: dict[str, dict[str, Estimate]],
    gains: dict[str, Comparison],
) -> MergeReport:
    gram = vectors.gram()
    alike, length = cosines(gram), max(vectors.base_norm(), 1e-300)
    order = range(len(vectors.tasks))
    return MergeReport(
        method=name_of(made),
        params=made.get_params(),
        tasks=tuple(vectors.tasks),
        weights=dict(found.weights),
        block_weights={t: dict(w) for t, w in found.block_weights.items()},
        scale=found.scale,
        cosines={(vectors.tasks[i], vectors.tasks[j]): float(alike[i, j]) for i, j in combinations(order, 2)},
        lengths={t: float(np.sqrt(gram[i, i])) / length for i, t in enumerate(vectors.tasks)},
        kinships=kin,
        conflicts=clashes,
        figures=figures,
        gains=gains,
        losses=found.losses,
        stopped=found.stopped,
        learned=found.learned,
        averaged=vectors.layout.averaged,
        kept=vectors.layout.kept,
        notes=_notes(vectors, kin),
    )


def _notes(vectors: TaskVectors, kin: tuple[Kinship, ...]) -> tuple[str, ...]:
    notes = []
    if not vectors.blocks:
        notes.append("no model differs from the base in anything that can be merged")
    if any(n.rpartition(".")[2] == "running_var" for n in vectors.layout.averaged):
        notes.append(
            "running statistics were averaged, which is not what the merged weights would gather: run some training "
            "rows through the model in training mode before you use it"
        )
    notes += [f"{k}: merged because you asked for it" for k in kin if k.verdict == "different starts"]
    if any(k.verdict == "cannot tell" for k in kin):
        notes.append("too few weights to tell whether the models come from one start: look for a barrier")
    tied = sum(len(names) > 1 for names in vectors.layout.blocks.values())
    if tied:
        notes.append(f"{tied} blocks are known by several names and stayed tied")
    return tuple(notes)
