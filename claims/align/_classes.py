"""Forty classes on two sides: halves of handwritten digits, each digit turned by four right angles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from commonspace.align.fit import fit_heads
from commonspace.measure import evaluate

Vectors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Part:
    """Left and right halves of turned digits, and which class each belongs to."""

    X: Vectors
    classes: np.ndarray

    def take(self, rows: np.ndarray) -> Part:
        return Part({m: v[rows] for m, v in self.X.items()}, self.classes[rows])


def turned_digits(seed: int, items: int, tests: int) -> tuple[Part, Part]:
    """Training and test items; no image is in both, turned or not."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))

    def part(images: np.ndarray) -> Part:
        turns = np.arange(len(images)) % 4
        pictures = np.stack([np.rot90(digits.images[i], k) for i, k in zip(images, turns, strict=True)])
        halves = {"left": pictures[:, :, :4], "right": pictures[:, :, 4:]}
        X = {m: np.ascontiguousarray(h.reshape(len(h), -1), np.float32) for m, h in halves.items()}
        return Part(X, digits.target[images] * 4 + turns)

    return part(order[:items]), part(order[items : items + tests])


def trained(part: Part, objective: Any, seed: int, epochs: int = 30) -> Any:
    """Heads by the strong recipe, all epochs, no selection."""
    head = {"name": "mlp", "hidden": 256, "dropout": 0.3}
    return fit_heads(
        part.X, groups=part.classes, objective=objective, head=head, dim=32, epochs=epochs, batch_size=128, valid=None,
        baselines=(), random_state=seed,
    ).heads  # fmt: skip


def precision(queries: Any, gallery: Any, test: Part) -> float:
    """MAP of both directions: halves of a class must find the other side's halves of that class."""
    found = []
    for a, b in (("left", "right"), ("right", "left")):
        scores = queries[a](test.X[a]) @ gallery[b](test.X[b]).T
        relevant = test.classes[:, None] == test.classes[None, :]
        found.append(evaluate(scores, relevant, ["map"])["map"].value)
    return float(np.mean(found))


def without(part: Part, kept: np.ndarray) -> Part:
    """The items of these classes alone."""
    return part.take(np.flatnonzero(np.isin(part.classes, kept)))
