"""`Remedy`: something that may help a space, under one contract, so that whether it does can be measured.

A remedy learns from some rows and is judged on others that share no thing with them:

    remedy.fit(half, rng)                        learn from one half of a subject
    remedy.apply(other half)                     the other half as it would be stored, for the finding to look again
    remedy.meet(asks, searched, q, g)            queries and gallery as they would be compared, by inner product
    remedy.keeps(other half)                     which rows would stay in the gallery
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from commonspace.core.method import Method
from commonspace.core.vectors import unit
from commonspace.judge.subject import Subject


class Remedy(Method):
    """Base of remedies; a subclass is registered with ``protocol="Remedy"``."""

    title: ClassVar[str] = ""  # what is done, as the end of "with ..."
    MOST: ClassVar[int] = 20_000  # rows of a modality to learn from

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing to try this, in words; None where nothing is."""
        return None

    def fit(self, subject: Subject, rng: np.random.Generator) -> Self:
        """Learn from the rows of a subject."""
        return self

    def transform(self, rows: np.ndarray, modality: str) -> np.ndarray:
        """Return what becomes of unit rows of a modality; compared by cosine afterwards."""
        return rows

    def apply(self, subject: Subject) -> Subject | None:
        """Return the subject as it would be stored; None where that is not what the remedy changes."""
        stays = self.keeps(subject)  # once: it may compare all rows with all
        kept = subject.take({m: rows[stays[m][rows]] for m, rows in _sound(subject).items()})
        vectors = {m: self.transform(unit(np.asarray(x, np.float32)), m) for m, x in kept.vectors.items()}
        return replace(kept, vectors=vectors)

    def meet(self, asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both sides of an inner product that scores queries with the remedy.

        Parameters
        ----------
        asks, searched : str
            Modalities of the queries and of the gallery.
        queries, gallery : (q, dim) and (n, dim) float32
            As they are stored, with a direction.
        """
        return unit(self.transform(unit(queries), asks)), unit(self.transform(unit(gallery), searched))

    def without(
        self, asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both sides of an inner product that scores queries without the remedy: by cosine, mostly."""
        return unit(queries), unit(gallery)

    def keeps(self, subject: Subject) -> Mapping[str, np.ndarray]:
        """Return modality -> (n,) bool: the rows that stay in the gallery; all of them, mostly."""
        return {m: np.ones(len(x), bool) for m, x in subject.vectors.items()}


def _sound(subject: Subject) -> dict[str, np.ndarray]:
    return {m: subject.sound(m) for m in subject.modalities}


class MapRemedy(Remedy):
    """A remedy that is one linear map for all modalities, each measured from its own mean.

    One map, because modalities that were stretched differently could not be compared; own means, because those are
    what the gap between modalities is made of.
    """

    def build(self) -> Any:
        """Return the map to fit to the rows of all modalities, each centred."""
        raise NotImplementedError

    def fit(self, subject: Subject, rng: np.random.Generator) -> Self:
        """Learn means and the map."""
        rows = {m: subject.sample(m, self.MOST, rng)[1] for m in subject.modalities}
        self.means_ = {m: x.mean(axis=0, dtype=np.float64).astype(np.float32) for m, x in rows.items()}
        least = min(map(len, rows.values()))  # every modality has the same say
        self.map_ = self.build().fit(np.concatenate([(x - self.means_[m])[:least] for m, x in rows.items()]))
        return self

    def transform(self, rows: np.ndarray, modality: str) -> np.ndarray:
        """Return the mapped rows."""
        mapped: np.ndarray = self.map_.transform(rows - self.means_[modality])
        return mapped
