"""Whether further dimensions and old prototypes give new queries an old gallery without spoiling the new space.

Halves of handwritten digits must find the other halves of their class. The old heads are small and know the classes 0
to 4; the new ones are wider and know all ten, in 24 dimensions of which the first 16 are compared with old vectors. The
base is a learned classifier throughout. Beside it: the same without the orthogonal layer, `bct` without further
dimensions, and independent training, turned onto the old space by Procrustes. Icons without labels are in the claim of
`bct`.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._versions import POINT, Classifier, Vectors, found_by, goal, told, verdict
from sklearn.datasets import load_digits

from commonspace.align.fit import fit_heads
from commonspace.measure import evaluate

OLD, NEW, KNOWN = 16, 24, 5
BASE = Classifier(classes=10)
SYSTEMS: dict[str, tuple[Any, int]] = {
    "independent": (BASE, NEW),
    "oca": ({"name": "oca", "objective": BASE}, NEW),
    "without the layer": ({"name": "oca", "objective": BASE, "layer": False}, NEW),
    "bct": ([BASE, "bct"], OLD),
}


def halves(seed: int, tests: int) -> tuple[Vectors, np.ndarray, Vectors, np.ndarray]:
    """Left and right halves of digits and their classes, to train on and to test."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))

    def part(rows: np.ndarray) -> tuple[Vectors, np.ndarray]:
        images = digits.images[rows].astype(np.float32)
        sides = {"left": images[:, :, :4], "right": images[:, :, 4:]}
        return {m: np.ascontiguousarray(v.reshape(len(v), -1)) for m, v in sides.items()}, digits.target[rows]

    return *part(order[:-tests]), *part(order[-tests:])


def trained(
    X: Vectors, classes: np.ndarray, objective: Any, *, hidden: int, dim: int, seed: int, **options: Any
) -> Any:
    """Heads by the strong recipe, all epochs, no selection."""
    head = {"name": "mlp", "hidden": hidden, "dropout": 0.1}
    return fit_heads(
        X, groups=classes, objective=objective, head=head, dim=dim, batch_size=128, valid=None, baselines=(),
        random_state=seed, **options,
    ).heads  # fmt: skip


def precision(queries: Vectors, gallery: Vectors, classes: np.ndarray) -> float:
    """MAP of both directions."""
    relevant = classes[:, None] == classes[None, :]
    ways = (("left", "right"), ("right", "left"))
    found = [evaluate(queries[a] @ gallery[b].T, relevant, ["map"], resamples=1)["map"].value for a, b in ways]
    return float(np.mean(found))


def run(seeds: int = 5, *, tests: int = 700, epochs: int = 30) -> dict[str, Any]:
    """Run the experiment over `seeds` splits."""
    table: dict[str, list[float]] = {}
    for seed in range(seeds):
        X, classes, new, asked = halves(seed, tests)
        score = partial(precision, classes=asked)
        few = classes < KNOWN
        seen = {m: v[few] for m, v in X.items()}
        before = trained(seen, classes[few], BASE, hidden=64, dim=OLD, seed=seed + 500, epochs=epochs)
        old = {m: before[m](v) for m, v in X.items()}
        gallery = {m: before[m](v) for m, v in new.items()}
        table.setdefault("old/old", []).append(score(gallery, gallery))
        for name, (objective, dim) in SYSTEMS.items():
            heads = trained(X, classes, objective, hidden=256, dim=dim, seed=seed, old=old, epochs=epochs)
            for pair, value in found_by(heads, X, new, (old, gallery), score).items():
                table.setdefault(f"{name} {pair}", []).append(value)
    means = {k: round(float(np.mean(v)), 3) for k, v in table.items()}
    goals = [
        goal("new queries find more in the old gallery than old ones", table["oca new/old"], table["old/old"]),
        goal("and more than Procrustes", table["oca new/old"], table["independent turned/old"]),
        goal(
            "new on new within a point of independent training", table["oca new/new"], table["independent new/new"],
            -POINT,
        ),
        goal("more new on new than `bct` without further dimensions", table["oca new/new"], table["bct new/new"]),
    ]  # fmt: skip
    layer = compared(np.array(table["oca new/new"]), np.array(table["without the layer new/new"]))
    return {
        "method": "oca",
        "titles": ["Backward-Compatible Aligned Representations via an Orthogonal Transformation Layer"],
        "claim": "With further dimensions new queries search an old gallery better than old ones and Procrustes do, "
        "and new vectors are as good among themselves as independent ones, better than by `bct` without",
        "data": f"Halves of handwritten digits by class, {tests} never seen; old heads know five classes in {OLD} "
        f"dimensions, new ones ten in {NEW}; MAP both directions; figures new on new, baseline: `bct` in {OLD}",
        **compared(np.array(table["oca new/new"]), np.array(table["bct new/new"])),
        "verdict": verdict(goals),
        "sentence": f"New queries reach {means['oca new/old']:.3f} in the old gallery (old ones "
        f"{means['old/old']:.3f}, Procrustes {means['independent turned/old']:.3f}, `bct` {means['bct new/old']:.3f}) "
        f"and {means['oca new/new']:.3f} in their own (independent {means['independent new/new']:.3f}, `bct` "
        f"{means['bct new/new']:.3f}). {told(goals)}. The orthogonal layer itself adds {layer['difference']:+.3f} "
        f"[{layer['low']:+.3f}, {layer['high']:+.3f}] new on new.",
        "details": {**means, "goals": goals, "layer": layer},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
