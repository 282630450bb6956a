"""Planted worlds in which the right verdict is known."""

import numpy as np

from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.probes import Probes


def rotation(rng, dim):
    return np.linalg.qr(rng.normal(size=(dim, dim)))[0]


def two_views(rng, n, dim, noise):
    """Two modalities of n things, as far apart as the noise says."""
    z = rng.normal(size=(n, dim))
    return {m: z + noise * rng.normal(size=z.shape) for m in ("text", "image")}


def probes(old, new, n=None):
    n = len(next(iter(old.values())))
    return Probes(Pairs(old, new), things={m: np.arange(n) for m in old})


def rotated(n=400, dim=24, seed=0):
    """The old space, seen through a rotation, is all but the new one; a little of it is new."""
    rng = np.random.default_rng(seed)
    turn = rotation(rng, dim)
    new = two_views(rng, n, dim, 0.75)
    old = {m: (x + 0.3 * rng.normal(size=x.shape)) @ turn for m, x in new.items()}
    return probes(old, new)


def unrelated(n=400, dim=24, seed=0):
    """The new space knows what the old one knows nothing of."""
    rng = np.random.default_rng(seed)
    return probes(two_views(rng, n, dim, 1.5), two_views(rng, n, dim, 0.7))


def worse(n=400, dim=24, seed=0):
    """The new space is the old one with noise."""
    rng = np.random.default_rng(seed)
    old = two_views(rng, n, dim, 0.7)
    return probes(old, {m: x + rng.normal(size=x.shape) for m, x in old.items()})
