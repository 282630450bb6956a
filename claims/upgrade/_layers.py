"""Two encoders out of one: MiniLM at several layers and poolings, over the documents and queries of an IR collection.

From the shared sets `cranfield` and `cisi`. An upgrade leads from one (layer, pooling) to another.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from claims import Skip

from commonspace.core.registry import build, need
from commonspace.core.vectors import unit

#: Old encoder -> new encoder, (layer, pooling) each.
UPGRADES = {
    "a higher layer": ((4, "mean"), (6, "mean")),
    "another pooling": ((6, "first"), (6, "mean")),
    "another layer and pooling": ((6, "max"), (5, "mean")),
}
Encoder = tuple[int, str]


@lru_cache(maxsize=2)
def collection(name: str = "cranfield", tokens: int = 64) -> dict[str, dict[Encoder, np.ndarray]]:
    """Return "docs" and "queries" -> (layer, pooling) -> unit rows."""
    import pandas as pd

    path = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data")) / name
    if not (path / "docs.parquet").is_file():
        raise Skip(f"the shared set {name} is not at {path}: set COMMONSPACE_DATA")
    docs, queries = pd.read_parquet(path / "docs.parquet"), pd.read_parquet(path / "queries.parquet")
    texts = {"docs": [f"{d.title}. {d.text}" for d in docs.itertuples()], "queries": [str(q) for q in queries.text]}
    wanted = sorted({end for ends in UPGRADES.values() for end in ends})
    return {kind: hidden(some, wanted, tokens) for kind, some in texts.items()}


def hidden(texts: Sequence[str], wanted: Sequence[Encoder], tokens: int, rows: int = 64) -> dict[Encoder, np.ndarray]:
    """Return unit rows of texts by layers and poolings of MiniLM."""
    import torch

    need("sentence_transformers")
    network: Any = build("Encoder", "minilm", device="cpu")._network()
    body = getattr(network[0], "auto_model", None) or network[0].model
    order = np.argsort([len(t) for t in texts], kind="stable")
    parts: dict[Encoder, list[np.ndarray]] = {w: [] for w in wanted}
    for start in range(0, len(order), rows):
        batch = network.tokenizer(
            [texts[i] for i in order[start : start + rows]], padding=True, truncation=True, max_length=tokens,
            return_tensors="pt",
        )  # fmt: skip
        with torch.no_grad():
            layers = body(**batch, output_hidden_states=True).hidden_states
        mask = batch["attention_mask"][..., None].bool()
        for layer, pooling in wanted:
            parts[layer, pooling].append(_pooled(layers[layer], mask, pooling).numpy())
    return {w: unit(np.concatenate(p)[np.argsort(order)]) for w, p in parts.items()}


def _pooled(states: Any, mask: Any, pooling: str) -> Any:
    if pooling == "mean":
        return (states * mask).sum(1) / mask.sum(1)
    return states[:, 0] if pooling == "first" else states.masked_fill(~mask, -1e9).max(1).values


def split(seed: int, pairs: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return documents to learn a bridge from, and all others."""
    order = np.random.default_rng(seed).permutation(size)
    return order[:pairs], order[pairs:]
