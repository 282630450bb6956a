"""Whether a perceptron trained to keep neighbours keeps more of them than the linear bridge it starts from.

MiniLM changes its layer or pooling under 1,400 documents (cranfield). Bridges learn from 700 of them; the figure is the
share of the ten nearest of the others in the new space that are still among the ten nearest across the bridge, over the
collection's queries and the mean of two upgrades and both ways of carrying. The baseline is the ridge bridge, which is
where the adapter starts. Sharpness, learning rate and patience were chosen on another collection (cisi) and on emoji,
seeds 100 to 102.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.upgrade._layers import UPGRADES, collection, split

from commonspace.core.registry import build
from commonspace.upgrade.bridges.keeping import neighbours_kept
from commonspace.upgrade.pairs import Pairs

BRIDGES = ("adapter", "ridge", "procrustes")
CHOSEN = ("a higher layer", "another pooling")


def kept(seed: int, pairs: int) -> dict[str, float]:
    """Neighbours kept by way of carrying and bridge."""
    data = collection()
    size = len(next(iter(data["docs"].values())))
    learn, rest = split(seed, pairs, size)
    found: dict[str, list[float]] = {}
    for name in CHOSEN:
        a, b = UPGRADES[name]
        old, new, queries = data["docs"][a], data["docs"][b], data["queries"][b]
        known = Pairs({"text": old[learn]}, {"text": new[learn]})
        for carries in ("items", "queries"):
            for kind in BRIDGES:
                bridge = build("Bridge", kind, carries=carries).fit(known, random_state=seed)
                if carries == "items":
                    across = queries, bridge.carry(old[rest], "text")
                else:
                    across = bridge.carry(queries, "text"), old[rest]
                kept = neighbours_kept(*across, (queries, new[rest]), False)
                found.setdefault(f"{kind}, {carries}", []).append(kept)
    return {k: float(np.mean(v)) for k, v in found.items()}


def run(seeds: int = 5, pairs: int = 700) -> dict[str, Any]:
    table = [kept(seed, pairs) for seed in range(seeds)]
    each = {k: np.array([row[k] for row in table]) for k in table[0]}
    both = {kind: (each[f"{kind}, items"] + each[f"{kind}, queries"]) / 2 for kind in BRIDGES}
    ways = {w: compared(each[f"adapter, {w}"], each[f"ridge, {w}"]) for w in ("items", "queries")}
    words = "; ".join(
        f"{w} carried: {f['figure']:.3f} against {f['baseline']:.3f} ({f['difference']:+.3f} [{f['low']:+.3f}, "
        f"{f['high']:+.3f}]), Procrustes {each[f'procrustes, {w}'].mean():.3f}"
        for w, f in ways.items()
    )
    return {
        "method": "adapter",
        "titles": [
            "Drift-Adapter: A Practical Approach to Near Zero-Downtime Embedding Model Upgrades in Vector Databases"
        ],
        "claim": "The adapter keeps more neighbours than the linear bridge it starts from.",
        "data": f"cranfield, MiniLM to another layer or pooling ({len(CHOSEN)} upgrades, both ways), {pairs} pairs; "
        "neighbours kept of ten among the other documents; baseline: ridge",
        **compared(both["adapter"], both["ridge"]),
        "sentence": f"With {words}.",
        "details": {k: round(float(v.mean()), 4) for k, v in each.items()},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
