"""Small worlds in which one thing is wrong, or nothing is: for the claims and tests of findings.

A world is 200 things of 32 hidden numbers in five classes, each with two images and a text that are noisy views of
them. `planted(name, seed)` makes one where the finding has something to find, `sound(name, seed)` one where it has not
(with what it needs to look: classes, training items, an earlier version).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from commonspace.core.vectors import unit
from commonspace.judge import Subject

THINGS, DIM, EACH = 200, 32, 2
LABELS = np.repeat(np.arange(THINGS), EACH)
IDS = {"image": [f"image {i}" for i in range(len(LABELS))]}

#: Every finding that has worlds.
NAMES = (
    "agreement",
    "collapse",
    "dimensions",
    "drift",
    "duplicates",
    "gap",
    "hubness",
    "imbalance",
    "intramodal",
    "isotropy",
    "leaks",
    "neighbourhoods",
    "norms",
    "pair-outliers",
)


def hidden(rng: np.random.Generator, n: int = THINGS) -> tuple[np.ndarray, np.ndarray]:
    """Return n things and their classes."""
    classes = rng.integers(0, 5, n)
    centres = 0.8 * rng.normal(size=(5, DIM))
    return centres[classes] + rng.normal(size=(n, DIM)), classes


def views(z: np.ndarray, rng: np.random.Generator, noise: float = 0.4) -> np.ndarray:
    """Return noisy views of things, not of unit length."""
    return z + noise * rng.normal(size=z.shape)


def subject(images: np.ndarray, texts: np.ndarray, classes: np.ndarray, **more: Any) -> Subject:
    """Return a world of these vectors, brought to unit length."""
    vectors = {"image": unit(images.astype(np.float32)), "text": unit(texts.astype(np.float32))}
    things = {"image": LABELS, "text": np.arange(THINGS)}
    return Subject(vectors, things=things, classes={"image": classes[LABELS]}, **more)


def sound(name: str, seed: int) -> Subject:
    """Return a world in which nothing is wrong."""
    rng = np.random.default_rng([seed, 1])
    z, classes = hidden(rng)
    world = subject(views(z[LABELS], rng), views(z, rng), classes)
    if name == "leaks":
        others, _ = hidden(rng)
        return replace(world, training=Subject({"image": unit(views(others, rng).astype(np.float32))}))
    if name == "drift" and seed % 2:  # two halves of one source
        half = {m: np.flatnonzero(labels < THINGS // 2) for m, labels in world.things.items()}
        rest = {m: np.flatnonzero(labels >= THINGS // 2) for m, labels in world.things.items()}
        return replace(world.take(rest), earlier=world.take(half))
    if name == "drift":
        moved = unit(world.vectors["image"] + 0.02 * rng.normal(size=(len(LABELS), DIM)).astype(np.float32))
        return replace(world, names=IDS, earlier=Subject({"image": moved}, names=IDS))
    return world


def planted(name: str, seed: int) -> Subject:
    """Return a world in which the finding of this name has something to find."""
    rng = np.random.default_rng([seed, 0])
    z, classes = hidden(rng)
    images, texts = views(z[LABELS], rng), views(z, rng)
    make = {
        "collapse": _collapse,
        "dimensions": _dimensions,
        "gap": _gap,
        "hubness": _hubs,
        "imbalance": _gap,
        "isotropy": _crowd,
    }
    if name in make:
        return subject(*make[name](images, texts, rng), classes)
    if name == "neighbourhoods":
        return subject(images, texts, rng.permutation(classes))
    if name == "agreement":
        return subject(images, rng.permutation(texts), classes)
    if name == "intramodal":
        look = rng.normal(size=(5, DIM))[rng.integers(0, 5, len(LABELS))]
        return subject(images + 2.0 * look, texts, classes)
    if name == "pair-outliers":
        wrong = rng.permutation(THINGS)[: THINGS // 4]
        texts[wrong] = texts[np.roll(wrong, 1)]
        return subject(images, texts, classes)
    world = subject(images, texts, classes)
    vectors = dict(world.vectors)
    if name == "duplicates":
        copied = rng.permutation(THINGS)[: THINGS // 10].reshape(2, -1)
        x = vectors["text"].copy()
        x[copied[0]] = unit(x[copied[1]] + 0.002 * rng.normal(size=(len(copied[1]), DIM)).astype(np.float32))
        return replace(world, vectors=vectors | {"text": x})
    if name == "norms":
        x = vectors["image"].copy()
        bad = rng.permutation(len(x))[:3]
        x[bad] = [np.zeros(DIM), np.full(DIM, np.nan), 50 * x[bad[2]]][seed % 3]
        return replace(world, vectors=vectors | {"image": x})
    if name == "leaks":
        others, _ = hidden(rng)
        trained = unit(views(others, rng).astype(np.float32))
        seen = rng.permutation(len(LABELS))[: len(LABELS) // 20]
        copies = unit(vectors["image"][seen] + 0.002 * rng.normal(size=(len(seen), DIM)).astype(np.float32))
        return replace(world, training=Subject({"image": np.concatenate([trained, copies])}))
    if name == "drift" and seed % 2:
        shifted = unit(views(z, rng) + 0.5 * unit(rng.normal(size=(1, DIM))) * np.sqrt(DIM) / 2)
        return replace(world, earlier=Subject({"image": shifted.astype(np.float32)}))
    if name == "drift":
        moved = unit(world.vectors["image"] + 0.25 * rng.normal(size=(len(LABELS), DIM)).astype(np.float32))
        return replace(world, names=IDS, earlier=Subject({"image": moved}, names=IDS))
    raise KeyError(name)


def _collapse(images: np.ndarray, texts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Keep two directions of 32, and a hundredth of the others."""
    keep = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0][:, :2]
    return tuple(x @ keep @ keep.T + 0.01 * x for x in (images, texts))  # type: ignore[return-value]


def _dimensions(images: np.ndarray, texts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Let a tenth of the dimensions die, repeat another, or one of them dominate."""
    some = rng.permutation(DIM)[:6]
    kind = int(rng.integers(3))
    for x in (images, texts):
        if kind == 0:
            x[:, some[:4]] = 0
        elif kind == 1:
            x[:, some[:3]] = -x[:, some[3:]]
        else:
            x[:, some[0]] *= 12
    return images, texts


def _gap(images: np.ndarray, texts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Move the modalities apart along one direction."""
    away = 0.6 * np.sqrt(DIM) * unit(rng.normal(size=(1, DIM)))
    return images + away, texts - away


def _hubs(images: np.ndarray, texts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Let all rows have something in common, and three texts have little else."""
    common = 1.2 * np.sqrt(DIM) * unit(rng.normal(size=(1, DIM)))
    blank = rng.permutation(len(texts))[:3]
    texts[blank] *= 0.05
    return images + common, texts + common


def _crowd(images: np.ndarray, texts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Let all rows have much in common."""
    common = 1.6 * np.sqrt(DIM) * unit(rng.normal(size=(1, DIM)))
    return images + common, texts + common
