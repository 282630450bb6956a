"""Do a few items turn up for every query?

    score = 1 / (1 + max(0, S) / 1.4),    S the skewness of the 10-occurrence

The 10-occurrence of an item is the number of queries that have it among their ten nearest. Where all items have the
same chance its skewness is near 0. The flag goes up below 0.5, a skewness of 1.4, above which the literature on
hubness calls a data set strongly hubby; the flag also needs at least one item that is found five times as often as its
fair share and more often than chance explains, because a skewness without hubs harms nobody.

Every modality is looked at within itself, and in every direction across, where a gap between modalities makes hubs of
the items nearest to it.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Curve
from commonspace.judge.subject import Subject
from commonspace.measure.health.hubness import Hubness as Seen
from commonspace.measure.health.hubness import hubness

STRONG = 1.4


@register(
    "hubness",
    protocol="Finding",
    papers=[
        Paper(
            "Balance Act: Mitigating Hubness in Cross-Modal Retrieval with Query and Gallery Banks",
            2023,
            "https://arxiv.org/abs/2310.11612",
        )
    ],
    claim="judge/findings",
)
class Hubness(Finding):
    """Items that are found by far too many queries.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up.
    k : int
        Neighbours of a query.
    most, queries : int
        Items of a modality that are searched, and queries that are asked.
    """

    title = "Hubs"

    def __init__(self, *, limit: float = 0.5, k: int = 10, most: int = 20_000, queries: int = 3_000) -> None:
        self.limit = limit
        self.k = k
        self.most = most
        self.queries = queries

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a direction."""
        limit = check_share("limit", self.limit)
        rows = {m: subject.sample(m, check_positive("most", self.most), rng) for m in subject.modalities}
        found = []
        for asks, searched in product(rows, repeat=2):
            places, gallery = rows[searched]
            if len(gallery) < 5 * self.k:  # a tenth of so few items is everybody's neighbour
                continue
            queries = None if asks == searched else rows[asks][1]
            if subject.meet is not None:
                queries, gallery = _as_cosine(*subject.meet(asks, searched, rows[asks][1], gallery))
                # Where both sides are treated apart, an item cannot be left out of its own search: it takes a place.
                k = self.k + (asks == searched)
                seen = hubness(queries, gallery, k=k, most=self.queries, random_state=rng)
            else:
                seen = hubness(
                    gallery if queries is None else queries,
                    None if queries is None else gallery,
                    k=self.k,
                    most=self.queries,
                    random_state=rng,
                )
            about = searched if asks == searched else f"{asks}->{searched}"
            found.append(self._found(subject, about, searched, places, seen, limit))
        return found

    def _found(
        self, subject: Subject, about: str, searched: str, places: np.ndarray, seen: Seen, limit: float
    ) -> Found:
        score = float(1 / (1 + max(0.0, seen.skewness.value) / STRONG))
        fair = seen.queries * seen.k / max(seen.items, 1)
        cases = tuple(
            subject.case(
                searched,
                int(places[h.row]),
                f"among the {seen.k} nearest of {h.count:,} of {seen.queries:,} queries; fair would be {fair:.1f}",
            )
            for h in seen.hubs[:6]
        )
        # N_k over the items in falling order: who takes how much
        counts = np.sort(seen.counts)[::-1].astype(float)
        steps = np.unique(np.geomspace(1, len(counts), min(60, len(counts))).astype(int)) - 1
        return Found(
            "hubness",
            about,
            score,
            score < limit and seen.n_hubs > 0,
            f"The {seen.k}-occurrence has a skewness of {seen.skewness.value:.2f} [{seen.skewness.low:.2f}, "
            f"{seen.skewness.high:.2f}] (by chance {seen.chance['skewness']:.2f}); {seen.n_hubs:,} hubs take "
            f"{seen.taken.value:.0%} of all places, {seen.antihubs.value:.0%} of the items are never found "
            f"(by chance {seen.chance['antihubs']:.0%}).",
            evidence={
                f"skewness of the {seen.k}-occurrence": seen.skewness,
                "items never found": seen.antihubs,
                "never found by chance": seen.chance["antihubs"],
                "places taken by hubs": seen.taken,
                "Robin Hood index": seen.robin_hood,
                "hubs": seen.n_hubs,
            },
            pictures=(
                Curve(
                    f"Who is found how often ({about})",
                    "item, most often found first",
                    f"queries that have it among their {seen.k} nearest",
                    {"found": ((steps + 1.0).tolist(), counts[steps].tolist())},
                    log_x=True,
                    references={"fair share": ([1.0, float(len(counts))], [fair, fair])},
                ),
            ),
            cases=cases,
            remedy="hub-normalisation",
            advice='Search with hubs="csls", which lowers what lies near every query; look at the hubs themselves, '
            "which are often blank, broken or generic items.",
            limit=limit,
        )


def _as_cosine(queries: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides with a coordinate that makes the gallery of one length: cosine ranks as the inner product."""
    squared = np.square(gallery.astype(np.float64)).sum(axis=1)
    rest = np.sqrt(np.maximum(squared.max() - squared, 0)).astype(np.float32)
    return np.hstack([queries, np.zeros((len(queries), 1), np.float32)]), np.hstack([gallery, rest[:, None]])
