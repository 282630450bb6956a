"""`Pairs`: the same items in an old and in a new space, from which a bridge between the two is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors, unit


@dataclass(frozen=True)
class Pairs:
    """Vectors of items in two spaces.

    Parameters
    ----------
    old : mapping of str to (n, d_old) float32
        Modality -> vectors of the old space; kept as unit rows. Modalities may have different n.
    new : mapping of str to (n, d_new) float32
        Modality -> vectors of the same items, in the same order, in the new space.

    Attributes
    ----------
    sizes : mapping of str to int
        Modality -> how many rows there were before some were taken. What is chosen by it is the same in every fold.

    Raises
    ------
    BadInput
        If the sides name other modalities or have other numbers of rows, a row has no direction, or there is nothing.
    """

    old: Mapping[str, np.ndarray]
    new: Mapping[str, np.ndarray]
    sizes: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.old or set(self.old) != set(self.new):
            raise BadInput(
                f"both spaces must have vectors of the same modalities; the old one has {', '.join(self.old) or 'none'}"
                f", the new one {', '.join(self.new) or 'none'}"
            )
        for side in ("old", "new"):
            rows = {
                m: unit(check_vectors(x, name=f"the {side} vectors of {m}", allow_zero=False))
                for m, x in getattr(self, side).items()
            }
            if len({x.shape[1] for x in rows.values()}) > 1:
                raise BadInput(f"the modalities of the {side} space share a dimension, got {_dims(rows)}")
            object.__setattr__(self, side, rows)
        for m, x in self.old.items():
            if len(x) != len(self.new[m]):
                raise BadInput(
                    f"there are {len(x)} old vectors of {m} and {len(self.new[m])} new ones: row i of both must be the "
                    "same item"
                )
        object.__setattr__(self, "sizes", {m: len(x) for m, x in self.old.items()})
        if not len(self):
            raise BadInput("there are no items in both spaces: a bridge learns from vectors of the same items")

    def __len__(self) -> int:
        return sum(map(len, self.old.values()))

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities."""
        return list(self.old)

    @property
    def dims(self) -> tuple[int, int]:
        """Dimensions of the old and of the new space."""
        return next(iter(self.old.values())).shape[1], next(iter(self.new.values())).shape[1]

    def take(self, rows: Mapping[str, np.ndarray]) -> Pairs:
        """Return some rows of some modalities; modalities that are left without rows are left out."""
        kept = {m: r for m, r in rows.items() if len(self.old[m][r])}
        some = Pairs({m: self.old[m][r] for m, r in kept.items()}, {m: self.new[m][r] for m, r in kept.items()})
        object.__setattr__(some, "sizes", self.sizes)
        return some


def _dims(rows: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{m}: {x.shape[1]}" for m, x in rows.items())
