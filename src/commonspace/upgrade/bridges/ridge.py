"""Ridge bridge: the linear map that predicts vectors of one space from those of the other.

More free numbers than a rotation; generalised cross-validation picks how much they are held back.
"""

from __future__ import annotations

from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.reshape.ridge import Ridge
from commonspace.upgrade.bridges.maps import MapBridge


@register("ridge", protocol="Bridge", synonyms=("linear",), claim="upgrade/migrations")
class RidgeBridge(MapBridge):
    """Predict one space's vectors from the other's."""

    title = "a linear map"

    def build(self) -> Map:
        """Return the map to fit."""
        return Ridge()
