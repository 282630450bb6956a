"""As many shared directions as serve pairs held out retrieve better than maps of everything; with few pairs none do.

Planted: two encoders of 256 dimensions with 20 factors in common and 120 of their own each, mixed and squashed by tanh.
Digits: left halves of handwritten digits look for their right halves, as pixels. Icons: drawings (gradient histograms)
look for their names (n-grams), concepts never seen. Objects: point clouds (histograms) look for their names (MiniLM),
about 107 names never seen, where the shared set `shapes3d` is there; the paper's own case.

Each by the chosen subspace, by all canonical directions, by ridge, by Procrustes, by random directions, and by the
strongest directions of each side (PCA) with a rotation; the number of directions of the last two is that which the
subspace chose. Local CKA, which fits nothing, takes all pairs for anchors.

Beside them stands what `shared_directions` reports: does it find the 20, and does it keep quiet with few pairs?

What is tried inside the subspace and the scaling were set on seeds 100 to 104; reported are others.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import numpy as np
from claims import Skip
from claims._outcome import compared
from claims.align._data import icons
from claims.reshape._shapes import objects, split
from claims.reshape.cca import TruncatedPCA, factors, halves, recall

from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams
from commonspace.measure import evaluate, shared_directions
from commonspace.reshape import CCA, Procrustes, Ridge, SharedSubspace, local_cka


class RandomDirections(TruncatedPCA):
    """The control: k random directions of each side, then a rotation."""

    def fit(self, X, Y):
        rng = np.random.default_rng(0)
        self.means = X.mean(axis=0), Y.mean(axis=0)
        k = min(self.dim, X.shape[1], Y.shape[1])
        self.bases = [np.linalg.qr(rng.normal(size=(v.shape[1], k)))[0] for v in (X, Y)]
        self.turn = Procrustes().fit(self.side(X, 0), self.side(Y, 1))
        return self

    def side(self, V, i):
        return (V - self.means[i]) @ self.bases[i]

    def transform(self, X):
        return self.turn.transform(self.side(X, 0))

    def transform_target(self, Y):
        return self.side(Y, 1)


def drawings(rng: np.random.Generator, pairs: int) -> tuple[np.ndarray, ...]:
    seed = int(rng.integers(2**31))
    split = icons(seed, pairs, 600, image=HOG(cells=(8,)), text=NGrams(dim=128, max_features=5000))[0]
    # A name may be drawn several times; one icon of each stays, so that every query has one answer.
    first = np.unique(split.test_groups, return_index=True)[1]
    return (*split.train.values(), *(v[first] for v in split.test.values()))


def scores(data: tuple[np.ndarray, ...], seed: int) -> dict[str, float]:
    X, Y, test_x, test_y, *groups = data
    chosen = SharedSubspace().fit(X, Y)
    k = chosen.dim_
    systems = {
        "subspace": chosen,
        "all canonical directions": CCA().fit(X, Y),
        "ridge": Ridge(center=True).fit(X, Y),
        "procrustes": Procrustes(center=True).fit(X, Y),
        "pca": TruncatedPCA(dim=k).fit(X, Y),
        "random": RandomDirections(dim=k).fit(X, Y),
    }
    found = {name: recall(m, test_x, test_y) for name, m in systems.items()}
    keys = np.arange(len(test_x))
    kernels = local_cka(test_x, test_y, (X, Y))
    found["local cka"] = evaluate(kernels, (keys, keys), ["recall@10"], resamples=1)["recall@10"].value
    report = shared_directions(X, Y, groups=groups[0] if groups else None, resamples=100, random_state=seed)
    shares = {name: getattr(report, name) for name in ("inside_x", "told_x")}
    return found | {
        "chosen": k, "shared": report.dimension.value, "shared, low": report.dimension.low, "shown":
        float(report.shown), **{name: e.value for name, e in shares.items() if e is not None},
    }  # fmt: skip


def run(seeds: int = 5, planted: tuple[int, ...] = (50, 200, 1000), real: int = 500, few: int = 40) -> dict[str, Any]:
    settings: dict[str, Any] = {f"planted, {n}": partial(factors, pairs=n) for n in planted}
    settings |= {f"digits, {n}": partial(halves, pairs=n) for n in (few, real)}
    settings |= {f"icons, {n}": partial(drawings, pairs=n) for n in (real, 3 * real)}
    try:
        objects()
        settings["objects, 420"] = split
    except Skip as reason:
        print(reason, file=sys.stderr)
    table = {
        name: [scores(make(np.random.default_rng(seed)), seed) for seed in range(seeds)]
        for name, make in settings.items()
    }
    means = {
        name: {k: round(float(np.mean([r[k] for r in rows if k in r])), 3) for k in rows[0]}
        for name, rows in table.items()
    }

    def beside(name: str) -> dict[str, Any]:
        """The subspace against the better of the maps of everything, seed by seed."""
        rows = table[name]
        return compared(
            np.array([r["subspace"] for r in rows]), np.array([max(r["ridge"], r["procrustes"]) for r in rows])
        )

    most, least = f"planted, {planted[-1]}", f"planted, {planted[0]}"
    held = {name: beside(name) for name in settings}
    outcome = held[f"digits, {real}"]
    near = all(15 <= r["chosen"] <= 25 for r in table[most])
    quiet = means[least]["shown"] <= 0.2
    asked = {most, f"digits, {real}", f"icons, {3 * real}", "objects, 420"} & set(settings)
    won = all(held[n]["verdict"] == "holds" for n in asked)
    if outcome["verdict"] == "holds" and not (near and quiet and won):
        outcome["verdict"] = "depends"
    told = "; ".join(
        f"{name} pairs {means[name]['subspace']:.3f} ({means[name]['chosen']:.0f} directions; all "
        f"{means[name]['all canonical directions']:.3f}, ridge {means[name]['ridge']:.3f}, Procrustes "
        f"{means[name]['procrustes']:.3f}, local CKA {means[name]['local cka']:.3f}, "
        f"PCA {means[name]['pca']:.3f}, random {means[name]['random']:.3f})"
        for name in settings
    )
    against = "; ".join(
        f"{name} {h['difference']:+.3f} [{h['low']:+.3f}, {h['high']:+.3f}]" for name, h in held.items()
    )
    return {
        "method": "shared_subspace",
        "titles": ["Escaping Plato's Cave: Towards the Alignment of 3D and Text Latent Spaces"],
        "claim": "Shared directions, as many as serve pairs held out, retrieve better than a regression or a rotation "
        "of "
        "everything.",
        "data": f"left and right halves of scikit-learn digits, {real} pairs, 600 test pairs, recall@10; baseline: the "
        "better of ridge and Procrustes on each seed",
        **outcome,
        "sentence": f"Recall@10: {told}. Against the better of ridge and Procrustes: {against}. "
        f"Of 20 planted directions the report shows {means[most]['shared']:.1f} with "
        f"{planted[-1]} pairs, {means[f'planted, {planted[1]}']['shared']:.1f} with {planted[1]}, and something with "
        f"{planted[0]} pairs in {means[least]['shown']:.0%} of the runs; of digits with {few} pairs "
        f"{means[f'digits, {few}']['shared']:.1f}, of icons and names with {3 * real} "
        f"{means[f'icons, {3 * real}']['shared']:.1f}.",
        "details": {"means": means, "against maps of everything": {
            n: [round(h[k], 3) for k in ("difference", "low", "high")] for n, h in held.items()
        }},
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run()))
