"""Whether a light pass closes the gap between modalities of trained heads, and what it does to recall.

Icons and their names, concepts of the test part never seen. Heads come from the strong recipe with the temperature of
published image-text models, 0.01, which leaves the two clouds far apart. Beside `refine`, at its defaults, stand as
many epochs at the same learning rate of more InfoNCE, of InfoNCE with the squared distance of pairs added, of
distillation alone (`random=0`), and the shift of each modality to a mean of zero, without training. Epochs, learning
rate and the weight of the references were chosen on other seeds (100, 101). A second table starts from heads of the
default temperature, which have hardly a gap.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import Split, both_ways
from claims.align._icons import HEAD, encoded
from torch import Tensor

from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.heads.reopened import Reopened
from commonspace.align.objectives.base import PairExtra
from commonspace.align.refinement import refine
from commonspace.core.vectors import unit
from commonspace.core.views import Views
from commonspace.measure import contrastive_gap

WIDE: dict[str, Any] = {"name": "infonce", "temperature": 0.01, "learn_temperature": False}
EPOCHS, LR, BATCH = 10, 1e-3, 256


class Distance(PairExtra):
    """Mean squared distance of the two sides of a pair."""

    name = "distance"
    weight = 1.0

    def of_pair(self, views: Views, a: str, b: str, rows: Tensor) -> Tensor:
        """Return it for one pair of modalities."""
        return (views.z[a][rows] - views.z[b][rows]).square().sum(1).mean()


def more(start: FitResult, split: Split, objective: Any, seed: int) -> dict[str, np.ndarray]:
    """Test vectors after as many epochs more of another objective."""
    found = fit_heads(
        split.train, groups=split.train_groups, objective=objective, dim=64, epochs=EPOCHS, lr=LR, batch_size=BATCH,
        head={m: Reopened(h, dropout=0.3) for m, h in start.heads.items()}, valid=None, baselines=(),
        random_state=seed,
    )  # fmt: skip
    return {m: h(split.test[m]) for m, h in found.heads.items()}


def figures(z: dict[str, np.ndarray], groups: np.ndarray) -> tuple[float, float, float]:
    """Squared distance of the means, recall@1 and recall@10 of both directions."""
    gap = contrastive_gap(z["image"], z["text"], groups=groups, resamples=1).distance.value
    return gap**2, both_ways(z, groups, 1), both_ways(z, groups, 10)


def run(seeds: int = 5, pairs: int = 1500, tests: int = 800, epochs: int = 25) -> dict[str, Any]:
    found: dict[str, dict[str, list[tuple[float, float, float]]]] = {"wide": {}, "narrow": {}}
    for seed in range(seeds):
        split = encoded(seed, pairs, tests)
        for gap, objective in (("wide", WIDE), ("narrow", "infonce")):
            start = fit_heads(
                split.train, groups=split.train_groups, objective=objective, head=HEAD, dim=64, epochs=epochs,
                batch_size=BATCH, valid=None, baselines=(), random_state=seed,
            )  # fmt: skip

            def refined(start: FitResult = start, split: Split = split, seed: int = seed, **options: Any) -> Any:
                given = {"groups": split.train_groups, "valid": None, "baselines": (), "random_state": seed}
                passed = refine(start, split.train, **given, **options).result.heads
                return {m: h(split.test[m]) for m, h in passed.items()}

            z = {m: h(split.test[m]) for m, h in start.heads.items()}
            means = {m: h(split.train[m]).mean(0) for m, h in start.heads.items()}
            systems = {"before": z, "refined": refined()}
            if gap == "wide":
                systems["more infonce"] = more(start, split, objective, seed)
                systems["distillation alone"] = refined(random=0.0)
                systems["infonce and distance"] = more(start, split, [objective, Distance()], seed)
                systems["mean shift"] = {m: unit(v - means[m]) for m, v in z.items()}
            for name, rows in systems.items():
                found[gap].setdefault(name, []).append(figures(rows, split.test_groups))
    tables = {gap: {name: np.array(v) for name, v in table.items()} for gap, table in found.items()}
    wide = tables["wide"]
    closed = 1 - wide["refined"][:, 0] / wide["before"][:, 0]
    by_more = 1 - wide["more infonce"][:, 0] / wide["before"][:, 0]
    outcome = compared(closed, by_more)
    recall = {
        other: [compared(wide["refined"][:, k], wide[other][:, k]) for k in (1, 2)]
        for other in ("before", "more infonce")
    }
    checks = {
        "the gap falls by 30 %": float(closed.mean()) >= 0.3,
        "recall does not fall": all(r["high"] >= 0 for r in recall["before"]),
        "recall as with more infonce": all(r["high"] >= 0 for r in recall["more infonce"]),
    }
    failed = [name for name, passed in checks.items() if not passed]

    def words(table: dict[str, np.ndarray]) -> str:
        return "; ".join(
            f"{name} {v[:, 0].mean():.3f}, {v[:, 1].mean():.3f}, {v[:, 2].mean():.3f}" for name, v in table.items()
        )

    def change(r: dict[str, Any]) -> str:
        return f"{r['difference']:+.3f} [{r['low']:+.3f}, {r['high']:+.3f}]"

    return {
        "method": "clip-refine",
        "titles": ["Post-pre-training for Modality Alignment in Vision-Language Foundation Models"],
        "claim": "A light pass with random references and distillation closes a larger share of the gap than more of "
        "the same training, at no loss of recall.",
        "data": f"{pairs} icons with names, {tests} icons of new concepts; share of the squared distance of the "
        "means that is gone",
        **outcome,
        "verdict": "depends" if outcome["verdict"] == "holds" and failed else outcome["verdict"],
        "sentence": f"Gap, recall@1 and recall@10 from heads of temperature 0.01: {words(wide)}. Refined against "
        f"before: {change(recall['before'][0])} and {change(recall['before'][1])} of recall; against more "
        f"infonce {change(recall['more infonce'][0])} and {change(recall['more infonce'][1])}. From heads of the "
        f"default temperature: {words(tables['narrow'])}. "
        + (f"Not met: {'; '.join(failed)}." if failed else "All conditions are met."),
        "details": {
            "checks": checks,
            "gap, recall@1 and @10": {
                gap: {n: v.mean(0).round(4).tolist() for n, v in t.items()} for gap, t in tables.items()
            },
        },
    }


if __name__ == "__main__":
    print(json.dumps(run()))
