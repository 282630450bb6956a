"""`MapBridge`: a bridge that is learned as an affine `Map`, of all modalities together or of each alone.

Which of the two serves better is not known beforehand. In a common space one map keeps the modalities together and has
more rows to learn from; where modalities lie apart, or have encoders of their own, each may need its own. And queries
can go back by a map that was learned new -> old ("direct"), or by the adjoint of one that was learned old -> new, which
aims at scores and not at coordinates: with raw encoders, whose vectors crowd around a mean, it kept half as many
neighbours again. So both questions are put to the rows, by cross-validation of the neighbours kept, a modality at a
time; of equals the simpler one wins. Modalities with few rows take the map of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.protocols import Map
from commonspace.core.random import generator, seed_of
from commonspace.upgrade.bridges.affine import Affine
from commonspace.upgrade.bridges.base import ANY, Bridge, lengthened
from commonspace.upgrade.bridges.keeping import FEWEST, Vectors, cross_fitted, kept_by_modality, sample

MAPS = ("auto", "one", "each")
WAYS = ("auto", "direct", "adjoint")
AUTO = "auto"


class MapBridge(Bridge):
    """A bridge of one affine map for all modalities, or one for each.

    Parameters
    ----------
    carries : {"items", "queries"}
        Which side crosses.
    maps : {"auto", "one", "each"}
        One map of all modalities, one of each (and one of all for what has none), or what keeps more neighbours.
    way : {"auto", "direct", "adjoint"}
        How queries go back; items always go the direct way.

    Attributes
    ----------
    chosen_ : dict of str to str
        Modality -> what it crosses by, such as ``"one, adjoint"``; under ``""`` that of unknown modalities.
    """

    def __init__(self, *, carries: str = "items", maps: str = "auto", way: str = "auto") -> None:
        super().__init__(carries=carries)
        self.maps = maps
        self.way = way

    def build(self) -> Map:
        """Return the map to fit."""
        raise NotImplementedError

    def affine(self, fitted: Map, d_in: int, d_out: int) -> Affine:
        """Return the matrices of a fitted map."""
        return Affine.of(fitted, d_in, d_out)

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Choose, then fit to all rows."""
        check_choice("maps", self.maps, MAPS)
        check_choice("way", self.way, WAYS)
        self.settle(source, target, self.choose(source, target, rng))

    def settle(self, source: Vectors, target: Vectors, chosen: Mapping[str, tuple[str, str]]) -> None:
        """Fit what was chosen to all rows."""
        parts = {}
        for m, (maps, way) in chosen.items():
            if m == ANY or maps == "each":
                parts[m] = self._fitted(source, target, [m] if m != ANY else list(source), way)
            elif way != chosen[ANY][1]:
                parts[m] = self._fitted(source, target, list(source), way)
        self._parts = parts
        self.chosen_ = {m: ", ".join(trial) for m, trial in chosen.items()}

    def cross(self, rows: np.ndarray, modality: str | None) -> np.ndarray:
        """Return the rows where they land."""
        return self._parts.get(modality or ANY, self._parts[ANY])(rows)

    @property
    def parts(self) -> dict[str, Affine]:
        """Modality -> the map that it crosses by; others cross by that under ``""``."""
        return self._parts

    @property
    def chosen(self) -> dict[str, tuple[str, str]]:
        """Modality -> (maps, way), as `settle` takes it."""
        return {m: (trial.split(", ")[0], trial.split(", ")[1]) for m, trial in self.chosen_.items()}

    @property
    def numbers(self) -> int:
        """How many numbers it consists of."""
        self.check_fitted()
        return sum(part.numbers for part in self._parts.values())

    def state(self) -> dict[str, Any]:
        """Return what was learned; matrices are named after the place of their modality, not after its name."""
        arrays: dict[str, np.ndarray] = {}
        for i, part in enumerate(getattr(self, "_parts", {}).values()):
            arrays |= {f"shift_{i}_": part.shift, **{f"factor_{i}_{j}_": f for j, f in enumerate(part.factors)}}
        placed = {"parts_": [[m, len(part.factors)] for m, part in self._parts.items()]} if arrays else {}
        return {**super().state(), **placed, **arrays}

    def load_state(self, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Put back what `split_state` returned."""
        self._parts = {
            m: Affine(tuple(arrays[f"factor_{i}_{j}_"] for j in range(count)), arrays[f"shift_{i}_"])
            for i, (m, count) in enumerate(plain["parts_"])
        }
        super().load_state({k: v for k, v in plain.items() if k != "parts_"}, {})
        return self

    def _trials(self, source: Vectors, modality: str) -> list[tuple[str, str]]:
        """Return what a modality may cross by, the simplest first."""
        maps = ["one", "each"] if self.maps == AUTO else [self.maps]
        if modality == ANY or len(source) == 1 or len(source[modality]) < FEWEST:
            maps = ["one"]
        ways = ["direct", "adjoint"] if self.way == AUTO else [self.way]
        return list(product(maps, ways if self.carries == "queries" else ["direct"]))

    def choose(self, source: Vectors, target: Vectors, rng: np.random.Generator) -> dict[str, tuple[str, str]]:
        """Return modality -> (maps, way); under `ANY` the way that serves most rows of the map of all."""
        trials = {m: self._trials(source, m) for m in (*source, ANY)}
        if all(len(t) == 1 for t in trials.values()):
            return {m: t[0] for m, t in trials.items()}
        if max(map(len, source.values())) < FEWEST:
            return {m: t[-1] for m, t in trials.items()}
        some, there = sample(source, target, rng)
        seed = seed_of(rng)  # the same folds for every trial
        scores = {t: self._kept(t, some, there, seed) for t in dict.fromkeys(t for ts in trials.values() for t in ts)}
        weights = {m: len(x) for m, x in source.items()}
        for kept in scores.values():
            kept[ANY] = sum(weights[m] * kept[m] for m in weights) / sum(weights.values())
        return {m: max(ts, key=lambda t: scores[t][m]) for m, ts in trials.items()}

    def _kept(self, trial: tuple[str, str], source: Vectors, target: Vectors, seed: int) -> dict[str, float]:
        """Return modality -> neighbours kept by a way of crossing."""
        maps, way = trial

        def learned(x: Vectors, y: Vectors) -> Any:
            if maps == "one":
                part = self._fitted(x, y, list(x), way)
                return lambda rows, m: lengthened(part(rows))
            parts = {m: self._fitted(x, y, [m] if len(x[m]) >= FEWEST // 2 else list(x), way) for m in x}
            return lambda rows, m: lengthened(parts[m](rows))

        try:
            landed = cross_fitted(learned, source, target, generator(seed))
        except BadInput:  # the rows of some modality are all alike: no map of its own can be learned
            return dict.fromkeys(source, -1.0)
        return kept_by_modality(landed, source, target, self.carries == "items")

    def _fitted(self, source: Vectors, target: Vectors, modalities: list[str], way: str) -> Affine:
        """Return the map learned from the rows of some modalities."""
        x, y = (np.concatenate([side[m] for m in modalities]) for side in (source, target))
        if way == "adjoint":
            return self.affine(self.build().fit(y, x), y.shape[1], x.shape[1]).adjoint()
        return self.affine(self.build().fit(x, y), x.shape[1], y.shape[1])
