"""Whether texts that say nothing are better found by counting and left out than trained on.

Icons with their names, and in place of four names of ten what scraped pages put beside a picture:

    stock     one of a dozen lines that stand beside any picture, a few of them most of the time
    page      forty to eighty words of other icons' names in a row
    file      "img 20391 jpg" with a number of its own
    none      nothing

Beside these one name of ten is that of another icon, which no counting finds. Concepts of the test part are never seen;
test pairs are as they should be. The strong recipe on all pairs, on those that `filter_texts` keeps, on as many drawn
at random and on those whose text was left as it is, all with the same number of steps; encoders learn from the pairs
that are trained on. Beside counting stands judging: `noisy_pairs="drop"` on all pairs, and on what counting kept. Of
the limits tried on other seeds (100, 101) those below found all that was planted; recall@10 moved by less than a point
between them, but for those that drop a tenth of the true names.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import all_icons, both_ways
from claims.align._icons import HEAD

from commonspace.align import filter_texts
from commonspace.align.fit import fit_heads
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams

STOCK = (
    "click to enlarge", "image", "photo", "icon", "download free", "no description available", "untitled",
    "logo of the company", "loading please wait", "buy now", "related pictures", "share this page",
)  # fmt: skip
KINDS = ("stock", "page", "file", "none")
SHARES = (0.5, 0.2, 0.2, 0.1)
LIMITS = {"most_items": 10, "fewest_words": 1, "most_words": 20, "least_seen": 2}
BATCH = 256


def scraped(names: list[str], share: float, wrong: float, seed: int) -> tuple[list[str], np.ndarray]:
    """Return the texts with a share of them replaced, and (n,) what each of them is now."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    planted, others = (
        order[: round(share * len(names))],
        order[round(share * len(names)) :][: round(wrong * len(names))],
    )
    texts, kind = list(names), np.full(len(names), "name", dtype="U5")
    popular = 1 / np.arange(1, len(STOCK) + 1)
    for i in planted:
        kind[i] = rng.choice(KINDS, p=SHARES)
        if kind[i] == "stock":
            texts[i] = str(rng.choice(STOCK, p=popular / popular.sum()))
        elif kind[i] == "page":
            words = " ".join(names[j] for j in rng.integers(0, len(names), 40)).split()
            texts[i] = " ".join(words[: rng.integers(40, 80)])
        else:
            texts[i] = f"img {rng.integers(10**4, 10**6)} jpg" if kind[i] == "file" else ""
    kind[others] = "wrong"
    for i, j in zip(others, np.roll(others, 1), strict=True):
        texts[i] = names[j]
    return texts, kind


def steps(n: int) -> int:
    """Return the batches of an epoch."""
    return -(-n // BATCH)


class Parts:
    """Training and test pairs of one seed."""

    def __init__(self, seed: int, pairs: int, tests: int, share: float, wrong: float) -> None:
        self.icons = all_icons()
        self.seed = seed
        held = self.icons.held_out(0.2, random_state=seed)
        rng = np.random.default_rng(seed)
        self.train = rng.permutation(np.flatnonzero(~held))[:pairs]
        self.test = rng.permutation(np.flatnonzero(held))[:tests]
        self.groups = np.unique(self.icons.names[self.test], return_inverse=True)[1]
        self.texts, self.kind = scraped([str(n) for n in self.icons.names[self.train]], share, wrong, seed)
        hog = HOG(cells=(8,)).fit([self.icons.images[i] for i in self.train])
        self.images = hog.encode([self.icons.images[i] for i in self.train])
        self.shown = hog.encode([self.icons.images[i] for i in self.test])

    def recall(self, kept: np.ndarray, epochs: int, **options: Any) -> tuple[float, float]:
        """Return recall@1 and recall@10 of both directions after training on some of the pairs."""
        texts = [self.texts[i] for i in kept]
        encoder = NGrams(dim=128, max_features=5000).fit(texts)
        found = fit_heads(
            {"image": self.images[kept], "text": encoder.encode(texts)}, head=HEAD, dim=64, batch_size=BATCH,
            epochs=round(epochs * steps(len(self.train)) / steps(len(kept))), valid=None, baselines=(),
            random_state=self.seed, **options,
        ).heads  # fmt: skip
        asked = encoder.encode([str(n) for n in self.icons.names[self.test]])
        z = {"image": found["image"](self.shown), "text": found["text"](asked)}
        return both_ways(z, self.groups, 1), both_ways(z, self.groups, 10)


def one(seed: int, pairs: int, tests: int, share: float, wrong: float, epochs: int) -> dict[str, Any]:
    parts = Parts(seed, pairs, tests, share, wrong)
    every, planted = np.arange(pairs), np.isin(parts.kind, KINDS)
    kept = filter_texts(parts.texts, items=list(range(pairs)), **LIMITS).kept
    at_random = np.sort(np.random.default_rng([seed, 1]).permutation(pairs)[: len(kept)])
    return {
        "all": parts.recall(every, epochs),
        "filtered": parts.recall(kept, epochs),
        "at random": parts.recall(at_random, epochs),
        "without what was planted": parts.recall(np.flatnonzero(~planted), epochs),
        "all, judged": parts.recall(every, epochs, noisy_pairs="drop"),
        "filtered, judged": parts.recall(kept, epochs, noisy_pairs="drop"),
        "found": float(1 - np.isin(kept, np.flatnonzero(planted)).sum() / planted.sum()),
        "lost": float(1 - np.isin(np.flatnonzero(parts.kind == "name"), kept).mean()),
    }


def run(
    seeds: int = 5, pairs: int = 2500, tests: int = 800, share: float = 0.4, wrong: float = 0.1, epochs: int = 25
) -> dict[str, Any]:
    rows = [one(seed, pairs, tests, share, wrong, epochs) for seed in range(seeds)]
    systems = [s for s in rows[0] if s not in ("found", "lost")]
    table = {s: np.array([row[s] for row in rows]) for s in systems}
    outcome = compared(table["filtered"][:, 1], table["all"][:, 1])

    def against(a: str, b: str) -> str:
        d = compared(table[a][:, 1], table[b][:, 1])
        return f"{d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]"

    found, lost = (np.mean([row[k] for row in rows]) for k in ("found", "lost"))
    return {
        "method": "filter_texts",
        "titles": ["Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision"],
        "claim": "Where pictures were scraped with texts that say nothing, leaving out what counting finds beats "
        "training on all pairs.",
        "data": f"{pairs} icons, {share:.0%} of their names replaced by stock lines, pages, file names or nothing and "
        f"{wrong:.0%} by another's name; {tests} icons of new concepts, recall@10 of both directions",
        **outcome,
        "sentence": f"The filter finds {found:.0%} of what was planted and drops {lost:.0%} of the true names. "
        f"Recall@1 / @10: {'; '.join(f'{s} {v[:, 0].mean():.3f} / {v[:, 1].mean():.3f}' for s, v in table.items())}. "
        f"Filtered against as many at random {against('filtered', 'at random')}, against all pairs judged by "
        f"pair_quality {against('filtered', 'all, judged')}; judged after filtering against judged alone "
        f"{against('filtered, judged', 'all, judged')}.",
        "details": {s: v.mean(0).round(4).tolist() for s, v in table.items()} | {"found": found, "lost": lost},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
