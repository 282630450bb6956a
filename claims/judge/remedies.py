"""What remedies do to real spaces, and whether a check-up's verdict on them can be trusted.

Five spaces: heads of the strong recipe over frozen encoders (icons and emoji, concepts never seen, drawings and names),
and raw encoders (gradient histograms of icons and of emoji, where a drawing must find another hand's of the same
concept; MiniLM of emoji names and of their keywords). A sixth has 30 % of its pairs wrong, for pair cleaning.

The things of a space are cut into three parts. A check-up learns each remedy on the first, measures it on the second,
and says in each direction whether it helps, hurts or shows no difference. The third part, which neither has seen, says
what was true. The figure is the share of clear verdicts (helps, hurts) whose sign the third part confirms; the
baseline is the share of remedies that help there, which is how often one is right who takes every remedy on trust.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._drawings import _emoji, _icons, emoji_drawings, icon_drawings, trained
from claims.align._emoji import emoji

from commonspace.core.registry import build
from commonspace.judge import Subject
from commonspace.judge.treatment import measured

REMEDIES = (
    "centring",
    "whitening",
    "top-components",
    "hub-normalisation",
    "deduplicate",
    "drop-dimensions",
    "unit-length",
    "pair-cleaning",
)
ROWS = 700  # of a modality in each part
ROUNDING = 1e-4


def of_heads(drawings: Any, seed: int, epochs: int) -> Subject:
    """Return unseen drawings and names as heads see them; a name counts once."""
    train, test = drawings(seed)
    heads = trained(train, "infonce", seed, epochs)
    once = np.unique(test.concepts, return_index=True)[1]
    vectors = {"image": heads["image"](test.X["image"]), "text": heads["text"](test.X["text"][once])}
    return Subject(vectors, things={"image": test.concepts, "text": test.concepts[once]})


def wrong_pairs(subject: Subject, seed: int, share: float = 0.3) -> Subject:
    """Return the subject with the names of a share of the concepts dealt out anew."""
    rng = np.random.default_rng(seed)
    x = subject.vectors["text"].copy()
    wrong = rng.permutation(len(x))[: int(share * len(x))]
    x[wrong] = x[np.roll(wrong, 1)]
    return replace(subject, vectors={**subject.vectors, "text": x})


@lru_cache(maxsize=1)
def raw() -> dict[str, Subject]:
    """Return the spaces of single encoders."""
    from commonspace.encode.sentence import MiniLM

    images, concepts, _, _ = _icons()
    drawn = _emoji()
    data = emoji()
    words = [", ".join(k) for k in data.keywords["en"]]
    texts = {"name": list(data.names["en"]), "keywords": words}
    kept = [i for i in range(len(words)) if all(t[i] for t in texts.values())]
    model = MiniLM(device="cpu")
    vectors = {m: model.encode([t[i] for i in kept]) for m, t in texts.items()}
    bases = np.unique(data.bases, return_inverse=True)[1][kept]
    return {
        "icons, histograms": Subject({"image": images}, things={"image": concepts}),
        "emoji, histograms": Subject({"image": drawn.X["image"]}, things={"image": drawn.concepts}),
        "emoji, MiniLM": Subject(vectors, things={"name": bases, "keywords": bases}),
    }


def effects(subject: Subject, remedies: tuple[str, ...], seed: int) -> list[dict[str, Any]]:
    """Return what a check-up says of every remedy and direction, and what is true on a third part."""
    rng = np.random.default_rng(seed)
    whole, fresh = subject.halves(rng, most=2 * ROWS)
    learn, test = whole.halves(rng, most=ROWS)
    found = []
    for name in remedies:
        remedy = build("Remedy", name)
        if remedy.lacks(subject):
            continue
        remedy.fit(learn, rng)
        truth = {d.task: d.difference.difference for d in measured(fresh, remedy, rng)}
        for d in measured(test, remedy, rng):
            if d.task in truth:
                row = {"remedy": name, "task": d.task, "effect": d.effect, "said": d.difference.difference}
                found.append(row | {"true": truth[d.task]})
    return found


def run(seeds: int = 5, epochs: int = 8) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        heads = {
            "icons, heads": of_heads(icon_drawings, seed, epochs),
            "emoji, heads": of_heads(emoji_drawings, seed, epochs),
        }
        for name, subject in {**heads, **raw()}.items():
            rows += [r | {"set": name, "seed": seed} for r in effects(subject, REMEDIES[:-1], seed)]
        noisy = wrong_pairs(heads["emoji, heads"], seed)
        for name, subject in {"emoji, heads": heads["emoji, heads"], "emoji, 30 % wrong pairs": noisy}.items():
            rows += [r | {"set": name, "seed": seed} for r in effects(subject, REMEDIES[-1:], seed)]
    clear = [[r for r in rows if r["seed"] == s and r["effect"]] for s in range(seeds)]
    moved = [[r for r in rows if r["seed"] == s and abs(r["true"]) > ROUNDING] for s in range(seeds)]
    right = np.array([np.mean([np.sign(r["true"]) == r["effect"] for r in part]) for part in clear])
    trust = np.array([np.mean([r["true"] > 0 for r in part]) for part in moved])
    table = _table(rows)
    said = "; ".join(f"{name}: {_words(cells)}" for name, cells in table.items())
    return {
        "method": "remedies",
        "titles": [
            "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning",
            "Whitening Sentence Representations for Better Semantics and Faster Retrieval",
            "All-but-the-Top: Simple and Effective Postprocessing for Word Representations",
            "Word Translation Without Parallel Data",
            "Noisy-Correspondence Learning for Text-to-Image Person Re-identification",
        ],
        "claim": "Where a check-up says that a remedy helps or hurts, things that it has not seen confirm it.",
        "data": f"icons and emoji, heads and raw encoders, {len(REMEDIES)} remedies, every direction of retrieval, "
        "mean reciprocal rank; figure: share of clear verdicts confirmed on a third part; baseline: share of remedies "
        "that help there",
        **compared(right, trust),
        "sentence": f"{right.mean():.0%} of {sum(map(len, clear))} clear verdicts are confirmed; of all remedies that "
        f"change anything {trust.mean():.0%} help. Mean change of the reciprocal rank on unseen things: {said}.",
        "details": {"by remedy, set and direction": table},
    }


def _table(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    cells: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for r in rows:
        cells[r["remedy"]][f"{r['set']}, {r['task']}"].append(r)
    return {
        remedy: {
            place: {
                "change": round(float(np.mean([r["true"] for r in found])), 4),
                "least": round(float(min(r["true"] for r in found)), 4),
                "most": round(float(max(r["true"] for r in found)), 4),
                "said to help": sum(r["effect"] > 0 for r in found),
                "said to hurt": sum(r["effect"] < 0 for r in found),
                "of": len(found),
            }
            for place, found in places.items()
        }
        for remedy, places in cells.items()
    }


def _words(cells: dict[str, dict[str, Any]]) -> str:
    """Return the best and the worst place of a remedy."""
    best, worst = max(cells, key=lambda c: cells[c]["change"]), min(cells, key=lambda c: cells[c]["change"])
    if cells[best]["change"] == cells[worst]["change"] == 0:
        return "no change anywhere"
    return f"{cells[best]['change']:+.3f} at best ({best}), {cells[worst]['change']:+.3f} at worst ({worst})"


if __name__ == "__main__":
    print(json.dumps(run()))
