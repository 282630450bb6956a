"""Does a cut-off that goes along to a new space keep its precision, where one that is left as it is loses it?

In each migration the lowest cut-off whose answers are right in 90 of 100 cases is tuned in the old space on the answers
to 300 queries. It is migrated with the same queries' answers in the new space: by judgements, by the share that passes
(no judgements), or left as it is. All are then tried on the other queries. What counts is how far the precision is
from the one that the old cut-off has on those queries in the old space; where nothing passes any more, all of it is
lost. Answers are the best item of each query; of titles the best three, of digits, which have many right ones, the best
hundred.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from claims import Skip
from claims._outcome import compared
from claims.upgrade._sets import table, texts
from claims.upgrade._texts import encode

from commonspace.core.vectors import unit
from commonspace.upgrade.cutoffs import migrate_cutoff

PRECISION = 0.9
WAYS = ("by judgements", "by share", "left as it is")


@dataclass(frozen=True)
class Searched:
    """Queries and items in both spaces, and what is right.

    Parameters
    ----------
    old, new : (queries, items) of arrays
        Vectors.
    right : (q, n) bool
    answers : int
        Best items of a query that count.
    own : bool
        Whether the queries are the items.
    """

    old: tuple[np.ndarray, np.ndarray]
    new: tuple[np.ndarray, np.ndarray]
    right: np.ndarray
    answers: int = 1
    own: bool = False

    def best(self, side: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of the best answers of some queries and whether each is right."""
        queries, items = getattr(self, side)
        scores = unit(queries[rows]) @ unit(items).T
        if self.own:
            scores[np.arange(len(rows)), rows] = -np.inf
        top = np.argpartition(-scores, self.answers - 1, axis=1)[:, : self.answers]
        both = (np.take_along_axis(a, top, axis=1).ravel() for a in (scores, self.right[rows]))
        return next(both), next(both)


def digits(old: int, new: int) -> Searched:
    """Handwritten digits as so many pixels a side; right is the same digit."""
    from sklearn.datasets import load_digits

    data = load_digits()
    sides = [data.images.reshape(-1, n, 8 // n, n, 8 // n).mean(axis=(2, 4)).reshape(-1, n * n) for n in (old, new)]
    right = data.target[:, None] == data.target[None, :]
    return Searched(*((x.astype(np.float32),) * 2 for x in sides), right, answers=100, own=True)


def sentences(old: str, new: str) -> Searched:
    """Questions and the sentences that answer them."""
    both = texts("xquad").items
    items = list(dict.fromkeys(both["sentence"]))
    ends = [tuple(encode(e, t, items) for t in (both["question"], items)) for e in (old, new)]
    right = np.array(both["sentence"])[:, None] == np.array(items)[None, :]
    return Searched(ends[0], ends[1], right)


def publications(old: str, new: str) -> Searched:
    """Titles in one bibliography and in another, which has one in ten not and most of the others once."""
    left, right, pairs = (table("link_dblp_acm", part) for part in ("left", "right", "pairs"))
    sides = [list(left.title.fillna("").astype(str)), list(right.title.fillna("").astype(str))]
    known = pairs[pairs.match.astype(int) == 1]
    same = np.zeros((len(left), len(right)), bool)
    rows, columns = (dict(zip(t.id, range(len(t)), strict=True)) for t in (left, right))
    same[[rows[i] for i in known.left_id], [columns[i] for i in known.right_id]] = True
    ends = [tuple(encode(e, t, sides[1]) for t in sides) for e in (old, new)]
    return Searched(ends[0], ends[1], same, answers=3)


#: Any machine has digits; the others need the shared sets and are left out where these are absent.
WORLDS: dict[str, Callable[[], Searched]] = {
    "digits, 4 x 4 pixels to 8 x 8": lambda: digits(4, 8),
    "digits, 8 x 8 pixels to 4 x 4": lambda: digits(8, 4),
    "xquad, n-grams to MiniLM": lambda: sentences("ngrams 128", "minilm 6 mean"),
    "xquad, MiniLM layer 4 to 6": lambda: sentences("minilm 4 mean", "minilm 6 mean"),
    "titles, n-grams to MiniLM": lambda: publications("ngrams 64", "minilm 6 mean"),
    "titles, MiniLM to n-grams": lambda: publications("minilm 6 mean", "ngrams 128"),
}


def run(seeds: int = 5, queries: int = 300, first_seed: int = 0) -> dict[str, Any]:
    """Return how much less the precision errs when the cut-off goes along by judgements than when it is left."""
    found: dict[str, list[dict[str, dict[str, float]]]] = {}
    for name, make in WORLDS.items():
        try:
            world = make()
        except Skip:
            continue
        found[name] = [one(world, queries, seed) for seed in range(first_seed, first_seed + seeds)]
    errors = {
        way: np.array([[s[way]["error"] for s in seeds_of] for seeds_of in found.values()]).mean(axis=0) for way in WAYS
    }
    mean = {way: float(e.mean()) for way, e in errors.items()}
    outcome = compared(-errors["by judgements"], -errors["left as it is"])
    outcome |= {"figure": mean["by judgements"], "baseline": mean["left as it is"]}
    turned = {"difference": -outcome["difference"], "low": -outcome["high"], "high": -outcome["low"]}
    by_share = compared(-errors["by share"], -errors["left as it is"])
    details = {
        name: {way: {k: float(np.mean([s[way][k] for s in f])) for k in f[0][way]} for way in [*WAYS, "old space"]}
        for name, f in found.items()
    }
    sentence = (
        f"A cut-off tuned for a precision of {PRECISION} errs by {mean['by judgements']:.3f} when it goes along by "
        f"judgements, by {mean['by share']:.3f} when by the share that passes, and by {mean['left as it is']:.3f} when "
        f"it is left as it is ({len(found)} migrations, {seeds} seeds); by share less than left as it is by "
        f"{by_share['difference']:.3f} [{by_share['low']:.3f}, {by_share['high']:.3f}]."
    )
    return {
        "method": "migrate_cutoff",
        "titles": [],
        "claim": "A cut-off migrated by judgements keeps its precision better than one left as it is (mean error)",
        "data": "digits and, where they are, xquad and two bibliographies (link_dblp_acm)",
        **outcome,
        **turned,
        "sentence": sentence,
        "details": {"error": mean, "by migration": details},
    }


def one(world: Searched, queries: int, seed: int) -> dict[str, dict[str, float]]:
    """Return precision, share that passes and error of each way on queries that no cut-off was chosen on."""
    order = np.random.default_rng(seed).permutation(len(world.right))
    tune, test = order[:queries], order[queries : queries + 1000]
    group = np.repeat(np.arange(queries), world.answers)
    (old, old_right), (new, new_right) = (world.best(side, tune) for side in ("old", "new"))
    options: dict[str, Any] = {"resamples": 1, "groups": group}
    cutoff = float(migrate_cutoff(float(np.median(old)), old, old, old_right, precision=PRECISION, **options))
    chosen = {
        "by judgements": float(migrate_cutoff(cutoff, old, new, (old_right, new_right), **options)),
        "by share": float(migrate_cutoff(cutoff, old, new, **options)),
        "left as it is": cutoff,
    }
    before = passing(*world.best("old", test), cutoff)
    now = world.best("new", test)
    after = {way: passing(*now, c) for way, c in chosen.items()}
    return {
        "old space": {**before, "error": 0.0},
        **{way: {**f, "error": abs(f["precision"] - before["precision"])} for way, f in after.items()},
    }


def passing(scores: np.ndarray, right: np.ndarray, cutoff: float) -> dict[str, float]:
    """Return the precision of what passes, and its share; nothing is right where nothing passes."""
    passed = scores >= cutoff
    return {"precision": float(right[passed].mean()) if passed.any() else 0.0, "share": float(passed.mean())}


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
