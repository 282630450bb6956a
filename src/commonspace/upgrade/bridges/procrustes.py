"""Procrustes bridge: the rotation that brings one space closest to the other, between their means.

Lengths and angles survive, so that little can be overfitted: for spaces that are nearly the same up to their axes, and
for few items in both.
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
        return Procrustes(center=True)
