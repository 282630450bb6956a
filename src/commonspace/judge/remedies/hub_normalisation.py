"""Lower the score of items that lie near everything, by what they score with typical queries (CSLS)."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import unit
from commonspace.judge.remedy import Remedy
from commonspace.judge.subject import Subject
from commonspace.search.csls import BANK, CSLS, with_offsets


@register(
    "hub-normalisation",
    protocol="Remedy",
    papers=[Paper("Word Translation Without Parallel Data", 2018, "https://arxiv.org/abs/1710.04087")],
    claim="judge/remedies",
)
class HubNormalisation(Remedy):
    """Cosine minus half of what an item scores with its nearest queries of a bank.

    The bank of a modality is a sample of the rows learned from. It is a matter of the search and changes no stored
    vector: ``search(..., hubs="csls")`` does the same.

    Parameters
    ----------
    k : int
        How many nearest queries of the bank count.
    """

    title = "hubs lowered by CSLS"

    def __init__(self, *, k: int = 10) -> None:
        self.k = k

    def fit(self, subject: Subject, rng: np.random.Generator) -> Self:
        """Keep a bank of queries of each modality."""
        self.banks_ = {m: subject.sample(m, BANK, rng)[1] for m in subject.modalities}
        return self

    def apply(self, subject: Subject) -> Subject:
        """Return the subject with the way that queries meet a gallery changed; vectors stay as they are."""
        return replace(subject, meet=self.meet)

    def meet(self, asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both sides with one more coordinate, which takes the offsets off."""
        offsets = CSLS(k=self.k).fit(self.banks_[asks]).offsets(unit(gallery))
        return with_offsets(unit(queries), unit(gallery), offsets)
