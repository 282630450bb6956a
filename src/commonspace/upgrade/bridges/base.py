"""`Bridge`: carries vectors of one space to another, so that queries of a new encoder find items of an old one.

    carries="items"      stored vectors go forward, old -> new; queries stay what the new encoder gives
    carries="queries"    queries go back, new -> old; what is stored stays as it is, and so does its index

A bridge learns from items that both spaces have encoded and never sees a raw item. It is told the modality of what it
carries, because encoders differ by modality; vectors whose modality is not known, such as a query given as a vector,
and modalities that it has not learned cross by what was learned from all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import Method, check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_vectors, unit
from commonspace.upgrade.pairs import Pairs

CARRIES = ("items", "queries")
#: Stands for what was learned from all modalities together.
ANY = ""
# Rows that cross at once: what a million of them need beside input and output is some 30 MB.
BLOCK = 8192


class Bridge(Method):
    """Base of bridges; a subclass is registered with ``protocol="Bridge"``.

    Parameters
    ----------
    carries : {"items", "queries"}
        Which side crosses.

    Attributes
    ----------
    dims_ : list of two int
        Dimensions that vectors have before and after.
    """

    title: ClassVar[str] = ""  # what it is, for people

    def __init__(self, *, carries: str = "items") -> None:
        self.carries = carries

    def fit(self, pairs: Pairs, *, random_state: RandomState = 0) -> Self:
        """Learn from items of both spaces.

        Parameters
        ----------
        pairs : Pairs
            Items; a modality may have many, few or none.
        random_state : int, Generator or None
            Seed of whatever is drawn in learning.
        """
        check_choice("carries", self.carries, CARRIES)
        forward = self.carries == "items"
        source, target = (pairs.old, pairs.new) if forward else (pairs.new, pairs.old)
        self.learn(source, target, generator(random_state))
        old, new = pairs.dims
        self.dims_ = [old, new] if forward else [new, old]  # last: a bridge that was interrupted has learned nothing
        return self

    def carry(self, vectors: Any, modality: str | None = None) -> np.ndarray:
        """Return what vectors become in the other space: (n, dim) float32 unit rows.

        Parameters
        ----------
        vectors : (n, dim) array
            Rows of the space where it starts. They are read a block at a time, so that they may lie in a mapped file.
        modality : str, optional
            What was encoded.

        Raises
        ------
        SpaceMismatch
            If they have another dimension.
        BadInput
            If a row is NaN, infinite or zero, named by its position.
        """
        self.check_fitted()
        start, land = self.dims_
        shape = np.shape(vectors)
        if len(shape) != 2 or shape[1] != start or not shape[0]:
            return np.empty((len(check_vectors(vectors, name="vectors", dim=start)), land), np.float32)
        out = np.empty((shape[0], land), np.float32)
        for first in range(0, shape[0], BLOCK):
            block = slice(first, first + BLOCK)
            try:
                rows = check_vectors(vectors[block], name="vectors", dim=start, allow_zero=False)
            except BadInput:
                check_vectors(vectors, name="vectors", dim=start, allow_zero=False)  # says the place among all
                raise
            out[block] = lengthened(self.cross(lengthened(rows), modality))
        return out

    def check_fitted(self) -> None:
        """Raise `NotFitted` before `fit` has come to its end."""
        if not hasattr(self, "dims_"):
            super().check_fitted()

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Learn from unit rows by modality, where vectors start and where they are to land."""
        raise NotImplementedError

    def cross(self, rows: np.ndarray, modality: str | None) -> np.ndarray:
        """Return unit rows where they land, not yet of unit length."""
        raise NotImplementedError


def lengthened(rows: np.ndarray) -> np.ndarray:
    """Return the rows at length one, as `core.vectors.unit` does, in float32 where their lengths allow it.

    A block crosses in one matrix product; the care that `unit` takes of tiny and huge rows costs twice that.
    """
    square = np.einsum("ij,ij->i", rows, rows)
    if square.dtype == np.float32 and square.min(initial=1) > 1e-12 and square.max(initial=1) < 1e12:
        out: np.ndarray = rows / np.sqrt(square)[:, None]
        return out
    return unit(rows)
