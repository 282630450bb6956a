"""Are some of the pairs wrong?

    score = 1 - share of pairs that are likely wrong

A pair looks wrong if its two sides fit no better than sides dealt out anew: by their cosine, and by what the partners
of their neighbours say. The flag goes up where the lower end of the interval of the share lies above 5 %: noise below
that costs training little, and right pairs that the space does not understand look the same, so that the share is an
upper estimate.

Judge pairs that were not trained on where you can: a space that was trained on a wrong pair may have learned it by
heart. Marks that were planted to call up a text are no business of this finding: in a trained space all partners of one
text share a direction, marked or not. Look for them in the outputs of the encoders (`align.find_triggers`).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.drawing import histogram
from commonspace.judge.finding import Finding, Found, lacks_pairs
from commonspace.judge.subject import Subject
from commonspace.measure.health.outliers import pair_outliers

LEAST = 50  # pairs below which nothing can be said
SHOWN = 8


@register(
    "pair-outliers",
    protocol="Finding",
    papers=[
        Paper(
            "CleanCLIP: Mitigating Data Poisoning Attacks in Multimodal Contrastive Learning",
            2023,
            "https://arxiv.org/abs/2303.03323",
        )
    ],
    claim="judge/findings",
)
class PairOutliers(Finding):
    """Pairs whose two sides do not belong together.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up, for certain.
    most : int
        Pairs that are judged; time grows with the square.
    """

    title = "Pairs that do not fit"

    def __init__(self, *, limit: float = 0.95, most: int = 2_500) -> None:
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
            if len(chosen) < LEAST or len(np.unique(things[chosen])) < 2:  # one thing has no other partner
                continue
            rows_a, rows_b, things = rows_a[chosen], rows_b[chosen], things[chosen]
            X = {a: subject.units(a, rows_a), b: subject.units(b, rows_b)}
            judged = pair_outliers(X[a], X[b], groups=things, most=len(things), random_state=rng)
            score = 1 - judged.wrong.value
            flag = 1 - judged.wrong.low < limit
            doubt = dict(zip(judged.positions.tolist(), judged.doubt.tolist(), strict=True))
            cases = []
            for i in judged.rows[:SHOWN]:
                partner = subject.case(b, int(rows_b[i]), "its partner")
                cases.append(subject.case(a, int(rows_a[i]), f"likely wrong ({doubt[i]:.0%})", (partner,)))
            found.append(
                Found(
                    "pair-outliers",
                    f"{a}->{b}",
                    float(np.clip(score, 0, 1)),
                    flag,
                    f"About {judged.wrong.value:.1%} [{judged.wrong.low:.1%}, {judged.wrong.high:.1%}] of "
                    f"{len(things):,} pairs look wrong, or are not understood by the space.",
                    evidence={
                        "share of wrong pairs": judged.wrong,
                        "cosine of partners": judged.similarity,
                        "pairs likely wrong": len(judged.rows),
                    },
                    pictures=(
                        histogram(
                            f"How many other partners of {a} and {b} fit better",
                            "share that fits better; right pairs are near 0, wrong ones anywhere",
                            {"pairs": judged.rank},
                            bins=20,
                        ),
                    ),
                    cases=tuple(cases),
                    remedy="pair-cleaning",
                    advice="Look at the pairs shown; fit again without such pairs (noisy_pairs=...), and print "
                    "pair_quality(...).table() of the encoder outputs for an audit of all.",
                    limit=limit,
                )
            )
        return found
