"""Items in two spaces whose relation is known, for the tests of bridges."""

import numpy as np

from commonspace.core.vectors import unit
from commonspace.upgrade.pairs import Pairs


def rotation(dim, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]


def rows(n, dim, seed=0):
    return unit(np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32))


def turned(n=60, dim=6, seed=0, modalities=("text", "image")):
    """Return items of some modalities in two spaces, the second a rotation of the first."""
    turn = rotation(dim, seed + 1000)
    old = {m: rows(n, dim, seed + i) for i, m in enumerate(modalities)}
    return Pairs(old, {m: (x @ turn).astype(np.float32) for m, x in old.items()})


def turned_apart(n=60, dim=6, few=None):
    """Return items of two modalities, each turned by a rotation of its own: no map of all fits either."""
    counts = {"text": n, "image": n if few is None else few}
    old = {m: rows(k, dim, i) for i, (m, k) in enumerate(counts.items())}
    return Pairs(old, {m: (x @ rotation(dim, 50 + i)).astype(np.float32) for i, (m, x) in enumerate(old.items())})


def crowded(n=300, dim=12, seed=0, noise=0.5):
    """Return items of one modality that crowd around a mean in both spaces, as raw encoders have it."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, dim)) * np.linspace(0.2, 2.0, dim)
    sides = [
        hidden @ rng.normal(size=(dim, dim)) + noise * rng.normal(size=(n, dim)) + 8 * rng.normal(size=dim)
        for _ in range(2)
    ]
    return Pairs({"text": sides[0].astype(np.float32)}, {"text": sides[1].astype(np.float32)})
