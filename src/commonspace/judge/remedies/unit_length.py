"""Bring every row to length one, and leave out those that have no direction."""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.judge.remedy import Remedy


@register("unit-length", protocol="Remedy", claim="judge/remedies")
class UnitLength(Remedy):
    """Divide every row by its length, and leave out rows that are zero or not finite.

    It is compared with the inner product of the rows as they are stored, which prefers long ones; rows without a
    direction take part in neither, because nothing can be said of their neighbours.
    """

    title = "rows of length one"

    def without(
        self, asks: str, searched: str, queries: np.ndarray, gallery: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows as they are."""
        return queries, gallery
