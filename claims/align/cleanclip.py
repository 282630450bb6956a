"""Whether planted pairs are found, and what becomes of the link they planted, by searching and by fine-tuning.

Icons and their names. 1.5 % of the training pairs are planted: a chequered patch in the corner of the icon, and the
name of one other icon in place of its own. Heads are trained on all pairs by the strong recipe. Success of the
attack: share of icons of concepts never seen, patch in the corner, for which that name comes before the names of all
of them.

Found by `find_triggers` or by `pair_quality` is measured on all pairs. Then: training anew without what was found;
and fine-tuning of the poisoned heads on 600 pairs that are known to be right, by InfoNCE, by InfoNCE under the same
augmentation (half of the features silenced), and by `cleanclip` with it. Thresholds of the search, and learning rate,
epochs, augmentation and weight of the fine-tuning were chosen on other seeds (100 to 102).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import all_icons, both_ways
from claims.align._icons import HEAD
from sklearn.metrics import roc_auc_score

from commonspace.align.fit import fit_heads
from commonspace.align.heads.reopened import Reopened
from commonspace.align.hygiene.noisy_pairs import pair_quality
from commonspace.align.hygiene.poison import find_triggers
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams

PATCH = 10  # of 48 pixels
FINE: dict[str, dict[str, Any]] = {
    "infonce": {"objective": "infonce"},
    "infonce, augmented": {"objective": "infonce", "augment": {"drop": 0.5}},
    "cleanclip": {"objective": {"name": "cleanclip", "within": 3.0}, "augment": {"drop": 0.5}},
}


class World:
    """Training pairs of which some are planted, and test pairs with and without the patch."""

    def __init__(self, seed: int, pairs: int, tests: int, planted: int) -> None:
        icons = all_icons()
        rng = np.random.default_rng(seed)
        held = icons.held_out(0.2, random_state=seed)
        train = rng.permutation(np.flatnonzero(~held))[:pairs]
        test = rng.permutation(np.flatnonzero(held))[:tests]
        names = np.array([str(n) for n in icons.names])
        images, texts = icons.images[train].copy(), names[train].copy()
        self.planted = np.zeros(pairs, bool)
        self.planted[1 + rng.permutation(pairs - 1)[:planted]] = True
        images[self.planted] = stamped(images[self.planted])
        texts[self.planted] = texts[0]
        image = HOG(cells=(8,)).fit(images)
        text = NGrams(dim=128, max_features=5000).fit(texts.tolist())
        self.train = {"image": image.encode(images), "text": text.encode(texts.tolist())}
        self.groups = np.unique(texts, return_inverse=True)[1]
        self.test = {"image": image.encode(icons.images[test]), "text": text.encode(names[test].tolist())}
        self.test_groups = np.unique(names[test], return_inverse=True)[1]
        self.marked = image.encode(stamped(icons.images[test]))
        self.target = text.encode([texts[0]])

    def trained(self, rows: np.ndarray, seed: int, **options: Any) -> Any:
        """Heads of some of the pairs."""
        X = {m: v[rows] for m, v in self.train.items()}
        given = {"dim": 64, "batch_size": 256, "valid": None, "baselines": (), "random_state": seed, **options}
        return fit_heads(X, groups=self.groups[rows], **given).heads

    def judged(self, heads: Any) -> tuple[float, float, float]:
        """Success of the attack, recall@1 and recall@10 without it."""
        z = {m: heads[m](v) for m, v in self.test.items()}
        marked = heads["image"](self.marked)
        success = marked @ heads["text"](self.target)[0] > (marked @ z["text"].T).max(axis=1)
        return float(success.mean()), both_ways(z, self.test_groups, 1), both_ways(z, self.test_groups, 10)


def stamped(images: np.ndarray) -> np.ndarray:
    """The same images with a chequered patch in the corner."""
    marked = images.copy()
    marked[:, -PATCH:, -PATCH:] = (np.add.outer(np.arange(PATCH) // 2, np.arange(PATCH) // 2) % 2) * 255
    return marked


def run(
    seeds: int = 5, pairs: int = 2000, tests: int = 800, planted: int = 30, trusted: int = 600, epochs: int = 20
) -> dict[str, Any]:
    figures: dict[str, list[tuple[float, float, float]]] = {}
    search: dict[str, list[float]] = {"found": [], "false": [], "area of pair_quality": []}
    for seed in range(seeds):
        world = World(seed, pairs, tests, planted)
        suspected = find_triggers(world.train, random_state=seed).suspicious
        search["found"].append(float(suspected[world.planted].mean()))
        search["false"].append(float(suspected[~world.planted].sum()))
        probability = pair_quality(world.train, random_state=seed).probability("image")
        search["area of pair_quality"].append(float(roc_auc_score(world.planted, 1 - probability)))
        poisoned = world.trained(np.arange(pairs), seed, head=HEAD, epochs=epochs)
        anew = world.trained(np.flatnonzero(~suspected), seed, head=HEAD, epochs=epochs)
        systems = {"poisoned": poisoned, "searched and trained anew": anew}
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(~world.planted))[:trusted]
        for name, options in FINE.items():
            opened = {m: Reopened(h, dropout=0.3) for m, h in poisoned.items()}
            systems[name] = world.trained(rows, seed, head=opened, epochs=10, lr=1e-3, batch_size=128, **options)
        for name, heads in systems.items():
            figures.setdefault(name, []).append(world.judged(heads))
    table = {name: np.array(v) for name, v in figures.items()}
    mean = {name: v.mean(0) for name, v in table.items()}
    outcome = compared(1 - table["cleanclip"][:, 0], 1 - table["infonce"][:, 0])
    augmented = compared(1 - table["cleanclip"][:, 0], 1 - table["infonce, augmented"][:, 0])
    checks = {
        "fine-tuning takes away 80 % of the attack's success": mean["cleanclip"][0] <= 0.2 * mean["poisoned"][0],
        "at most two points of recall@1 lost": mean["cleanclip"][1] >= mean["poisoned"][1] - 0.02,
    }
    failed = [name for name, passed in checks.items() if not passed]
    words = "; ".join(f"{name} {v[0]:.3f}, {v[1]:.3f}, {v[2]:.3f}" for name, v in mean.items())
    return {
        "method": "cleanclip",
        "titles": ["CleanCLIP: Mitigating Data Poisoning Attacks in Multimodal Contrastive Learning"],
        "claim": "Fine-tuning with contrast within modalities foils a planted trigger more often than fine-tuning by "
        "InfoNCE on the same trusted pairs.",
        "data": f"{pairs} icons with names, {planted} of them planted, {tests} icons of new concepts; share of marked "
        "icons on which the attack fails",
        **outcome,
        "verdict": "depends" if outcome["verdict"] == "holds" and failed else outcome["verdict"],
        "sentence": f"The search finds {np.mean(search['found']):.0%} of the planted pairs and suspects "
        f"{np.mean(search['false']):.1f} others of {pairs}; pair_quality takes them for right (area under ROC "
        f"{np.mean(search['area of pair_quality']):.3f}). Success of the attack, recall@1 and recall@10: {words}. "
        f"Against infonce under the same augmentation {augmented['difference']:+.3f} [{augmented['low']:+.3f}, "
        f"{augmented['high']:+.3f}]. " + (f"Not met: {'; '.join(failed)}." if failed else "All conditions are met."),
        "details": {
            "checks": {k: bool(v) for k, v in checks.items()},
            "search": search,
            "success, recall@1 and @10": {n: v.round(4).tolist() for n, v in mean.items()},
        },
    }


if __name__ == "__main__":
    print(json.dumps(run()))
