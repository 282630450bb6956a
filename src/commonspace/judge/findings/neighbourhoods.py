"""Are the neighbours of a row of its class?

    score = max(0, (purity - chance) / (1 - chance))

The purity is the mean share of the k nearest rows that are of the row's class; chance is what rows drawn at random
would have. The flag goes up where the upper end of the interval lies below 0.2, up to which agreement beyond chance is
called slight (Landis and Koch, 1977). ICNN, which sees also how tight classes are and how far the others, stands
beside it.

Rows of the same thing are left out of each other's neighbours where it is known which those are: four drawings of one
icon would make any space look pure.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Bars
from commonspace.judge.subject import Subject
from commonspace.measure.health.icnn import icnn_score
from commonspace.measure.statistics.estimates import estimate

BLOCK = 1024
SHOWN = 15


@register(
    "neighbourhoods",
    protocol="Finding",
    papers=[
        Paper(
            "SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel "
            "distance-based loss functions for few-shot image classification",
            2023,
            "https://arxiv.org/abs/2305.09062",
        )
    ],
    claim="judge/findings",
)
class Neighbourhoods(Finding):
    """Neighbours that are not of one class.

    Parameters
    ----------
    limit : float
        Purity beyond chance below which the flag goes up.
    k : int
        Neighbours of a row.
    most : int
        Rows of a modality that are looked at; time grows with the square.
    """

    title = "Neighbourhoods by class"

    def __init__(self, *, limit: float = 0.2, k: int = 10, most: int = 5_000) -> None:
        self.limit = limit
        self.k = k
        self.most = most

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: classes."""
        return None if subject.classes else "there are no classes of rows"

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality with classes."""
        limit, k = check_share("limit", self.limit), check_positive("k", self.k)
        found = []
        for m in subject.classes:
            rows, units = subject.sample(m, check_positive("most", self.most), rng)
            names, classes = np.unique(np.asarray(subject.classes[m])[rows].astype(str), return_inverse=True)
            if len(names) < 2 or len(rows) < 2 * k:
                continue
            things = subject.codes(m)[rows] if m in subject.things else np.arange(len(rows))
            pure, chance = _purity(units, classes, things, k)
            judged = np.isfinite(pure)
            if not judged.any():
                continue
            beyond = (pure - chance)[judged] / np.maximum(1 - chance[judged], 1e-9)
            seen = estimate(beyond, "purity beyond chance", groups=things[judged], random_state=rng)
            raw = estimate(pure[judged], "purity", bounds=(0, 1), groups=things[judged], random_state=rng)
            by_class = {
                str(name): float(pure[judged & (classes == i)].mean())
                for i, name in enumerate(names)
                if (judged & (classes == i)).any()
            }
            shown = sorted(by_class, key=lambda n: by_class[n])[:SHOWN]
            found.append(
                Found(
                    "neighbourhoods",
                    m,
                    float(np.clip(seen.value, 0, 1)),
                    seen.high < limit,
                    f"{raw.value:.0%} [{raw.low:.0%}, {raw.high:.0%}] of the {k} nearest rows are of the same class; "
                    f"chance would give {chance[judged].mean():.0%}. The worst class is {shown[0]} "
                    f"({by_class[shown[0]]:.0%}).",
                    evidence={
                        "purity": raw,
                        "purity beyond chance": seen,
                        "purity by chance": float(chance[judged].mean()),
                        "ICNN": icnn_score(units, classes, k=min(k, len(units) - 1)),
                        "classes": len(names),
                    },
                    pictures=(
                        Bars(
                            f"Purity by class ({m}), the worst first",
                            "",
                            "share of neighbours of the class",
                            shown,
                            [by_class[n] for n in shown],
                        ),
                    ),
                    advice="The space does not know these classes: train with them as groups or with an objective for "
                    "labels, or choose an encoder that sees what tells them apart.",
                    limit=limit,
                )
            )
        return found


def _purity(units: np.ndarray, classes: np.ndarray, things: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) the share of the k nearest rows of other things that are of the row's class, and that by chance.

    NaN where there are fewer than k rows of other things.
    """
    counts = np.bincount(classes)
    of_thing = np.bincount(np.unique(things, return_inverse=True)[1])[np.unique(things, return_inverse=True)[1]]
    pure = np.full(len(units), np.nan)
    same_class_of_thing = np.zeros(len(units))
    for start in range(0, len(units), BLOCK):
        block = slice(start, start + BLOCK)
        scores = units[block] @ units.T
        own = things[block, None] == things[None, :]
        alike = classes[block, None] == classes[None, :]
        same_class_of_thing[block] = (own & alike).sum(axis=1)
        scores[own] = -np.inf
        near = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        enough = len(units) - of_thing[block] >= k
        pure[block] = np.where(enough, np.take_along_axis(alike, near, 1).mean(axis=1), np.nan)
    left = np.maximum(len(units) - of_thing, 1)
    chance = (counts[classes] - same_class_of_thing) / left
    return pure, chance
