"""Concepts drawn by several hands, with their name: truth for search within images beside search by text.

Icons of several families (any machine can install them) and emoji of four vendors (the shared set). A row is one
drawing with the name of its concept; no concept is in both parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from claims.align._data import all_icons
from claims.align._emoji import emoji

from commonspace.align.fit import fit_heads
from commonspace.core.vectors import unit
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams

HEAD = {"name": "mlp", "hidden": 256, "dropout": 0.3}
VENDORS = ("noto", "twemoji", "openmoji", "openmoji_line")
Vectors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Drawings:
    """Drawings, one a row.

    Parameters
    ----------
    X : dict of str to (n, d) float32
        "image" and "text".
    concepts, vendors : (n,) int64
        What a row shows, and by whose hand.
    """

    X: Vectors
    concepts: np.ndarray
    vendors: np.ndarray

    def take(self, rows: np.ndarray) -> Drawings:
        """Return the drawings at these rows."""
        return Drawings({m: v[rows] for m, v in self.X.items()}, self.concepts[rows], self.vendors[rows])


def split(everything: Drawings, held: np.ndarray) -> tuple[Drawings, Drawings]:
    """Return training and test drawings, concepts numbered from 0 in the first."""
    train, test = everything.take(np.flatnonzero(~held)), everything.take(np.flatnonzero(held))
    numbered = np.unique(train.concepts, return_inverse=True)[1]
    return Drawings(train.X, numbered, train.vendors), test


@lru_cache(maxsize=1)
def _icons() -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Return images, concepts, their texts and families: one drawing a family of each concept that two or more drew."""
    icons = all_icons()
    concepts = np.unique(icons.concepts, return_inverse=True)[1]
    families = np.unique(icons.families, return_inverse=True)[1]
    plainest = np.lexsort((icons.names, np.char.str_len(icons.names)))  # of several styles the one with the least words
    _, first = np.unique(np.stack([concepts, families], 1)[plainest], axis=0, return_index=True)
    rows = np.sort(plainest[first])
    shared = np.bincount(concepts[rows])[concepts[rows]] > 1
    rows = rows[shared]
    images = HOG(cells=(8,)).encode([icons.images[i] for i in rows])
    return images, concepts[rows], [str(c) for c in icons.concepts[rows]], families[rows]


@lru_cache(maxsize=8)
def icon_drawings(seed: int, tests: float = 0.3) -> tuple[Drawings, Drawings]:
    """Return training and test icons; the text encoder learns from the training part."""
    images, concepts, names, families = _icons()
    held = _held(concepts, seed, tests)
    encoder = NGrams(dim=128, max_features=5000).fit([n for n, out in zip(names, held, strict=True) if not out])
    return split(Drawings({"image": images, "text": encoder.encode(names)}, concepts, families), held)


@lru_cache(maxsize=1)
def _emoji() -> Drawings:
    from commonspace.encode.sentence import MiniLM

    data = emoji(vendors=VENDORS)
    names = MiniLM(device="cpu").encode(data.names["en"])
    concepts = np.unique(data.bases, return_inverse=True)[1]
    images = np.concatenate([data.images[v] for v in VENDORS])
    k = len(VENDORS)
    return Drawings(
        {"image": images, "text": np.tile(names, (k, 1))}, np.tile(concepts, k), np.repeat(np.arange(k), len(concepts))
    )


def emoji_drawings(seed: int, tests: float = 0.3) -> tuple[Drawings, Drawings]:
    """Return training and test emoji."""
    everything = _emoji()
    return split(everything, _held(everything.concepts, seed, tests))


def _held(concepts: np.ndarray, seed: int, tests: float) -> np.ndarray:
    names = np.random.default_rng(seed).permutation(np.unique(concepts))
    return np.isin(concepts, names[: round(tests * len(names))])


def trained(part: Drawings, objective: Any, seed: int, epochs: int, **options: Any) -> Any:
    """Heads by the strong recipe, all epochs, no selection."""
    return fit_heads(
        part.X, groups=part.concepts, objective=objective, epochs=epochs, valid=None, baselines=(), random_state=seed,
        **{"head": HEAD, "dim": 64, "batch_size": 256, **options},
    ).heads  # fmt: skip


def figures(z: Vectors, test: Drawings) -> dict[str, float]:
    """Share of queries whose first hit is right, in four directions, and mean average precision within images.

    Within images a drawing must find another vendor's: those of its own vendor are not in its gallery. Names are asked
    and found once a concept. `mixed` is a search over names and drawings together, the query left out: whether the
    first ten hold the other modality's answer, both directions.
    """
    c = test.concepts
    once = np.unique(c, return_index=True)[1]
    image, text = z["image"], z["text"][once]
    same = c[once][:, None] == c[None, :]
    other = test.vendors[:, None] != test.vendors[None, :]
    cross, within = text @ image.T, np.where(other, image @ image.T, -np.inf)
    alike = (c[:, None] == c[None, :]) & other
    asked = alike.any(1)
    return {
        "text->image": _hit(cross, same),
        "image->text": _hit(cross.T, same.T),
        "image->image": _hit(within[asked], alike[asked]),
        "image->image map": _map(within[asked], alike[asked]),
        "mixed": (_mixed(cross, same, text @ text.T) + _mixed(cross.T, same.T, image @ image.T)) / 2,
    }


def centred(z: Vectors) -> Vectors:
    """Return each modality without its mean, at unit length."""
    return {m: unit(v - v.mean(axis=0)) for m, v in z.items()}


def _hit(scores: np.ndarray, relevant: np.ndarray) -> float:
    return float(relevant[np.arange(len(scores)), scores.argmax(1)].mean())


def _map(scores: np.ndarray, relevant: np.ndarray) -> float:
    from commonspace.measure import evaluate

    return evaluate(scores, relevant, ["map"], resamples=1)["map"].value


def _mixed(cross: np.ndarray, relevant: np.ndarray, within: np.ndarray, k: int = 10) -> float:
    """Share of queries with a relevant item of the other modality among the first k of both modalities."""
    best = np.where(relevant, cross, -np.inf).max(1, keepdims=True)
    rivals = within - 9 * np.eye(len(within))
    return float(((cross > best).sum(1) + (rivals > best).sum(1) < k).mean())
