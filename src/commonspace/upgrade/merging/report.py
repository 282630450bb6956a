"""`MergeReport`: what was merged, with what weights, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from commonspace.measure import Comparison, Estimate
from commonspace.upgrade.merging.conflicts import Conflicts
from commonspace.upgrade.merging.kinship import Kinship

SHOWN = 6  # blocks of a task in print


@dataclass(frozen=True)
class MergeReport:
    """What was merged, and how.

    Parameters
    ----------
    method : str
        Its registered name.
    params : dict
        Its arguments.
    tasks : tuple of str
        The models.
    weights : dict of str to float
        Task -> weight of its vector; the mean over the blocks where they differ.
    block_weights : dict of str to (dict of str to float)
        Task -> block -> weight, where they differ.
    scale : float, optional
        Factor of the whole sum, where the method has one.
    cosines : dict of (str, str) to float
        Pair of tasks -> cosine of their task vectors: 0 where they change other things, below 0 where they undo each
        other's work.
    lengths : dict of str to float
        Task -> length of its vector in terms of that of the base.
    kinships : tuple of Kinship
        Whether the models come from one start.
    conflicts : Conflicts, optional
        Whether the gradients of the tasks on their probes conflict, at the uniform mean of the models.
    figures : dict of str to (dict of str to Estimate)
        System (``"base"``, each task's model, ``"uniform"``, ``"merged"``) -> task of the metric -> figure.
    gains : dict of str to Comparison
        Task of the metric -> merged less uniform, over the same queries, p-values corrected over the tasks (Holm).
    losses : tuple of float
        On the probes, step by step or scale by scale.
    stopped : str
        ``"steps"`` or ``"interrupt"``; empty if nothing was learned.
    learned : int
        Numbers that were learned.
    averaged, kept : tuple of str
        Names that were averaged whatever the method, and that stayed as in the base.
    notes : tuple of str
        What a reader should know.
    """

    method: str
    params: Mapping[str, Any]
    tasks: tuple[str, ...]
    weights: Mapping[str, float]
    block_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict, repr=False)
    scale: float | None = None
    cosines: Mapping[tuple[str, str], float] = field(default_factory=dict)
    lengths: Mapping[str, float] = field(default_factory=dict)
    kinships: tuple[Kinship, ...] = ()
    conflicts: Conflicts | None = None
    figures: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    gains: Mapping[str, Comparison] = field(default_factory=dict)
    losses: tuple[float, ...] = field(default=(), repr=False)
    stopped: str = ""
    learned: int = 0
    averaged: tuple[str, ...] = field(default=(), repr=False)
    kept: tuple[str, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "method": self.method,
            "params": {k: _plain(v) for k, v in self.params.items()},
            "tasks": list(self.tasks),
            "weights": dict(self.weights),
            "block_weights": {t: dict(w) for t, w in self.block_weights.items()},
            "scale": self.scale,
            "cosines": [{"tasks": list(pair), "cosine": c} for pair, c in self.cosines.items()],
            "lengths": dict(self.lengths),
            "kinships": [k.to_dict() for k in self.kinships],
            "conflicts": self.conflicts and self.conflicts.to_dict(),
            "figures": {s: {t: e.to_dict() for t, e in found.items()} for s, found in self.figures.items()},
            "gains": {t: c.to_dict() for t, c in self.gains.items()},
            "losses": list(self.losses),
            "stopped": self.stopped,
            "learned": self.learned,
            "averaged": list(self.averaged),
            "kept": list(self.kept),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        scale = "" if self.scale is None else f", scale {self.scale:.3f}"
        learned = f", {self.learned} numbers learned in {len(self.losses)} steps" if self.learned else ""
        cut = " (interrupted)" if self.stopped == "interrupt" else ""
        lines = [f"{self.method} of {len(self.tasks)} models{scale}{learned}{cut}"]
        for task in self.tasks:
            weight = self.weights.get(task, 0.0)
            lines.append(f"    {task}: weight {weight:.3f}, task vector {self.lengths.get(task, 0.0):.2f} of the base")
            blocks = sorted(self.block_weights.get(task, {}).items(), key=lambda kv: -abs(kv[1]))
            if blocks:
                more = f" and {len(blocks) - SHOWN} more" if len(blocks) > SHOWN else ""
                lines.append("        " + ", ".join(f"{b} {w:.2f}" for b, w in blocks[:SHOWN]) + more)
        lines += [f"    task vectors of {a} and {b}: cosine {c:.2f}" for (a, b), c in self.cosines.items()]
        if self.conflicts:
            lines += [f"    at the mean, {line}" for line in str(self.conflicts).splitlines()]
        for system, figures in self.figures.items():
            lines.append(f"    {system}: " + "; ".join(f"{task} {e}" for task, e in figures.items()))
        lines += [f"    {task}, merged less uniform: {c}" for task, c in self.gains.items()]
        return "\n".join([*lines, *(f"    note: {n}" for n in self.notes)])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
