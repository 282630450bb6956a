"""Icons, their names under two text encoders, and an image encoder that knows the first of these only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from claims import Skip
from claims.align._data import all_icons

from commonspace.core.registry import build
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams
from commonspace.reshape import Ridge


@dataclass(frozen=True)
class Named:
    """Training and test concepts, one icon each; no concept is in both.

    Parameters
    ----------
    words : dict of str to list of str
        Part ("train", "test") -> names.
    first, second : dict of str to (n, d) arrays
        Names under the first and the second text encoder.
    icons : dict of str to (n, d) arrays
        Drawings in the space of the first text encoder.
    """

    words: dict[str, list[str]]
    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]
    icons: dict[str, np.ndarray]


@lru_cache(maxsize=1)
def _drawn() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return one icon for each name of letters: names, shapes, sentence vectors of the names."""
    everything = all_icons()
    names = np.array([str(n) for n in everything.names])
    unique, rows = np.unique(names, return_index=True)
    plain = [i for i, n in enumerate(unique) if n.replace(" ", "").replace("-", "").isalpha()]
    rows = rows[np.random.default_rng(0).permutation(plain)[:3000]]
    words = [str(n) for n in names[rows]]
    try:
        sentences = build("Encoder", "minilm").encode(words)
    except ImportError as e:
        raise Skip(f"the offline sentence encoder is not installed: {e}") from e
    return words, HOG(cells=(8,)).encode([everything.images[i] for i in rows]), np.asarray(sentences)


@lru_cache(maxsize=4)
def named(seed: int, tests: int = 600) -> Named:
    """Return one split of the concepts; everything learned is learned from the training part."""
    words, shapes, sentences = _drawn()
    order = np.random.default_rng(seed).permutation(len(words))
    parts = {"train": order[tests:], "test": order[:tests]}
    texts = {p: [words[i] for i in rows] for p, rows in parts.items()}
    letters = NGrams(dim=128, max_features=5000, random_state=seed).fit(texts["train"])
    first = {p: letters.encode(t) for p, t in texts.items()}
    drawn = Ridge().fit(shapes[parts["train"]], first["train"])
    return Named(
        texts,
        first,
        {p: sentences[rows] for p, rows in parts.items()},
        {p: drawn.transform(shapes[rows]) for p, rows in parts.items()},
    )
