"""Do two modalities lie apart, so that one index of both answers with one of them?

    g      = (d^2 / 2) / s          score = 1 / (1 + g)

d is the distance between the centres of the two modalities, s the standard deviation of the cosine of two different
things within a modality. A gap of d takes d^2 / 2 off every cosine across, against those within. The flag goes up
below 0.5, g > 1: strangers of a query's own modality then outrank strangers of the other by a whole standard deviation,
and an index of both is answered by one of them first. Also, the interval of d must lie above that of the control.

The control: one modality is cut into two halves at random, whose centres should be one. What is found there is what
the number of rows alone makes.

Two cones apart do no harm where every search is answered by one modality: see the finding `imbalance` for what the gap
does to a mixed index.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.drawing import scatter
from commonspace.judge.finding import Finding, Found, lacks_pairs
from commonspace.judge.pictures import Bars
from commonspace.judge.subject import Subject
from commonspace.measure.health.gap import FOLDS, contrastive_gap
from commonspace.measure.health.gap import Gap as Measured
from commonspace.measure.statistics.estimates import Estimate


@register(
    "gap",
    protocol="Finding",
    synonyms=("modality-gap",),
    papers=[
        Paper(
            "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
            2024,
            "https://arxiv.org/abs/2405.18570",
        )
    ],
    claim="judge/findings",
)
class Gap(Finding):
    """Two modalities that lie apart.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up.
    most : int
        Pairs that are looked at; time grows with the square.
    """

    title = "Gap between modalities"

    def __init__(self, *, limit: float = 0.5, most: int = 1_500) -> None:
        self.limit = limit
        self.most = most

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: pairs of two modalities."""
        return lacks_pairs(subject)

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry for every two modalities that share enough things."""
        limit = check_share("limit", self.limit)
        found = []
        for a, b in combinations(subject.things, 2):
            rows_a, rows_b, things = subject.pairs(a, b)
            chosen = np.sort(rng.permutation(len(things))[: check_positive("most", self.most)])
            things = things[chosen]
            if len(np.unique(things)) < 4 * FOLDS:  # the control halves them
                continue
            x, y = subject.units(a, rows_a[chosen]), subject.units(b, rows_b[chosen])
            seen = contrastive_gap(x, y, groups=things, resamples=200, random_state=rng)
            control = _control(x, y, things, rng)
            spread = (_spread(x, things, rng) + _spread(y, things, rng)) / 2
            found.append(self._found(a, b, x, y, seen, control, spread, limit, rng))
        return found

    def _found(
        self,
        a: str,
        b: str,
        x: np.ndarray,
        y: np.ndarray,
        seen: Measured,
        control: Measured,
        spread: float,
        limit: float,
        rng: np.random.Generator,
    ) -> Found:
        g = seen.distance.value**2 / 2 / max(spread, 1e-9)
        score = float(1 / (1 + g))
        beyond = seen.distance.low > control.distance.high
        bars: dict[str, Estimate] = {
            "distance of centres": seen.distance,
            "the same, control": control.distance,
            "told apart": seen.separability,
            "told apart, control": control.separability,
        }
        return Found(
            "gap",
            f"{a}->{b}",
            score,
            score < limit and beyond,
            f"The centres lie {seen.distance.value:.2f} [{seen.distance.low:.2f}, {seen.distance.high:.2f}] apart (two "
            f"halves of one modality: {control.distance.value:.2f}), which takes {g:.1f} standard deviations off every "
            f"cosine across; a line tells {seen.separability.value:.0%} of the rows apart.",
            evidence={
                **bars,
                "distance of partners, squared": seen.alignment,
                f"uniformity of {a}": seen.uniformity_x,
                f"uniformity of {b}": seen.uniformity_y,
                "uniformity across": seen.cross_uniformity,
                "spread of cosines within": spread,
                "cosine lost across, in spreads": g,
            },
            pictures=(
                scatter(f"{a} and {b}, partners joined", {a: x, b: y}, joined=60, rng=rng),
                Bars(
                    "The gap beside its control",
                    "",
                    "distance, or share told apart",
                    list(bars),
                    [e.value for e in bars.values()],
                    [e.low for e in bars.values()],
                    [e.high for e in bars.values()],
                ),
            ),
            remedy="centring",
            advice="Search one modality at a time (against=...), or take the mean of each modality off before both go "
            "into one index.",
            limit=limit,
        )


def _control(x: np.ndarray, y: np.ndarray, things: np.ndarray, rng: np.random.Generator) -> Measured:
    """Return the wider gap of two halves of one modality, paired at random."""
    found = []
    for rows in (x, y):
        _, first = np.unique(things, return_index=True)
        order = rng.permutation(first)
        half = len(order) // 2
        found.append(contrastive_gap(rows[order[:half]], rows[order[half : 2 * half]], resamples=200, random_state=rng))
    return max(found, key=lambda g: g.distance.value)


def _spread(rows: np.ndarray, things: np.ndarray, rng: np.random.Generator) -> float:
    """Return the standard deviation of the cosine of two different things."""
    a, b = rng.integers(0, len(rows), (2, 20_000))
    apart = things[a] != things[b]
    if not apart.any():
        raise BadInput("all rows show the same thing")
    return float(np.einsum("ij,ij->i", rows[a[apart]], rows[b[apart]]).std())
