"""Is search within a modality worse than the way round through another?

    score = min(1, own / best of (own, other))      the lowest over the ways round

`own` is the mean average precision where items of a modality ask their own modality for others that show the same
thing, `other` where their partners of another modality ask instead. The flag goes up where a way round is better
beyond chance (paired over things, corrected over all ways round): the level of the test is the limit, 5 %.

A space trained on pairs alone was never told which images belong together. The partner may also know what the item does
not show, so that a flag is first of all advice to ask differently.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Bars
from commonspace.judge.subject import Subject
from commonspace.measure.health.intramodal import intramodal


@register(
    "intramodal",
    protocol="Finding",
    papers=[
        Paper(
            "Cross the Gap: Exposing the Intra-modal Misalignment in CLIP via Modality Inversion",
            2025,
            "https://arxiv.org/abs/2502.04263",
        )
    ],
    claim="judge/findings",
)
class IntraModal(Finding):
    """Search within a modality that is worse than the way round.

    Parameters
    ----------
    most : int
        Pairs that are looked at; time grows with the square.
    """

    title = "Search within a modality"

    def __init__(self, *, most: int = 2_000) -> None:
        self.most = most

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: pairs, and things that occur more than once in a modality."""
        if len(subject.things) < 2:
            return "it is not known which rows of two modalities show the same thing"
        twice = [m for m in subject.things if np.bincount(subject.codes(m)).max() > 1]
        return None if twice else "no modality shows a thing more than once"

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality that has something to find within itself."""
        found = []
        for searched, asks in permutations(subject.things, 2):
            rows, partners, things = self._pairs(subject, searched, asks, rng)
            if not len(things) or np.bincount(things).max() < 2:
                continue
            vectors = {searched: subject.units(searched, rows), asks: subject.units(asks, partners)}
            seen = intramodal(vectors, things, random_state=int(rng.integers(2**31)))
            detour = next((d for d in seen.detours if d.searched == searched), None)
            if detour is None:
                continue
            best = max(detour.own.value, detour.other.value)
            ways = {"itself": detour.own, asks: detour.other, "both": detour.both}
            found.append(
                Found(
                    "intramodal",
                    f"{searched}->{searched}",
                    float(detour.own.value / best) if best else 1.0,
                    detour.misaligned,
                    f"Asked by itself, {searched} is found with a mean average precision of {detour.own.value:.2f} "
                    f"[{detour.own.low:.2f}, {detour.own.high:.2f}]; asked by its {asks} {detour.other.value:.2f}, by "
                    f"the mean of both {detour.both.value:.2f}.",
                    evidence={
                        "asked by itself": detour.own,
                        f"asked by its {asks}": detour.other,
                        "asked by both": detour.both,
                        "difference": detour.difference,
                    },
                    pictures=(
                        Bars(
                            f"Who should ask for {searched}",
                            "",
                            "mean average precision",
                            list(ways),
                            [e.value for e in ways.values()],
                            [e.low for e in ways.values()],
                            [e.high for e in ways.values()],
                        ),
                    ),
                    advice=f"Ask for {searched} by its {asks}, or by both, where there is one; or train with an "
                    "objective that knows which items of a modality belong together.",
                )
            )
        return found

    def _pairs(
        self, subject: Subject, searched: str, asks: str, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pairs of whole things, each row of the searched modality once."""
        rows, partners, things = subject.pairs(searched, asks)
        first = np.sort(np.unique(rows, return_index=True)[1])
        rows, partners, things = rows[first], partners[first], things[first]
        order = rng.permutation(np.unique(things))
        sizes = np.bincount(things, minlength=int(order.max(initial=0)) + 1)[order]
        kept = order[np.cumsum(sizes) <= max(check_positive("most", self.most), int(sizes[:1].sum()))]
        mine = np.isin(things, kept)
        return rows[mine], partners[mine], things[mine]
