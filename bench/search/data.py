"""What is searched: WordNet's glosses, the icon space, and synthetic rows in any number.

Vectors are made once and kept, with the exact answers, in a cache folder outside the project
(``COMMONSPACE_BENCH``, by default ``commonspace-bench`` beside the other temporary files).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bench.search import synthetic, wordnet

from commonspace.core.digest import digest
from commonspace.search import top_k

ENVIRONMENT = "COMMONSPACE_BENCH"
SEED = 0
TEST, TRAIN = 2000, 10_000
TIES = 10


@dataclass(frozen=True)
class Data:
    """A corpus with its queries.

    Parameters
    ----------
    name : str
    X : (n, dim) float32
        Unit rows.
    queries : dict of str to (q, dim) float32
        "cross-modal" (another kind than the corpus) and "in-distribution" (held out of it).
    train : (m, dim) float32
        Cross-modal queries for tuning, disjoint from those asked.
    about : dict
        What goes into the results: seeds, numbers, how it was made.
    """

    name: str
    X: np.ndarray
    queries: dict[str, np.ndarray]
    train: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """A folder of this content, for the files that the engines' processes read."""
        parts = [self.X, self.train, *self.queries.values()]
        place = cache() / f"{self.name}-{digest([len(self.X), *(p[:: max(1, len(p) // 64)] for p in parts)])[:16]}"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def files(self) -> tuple[Path, Path]:
        """Return the paths of the corpus and of the tuning queries as ``.npy``."""
        paths = self.folder / "corpus.npy", self.folder / "train.npy"
        for path, rows in zip(paths, (self.X, self.train), strict=True):
            if not path.exists():
                _save(path, rows)
        return paths

    def truth(self, kind: str, k: int, *, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the true ids, as `exact` does; without a mask they are kept on disk."""
        path = self.folder / f"truth-{kind}-{k}-{TIES}.npy"
        if mask is None and path.exists():
            found: np.ndarray = np.load(path)
            return found
        found = exact(self.queries[kind], self.X, k, mask=mask)
        if mask is None:
            _save(path, found)
        return found


def exact(Q: np.ndarray, X: np.ndarray, k: int, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Return (q, k + 10) true ids: the k best, then those that tie with the k-th; -1 where there are no more.

    Equal texts have equal vectors: an engine that finds the other one is not wrong.
    """
    ids, scores = top_k(Q, X, k + TIES, mask=mask, max_length=1.0)
    if ids.shape[1] > k:
        ids[:, k:][scores[:, k:] < scores[:, k - 1 : k] - 1e-6] = -1
    return np.pad(ids, ((0, 0), (0, k + TIES - ids.shape[1])), constant_values=-1)


def cache() -> Path:
    """Return the folder for what can be made again."""
    return Path(os.environ.get(ENVIRONMENT, Path(tempfile.gettempdir()) / "commonspace-bench"))


def _save(path: Path, rows: np.ndarray) -> None:
    """Write whole or not at all: another run may read at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.stem}.{os.getpid()}.npy")
    np.save(draft, rows)
    draft.replace(path)


def _kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return arrays from the cache folder, or make and keep them."""
    folder = cache() / name
    if not (folder / "names.json").exists():
        made = make()
        for key, rows in made.items():
            _save(folder / f"{key}.npy", rows)
        (folder / "names.json").write_text(json.dumps(sorted(made)), encoding="utf-8")
    return {key: np.load(folder / f"{key}.npy") for key in json.loads((folder / "names.json").read_text("utf-8"))}


def glosses() -> Data:
    """Return WordNet's glosses under MiniLM; the queries of another kind are words of WordNet.

    A gloss is a definition and often examples. 2,000 of them are taken out as in-distribution queries.

    Raises
    ------
    NoWordNet
        The data files are not here.
    """

    def make() -> dict[str, np.ndarray]:
        from commonspace.encode import Cache
        from commonspace.encode.pipeline import encode_items
        from commonspace.encode.sentence import MiniLM

        all_synsets, encoder, kept = wordnet.synsets(), MiniLM(), Cache()
        rng = np.random.default_rng(SEED)
        words = sorted({w for s in all_synsets for w in s.words})
        asked = rng.permutation(np.array(words))[: TEST + TRAIN].tolist()
        passages = np.asarray(encode_items(encoder, [s.gloss for s in all_synsets], cache=kept).vectors)
        lemmas = np.asarray(encode_items(encoder, asked, cache=kept).vectors)
        held = np.zeros(len(passages), bool)
        held[rng.permutation(len(passages))[:TEST]] = True
        return {"X": passages[~held], "held": passages[held], "words": lemmas}

    wordnet.folder()
    a = _kept("glosses-v1", make)
    queries = {"cross-modal": a["words"][:TEST], "in-distribution": a["held"]}
    about = {"corpus": "WordNet glosses, MiniLM", "queries": "words of WordNet; held-out glosses", "seed": SEED}
    return Data("glosses", a["X"], queries, a["words"][TEST:], about)


def icons() -> Data:
    """Return the drawings of a small icon space; the queries of another kind are icon names.

    A smaller fit than the demonstration's: one head a modality on MiniLM and one HOG. Names of held-out concepts are
    asked, names that were trained on tune; 1,000 drawings are taken out as in-distribution queries.
    """

    def make() -> dict[str, np.ndarray]:
        from commonspace.demo.icons import load_icons
        from commonspace.encode import Cache
        from commonspace.space import Space

        drawn, kept = load_icons(64), Cache()
        held = drawn.held_out(0.1, random_state=SEED)
        encoders: dict[str, Any] = {
            "text": ["minilm"],
            "image": [{"name": "hog", "signed": True, "orientations": 8, "block": 2, "cells": [8]}],
        }
        space = Space(encoders, dim=256)
        pairs = {"text": drawn.names[~held].tolist(), "image": 255 - drawn.images[~held]}
        space.fit(pairs, valid=0, cache=kept, random_state=SEED, members=1, baselines=(), precision="medium")
        images = np.asarray(space.encode(list(255 - drawn.images), "image", cache=kept))
        asked, tuned = (np.unique(drawn.names[m]).tolist() for m in (held, ~held))
        away = np.zeros(len(images), bool)
        away[np.random.default_rng(SEED).permutation(len(images))[:1000]] = True
        names = {"asked": asked[:TEST], "tuned": tuned[:TRAIN]}
        texts = {key: np.asarray(space.encode(value, "text", cache=kept)) for key, value in names.items()}
        return {"X": images[~away], "held": images[away], **texts}

    a = _kept("icons-v1", make)
    queries = {"cross-modal": a["asked"], "in-distribution": a["held"]}
    about = {"corpus": "drawings of icons, 256 dimensions", "queries": "icon names; held-out drawings", "seed": SEED}
    return Data("icons", a["X"], queries, a["tuned"], about)


def like(real: Data, n: int, *, sample: int = 20_000) -> Data:
    """Return n synthetic rows with the spectrum, gap and hubness measured on real ones; see `synthetic`."""

    def make() -> dict[str, np.ndarray]:
        model, shown = synthetic.fit(real.X, real.train, sample=sample, random_state=SEED)
        text = np.frombuffer(json.dumps(shown).encode(), np.uint8)
        return {"shown": text, **{name: np.asarray(value) for name, value in vars(model).items()}}

    # Fitted once for all sizes.
    kept = _kept(f"like-v1-{real.folder.name}-{sample}", make)
    shown = json.loads(kept.pop("shown").tobytes())
    model = synthetic.Model(**{name: value if value.ndim else float(value) for name, value in kept.items()})
    X, Q = model.draw(n + TEST, TEST + TRAIN, random_state=SEED + 1)
    queries = {"cross-modal": Q[:TEST], "in-distribution": X[n:]}
    return Data(f"like-{real.name}", X[:n], queries, Q[TEST:], {"like": real.about, "seed": SEED + 1, **shown})


def tiny(n: int = 2000, dim: int = 32) -> Data:
    """Return a small clustered set for tests: no file, no encoder."""
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((n // 20, dim))
    X = synthetic.unit(centres[rng.integers(len(centres), size=n + 100)] + 0.7 * rng.standard_normal((n + 100, dim)))
    Q = synthetic.unit(X[rng.integers(n, size=300)] + 0.1 * rng.standard_normal((300, dim)) + 0.05)
    queries = {"cross-modal": Q[:100], "in-distribution": X[n:]}
    return Data("tiny", X[:n], queries, Q[100:], {"corpus": "clusters", "seed": SEED})
