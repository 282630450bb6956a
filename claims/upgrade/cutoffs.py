"""Does a cut-off that goes along to a new space keep its precision, where one that is left as it is loses it?

In each migration the lowest cut-off whose best answers are right in 90 of 100 cases is tuned in the old space on 300
queries. It is migrated with the same queries' answers in the new space: by judgements, by the share that passes
(no judgements), or left as it is. All are then tried on other queries. What counts is how far the precision is from the
one that the old cut-off has on those queries in the old space; where nothing passes any more, all of it is lost.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims import Skip
from claims._outcome import compared
from claims.upgrade import _worlds as w

from commonspace.upgrade.cutoffs import migrate_cutoff
from commonspace.upgrade.probes import Probes

PRECISION = 0.9
WAYS = ("by judgements", "by share", "left as it is")
#: Any machine has the first two; the others need the shared sets and are left out where these are absent.
WORLDS = {
    "icons, pixels to gradients": w.of_icons({"name": "pixels"}, {"name": "hog"}),
    "digits, heads of 16 numbers to 64": w.of_digits({"dim": 16}, {"dim": 64}),
    "cisi, MiniLM layer 4 to 6": w.of_texts("cisi", "minilm 4 mean", "minilm 6 mean", "title", "document"),
    "cranfield, n-grams to MiniLM": w.of_texts("cranfield", "ngrams 128", "minilm 6 mean", "title", "document"),
    "emoji, colours to shapes": w.of_drawings("colour", "hog"),
    "emoji names, n-grams to MiniLM": w.of_names("ngrams 128", "minilm 6 mean"),
}


def run(seeds: int = 5, queries: int = 300, first_seed: int = 0) -> dict[str, Any]:
    """Return the error of the precision: migrated by judgements against left as it is."""
    found: dict[str, list[dict[str, dict[str, float]]]] = {}
    for name, make in WORLDS.items():
        try:
            found[name] = [one(make(seed), queries, seed) for seed in range(first_seed, first_seed + seeds)]
        except Skip:
            continue
    errors = {
        way: np.array([[s[way]["error"] for s in seeds_of] for seeds_of in found.values()]).mean(axis=0) for way in WAYS
    }
    outcome = compared(-errors["by judgements"], -errors["left as it is"])
    details = {
        name: {way: {k: float(np.mean([s[way][k] for s in f])) for k in f[0][way]} for way in [*WAYS, "old space"]}
        for name, f in found.items()
    }
    mean = {way: float(e.mean()) for way, e in errors.items()}
    by_share = compared(-errors["by share"], -errors["left as it is"])
    sentence = (
        f"A cut-off tuned for a precision of {PRECISION} is off by {mean['by judgements']:.3f} when it goes along by "
        f"judgements, by {mean['by share']:.3f} when by the share that passes, and by {mean['left as it is']:.3f} when "
        f"it is left as it is ({len(found)} migrations, {seeds} seeds); by share against left as it is: "
        f"{by_share['difference']:+.3f} [{by_share['low']:+.3f}, {by_share['high']:+.3f}]."
    )
    return {
        "method": "migrate_cutoff",
        "titles": [],
        "claim": "A cut-off migrated by judgements keeps its precision better than one left as it is",
        "data": "QtAwesome icons, digits and, where they are, cisi, cranfield and emoji",
        **outcome,
        "sentence": sentence,
        "details": {"precision and share": details, "error": mean},
    }


def one(world: w.World, queries: int, seed: int) -> dict[str, dict[str, float]]:
    """Return precision, share that passes and error of each way on queries that no cut-off was chosen on."""
    tune, test = world.split(seed + 1000, queries)
    (old, old_right), (new, new_right) = (best(tune, side) for side in ("old", "new"))
    cutoff = float(migrate_cutoff(float(np.median(old)), old, old, old_right, precision=PRECISION, resamples=1))
    cutoff = min(max(cutoff, float(old.min()) + 1e-6), float(old.max()))  # one that some pass and some do not
    options: dict[str, Any] = {"resamples": 1}
    chosen = {
        "by judgements": float(migrate_cutoff(cutoff, old, new, (old_right, new_right), **options)),
        "by share": float(migrate_cutoff(cutoff, old, new, **options)),
        "left as it is": cutoff,
    }
    was, now = best(test, "old"), best(test, "new")
    before = passing(*was, cutoff)
    after = {way: passing(*now, c) for way, c in chosen.items()}
    return {
        "old space": {**before, "error": 0.0},
        **{way: {**f, "error": abs(f["precision"] - before["precision"])} for way, f in after.items()},
    }


def passing(scores: np.ndarray, right: np.ndarray, cutoff: float) -> dict[str, float]:
    """Return the precision of what passes, and its share; nothing is right where nothing passes."""
    passed = scores >= cutoff
    return {"precision": float(right[passed].mean()) if passed.any() else 0.0, "share": float(passed.mean())}


def best(probes: Probes, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of each query's best answer in one space, and whether it is right."""
    asks = next(iter((probes.queries or probes.items).old))
    searched = next(
        m for m in probes.items.old if probes.queries is not None or m != asks or len(probes.items.old) == 1
    )
    queries = getattr(probes.queries or probes.items, side)[asks]
    things = (probes.query_things if probes.queries is not None else probes.things)[asks]
    scores = queries @ getattr(probes.items, side)[searched].T
    if probes.queries is None and asks == searched:
        np.fill_diagonal(scores, -np.inf)
    top = scores.argmax(axis=1)
    return scores.max(axis=1), probes.things[searched][top] == things


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
