"""Are some of the pairs wrong, or planted?

    score = 1 - share of pairs that are likely wrong

Every pair is judged by maps that have not seen it: how well its two sides fit each other, against sides dealt out anew,
which are wrong for sure. The flag goes up where the lower end of the interval of the share of wrong pairs lies above
5 %: noise that is less costs little, and such a share is found in clean data by chance alone. It goes up, too, where
partners that are all alike share one direction and nothing else, as planted triggers do.

Judge vectors from before training (encoder outputs) or pairs that were not trained on where you can: a space that was
trained on a wrong pair has learned to find it right.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.drawing import histogram
from commonspace.judge.finding import Finding, Found
from commonspace.judge.subject import Subject

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
        Pairs that are judged.
    """

    title = "Pairs that do not fit"

    def __init__(self, *, limit: float = 0.95, most: int = 3_000) -> None:
        self.limit = limit
        self.most = most

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: pairs of two modalities."""
        if len(subject.modalities) < 2:
            return "there is one modality only"
        return None if len(subject.things) > 1 else "it is not known which rows of two modalities show the same thing"

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry for every two modalities that share enough things."""
        from commonspace.align.noisy_pairs import LEAST, pair_quality
        from commonspace.align.poison import find_triggers

        limit = check_share("limit", self.limit)
        found = []
        for a, b in combinations(subject.things, 2):
            rows_a, rows_b, things = subject.pairs(a, b)
            chosen = np.sort(rng.permutation(len(things))[: check_positive("most", self.most)])
            if len(chosen) < LEAST:
                continue
            rows_a, rows_b, things = rows_a[chosen], rows_b[chosen], things[chosen]
            X = {a: subject.units(a, rows_a), b: subject.units(b, rows_b)}
            judged = pair_quality(X, groups=things, repeats=2, random_state=rng).judged[a, b]
            planted = [g for g in find_triggers(X, random_state=rng).groups if g.suspicious]
            order = np.argsort(judged.probability, kind="stable")
            worst = [i for i in order[:SHOWN].tolist() if judged.probability[i] < 0.5]
            score = 1 - judged.wrong.value
            flag = 1 - judged.wrong.low < limit or bool(planted)
            cases = []
            for i in worst:
                partner = subject.case(b, int(rows_b[i]), "its partner")
                note = f"likely right with a probability of {judged.probability[i]:.2f}"
                cases.append(subject.case(a, int(rows_a[i]), note, (partner,)))
            for g in planted[:3]:
                for row in g.pairs[:2].tolist():
                    side = rows_a if g.marked == a else rows_b
                    cases.append(subject.case(g.marked, int(side[row]), "shares one direction with others of its text"))
            found.append(
                Found(
                    "pair-outliers",
                    f"{a}->{b}",
                    float(np.clip(score, 0, 1)),
                    flag,
                    f"About {judged.wrong.value:.1%} [{judged.wrong.low:.1%}, {judged.wrong.high:.1%}] of "
                    f"{len(things):,} pairs look wrong"
                    + (f"; {len(planted)} groups of pairs look planted." if planted else "; none looks planted."),
                    evidence={
                        "share of wrong pairs": judged.wrong,
                        "pairs likely wrong": int((judged.probability < 0.5).sum()),
                        "groups that look planted": len(planted),
                    },
                    pictures=(
                        histogram(
                            f"How likely the pairs of {a} and {b} are right",
                            "probability",
                            {"pairs": judged.probability},
                            marks={"as likely wrong": 0.5},
                        ),
                    ),
                    cases=tuple(cases),
                    remedy="pair-cleaning",
                    advice='Look at the pairs shown; fit again with noisy_pairs="drop" (or "repair"), and print '
                    "pair_quality(...).table() for the whole audit.",
                    limit=limit,
                )
            )
        return found
