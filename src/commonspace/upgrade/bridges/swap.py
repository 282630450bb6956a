"""The naive swap: new queries meet old vectors as if nothing had happened.

Vectors are cut, or padded with zeros, to the other space's dimension. Between encoders that were trained apart this
finds what chance finds; between a space and one trained to be compatible with it by its first numbers it is all that is
needed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from commonspace.core.registry import register
from commonspace.upgrade.bridges.base import Bridge


@register("swap", protocol="Bridge", synonyms=("naive", "prefix"), claim="upgrade/migrations")
class Swap(Bridge):
    """Leave vectors as they are, cut or padded to the other dimension."""

    title = "no bridge at all"

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Learn nothing."""

    def cross(self, rows: np.ndarray, modality: str | None) -> np.ndarray:
        """Return the rows, cut or padded."""
        start, land = self.dims_
        out: np.ndarray = rows[:, :land] if land <= start else np.pad(rows, ((0, 0), (0, land - start)))
        return out
