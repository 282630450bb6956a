"""`Bridge`: carries vectors of one space to another, so that queries of a new encoder find items of an old one.

    carries="items"      stored vectors go forward, old -> new; queries stay what the new encoder gives
    carries="queries"    queries go back, new -> old; what is stored stays as it is, and so does its index

A bridge learns from items that both spaces have encoded and never sees a raw item. Each modality has a map of its own,
because encoders differ by modality; vectors whose modality is not known, such as a query given as a vector, and
modalities that it has not learned take one that was learned from all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from commonspace.core.method import Method, check_choice
from commonspace.core.protocols import Map
from commonspace.core.random import RandomState, generator
from commonspace.core.registry import describe, restore
from commonspace.core.vectors import check_vectors, unit
from commonspace.upgrade.pairs import Pairs

CARRIES = ("items", "queries")
#: Stands for the map learned from all modalities together.
ANY = ""


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
        """Learn from items of both spaces."""
        check_choice("carries", self.carries, CARRIES)
        forward = self.carries == "items"
        source, target = (pairs.old, pairs.new) if forward else (pairs.new, pairs.old)
        old, new = pairs.dims
        self.dims_ = [old, new] if forward else [new, old]
        self.learn(source, target, generator(random_state))
        return self

    def carry(self, vectors: Any, modality: str | None = None) -> np.ndarray:
        """Return what vectors become in the other space: (n, dim) float32 unit rows.

        Parameters
        ----------
        vectors : (n, dim) array
            Rows of the space where it starts.
        modality : str, optional
            What was encoded.
        """
        self.check_fitted()
        rows = unit(check_vectors(vectors, name="vectors", dim=self.dims_[0], allow_zero=False))
        return unit(self.cross(rows, modality)) if len(rows) else np.empty((0, self.dims_[1]), np.float32)

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Learn from unit rows by modality, where vectors start and where they are to land."""
        raise NotImplementedError

    def cross(self, rows: np.ndarray, modality: str | None) -> np.ndarray:
        """Return unit rows where they land, not yet of unit length."""
        raise NotImplementedError


class MapBridge(Bridge):
    """A bridge of one `Map` a modality, and one for all."""

    def build(self) -> Map:
        """Return the map to fit."""
        raise NotImplementedError

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Fit the maps."""
        self._maps: dict[str, Map] = {m: self.build().fit(x, target[m]) for m, x in source.items()}
        every = [np.concatenate([side[m] for m in source]) for side in (source, target)]
        alone = len(source) == 1
        self._maps[ANY] = next(iter(self._maps.values())) if alone else self.build().fit(*every)

    def cross(self, rows: np.ndarray, modality: str | None) -> np.ndarray:
        """Return the mapped rows, measured from where the target space has its origin."""
        known = self._maps.get(modality or ANY, self._maps[ANY])
        away = known.transform_target(np.zeros((1, self.dims_[1]), np.float32))
        landed: np.ndarray = known.transform(rows) - away
        return landed

    def state(self) -> dict[str, Any]:
        """Return what was learned; the arrays of a map are named after its modality."""
        if not hasattr(self, "_maps"):
            return {}
        arrays = {f"{m}/{k}": v for m, one in self._maps.items() for k, v in one.split_state()[1].items()}
        return {**super().state(), "maps_": {m: describe(one) for m, one in self._maps.items()}, **arrays}

    def load_state(self, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Put back what `split_state` returned."""
        described = plain["maps_"]
        super().load_state({k: v for k, v in plain.items() if k != "maps_"}, {})
        self._maps = {}
        for m, one in described.items():
            mine = {k.removeprefix(f"{m}/"): v for k, v in arrays.items() if k.rpartition("/")[0] == m}
            self._maps[m] = restore("Map", one, mine)
        return self
