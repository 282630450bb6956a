"""Are there rows that cannot be told apart?

    score = 1 - share of rows that have a near-duplicate of another thing

Where it is not known which rows show the same thing, every row counts as a thing of its own. From which cosine on two
rows are near-duplicates is read off the distances of the data itself. The flag goes up where the share exceeds 1 %:
with ten results a list, one list in ten then holds a row that stands for another. The share itself decides, because it
is these rows that are searched; its interval is for other rows of the same kind, with whole groups drawn.

Two drawings that look the same under two names are a fact of the data; a thousand texts with one vector are an encoder
that does not read them. The groups shown tell which.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.drawing import histogram
from commonspace.judge.finding import Finding, Found
from commonspace.judge.report import Case
from commonspace.judge.subject import Subject
from commonspace.measure.health.duplicates import duplicates
from commonspace.measure.statistics.estimates import estimate

SHOWN = 6


@register("duplicates", protocol="Finding", synonyms=("near-duplicates",), claim="judge/findings")
class Duplicates(Finding):
    """Rows that say the same as a row of another thing.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up.
    threshold : float, optional
        Cosine from which on two rows are near-duplicates; read off the data by default.
    most : int
        Rows of a modality that are compared; time grows with the square.
    """

    title = "Near-duplicates"

    def __init__(self, *, limit: float = 0.99, threshold: float | None = None, most: int = 10_000) -> None:
        self.limit = limit
        self.threshold = threshold
        self.most = most

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality."""
        limit = check_share("limit", self.limit)
        found = []
        for m in subject.modalities:
            rows, units = subject.sample(m, check_positive("most", self.most), rng)
            if len(rows) < 2:
                continue
            things = subject.codes(m)[rows] if m in subject.things else np.arange(len(rows))
            options: dict[str, Any] = {"show": len(rows), "resamples": 1, "random_state": rng}
            seen = duplicates(units, threshold=self.threshold, most=len(rows), **options)
            groups = [np.array(g.rows) for g in seen.groups]
            mixed = [g for g in groups if len(np.unique(things[g])) > 1]
            hit = np.zeros(len(rows))
            for g in mixed:
                hit[g] = 1
            # Rows of a group come and go together: it is the groups that are drawn anew.
            member = np.arange(len(rows))
            for g in mixed:
                member[g] = g[0]
            share = estimate(hit, "share with a near-duplicate", groups=member, bounds=(0, 1), random_state=rng)
            whole = "" if len(rows) == len(subject.sound(m)) else f" (a sample of {len(rows):,})"
            found.append(
                Found(
                    "duplicates",
                    m,
                    float(1 - share.value),
                    1 - share.value < limit,
                    f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}] of the rows{whole} have a near-duplicate "
                    f"of another thing (cosine of {seen.threshold:.4f} or more), in {len(mixed):,} groups.",
                    evidence={
                        "share with a near-duplicate": share,
                        "share with an equal row, of any thing": seen.equal,
                        "groups": len(mixed),
                        "cosine from which rows count as duplicates": seen.threshold,
                    },
                    pictures=(_nearest(m, units, things, seen.threshold, rng),),
                    cases=tuple(_case(subject, m, rows[g]) for g in mixed[:SHOWN]),
                    remedy="deduplicate",
                    advice="Look at the largest groups: merge what is the same, give what is not an encoder that can "
                    "tell it apart, and repair items that could not be read.",
                    limit=limit,
                )
            )
        return found


def _nearest(m: str, units: np.ndarray, things: np.ndarray, threshold: float, rng: np.random.Generator) -> Any:
    """Return the picture of the cosines of nearest rows of another thing."""
    asked = rng.permutation(len(units))[:1000]
    scores = units[asked] @ units.T
    scores[things[asked][:, None] == things[None, :]] = -np.inf
    return histogram(
        f"Nearest rows of another thing ({m})", "cosine", {m: scores.max(axis=1)}, marks={"near-duplicate": threshold}
    )


def _case(subject: Subject, m: str, rows: np.ndarray) -> Case:
    """Return the first row of a group with some of the others."""
    others = [subject.case(m, int(r), "near-duplicate") for r in rows[1:4]]
    return subject.case(m, int(rows[0]), f"one of {len(rows):,} near-duplicates", others)
