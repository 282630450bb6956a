"""Spaces with a truth: item k is a random direction, which each space sees through a map of its own and some noise."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
from tests.fake_space import Encoded

from commonspace.core.errors import BadItems
from commonspace.core.vectors import unit
from commonspace.upgrade.bridges.ridge import RidgeBridge
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.scale import Scale

LATENT = 6


def latent(k):
    return np.random.default_rng(k).standard_normal(LATENT)


class Planted:
    """Items are strings of a number, "broken" cannot be read; both modalities show the same things."""

    def __init__(self, id="old", dim=8, seed=1, noise=0.1, modalities=("text", "image")):
        self.id, self.dim, self.seed, self.noise = id, dim, seed, noise
        self.modalities = list(modalities)
        self.calls = 0

    def kind_of(self, modality):
        return "text"

    def vector(self, k, modality):
        turn = np.random.default_rng([self.seed, 7]).standard_normal((LATENT, self.dim))
        own = np.random.default_rng([self.seed, len(modality), 8]).standard_normal(self.dim)  # the modality gap
        eps = np.random.default_rng([self.seed, len(modality), k]).standard_normal(self.dim)
        return unit((latent(k) @ turn + 0.5 * own + self.noise * LATENT * eps)[None].astype(np.float32))[0]

    def encode_items(self, items, modality, *, on_error="raise", cache=None):
        assert modality in self.modalities, modality
        self.calls += len(items)
        skipped = {i: "it is broken" for i, x in enumerate(items) if x == "broken"}
        if skipped and on_error == "raise":
            raise BadItems(skipped, what=modality)
        kept = [i for i in range(len(items)) if i not in skipped]
        rows = [self.vector(int(items[i]), modality) for i in kept]
        return Encoded(np.array(rows, np.float32).reshape(len(rows), self.dim), kept, skipped)

    def encode(self, items, modality, *, on_error="raise", cache=None):
        return self.encode_items(items, modality, on_error=on_error).vectors

    def bank(self, modality):
        return self.encode([str(k) for k in range(50_000, 50_040)], modality)

    def save(self, path):
        Path(path).mkdir(parents=True)
        config = {k: v for k, v in vars(self).items() if k != "calls"}
        (Path(path) / "config.json").write_text(json.dumps(config))

    @classmethod
    def load(cls, path):
        return cls(**json.loads((Path(path) / "config.json").read_text()))


def old_space(**options):
    return Planted(**options)


def new_space(**options):
    return Planted(**{"id": "new", "dim": 10, "seed": 2, "noise": 0.1, **options})


def saved_spaces():
    """Return a context in which the spaces that a collection saves and loads are these."""
    return patch.dict(sys.modules, {"commonspace.space": SimpleNamespace(Space=Planted)})


def migration(carries="items", old=None, new=None, scales=None):
    """Return a migration that has learned from other items than those of the tests."""
    old, new = old or old_space(), new or new_space()
    things = [str(k) for k in range(60_000, 60_080)]
    pairs = Pairs(
        {m: old.encode(things, m) for m in old.modalities}, {m: new.encode(things, m) for m in old.modalities}
    )
    bridge = None if carries is None else RidgeBridge(carries=carries).fit(pairs)
    if scales is None:
        scales = {"text->image": Scale(1.2, -0.1), "->image": Scale(0.9, 0.05), "->text": Scale(1.1, 0.02)}
    samples = {m: (pairs.old[m][:30], pairs.new[m][:30]) for m in pairs.modalities}
    samples = samples if any(s.standard for s in scales.values()) else {}
    return Migration(old.id, new.id, new.dim, bridge, scales, samples)
