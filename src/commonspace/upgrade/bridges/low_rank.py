"""Low-rank bridge: the linear map that predicts one space's vectors from the other's, through few numbers.

    y = mean_y + (x - mean_x) L R,    L (d_x, r),  R (r, d_y)

It consists of r * (d_x + d_y) numbers, and a vector crosses by as many multiplications, where ridge takes d_x * d_y.
Its rank is the smallest that cross-validation cannot tell from the best (`reshape.reduced_rank`).

Sources: Izenman, "Reduced-rank regression for the multivariate linear model", 1975. Drift-Adapter has a low-rank affine
adapter of fixed rank that is trained by gradient descent; this one is the closed form.
"""

from __future__ import annotations

from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.reshape.reduced_rank import ReducedRank
from commonspace.upgrade.bridges.affine import Affine
from commonspace.upgrade.bridges.maps import MapBridge


@register(
    "low-rank",
    protocol="Bridge",
    synonyms=("reduced-rank",),
    papers=[
        Paper(
            "Reduced-rank regression for the multivariate linear model",
            1975,
            "https://doi.org/10.1016/0047-259X(75)90042-1",
        ),
        Paper(
            "Drift-Adapter: A Practical Approach to Near Zero-Downtime Embedding Model Upgrades in Vector Databases",
            2025,
            "https://arxiv.org/abs/2509.23471",
        ),
    ],
    claim="upgrade/low_rank",
)
class LowRankBridge(MapBridge):
    """Predict one space's vectors from the other's through few numbers.

    Parameters
    ----------
    carries, maps, way
        As for `MapBridge`.
    rank : int, optional
        How many numbers a vector passes through; cross-validation picks by default.
    """

    title = "a linear map of low rank"

    def __init__(
        self, *, carries: str = "items", maps: str = "auto", way: str = "auto", rank: int | None = None
    ) -> None:
        super().__init__(carries=carries, maps=maps, way=way)
        self.rank = rank

    def build(self) -> Map:
        """Return the map to fit."""
        return ReducedRank(rank=self.rank)

    def affine(self, fitted: Map, d_in: int, d_out: int) -> Affine:
        """Return both matrices of the map."""
        assert isinstance(fitted, ReducedRank)
        shift = fitted.mean_y_ - fitted.mean_x_ @ fitted.left_ @ fitted.right_
        return Affine((fitted.left_, fitted.right_), shift)
