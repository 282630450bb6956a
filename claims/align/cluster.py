"""Whether batches of items from different clusters make truer neighbours than random ones, and what whole clusters do.

Halves of digits, whose ten classes nobody tells the loss: in a random batch a tenth of the negatives show the same
digit. Dealt apart by the clusters of the frozen halves fewer do, and the figure is the share of the 20 nearest halves
on the other side that show the same digit. At batches of 16, where a batch can be had with few of them, and at 64 and
256, where it cannot. Then icons and their names, concepts of the test part never seen, recall@1: apart, and with whole
clusters together as hard negatives. The number of clusters is the default; others were tried on seeds 100 to 104.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import digits
from claims.align._icons import encoded, recalls, trained
from sklearn.datasets import load_digits

from commonspace.align.data import PairData
from commonspace.align.samplers.cluster import Cluster
from commonspace.align.samplers.uniform import Uniform

BATCHES = (16, 64, 256)
SHARES = {"apart": 0.0, "whole": 1.0}


def same_digit(seed: int, sampler: Any, batch_size: int, pairs: int, tests: int, near: int = 20) -> float:
    """Share of the nearest halves of the other side, the own one left out, that show the same digit."""
    labels = np.random.default_rng(seed).permutation(load_digits().target)[-tests:]
    z = trained(digits(seed, pairs, tests), "infonce", seed, 20, sampler=sampler, batch_size=batch_size)
    scores = z["left"] @ z["right"].T
    np.fill_diagonal(scores, -np.inf)
    found = [np.argsort(-s, axis=1)[:, :near] for s in (scores, scores.T)]
    return float(np.mean([labels[f] == labels[:, None] for f in found]))


def false_negatives(seed: int, sampler: Any, pairs: int) -> float:
    """Share of the negatives of a batch that show the same digit."""
    labels = np.random.default_rng(seed).permutation(load_digits().target)[:pairs]
    rng = np.random.default_rng(seed)
    if isinstance(sampler, Cluster):
        sampler.prepare(PairData.check(digits(seed, pairs, 500).train), rng)
    return float(np.mean([_equal(labels[batch]) for batch in sampler.batches(pairs, rng)]))


def _equal(labels: np.ndarray) -> float:
    same = labels[:, None] == labels[None, :]
    return float((same.sum() - len(labels)) / (len(labels) * (len(labels) - 1)))


def run(seeds: int = 5, pairs: int = 1000, tests: int = 500, icons: int = 3000, asked: int = 800) -> dict[str, Any]:
    every = range(seeds)
    purity = {
        (name, size): np.array([same_digit(s, sampler, size, pairs, tests) for s in every])
        for size in BATCHES
        for name, sampler in (("uniform", "uniform"), ("apart", "cluster"))
    }
    whole = np.array([same_digit(s, {"name": "cluster", "whole": 1.0}, BATCHES[0], pairs, tests) for s in every])
    false = {
        (name, size): float(np.mean([false_negatives(s, kind(batch_size=size), pairs) for s in every]))
        for size in BATCHES
        for name, kind in (("uniform", Uniform), ("apart", Cluster))
    }
    found = {"uniform": np.array([recalls(encoded(s, icons, asked), "infonce", s, 20) for s in every])} | {
        name: np.array(
            [
                recalls(encoded(s, icons, asked), "infonce", s, 20, sampler={"name": "cluster", "whole": share})
                for s in every
            ]
        )
        for name, share in SHARES.items()
    }
    first = BATCHES[0]
    outcome = compared(purity["apart", first], purity["uniform", first])
    larger = ", ".join(
        f"{size}: {false['uniform', size]:.3f} to {false['apart', size]:.3f}, "
        f"{_with_interval(purity['apart', size], purity['uniform', size])}"
        for size in BATCHES[1:]
    )
    on_icons = ", ".join(f"{name} {_with_interval(found[name][:, 0], found['uniform'][:, 0])}" for name in SHARES)
    return {
        "method": "cluster",
        "titles": ["G-SimCLR : Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling"],
        "claim": f"Batches of {first} from different clusters bring more of the same class among the neighbours than "
        "random ones.",
        "data": f"{pairs} pairs of halves of digits, {tests} others; figure: share of the 20 nearest halves that show "
        f"the same digit; baseline: the same training in random batches of {first}",
        **outcome,
        "sentence": f"Dealing clusters apart lowers the share of false negatives from {false['uniform', first]:.3f} to "
        f"{false['apart', first]:.3f}; whole clusters leave {whole.mean():.3f} of the neighbours right. In larger "
        f"batches (false negatives, then neighbours) {larger}. Icons with names in batches of 256, recall@1 against "
        f"{found['uniform'][:, 0].mean():.3f} of random batches: {on_icons}.",
        "details": {
            "same digit": {f"{n} {b}": round(float(v.mean()), 4) for (n, b), v in purity.items()},
            "false negatives": {f"{n} {b}": round(v, 4) for (n, b), v in false.items()},
            "icons": {k: v.mean(0).round(4).tolist() for k, v in found.items()},
        },
    }


def _with_interval(figures: np.ndarray, baselines: np.ndarray) -> str:
    found = compared(figures, baselines)
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


if __name__ == "__main__":
    print(json.dumps(run()))
