"""Procrustes bridge: the rotation that brings one space closest to the other, between their means.

    y = mean_y + s (x - mean_x) R

Angles about the mean survive, so that little can be overfitted: for spaces that are nearly the same up to their axes,
and for few items in both. Items that are carried forward are also drawn towards the mean, by the one factor s that fits
best: for raw encoders, whose vectors crowd around a mean, that kept a tenth more of the neighbours. Queries are not;
for them it did the opposite.
"""

from __future__ import annotations

from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.reshape.procrustes import Procrustes
from commonspace.upgrade.bridges.maps import MapBridge


@register("procrustes", protocol="Bridge", synonyms=("rotation",), claim="upgrade/migrations")
class ProcrustesBridge(MapBridge):
    """Rotate one space onto the other."""

    title = "a rotation"

    def build(self) -> Map:
        """Return the map to fit."""
        return Procrustes(center=True, scale=self.carries == "items")
