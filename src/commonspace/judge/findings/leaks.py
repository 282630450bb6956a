"""Are rows to be judged among those that were trained on?

    score = 1 - share of rows that have a near-duplicate in the training set, or show a thing that is in it

From which cosine on two rows are near-duplicates is read off the data. The flag goes up where the share exceeds 1 %: so
much can lift a recall by one point, which is more than most comparisons are about. Where things have labels, a label on
both sides is a leak whatever the vectors say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Bars
from commonspace.judge.subject import Subject
from commonspace.measure.health.duplicates import duplicates
from commonspace.measure.statistics.estimates import estimate

SHOWN = 6


@register("leaks", protocol="Finding", claim="judge/findings")
class Leaks(Finding):
    """Rows that were trained on under another name.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up.
    threshold : float, optional
        Cosine from which on two rows are near-duplicates; read off the data by default.
    most, trained : int
        Rows of a modality that are looked at, and training rows that they are compared with.
    """

    title = "Leaks from training"

    def __init__(
        self, *, limit: float = 0.99, threshold: float | None = None, most: int = 5_000, trained: int = 100_000
    ) -> None:
        self.limit = limit
        self.threshold = threshold
        self.most = most
        self.trained = trained

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: what the space was trained on."""
        if subject.training is None:
            return "what the space was trained on is not given"
        shared = set(subject.modalities) & set(subject.training.modalities)
        return None if shared else "the training set has none of these modalities"

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality that both have."""
        training = subject.training
        if training is None:
            return []
        limit = check_share("limit", self.limit)
        found = []
        for m in subject.modalities:
            if m not in training.vectors:
                continue
            rows, units = subject.sample(m, check_positive("most", self.most), rng)
            places, trained = training.sample(m, check_positive("trained", self.trained), rng)
            options: dict[str, Any] = {"show": len(rows), "resamples": 1, "random_state": rng}
            seen = duplicates(units, trained, threshold=self.threshold, most=len(rows), **options)
            near = np.zeros(len(rows))
            near[seen.rows] = 1
            named = _known(subject, training, m, rows)
            labelled = m in subject.things and m in training.things
            groups = subject.codes(m)[rows] if m in subject.things else None
            either = estimate(np.maximum(near, named), "share leaked", groups=groups, bounds=(0, 1), random_state=rng)
            vectors = estimate(near, "near-duplicates", groups=groups, bounds=(0, 1), random_state=rng)
            bars = {"leaked": either, "near-duplicates": vectors}
            if labelled:
                bars["things of the training set"] = estimate(
                    named, "things of the training set", groups=groups, bounds=(0, 1), random_state=rng
                )
            cases = []
            for g in seen.groups[:SHOWN]:
                if g.rows and g.others:
                    other = training.case(m, int(places[g.others[0]]), "trained on")
                    cases.append(subject.case(m, int(rows[g.rows[0]]), "has a near-duplicate", (other,)))
            found.append(
                Found(
                    "leaks",
                    m,
                    float(1 - either.value),
                    1 - either.value < limit,
                    f"{either.value:.1%} [{either.low:.1%}, {either.high:.1%}] of the rows were trained on: "
                    f"{vectors.value:.1%} have a near-duplicate there (cosine of {seen.threshold:.4f} or more)"
                    + (f", {named.mean():.1%} show a thing that is in it." if labelled else "."),
                    evidence={
                        **bars,
                        "cosine from which rows count as duplicates": seen.threshold,
                    },
                    pictures=(
                        Bars(
                            f"Rows of {m} that were trained on",
                            "",
                            "share",
                            list(bars),
                            [e.value for e in bars.values()],
                            [e.low for e in bars.values()],
                            [e.high for e in bars.values()],
                        ),
                    ),
                    cases=tuple(cases),
                    advice="Take these rows out before anything is measured, or split by what they have in common "
                    "(group=...); figures measured with them are too good.",
                    limit=limit,
                )
            )
        return found


def _known(subject: Subject, training: Subject, m: str, rows: np.ndarray) -> np.ndarray:
    """Return (n,) 1 where a row shows a thing of the training set, of whatever modality."""
    if m not in subject.things or not training.things:
        return np.zeros(len(rows))
    trained = {str(t) for labels in training.things.values() for t in np.unique(np.asarray(labels).astype(str))}
    mine = np.asarray(subject.things[m])[rows].astype(str)
    return np.array([t in trained for t in mine], float)
