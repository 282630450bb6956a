"""Whether two trainings that share nothing but fixed class vectors can search each other's spaces.

Halves of handwritten digits, turned by right angles: 40 classes. The training items are dealt to two trainings of
different seed. Queries of the one against the gallery of the other are compared with InfoNCE that knows the classes
and searches within one and the same training, which is what embedding everything anew would give. The temperature was
chosen on other seeds (100 to 102).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._classes import precision, trained, turned_digits

from commonspace.align.basis import coherence, equiangular_vectors, welch_bound

RANDOM = np.random.default_rng(7).normal(size=(40, 32))
SYSTEMS: dict[str, Any] = {
    "infonce": "infonce",
    "equiangular": {"name": "equiangular", "classes": 40},
    "random vectors": {"name": "equiangular", "classes": 40, "vectors": RANDOM},
    "madacos": {"name": "madacos", "classes": 40},
}


def run(seeds: int = 6, items: int = 1200, tests: int = 500) -> dict[str, Any]:
    within: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    across: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    for seed in range(seeds):
        train, test = turned_digits(seed, items, tests)
        halves = np.array_split(np.random.default_rng(seed).permutation(items), 2)
        for name, objective in SYSTEMS.items():
            old, new = (trained(train.take(h), objective, seed + 500 * i) for i, h in enumerate(halves))
            within[name].append((precision(old, old, test) + precision(new, new, test)) / 2)
            across[name].append((precision(old, new, test) + precision(new, old, test)) / 2)
    outcome = compared(np.array(across["equiangular"]), np.array(within["infonce"]))
    random = compared(np.array(across["equiangular"]), np.array(across["random vectors"]))
    words = ", ".join(f"{n} {np.mean(within[n]):.3f} / {np.mean(across[n]):.3f}" for n in SYSTEMS)
    times = coherence(equiangular_vectors(200, 64)) / welch_bound(200, 64)
    return {
        "method": "equiangular",
        "titles": ["Equiangular Basis Vectors"],
        "claim": "Queries of one training find in the space of another what InfoNCE finds within one, or more.",
        "data": f"halves of {items} digits turned by right angles, 40 classes, dealt to two trainings, map",
        **outcome,
        "sentence": f"Mean average precision within / across trainings: {words}. Over random class vectors the "
        f"equiangular ones bring {random['difference']:+.3f} [{random['low']:+.3f}, {random['high']:+.3f}]. 200 "
        f"vectors in 64 dimensions reach {times:.2f} times the Welch bound.",
        "details": {
            "within": {n: round(float(np.mean(v)), 3) for n, v in within.items()},
            "across": {n: round(float(np.mean(v)), 3) for n, v in across.items()},
        },
    }


if __name__ == "__main__":
    print(json.dumps(run()))
