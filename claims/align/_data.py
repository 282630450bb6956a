"""Two real two-view sets that any machine can install, for the claims of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats
from sklearn.datasets import load_digits

from commonspace.align.training.validation import ranks


@dataclass(frozen=True)
class Split:
    """Training and test pairs; a group is a thing that must be found."""

    train: dict[str, np.ndarray]
    train_groups: np.ndarray
    test: dict[str, np.ndarray]
    test_groups: np.ndarray


@lru_cache(maxsize=1)
def all_icons() -> Any:
    """All icons, drawn once."""
    from commonspace.demo.icons import load_icons

    return load_icons()


def icons(seed: int, pairs: int, tests: int, *, image, text) -> tuple[Split, np.ndarray, np.ndarray]:
    """Icons and their names; no concept is in both parts. Encoders learn from the training part only."""
    everything = all_icons()
    rng = np.random.default_rng(seed)
    held = everything.held_out(0.2, random_state=seed)
    train = rng.permutation(np.flatnonzero(~held))[:pairs]
    test = rng.permutation(np.flatnonzero(held))[:tests]
    images = image.fit([everything.images[i] for i in train])
    texts = text.fit([str(n) for n in everything.names[train]])
    groups = np.unique(everything.names, return_inverse=True)[1]

    def part(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "image": images.encode([everything.images[i] for i in rows]),
            "text": texts.encode([str(n) for n in everything.names[rows]]),
        }

    return Split(part(train), groups[train], part(test), groups[test]), train, test


def digits(seed: int, pairs: int, tests: int) -> Split:
    """Left and right halves of handwritten digits: a half must find its other half."""
    images = np.random.default_rng(seed).permutation(load_digits().images).astype(np.float32)
    halves = {"left": images[:, :, :4].reshape(-1, 32), "right": images[:, :, 4:].reshape(-1, 32)}
    return Split(
        {m: v[:pairs] for m, v in halves.items()},
        np.arange(pairs),
        {m: v[-tests:] for m, v in halves.items()},
        np.arange(tests),
    )


def recall(queries: np.ndarray, gallery: np.ndarray, q: np.ndarray, g: np.ndarray, k: int) -> float:
    """Share of queries with a relevant item among the first k."""
    import torch

    rank = ranks(*(torch.from_numpy(np.ascontiguousarray(v)) for v in (queries, gallery, q, g)))
    return float((rank <= k).float().mean())


def both_ways(z: dict[str, np.ndarray], groups: np.ndarray, k: int) -> float:
    """Mean recall of both directions."""
    a, b = z.values()
    return (recall(a, b, groups, groups, k) + recall(b, a, groups, groups, k)) / 2


def interval(differences: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % t interval over seeds."""
    d = np.asarray(differences)
    if np.ptp(d) == 0:
        return float(d[0]), float(d[0]), float(d[0])
    low, high = stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d))
    return float(d.mean()), float(low), float(high)
