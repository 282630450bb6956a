"""Does an index of all modalities answer with all of them?

    score = min(1, lowest lift)
    lift(a -> b) = share of b among the k nearest of queries of a  /  share of b in the index

Vectors of all modalities stand in one index, and items ask without themselves. The flag goes up where the upper end of
the interval of the lowest lift lies below 0.5: a modality is then found half as often as its share of the index says,
or less. That alone is not wrong where users want their own modality back; it is wherever they search the whole index
and believe to see all of it.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Bars
from commonspace.judge.subject import Subject
from commonspace.measure.health.imbalance import imbalance


@register("imbalance", protocol="Finding", claim="judge/findings")
class Imbalance(Finding):
    """An index of several modalities that answers with one of them.

    Parameters
    ----------
    limit : float
        Lift below which the flag goes up, for certain.
    k : int
        Results of a query.
    most, queries : int
        Rows of a modality in the index, and queries of each that are asked.
    """

    title = "Modalities in one index"

    def __init__(self, *, limit: float = 0.5, k: int = 10, most: int = 20_000, queries: int = 1_000) -> None:
        self.limit = limit
        self.k = k
        self.most = most
        self.queries = queries

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: a second modality."""
        return "there is one modality only" if len(subject.modalities) < 2 else None

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry about the index of all modalities."""
        limit = check_share("limit", self.limit)
        # One share for all, so that a sample is the index on a smaller scale.
        longest = max(len(subject.sound(m)) for m in subject.modalities)
        scale = min(1.0, check_positive("most", self.most) / max(longest, 1))
        rows = {m: max(1, int(scale * len(subject.sound(m)))) for m in subject.modalities}
        units = {m: subject.sample(m, n, rng)[1] for m, n in rows.items()}
        if min(map(len, units.values())) <= self.k:
            return []
        seen = imbalance(units, k=self.k, most=check_positive("queries", self.queries), random_state=rng)
        worst = seen.worst
        lifts = {f"{d.asks} finds {d.answers}": d.lift for d in seen.directions}
        return [
            Found(
                "imbalance",
                "+".join(units),
                float(min(1.0, worst.lift.value)),
                worst.lift.high < limit,
                f"Queries of {worst.asks} find {worst.answers} in {worst.share.value:.0%} of the places, where its "
                f"share of the index is {worst.expected:.0%}: {worst.lift.value:.2f} "
                f"[{worst.lift.low:.2f}, {worst.lift.high:.2f}] of what is fair.",
                evidence={f"lift, {name}": e for name, e in lifts.items()},
                pictures=(
                    Bars(
                        "Who finds whom in one index",
                        "",
                        "share of the results / share of the index",
                        list(lifts),
                        [e.value for e in lifts.values()],
                        [e.low for e in lifts.values()],
                        [e.high for e in lifts.values()],
                    ),
                ),
                remedy="centring",
                advice="Search one modality at a time and merge the lists by rank, or take the mean of each modality "
                "off before they share an index.",
                limit=limit,
            )
        ]
