"""What is kept of clean recall at 40 % wrong pairs, when pairs are judged twice and the objective is robust.

The icons, names and sizes of `noisy_pairs`, on splits that neither that claim nor any choice has seen. Systems: what
the first look leaves, with InfoNCE; what two looks leave, with the softened triplet loss (`tal`); clean pairs with
either objective. All take as many steps. On splits 0 to 3 this combination was chosen among: InfoNCE at a fixed
temperature in place of `tal`; reweighting; lower and higher bars to be kept; no neighbours among the judges; both sides
of dropped pairs as items of their own; and partners for them: the best, drawn by softmax, or matched one to one by
optimal transport. The last two kinds kept less; reweighting, other bars and fewer judges were as good on some splits.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import all_icons, both_ways
from claims.align.noisy_pairs import calibration_error, encoded, trained
from sklearn.metrics import roc_auc_score

FIRST_SEED = 20
NOISE = 0.4


def one(seed: int, pairs: int, tests: int, epochs: int) -> dict[str, float]:
    """Return recall@10 by system, and area and calibration error of the verdicts, on one split."""
    X, groups = encoded()
    rng = np.random.default_rng(seed)
    held = all_icons().held_out(0.2, random_state=seed)
    rows = rng.permutation(np.flatnonzero(~held))[:pairs]
    test = rng.permutation(np.flatnonzero(held))[:tests]
    order = np.arange(len(rows))
    dealt = rng.permutation(len(rows))[: int(NOISE * len(rows))]
    order[dealt] = np.roll(dealt, 1)
    texts = rows[order]
    right = groups[texts] == groups[rows]
    given = {"image": X["image"][rows], "text": X["text"][texts]}
    clean = {m: v[rows] for m, v in X.items()}
    twice = {"noisy_pairs": {"remedy": "drop", "looks": 2}, "objective": "tal"}
    systems = {
        "one look": trained(given, groups[texts], seed, epochs, noisy_pairs="drop"),
        "two looks": trained(given, groups[texts], seed, epochs, **twice),
        "clean": trained(clean, groups[rows], seed, epochs),
        "clean, tal": trained(clean, groups[rows], seed, epochs, objective="tal"),
    }
    out = {}
    for name, fitted in systems.items():
        out[name] = both_ways({m: head(X[m][test]) for m, head in fitted.heads.items()}, groups[test], 10)
        if fitted.pair_quality is not None:
            p = fitted.pair_quality.probability("image")
            seen = ~np.isnan(p)  # pairs held out for validation are not judged
            out[f"area of {name}"] = float(roc_auc_score(right[seen], p[seen]))
            out[f"error of {name}"] = calibration_error(p[seen], right[seen])
    return out


def run(seeds: int = 5, pairs: int = 10_000, tests: int = 1500, epochs: int = 15) -> dict[str, Any]:
    return summary([one(FIRST_SEED + i, pairs, tests, epochs) for i in range(seeds)], pairs, tests)


def summary(found: list[dict[str, float]], pairs: int, tests: int) -> dict[str, Any]:
    table = {name: np.array([at[name] for at in found]) for name in found[0]}
    mean = {name: float(v.mean()) for name, v in table.items()}
    outcome = compared(table["two looks"], table["one look"])
    looks = compared(table["area of two looks"], table["area of one look"])
    kept = {name: mean[name] / mean["clean"] for name in ("one look", "two looks")}
    own = mean["two looks"] / mean["clean, tal"]
    reached = min(kept["two looks"], own) >= 0.9
    return {
        "method": "second_look",
        "titles": [
            "PC^2: Pseudo-Classification Based Pseudo-Captioning for Noisy Correspondence Learning in Cross-Modal "
            "Retrieval",
            "Noisy-Correspondence Learning for Text-to-Image Person Re-identification",
        ],
        "claim": "With 40 % wrong pairs, judging twice and the softened triplet loss find more than judging once and "
        "InfoNCE, and keep at least 90 % of what clean pairs give.",
        "data": f"{pairs} icons with names, {tests} icons of new concepts; recall@10, both directions; baseline: pairs "
        "that one look leaves, InfoNCE",
        **outcome,
        "verdict": "depends" if outcome["verdict"] == "holds" and not reached else outcome["verdict"],
        "sentence": "Recall@10: "
        + ", ".join(f"{name} {mean[name]:.3f}" for name in ("one look", "two looks", "clean", "clean, tal"))
        + f". One look and InfoNCE keep {kept['one look']:.1%} of clean pairs with InfoNCE, two looks and tal "
        f"{kept['two looks']:.1%}, and {own:.1%} of clean pairs with tal. Area under ROC of the verdicts "
        f"{mean['area of one look']:.3f} and {mean['area of two looks']:.3f} ({looks['difference']:+.3f} "
        f"[{looks['low']:+.3f}, {looks['high']:+.3f}]), calibration error {mean['error of one look']:.3f} and "
        f"{mean['error of two looks']:.3f}." + ("" if reached else " Not met: at least 90 % of the clean recall kept."),
        "details": {name: np.round(v, 4).tolist() for name, v in table.items()},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
