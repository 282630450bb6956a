"""Whether texts with one thing exchanged, as negatives of their pictures, teach what tells near duplicates apart.

Emoji with skin tones (Noto's drawings: gradients and colour; English names by MiniLM), no concept of the test part in
training. A triplet of the set is two emoji and the one edit between them: man to woman, dark to light, cook to pilot,
red to curly hair. Both are of the test part, and the triplet counts as right where each picture is nearer to its own
name than to the other's, and each name to its own picture (group score); the figure is the share over all triplets.
Negatives are made from the training names alone, by `edit_texts`; the baseline is InfoNCE on the same pairs, steps,
batches and recipe. Beside it the other way to the same end, batches that hold all variants of a concept (`cluster`,
whole). Then icons and their names, recall@1. The number of negatives an item was chosen on splits 100 to 102.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import all_icons, both_ways, icons
from claims.align._emoji import _features, folder
from claims.align._icons import HEAD, recalls

from commonspace.align.edits import Edits, edit_texts
from commonspace.align.fit import fit_heads
from commonspace.align.negatives import Negatives
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams
from commonspace.encode.sentence import MiniLM

KINDS = ("tone", "gender", "role", "hair", "tone+gender")
SYSTEMS = ("infonce", "edits", "variants together")
DRAWS = 4


@dataclass(frozen=True)
class Toned:
    """Emoji in all their tones, one a row, and the rows of the two ends of every triplet, by kind of edit."""

    names: list[str]
    images: np.ndarray
    bases: np.ndarray
    triplets: dict[str, tuple[np.ndarray, np.ndarray]]

    def split(self, seed: int, tests: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
        """Return (training rows, test rows); variants of one concept stay together."""
        bases = np.random.default_rng(seed).permutation(np.unique(self.bases))
        held = np.isin(self.bases, bases[: round(tests * len(bases))])
        return np.flatnonzero(~held), np.flatnonzero(held)


@lru_cache(maxsize=1)
def toned() -> Toned:
    import pandas as pd

    path = folder()
    table = pd.read_parquet(path / "emoji.parquet")
    table = table[(table.group != "Component") & table.has_noto].reset_index(drop=True)
    row = {key: i for i, key in enumerate(table.key)}
    edits = pd.read_parquet(path / "triplets.parquet")
    edits = edits[edits.ok_noto & edits.source_key.isin(row) & edits.target_key.isin(row)]
    ends = {
        str(kind): (part.source_key.map(row).to_numpy(), part.target_key.map(row).to_numpy())
        for kind, part in edits.groupby("op_type")
        if kind in KINDS
    }
    images = _features(path / "images_noto.parquet", list(table.key))
    return Toned([str(n) for n in table.name_en], images, table.base_key.to_numpy(str), ends)


@lru_cache(maxsize=1)
def _known() -> tuple[MiniLM, dict[str, np.ndarray]]:
    return MiniLM(device="cpu"), {}


def vectors(texts: list[str]) -> np.ndarray:
    """Return the sentence vectors of texts, each encoded once."""
    encoder, known = _known()
    new = [t for t in dict.fromkeys(texts) if t not in known]
    if new:
        known.update(zip(new, encoder.encode(new), strict=True))
    return np.stack([known[t] for t in texts])


def group_scores(z: dict[str, np.ndarray], rows: np.ndarray, data: Toned) -> dict[str, float]:
    """Return kind of edit, and "all" -> share of its triplets that are right in all four comparisons."""
    at = np.full(len(data.names), -1)
    at[rows] = np.arange(len(rows))
    found, right = {}, []
    for kind, (source, target) in data.triplets.items():
        i, j = at[source], at[target]
        i, j = i[(i >= 0) & (j >= 0)], j[(i >= 0) & (j >= 0)]
        if len(i):
            own = [(z["image"][k] * z["text"][k]).sum(1) for k in (i, j)]
            crossed = [(z["image"][a] * z["text"][b]).sum(1) for a, b in ((i, j), (j, i))]
            right.append(np.minimum(*own) > np.maximum(*crossed))
            found[kind] = float(right[-1].mean())
    return {**found, "all": float(np.concatenate(right).mean())}


def score(system: str, seed: int, epochs: int) -> dict[str, float]:
    """Return the group scores and recall@1 of both directions."""
    data = toned()
    train, test = data.split(seed)
    names = [data.names[i] for i in train]
    X = {"image": data.images[train], "text": vectors(names)}
    options: dict[str, Any] = {}
    if system == "edits":
        options["negatives"] = {"text": negatives(edit_texts(names, random_state=seed), vectors)}
    if system == "variants together":
        concepts = np.unique(data.bases[train], return_inverse=True)[1]
        options["sampler"] = {"name": "cluster", "clusters": concepts, "whole": 1.0}
    heads = fit_heads(
        X, head=HEAD, dim=128, epochs=epochs, batch_size=256, valid=None, baselines=(), random_state=seed, **options
    ).heads
    z = {"image": heads["image"](data.images[test]), "text": heads["text"](vectors([data.names[i] for i in test]))}
    return {**group_scores(z, test, data), "recall@1": both_ways(z, np.arange(len(test)), 1)}


def negatives(edits: Edits, encode: Any) -> Negatives:
    return Negatives(encode(edits.items), edits.source, edits.owner, draws=DRAWS)


def on_icons(seed: int, pairs: int, tests: int, epochs: int) -> tuple[float, float]:
    """Return recall@1 with negatives and without."""
    text = NGrams(dim=128, max_features=5000)
    split, train, _ = icons(seed, pairs, tests, image=HOG(cells=(8,)), text=text)
    edits = edit_texts([str(n) for n in all_icons().names[train]], groups=split.train_groups, random_state=seed)
    made = {"text": negatives(edits, text.encode)}
    return recalls(split, "infonce", seed, epochs, negatives=made)[0], recalls(split, "infonce", seed, epochs)[0]


def run(seeds: int = 5, epochs: int = 15, pairs: int = 1500, tests: int = 500, first: int = 0) -> dict[str, Any]:
    every = range(first, first + seeds)
    table = {system: [score(system, seed, epochs) for seed in every] for system in SYSTEMS}
    drawn = np.array([on_icons(seed, pairs, tests, epochs) for seed in every])

    def column(system: str, figure: str) -> np.ndarray:
        return np.array([row.get(figure, np.nan) for row in table[system]])

    outcome = compared(column("edits", "all"), column("infonce", "all"))
    kept = compared(column("edits", "recall@1"), column("infonce", "recall@1"))
    others = ", ".join(
        f"{s} {column(s, 'all').mean():.3f} (recall@1 {column(s, 'recall@1').mean():.3f})" for s in SYSTEMS
    )
    kinds = ", ".join(
        f"{k} {np.nanmean(column('infonce', k)):.3f} to {np.nanmean(column('edits', k)):.3f}" for k in KINDS
    )
    shown = compared(*drawn.T)
    return {
        "method": "hard negatives by edit",
        "titles": [
            "Enhancing Multimodal Compositional Reasoning of Visual Language Models with Generative Negative Mining"
        ],
        "claim": "Texts with one thing exchanged, as negatives, tell more near duplicates apart than InfoNCE alone.",
        "data": "emoji in all tones (Noto) and English names (MiniLM), unseen concepts; figure: share of edit triplets "
        "right in all four comparisons; baseline: InfoNCE on the same batches",
        **outcome,
        "sentence": f"Group score {others}; by kind {kinds}. Recall@1 changes by {_said(kept)}, on icons with names "
        f"by {_said(shown)} from {shown['baseline']:.3f}.",
        "details": {
            "means": {s: {k: round(float(np.nanmean(column(s, k))), 4) for k in table[s][0]} for s in SYSTEMS},
            "icons": drawn.mean(0).round(4).tolist(),
        },
    }


def _said(found: dict[str, Any]) -> str:
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


if __name__ == "__main__":
    print(json.dumps(run()))
