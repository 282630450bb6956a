"""Vectors of texts by MiniLM at several layers and poolings, and by n-grams of several sizes, kept on disk.

A name says how a text is encoded:

    minilm 4 mean       the mean of the token vectors behind layer 4; also "first" (the first token) and "max"
    minilm 6 mean       what the model itself gives
    ngrams 128          latent semantic analysis in 128 numbers, of words and runs of characters
    words 128           the same of words alone
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.core.digest import digest
from commonspace.core.vectors import unit
from commonspace.encode.ngrams import NGrams
from commonspace.encode.sentence import MiniLM

TOKENS = 128
POOLINGS = ("mean", "first", "max")
KEPT = [(layer, "mean") for layer in range(1, 7)] + [(4, "first"), (6, "first"), (4, "max"), (6, "max")]


def kept(name: str, make: Callable[[], dict[str, np.ndarray]], *about: Any) -> dict[str, np.ndarray]:
    """Return arrays from the disk, or make and store them; another `about` is another file."""
    root = Path(os.environ.get("COMMONSPACE_CACHE", "~/.cache/commonspace")).expanduser() / "migrations"
    path = root / f"{name.replace(' ', '-')}-{digest([name, *about])[:16]}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    made = make()
    root.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(draft, **made)
    draft.replace(path)
    return made


def encode(name: str, texts: Sequence[str], learned_on: Sequence[str] = ()) -> np.ndarray:
    """Return (n, dim) unit rows of texts.

    Parameters
    ----------
    name : str
        As above.
    texts : sequence of str
        What to encode.
    learned_on : sequence of str
        What encoders that are fitted (n-grams) are fitted on.
    """
    family, size, *rest = name.split()
    if family == "minilm":
        found = layers(tuple(texts))[f"{size} {rest[0]}"]
    else:
        made = lambda: {"x": _ngrams(family, int(size), tuple(learned_on)).encode(list(texts))}  # noqa: E731
        found = kept(name, made, list(texts), list(learned_on))["x"]
    return unit(found.astype(np.float32))


@lru_cache(maxsize=8)
def layers(texts: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return what each layer and pooling of `KEPT` gives, from one pass."""
    return kept("minilm", lambda: _pass(list(texts)), list(texts), TOKENS, KEPT)


@lru_cache(maxsize=32)
def _ngrams(family: str, dim: int, learned_on: tuple[str, ...]) -> NGrams:
    runs = (2, 4) if family == "ngrams" else None
    return NGrams(dim=dim, char_ngrams=runs, max_features=20_000).fit(list(learned_on))


def _pass(texts: list[str], rows: int = 64) -> dict[str, np.ndarray]:
    """Return the pooled hidden states of all texts by layer and pooling."""
    import torch

    network = MiniLM(max_length=TOKENS, device="cpu")._network()
    distinct = list(dict.fromkeys(texts))
    lengths = [len(t) for t in distinct]
    order = np.argsort(lengths, kind="stable")
    parts: dict[str, list[np.ndarray]] = {f"{layer} {pool}": [] for layer, pool in KEPT}
    for start in range(0, len(order), rows):
        features = network.tokenize([distinct[i] for i in order[start : start + rows]])
        with torch.inference_mode():
            wanted = {k: v for k, v in features.items() if k in ("input_ids", "attention_mask", "token_type_ids")}
            states = network[0].auto_model(**wanted, output_hidden_states=True).hidden_states
        mask = features["attention_mask"].unsqueeze(-1).float()
        for layer, pool in KEPT:
            parts[f"{layer} {pool}"].append(_pooled(states[layer], mask, pool).numpy())
    place = {distinct[i]: row for row, i in enumerate(order)}
    back = [place[t] for t in texts]
    return {name: np.concatenate(found)[back] for name, found in parts.items()}


def _pooled(states: Any, mask: Any, pool: str) -> Any:
    """Return one vector a text of its token vectors: (rows, dim)."""
    if pool == "first":
        return states[:, 0]
    if pool == "max":
        return states.masked_fill(mask == 0, -1e9).max(dim=1).values
    return (states * mask).sum(dim=1) / mask.sum(dim=1)
