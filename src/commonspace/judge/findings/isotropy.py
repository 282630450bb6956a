"""Do the rows point in all directions, or all the same way?

    score = 1 - mean cosine of two different rows,   cut to [0, 1]

Where every row has much in common with every other, cosines differ in their last digits, thresholds mean nothing from
one space to the next, and hubs appear. The flag goes up below 0.5: half of the length of an average row is then spent
on what it shares with a stranger. What remains may still rank perfectly, so that a flag is a reason to measure the
remedy, not a proof of harm.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.drawing import histogram
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Histogram
from commonspace.judge.subject import Subject
from commonspace.measure.health.isotropy import isotropy


@register(
    "isotropy",
    protocol="Finding",
    papers=[
        Paper(
            "Contrastive Search Is What You Need For Neural Text Generation", 2023, "https://arxiv.org/abs/2210.14140"
        )
    ],
    claim="judge/findings",
)
class Isotropy(Finding):
    """Rows that all point nearly the same way.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up.
    most : int
        Rows of a modality that are looked at.
    """

    title = "Isotropy"

    def __init__(self, *, limit: float = 0.5, most: int = 20_000) -> None:
        self.limit = limit
        self.most = most

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality."""
        limit = check_share("limit", self.limit)
        found = []
        for m in subject.modalities:
            rows, units = subject.sample(m, check_positive("most", self.most), rng)
            if len(rows) < 2:
                continue
            groups = subject.codes(m)[rows] if m in subject.things else None
            seen = isotropy(units, groups=groups, random_state=rng)
            score = float(np.clip(seen.isotropy.value, 0, 1))
            cosine = seen.mean_cosine
            found.append(
                Found(
                    "isotropy",
                    m,
                    score,
                    score < limit,
                    f"Two different rows have a mean cosine of {cosine.value:.2f} [{cosine.low:.2f}, {cosine.high:.2f}]"
                    f"; it would be {1 - seen.centred.value:.2f} after centring.",
                    evidence={
                        "mean cosine": cosine,
                        "isotropy": seen.isotropy,
                        "isotropy after centring": seen.centred,
                    },
                    pictures=(_cosines(m, units, rng),),
                    remedy="centring",
                    advice="Take off the mean of each modality before rows are compared (and of queries that of theirs)"
                    ", and set thresholds anew.",
                    limit=limit,
                )
            )
        return found


def _cosines(m: str, units: np.ndarray, rng: np.random.Generator) -> Histogram:
    a, b = rng.integers(0, len(units), (2, 4000))
    apart = a != b
    cosines = np.einsum("ij,ij->i", units[a[apart]], units[b[apart]])
    return histogram(f"Cosines of {m}", "cosine of two different rows", {m: cosines})
