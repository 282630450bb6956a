"""Do the ways to ask for the same things agree?

Nothing is judged here. Things that two modalities show can be ranked in four ways: each modality asks its own (image by
image), and each asks the other. What several ways return for a thing is likely right; what one returns alone is likely
its own error. With the rank-biased overlap of the ways' rankings (p = 0.9: the first ten ranks weigh 86 %):

    score = mean reliability of the ways,    the overlap of a way with the others, averaged over things

The flag goes up where the upper end of its interval lies below 0.1: then at most about one of ten results is confirmed
by another way. The things on which the ways disagree most are shown; that is where to look first.

Agreement is not truth. The ways share a space, and a common error is confirmed by all of them; in a space of one
modality's opinion all agree. Compare with another space on the same things rather than with 1.

Source: the idea of judging by agreement with others is that of "CrossCheckGPT: Universal Hallucination Ranking for
Multimodal Foundation Models"; ways to ask in the place of systems are ours.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.drawing import histogram
from commonspace.judge.finding import Finding, Found, lacks_pairs
from commonspace.judge.pictures import Bars
from commonspace.judge.subject import Subject
from commonspace.measure.judgements.agreement import CrossCheck, cross_check

LEAST = 150  # things that two modalities share, below which chance alone would confirm one of ten
SHOWN = 5


@register(
    "agreement",
    protocol="Finding",
    papers=[
        Paper(
            "CrossCheckGPT: Universal Hallucination Ranking for Multimodal Foundation Models",
            2024,
            "https://arxiv.org/abs/2405.13684",
        )
    ],
    claim="judge/findings",
)
class Agreement(Finding):
    """Ways to ask for the same things that do not agree.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up, for certain.
    most, queries : int
        Things that are ranked, and things that are asked for; time grows with their product.
    depth : int
        Ranks that are compared.
    """

    title = "Agreement of the ways to ask"

    def __init__(self, *, limit: float = 0.1, most: int = 5_000, queries: int = 300, depth: int = 50) -> None:
        self.limit = limit
        self.most = most
        self.queries = queries
        self.depth = depth

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: things that two modalities show."""
        return lacks_pairs(subject)

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry for every two modalities that share enough things."""
        limit = check_share("limit", self.limit)
        found = []
        for a, b in combinations(subject.things, 2):
            rows_a, rows_b, things = subject.pairs(a, b)
            one = np.unique(things, return_index=True)[1]  # one pair a thing, the same for every way
            one = np.sort(rng.permutation(one)[: check_positive("most", self.most)])
            if len(one) < LEAST:
                continue
            rows = {a: rows_a[one], b: rows_b[one]}
            asked = np.sort(rng.permutation(len(one))[: check_positive("queries", self.queries)])
            seen = cross_check(self._runs(subject, rows, asked), depth=self.depth, clones=None, random_state=rng)
            found.append(self._found(subject, a, b, rows, seen, limit))
        return found

    def _runs(
        self, subject: Subject, rows: dict[str, np.ndarray], asked: np.ndarray
    ) -> dict[str, dict[int, list[int]]]:
        """Return way -> thing that is asked for -> the other things, nearest first."""
        units = {m: subject.units(m, r) for m, r in rows.items()}
        depth = min(check_positive("depth", self.depth), len(next(iter(rows.values()))) - 1)
        runs = {}
        for asks in units:
            for searched in units:
                scores = units[asks][asked] @ units[searched].T
                scores[np.arange(len(asked)), asked] = -np.inf
                near = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
                order = np.argsort(-np.take_along_axis(scores, near, 1), axis=1, kind="stable")
                ranked = np.take_along_axis(near, order, 1)
                runs[f"{asks}->{searched}"] = dict(zip(asked.tolist(), ranked.tolist(), strict=True))
        return runs

    def _found(
        self, subject: Subject, a: str, b: str, rows: dict[str, np.ndarray], seen: CrossCheck, limit: float
    ) -> Found:
        score = seen.consensus
        each = score.per_query
        ways = {s.name: s.reliability for s in seen.systems}
        worst = [int(seen.queries[i]) for i in np.argsort(each, kind="stable")[:SHOWN]]
        cases = [
            subject.case(m, int(rows[m][i]), f"the ways agree by {each[list(seen.queries).index(i)]:.2f}")
            for i in worst
            for m in (a, b)
        ]
        least = seen.systems[-1]
        return Found(
            "agreement",
            f"{a}+{b}",
            float(np.clip(score.value, 0, 1)),
            score.high < limit,
            f"The {len(ways)} ways to ask agree by {score.value:.2f} [{score.low:.2f}, {score.high:.2f}] (rank-biased "
            f"overlap); the one that agrees least with the others is {least.name} ({least.reliability.value:.2f}).",
            evidence={"agreement": score, **{f"agreement of {name}": e for name, e in ways.items()}},
            pictures=(
                Bars(
                    "How far each way agrees with the others",
                    "",
                    "rank-biased overlap",
                    list(ways),
                    [e.value for e in ways.values()],
                    [e.low for e in ways.values()],
                    [e.high for e in ways.values()],
                ),
                histogram("How far the ways agree, by thing", "rank-biased overlap", {"things": each}, bins=20),
            ),
            cases=tuple(cases),
            advice="Look at the things shown; judge the ways on pairs that you trust, and ask by the one that is right "
            "most often.",
            limit=limit,
        )
