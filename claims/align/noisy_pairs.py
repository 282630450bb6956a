"""Whether wrong pairs are told from right ones before training, and what training without them is worth.

Icons and their names: gradient histograms beside n-grams and a sentence encoder, concepts of the test part never seen.
A share of the training pairs gets another pair's name. The verdicts are compared with the usual division: two normals
fitted to the losses of heads that were trained on the very pairs they judge. Heads follow the default recipe, narrower
and in batches of 512. Splits of these seeds had no part in the choice of anything in `pair_quality`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import all_icons, both_ways
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

from commonspace.align.fit import fit_heads
from commonspace.align.hygiene.noisy_pairs import pair_quality
from commonspace.core.registry import build
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams

FIRST_SEED = 10
NOISES = (0.0, 0.2, 0.4, 0.6)
MAIN = 0.4


@lru_cache(maxsize=1)
def encoded() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Frozen features of all icons and the number of each one's name; the sentence encoder sees a name once."""
    everything = all_icons()
    names, groups = np.unique([str(n) for n in everything.names], return_inverse=True)
    texts = np.hstack(
        [NGrams(dim=256, max_features=20000).fit(names).encode(names), build("Encoder", "minilm").encode(names)]
    )
    return {"image": HOG(cells=(8,)).fit(everything.images).encode(everything.images), "text": texts[groups]}, groups


def trained(X: dict[str, np.ndarray], groups: np.ndarray, seed: int, epochs: int, **options: Any) -> Any:
    return fit_heads(
        X, groups=groups, blocks={"text": [256, 384]}, dim=128, epochs=epochs, batch_size=512,
        head={"name": "mlp", "hidden": 384, "dropout": 0.3}, baselines=(), random_state=seed, **options,
    )  # fmt: skip


def divided(heads: Any, X: dict[str, np.ndarray]) -> np.ndarray:
    """Return how likely each pair is right by two normals fitted to the losses of heads trained on these pairs."""
    z, w = heads["image"](X["image"]), heads["text"](X["text"])
    losses = np.empty(len(z))
    for part in np.array_split(np.random.default_rng(0).permutation(len(z)), -(-len(z) // 1024)):
        logits = z[part] @ w[part].T / 0.07
        top = logits.max()
        e = np.exp(logits - top)
        losses[part] = (np.log(e.sum(1)) + np.log(e.sum(0))) / 2 - np.diag(logits) + top
    scaled = ((losses - losses.min()) / np.ptp(losses))[:, None]
    mixture = GaussianMixture(2, random_state=0).fit(scaled)
    out: np.ndarray = mixture.predict_proba(scaled)[:, mixture.means_.argmin()]
    return out


def calibration_error(p: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over ten bins."""
    bins = np.digitize(p, np.linspace(0, 1, 11)[1:-1])
    return float(sum(abs(right[bins == i].mean() - p[bins == i].mean()) * (bins == i).mean() for i in np.unique(bins)))


def run(seeds: int = 5, pairs: int = 10_000, tests: int = 1500, epochs: int = 15) -> dict[str, Any]:
    X, groups = encoded()
    found: dict[str, dict[float, list[float]]] = {
        name: {noise: [] for noise in NOISES}
        for name in (
            "auc",
            "auc of the division",
            "calibration",
            "calibration of the division",
            "estimate",
            "true",
            "covered",
        )
    }
    recall: dict[str, list[float]] = {name: [] for name in ("noisy", "drop", "repair", "only right", "clean")}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        rng = np.random.default_rng(seed)
        held = all_icons().held_out(0.2, random_state=seed)
        rows = rng.permutation(np.flatnonzero(~held))[:pairs]
        test = rng.permutation(np.flatnonzero(held))[:tests]
        for noise in NOISES:
            order = np.arange(len(rows))
            dealt = rng.permutation(len(rows))[: int(noise * len(rows))]
            order[dealt] = np.roll(dealt, 1)
            texts = rows[order]
            right = groups[texts] == groups[rows]
            given = {"image": X["image"][rows], "text": X["text"][texts]}
            quality = pair_quality(given, groups=groups[texts], random_state=seed)
            p, wrong = quality.probability("image"), quality.wrong["image", "text"]
            found["estimate"][noise].append(wrong.value)
            found["true"][noise].append(float((~right).mean()))
            found["covered"][noise].append(float(wrong.low <= (~right).mean() <= wrong.high))
            found["calibration"][noise].append(calibration_error(p, right))
            if noise:
                found["auc"][noise].append(float(roc_auc_score(right, p)))
            if noise != MAIN:
                continue
            systems = {
                "noisy": trained(given, groups[texts], seed, epochs),
                "drop": trained(given, groups[texts], seed, epochs, noisy_pairs="drop"),
                "repair": trained(given, groups[texts], seed, epochs, noisy_pairs="repair"),
                "only right": trained({m: v[right] for m, v in given.items()}, groups[texts[right]], seed, epochs),
                "clean": trained({m: v[rows] for m, v in X.items()}, groups[rows], seed, epochs),
            }
            for name, fitted in systems.items():
                z = {m: head(X[m][test]) for m, head in fitted.heads.items()}
                recall[name].append(both_ways(z, groups[test], 10))
            by_losses = divided(systems["noisy"].heads, given)
            found["auc of the division"][noise].append(float(roc_auc_score(right, by_losses)))
            found["calibration of the division"][noise].append(calibration_error(by_losses, right))
    outcome = compared(np.array(recall["drop"]), np.array(recall["noisy"]))
    mean = {name: float(np.mean(v)) for name, v in recall.items()}
    kept = mean["drop"] / mean["clean"]
    checks = {
        "wrong pairs flagged with an area of at least 0.9": float(np.mean(found["auc"][MAIN])) >= 0.9,
        "at least 90 % of the clean recall kept": kept >= 0.9,
    }
    failed = [name for name, passed in checks.items() if not passed]
    areas = " / ".join(f"{np.mean(found['auc'][s]):.3f}" for s in NOISES[1:])
    shares = "; ".join(f"{np.mean(found['true'][s]):.3f}: {np.mean(found['estimate'][s]):.3f}" for s in NOISES)
    errors = " / ".join(f"{np.mean(found['calibration'][s]):.3f}" for s in NOISES)
    oracle = mean["only right"] / mean["clean"]
    usual = f"{np.mean(found['auc of the division'][MAIN]):.3f}"
    usual_error = f"{np.mean(found['calibration of the division'][MAIN]):.3f}"
    return {
        "method": "pair_quality",
        "titles": [
            "Noisy-Correspondence Learning for Text-to-Image Person Re-identification",
            "PC^2: Pseudo-Classification Based Pseudo-Captioning for Noisy Correspondence Learning in Cross-Modal "
            "Retrieval",
        ],
        "claim": "With 40 % wrong pairs, leaving out those that maps which have not seen them call wrong finds more "
        "than training on all, and at least 90 % of what clean pairs give.",
        "data": f"{pairs} icons with names, {tests} icons of new concepts; recall@10, both directions; baseline: all "
        "pairs as they are",
        **outcome,
        "verdict": "depends" if outcome["verdict"] == "holds" and failed else outcome["verdict"],
        "sentence": "Recall@10 at 40 % wrong: "
        + ", ".join(f"{name} {v:.3f}" for name, v in mean.items())
        + f"; {100 * kept:.1f} % of clean kept, {100 * oracle:.1f} % if all wrong pairs were known. "
        f"Area under ROC of the verdicts at 20 / 40 / 60 %: {areas}, at 40 % {usual} by two normals on the losses of "
        f"heads trained on the same pairs. Calibration error at 0 / 20 / 40 / 60 %: {errors}, of the two normals "
        f"{usual_error}. True and estimated share of wrong pairs: {shares}. "
        + (f"Not met: {'; '.join(failed)}." if failed else "All conditions are met."),
        "details": {
            "checks": checks,
            "figures": {n: {str(s): np.round(v, 4).tolist() for s, v in f.items()} for n, f in found.items()},
            "recall": {n: np.round(v, 4).tolist() for n, v in recall.items()},
        },
    }


if __name__ == "__main__":
    print(json.dumps(run()))
