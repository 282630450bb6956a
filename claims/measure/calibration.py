"""Probabilities made of scores by a monotone fit keep what they promise; the scores themselves do not.

Names ask for icons, and left halves of digits for right halves, in a closed-form space (CCA) of things never seen. Each
query's best cosine is taken for the probability that its answer is right: as it is (the baseline), and after the fit of
`calibration`, whose error is measured on things that the fit has not seen. Nothing was chosen by looking at these data.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._data import Split, digits, icons

from commonspace.core.vectors import unit
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams
from commonspace.measure import calibration
from commonspace.reshape.cca import CCA


def first_answers(split: Split, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the score of each query's best answer, whether it is right, and the query's group."""
    b, a = split.train  # the second asks for the first
    space = CCA(dim=dim).fit(split.train[a], split.train[b])
    scores = unit(space.transform(split.test[a])) @ unit(space.transform_target(split.test[b])).T
    best = scores.argmax(axis=1)
    right = split.test_groups[best] == split.test_groups
    return scores[np.arange(len(best)), best], right, split.test_groups


def error_as_it_is(scores: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Calibration error of cosines taken for probabilities, in bins of equal number."""
    p = np.clip(scores, 0, 1)
    parts = np.array_split(np.argsort(p, kind="stable"), bins)
    return float(sum(abs((p[i] - right[i]).sum()) for i in parts) / len(p))


def run(seeds: int = 5, pairs: int = 2000, tests: int = 1000) -> dict[str, Any]:
    fitted, raw, rows = [], [], []
    for seed in range(seeds):
        drawn = icons(seed, pairs, tests, image=HOG(cells=(8,)), text=NGrams(dim=128, max_features=5000))[0]
        for name, split in (("icons", drawn), ("digits", digits(seed, 800, 900))):
            scores, right, groups = first_answers(split, 24 if name == "digits" else 64)
            found = calibration(scores, right, groups=groups, random_state=seed)
            fitted.append(1 - found.error.value)
            raw.append(1 - error_as_it_is(scores, right))
            rows.append((name, found.error.value, found.least, 1 - raw[-1], right.mean()))

    def mean(name: str, place: int) -> float:
        return float(np.mean([r[place] for r in rows if r[0] == name]))

    words = "; ".join(
        f"{name}: {mean(name, 1):.3f} after the fit (perfect probabilities would show {mean(name, 2):.3f}), "
        f"{mean(name, 3):.3f} as they are, {mean(name, 4):.0%} right"
        for name in ("icons", "digits")
    )
    return {
        "method": "calibration",
        "titles": ["Transforming classifier scores into accurate multiclass probability estimates"],
        "claim": "A monotone fit on other things makes probabilities of cosines that keep what they promise.",
        "data": f"names asking for {tests} icons and half digits for 900 others, {seeds} seeds each, CCA; figure: 1 - "
        "calibration error after the fit; baseline: 1 - that of the cosines",
        **compared(np.array(fitted), np.array(raw)),
        "sentence": f"Calibration errors, {words}.",
        "details": {"rows": [[r[0], *(round(float(v), 4) for v in r[1:])] for r in rows]},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
