"""Whether heads trained beside frozen old vectors search the old gallery better than the old ones, at little cost.

Icons and their names, concepts never seen. The old heads learnt from 30 % of the pairs, in 32 dimensions; the new ones
from all of them in 64, of which the first 32 are compared with old vectors. Beside them heads trained alone, as they
are and turned onto the old space by Procrustes, and heads trained for compatibility without further dimensions.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import recall
from claims.align._icons import HEAD, encoded
from claims.align._versions import POINT, Vectors, found_by, goal, told, verdict

from commonspace.align.fit import fit_heads

OLD, NEW, SHARE, K = 32, 64, 0.3, 10
SYSTEMS: dict[str, tuple[Any, int]] = {
    "independent": (None, NEW),
    "bct": ("bct", NEW),
    "same dimensions": ("bct", OLD),
    "oca": ("oca", NEW),
}


def crossed(queries: Vectors, gallery: Vectors, groups: np.ndarray) -> float:
    """Recall@10 of both directions."""
    a, b = queries
    ways = [recall(queries[q], gallery[g], groups, groups, K) for q, g in ((a, b), (b, a))]
    return float(np.mean(ways))


def one(seed: int, pairs: int, tests: int, epochs: int, systems: dict[str, tuple[Any, int]]) -> dict[str, float]:
    """What each system finds for one split and seed."""
    split = encoded(seed, pairs, tests)
    score = partial(crossed, groups=split.test_groups)

    def fitted(rows: Any, dim: int, seed: int, **options: Any) -> Any:
        return fit_heads(
            {m: v[rows] for m, v in split.train.items()}, groups=split.train_groups[rows], head=HEAD, dim=dim,
            epochs=epochs, batch_size=256, valid=None, baselines=(), random_state=seed, **options,
        ).heads  # fmt: skip

    few = np.random.default_rng(seed).permutation(pairs)[: int(SHARE * pairs)]
    before = fitted(few, OLD, seed + 500)
    old = {m: before[m](v) for m, v in split.train.items()}
    gallery = {m: before[m](v) for m, v in split.test.items()}
    out = {"old/old": score(gallery, gallery)}
    for name, (compatibility, dim) in systems.items():
        given = {} if compatibility is None else {"old": old, "compatibility": compatibility}
        heads = fitted(slice(None), dim, seed, **given)
        found = found_by(heads, split.train, split.test, (old, gallery), score)
        out |= {f"{name} {pair}": value for pair, value in found.items()}
    return out


def run(seeds: int = 5, *, pairs: int = 4000, tests: int = 2000, epochs: int = 15) -> dict[str, Any]:
    """Run the experiment over `seeds` splits of the concepts."""
    table: dict[str, list[float]] = {}
    for seed in range(seeds):
        for key, value in one(seed, pairs, tests, epochs, SYSTEMS).items():
            table.setdefault(key, []).append(value)
    means = {k: round(float(np.mean(v)), 3) for k, v in table.items()}
    goals = [
        goal("new queries find more in the old gallery than old ones", table["bct new/old"], table["old/old"]),
        goal("and more than Procrustes", table["bct new/old"], table["independent turned/old"]),
        goal(
            "new on new within a point of independent training", table["bct new/new"], table["independent new/new"],
            -POINT,
        ),
        goal("more new on new than without further dimensions", table["bct new/new"], table["same dimensions new/new"]),
    ]  # fmt: skip
    return {
        "method": "bct",
        "titles": [
            "Towards Backward-Compatible Representation Learning",
            "Binary Embedding-based Retrieval at Tencent",
        ],
        "claim": "Trained beside frozen old vectors, new queries find more in an old gallery than old ones, and new "
        "vectors lose nothing among themselves",
        "data": f"{pairs} icons with names, {tests} of concepts never seen, old heads from 30 % of the pairs in {OLD} "
        f"dimensions, new from all in {NEW}, recall@10 both directions; baseline: old queries in the old gallery",
        **compared(np.array(table["bct new/old"]), np.array(table["old/old"])),
        "verdict": verdict(goals),
        "sentence": f"New queries find {means['bct new/old']:.3f} in the old gallery (old ones {means['old/old']:.3f}, "
        f"independent ones turned onto it {means['independent turned/old']:.3f}) and {means['bct new/new']:.3f} in "
        f"their own (independent {means['independent new/new']:.3f}; without further dimensions "
        f"{means['same dimensions new/new']:.3f}; `oca` {means['oca new/old']:.3f} and {means['oca new/new']:.3f}). "
        f"{told(goals)}.",
        "details": {**means, "goals": goals},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
