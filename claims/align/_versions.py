"""Two versions of a space, for claims about compatibility: what queries of one find in the gallery of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from claims._outcome import compared
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.objectives.classes import ClassVectors
from commonspace.core.vectors import unit
from commonspace.reshape.procrustes import Procrustes

Vectors = dict[str, np.ndarray]
POINT = 0.01


class Classifier(ClassVectors):
    """A learned softmax over the classes by cosine, without anything that makes versions comparable."""

    name = "classifier"

    def __init__(self, *, classes: int = 10, temperature: float = 0.1) -> None:
        super().__init__(classes)
        self.temperature = temperature

    def prepare(self, heads: Any, dim: int) -> None:
        self.weight = nn.Parameter(torch.randn(self.classes, dim) / dim**0.5)

    def class_vectors(self) -> Tensor:
        return normalize(self.weight, dim=1)

    def cost(self, cosines: Tensor, targets: Tensor) -> Tensor:
        return -(targets * (cosines / self.temperature).log_softmax(1)).sum(1)


def prefix(z: Vectors, size: int) -> Vectors:
    """The first numbers of every vector, of length one."""
    return {m: unit(v[:, :size]) for m, v in z.items()}


def turned(z: Vectors, train: Vectors, old: Vectors) -> Vectors:
    """Vectors of another space, turned onto the old one by the training items of all modalities."""
    found = Procrustes().fit(np.concatenate(list(train.values())), np.concatenate([old[m] for m in train]))
    return {m: unit(found.transform(v)) for m, v in z.items()}


def found_by(
    heads: Any, train: Vectors, test: Vectors, old: tuple[Vectors, Vectors], score: Callable[[Vectors, Vectors], float]
) -> dict[str, float]:
    """What queries by new heads find in the old gallery, by their prefix and turned onto it, and in their own."""
    seen, gallery = old
    z = {m: heads[m](test[m]) for m in test}
    size = next(iter(gallery.values())).shape[1]
    own = {m: heads[m](train[m]) for m in train}
    return {
        "new/old": score(prefix(z, size), gallery),
        "new/new": score(z, z),
        "turned/old": score(turned(z, own, seen), gallery),
    }


def goal(wanted: str, figures: list[float], baselines: list[float], least: float = 0.0) -> dict[str, Any]:
    """Whether a difference is above `least` over the seeds, with its interval; "met" if all of the interval is."""
    found = compared(np.array(figures), np.array(baselines))
    low, high = found["low"], found["high"]
    verdict = "met" if low > least else "missed" if high < least else "open"
    return {"goal": wanted, "difference": found["difference"], "low": low, "high": high, "verdict": verdict}


def told(goals: list[dict[str, Any]]) -> str:
    """The goals in words."""
    return "; ".join(
        f"{g['goal']}: {g['verdict']} ({g['difference']:+.3f} [{g['low']:+.3f}, {g['high']:+.3f}])" for g in goals
    )


def verdict(goals: list[dict[str, Any]]) -> str:
    """Holds if every goal is met, does not hold if none is."""
    met = [g["verdict"] == "met" for g in goals]
    return "holds" if all(met) else "depends" if any(met) else "does not hold"
