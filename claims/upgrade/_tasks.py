"""Items with a class, a style and an identity, and the three tasks that pull one head in three directions.

class         two items of one class are alike, whatever their style
style         two items of one style are alike, whatever their class
paraphrase    only two views of one item are alike
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn.functional import normalize

TASKS = ("class", "style", "paraphrase")
SIZES = {"class": 100, "style": 1_000, "paraphrase": 10_000}
HIDDEN, DIM = 64, 32
NOISE = 0.25
TEMPERATURE = 0.1
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, rows of their partners, groups


@dataclass(frozen=True)
class World:
    """Where items come from: `draw(n, rng)` gives class and style, `see(items, rng)` a view of each."""

    name: str
    draw: Callable[[int, str, np.random.Generator], Any]
    see: Callable[[Any, np.random.Generator], np.ndarray]


def mixed(parts: list[np.ndarray], seed: int, rng: np.random.Generator) -> np.ndarray:
    """Return what a fixed random network of two layers makes of parts laid side by side, with noise: (n, 64)."""
    net = np.random.default_rng([seed, 1])
    x = np.hstack(parts)
    hidden = np.tanh(x @ net.normal(size=(x.shape[1], 64)) / np.sqrt(x.shape[1]))
    seen: np.ndarray = hidden @ net.normal(size=(64, 64)) / 8
    return (seen + NOISE * rng.normal(size=seen.shape)).astype(np.float32)


def factors(seed: int) -> World:
    """Ten classes, ten styles and eight numbers that make an item."""
    rng = np.random.default_rng([seed, 2])
    class_of, style_of = rng.normal(size=(10, 8)), rng.normal(size=(10, 8))

    def draw(n: int, part: str, rng: np.random.Generator) -> Any:
        return rng.integers(0, 10, n), rng.integers(0, 10, n), rng.normal(size=(n, 8))

    def see(items: Any, rng: np.random.Generator) -> np.ndarray:
        label, style, own = items
        return mixed([class_of[label], style_of[style], own], seed, rng)

    return World("factors", draw, see)


def digits(seed: int) -> World:
    """Scikit-learn digits, their 16 strongest directions of equal strength, in ten styles: eight numbers each."""
    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng([seed, 2])
    style_of = rng.normal(size=(10, 8))
    order = rng.permutation(len(images))
    parts = {"train": order[:1000], "test": order[1000:]}
    shapes = PCA(16, whiten=True, random_state=0).fit(images[parts["train"]]).transform(images)

    def draw(n: int, part: str, rng: np.random.Generator) -> Any:
        at = rng.choice(parts[part], n, replace=n > len(parts[part]))
        return labels[at], rng.integers(0, 10, n), at

    def see(items: Any, rng: np.random.Generator) -> np.ndarray:
        _, style, at = items
        return mixed([shapes[at], style_of[style]], seed, rng)

    return World("digits", draw, see)


def pairs(world: World, task: str, n: int, rng: np.random.Generator) -> Pairs:
    """Return training pairs of a task."""
    items = world.draw(n, "train", rng)
    if task == "paraphrase":
        return world.see(items, rng), world.see(items, rng), np.arange(n)
    at = TASKS.index(task)
    others = world.draw(max(5 * n, 500), "train", rng)
    same = [rng.choice(np.flatnonzero(others[at] == value)) for value in items[at]]
    partners = tuple(part[same] for part in others)
    return world.see(items, rng), world.see(partners, rng), items[at]


def scores(world: World, net: Callable[[np.ndarray], np.ndarray], seed: int, n: int = 400) -> dict[str, np.ndarray]:
    """Return task -> (n,) values of test items: whether the nearest item is of the class, the style, the same."""
    rng = np.random.default_rng([seed, 3])
    asked, gallery = world.draw(n, "test", rng), world.draw(n, "test", rng)
    q, g, again = (net(world.see(items, rng)) for items in (asked, gallery, asked))
    nearest = (q @ g.T).argmax(1)
    own = (q @ again.T).argmax(1)
    return {
        "class": (asked[0] == gallery[0][nearest]).astype(float),
        "style": (asked[1] == gallery[1][nearest]).astype(float),
        "paraphrase": (own == np.arange(n)).astype(float),
    }


# Training: small networks in plain torch.


def network(d_in: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(d_in, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, DIM))


def encode(net: nn.Module, rows: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return normalize(net.eval()(torch.from_numpy(np.ascontiguousarray(rows, np.float32))), dim=1).numpy()


def infonce(logits: Tensor, groups: Tensor) -> Tensor:
    """Return symmetric InfoNCE in which rows of one group are positives: what `infonce` is, without its options."""
    same = (groups[:, None] == groups[None, :]).float()
    target = same / same.sum(1, keepdim=True)
    return -((target * logits.log_softmax(1)).sum(1).mean() + (target * logits.T.log_softmax(1)).sum(1).mean()) / 2


def train(
    net: nn.Sequential,
    tasks: dict[str, Pairs],
    steps: int,
    rng: np.random.Generator,
    *,
    chances: dict[str, float] | None = None,
    lr: float = 1e-3,
    batch_size: int = 64,
) -> nn.Sequential:
    """Return the network after steps of Adam on pairs of tasks, each step with one task, drawn with these chances."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=lr)
    names = list(tasks)
    weights = np.array([1.0 if chances is None else chances[t] for t in names])
    net.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * 0.5 * (1 + np.cos(np.pi * step / steps))
        x, y, groups = tasks[names[rng.choice(len(names), p=weights / weights.sum())]]
        rows = rng.choice(len(x), min(batch_size, len(x)), replace=False)
        z, partner = (normalize(net(torch.from_numpy(part[rows])), dim=1) for part in (x, y))
        optimiser.zero_grad()
        infonce(z @ partner.T / TEMPERATURE, torch.from_numpy(groups[rows])).backward()
        optimiser.step()
    return net
