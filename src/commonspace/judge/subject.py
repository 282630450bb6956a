"""`Subject`: what a check-up looks at, whatever it came from.

A matrix in a file has rows and nothing else; a collection knows which rows show the same thing, and the items
themselves; a space with a table can compare with what it was trained on. A finding says which of these it needs, and a
subject says what it has.

Findings never see a vector that has no direction: they ask for `sample` or `pairs`, which leave out rows that are not
finite or of length zero (those are the business of the finding `norms`) and bring the others to unit length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.judge.report import Case
from commonspace.measure.statistics.streams import Rows

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Subject:
    """Vectors of one space by modality, and what is known of their rows.

    Parameters
    ----------
    vectors : mapping of str to (n, dim) array
        Modality -> its vectors as they are stored: not brought to unit length, perhaps not finite, perhaps a
        `numpy.memmap`. All of one dimension.
    things : mapping of str to (n,) array
        Modality -> a label a row. Rows of one label show the same thing, within a modality and across: they are the
        pairs. Empty where nothing is known.
    classes : mapping of str to (n,) array
        Modality -> a coarser label a row, such as a family or category. Empty where there is none.
    items : mapping of str to sequence
        Modality -> the items themselves, to be shown. Empty where there are none.
    names : mapping of str to sequence
        Modality -> ids of the rows; their places where there are none.
    training : Subject, optional
        What the space was trained on, to look for leaks.
    earlier : Subject, optional
        An earlier version or sample, to look for drift.
    kinds : mapping of str to str
        Modality -> what its items are (``"text"``, ``"image"``), to show them; the modality's name by default.
    about : mapping of str to str or number
        Where all this came from, for the report.
    meet : callable, optional
        How queries and gallery are compared, where that is not the cosine of the vectors: from (modality that asks,
        modality searched, queries, gallery) to both sides of an inner product. A remedy may put it there.
    """

    vectors: Mapping[str, np.ndarray]
    things: Mapping[str, np.ndarray] = field(default_factory=dict)
    classes: Mapping[str, np.ndarray] = field(default_factory=dict)
    items: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    names: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    training: Subject | None = None
    earlier: Subject | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    meet: Callable[[str, str, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.vectors:
            raise BadInput("there is nothing to check: vectors must map at least one modality to an array")
        for m, x in self.vectors.items():
            if np.ndim(x) != 2 or not len(x) or not np.shape(x)[1]:
                raise BadInput(f"the vectors of {m!r} must be an array of shape (n, dim) with rows, not {np.shape(x)}")
            if np.asarray(x[:0]).dtype.kind not in "fiub":
                raise BadInput(f"the vectors of {m!r} must be numbers, not {np.asarray(x[:0]).dtype}")
        dims = {m: np.shape(x)[1] for m, x in self.vectors.items()}
        if len(set(dims.values())) > 1:
            raise BadInput(f"the modalities of one space share a dimension, got {dims}")
        for what in ("things", "classes", "items", "names"):
            for m, rows in getattr(self, what).items():
                if m not in self.vectors:
                    raise BadInput(f"{what} name the modality {m!r}, of which there are no vectors")
                if len(rows) != len(self.vectors[m]):
                    raise BadInput(f"{what} of {m!r} hold {len(rows)} rows, its vectors {len(self.vectors[m])}")

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities."""
        return list(self.vectors)

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(np.shape(next(iter(self.vectors.values())))[1])

    # ------------------------------------------------------------- vectors

    def sound(self, modality: str) -> np.ndarray:
        """Return (m,) int64: the rows that have a direction, in order; the file is read once, block by block."""
        if ("sound", modality) not in self._known:
            x = self.vectors[modality]
            kept = []
            for start, block in Rows(x).blocks():
                peak = np.abs(block).max(axis=1).astype(np.float64)  # NaN wins
                kept.append(start + np.flatnonzero((peak > 0) & (peak <= LARGEST)))
            self._known["sound", modality] = np.concatenate(kept)
        found: np.ndarray = self._known["sound", modality]
        return found

    def units(self, modality: str, rows: np.ndarray) -> np.ndarray:
        """Return (m, dim) float32 unit rows of these sound rows."""
        return unit(np.asarray(self.vectors[modality][rows], dtype=np.float32))

    def sample(self, modality: str, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return at most so many sound rows, in order: (m,) places and (m, dim) float32 unit rows.

        Raises
        ------
        BadInput
            No row has a direction.
        """
        rows = self.sound(modality)
        if not len(rows):
            raise BadInput(f"no vector of {modality} is finite and longer than zero")
        if len(rows) > most:
            rows = np.sort(rng.choice(rows, most, replace=False))
        return rows, self.units(modality, rows)

    # --------------------------------------------------------------- pairs

    def codes(self, modality: str) -> np.ndarray:
        """Return (n,) int64: the thing of each row as a number, the same in all modalities; -1 where none is known."""
        if modality not in self.things:
            return np.full(len(self.vectors[modality]), -1)
        if "codes" not in self._known:
            labels = [np.asarray(self.things[m]) for m in self.things]
            kinds = {a.dtype.kind for a in labels}
            joint = np.concatenate(labels if kinds <= set("iub") else [a.astype(str) for a in labels])
            numbers = np.unique(joint, return_inverse=True)[1]
            parts = np.split(numbers, np.cumsum([len(a) for a in labels])[:-1])
            self._known["codes"] = dict(zip(self.things, parts, strict=True))
        found: np.ndarray = self._known["codes"][modality]
        return found

    def pairs(self, a: str, b: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows of a, rows of b and their thing, (m,) each: every row of the fuller side with one partner.

        The r-th row of a thing goes with the r-th one of the other side, and round again where there are fewer.
        """
        if a not in self.things or b not in self.things:
            return tuple(np.zeros(0, np.int64) for _ in range(3))  # type: ignore[return-value]
        found = {}
        for m in (a, b):
            rows = self.sound(m)
            order = rows[np.argsort(self.codes(m)[rows], kind="stable")]
            found[m] = order, self.codes(m)[order]
        if len(found[a][0]) < len(found[b][0]):
            right, left, codes = self._partnered(found[b], found[a])
        else:
            left, right, codes = self._partnered(found[a], found[b])
        return left, right, codes

    @staticmethod
    def _partnered(
        many: tuple[np.ndarray, np.ndarray], few: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = (np.searchsorted(few[1], many[1], side=s) for s in ("left", "right"))
        turn = np.arange(len(many[1])) - np.searchsorted(many[1], many[1], side="left")
        there = last > first
        partner = few[0][(first + turn % np.maximum(last - first, 1))[there]]
        return many[0][there], partner, many[1][there]

    # --------------------------------------------------------------- parts

    def take(self, rows: Mapping[str, np.ndarray]) -> Subject:
        """Return the subject of these rows; modalities left without any are dropped, and so is what it compares with.

        Labels and vectors are copied, items and names are looked up when they are shown.
        """
        kept = {m: r for m, r in rows.items() if len(r)}
        return replace(
            self,
            vectors={m: np.asarray(self.vectors[m][r]) for m, r in kept.items()},
            things={m: np.asarray(self.things[m])[r] for m, r in kept.items() if m in self.things},
            classes={m: np.asarray(self.classes[m])[r] for m, r in kept.items() if m in self.classes},
            items={m: _Chosen(self.items[m], r) for m, r in kept.items() if m in self.items},
            names={m: _Chosen(self.names[m], r) for m, r in kept.items() if m in self.names},
            training=None,
            earlier=None,
        )

    def halves(self, rng: np.random.Generator, *, most: int) -> tuple[Subject, Subject]:
        """Return two halves that share no thing; rows of which none is known are dealt out one by one.

        A modality of which one half would have nothing is in neither.

        Of every modality at most `most` sound rows go into each. Where there are more, the same things are chosen in
        all modalities, with several rows of each, so that what belongs together stays together.
        """
        things = max((int(self.codes(m).max()) + 1 for m in self.things), default=0)
        turn = rng.permutation(things)  # the order in which things are chosen, and their half
        side = turn % 2
        parts: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
        for m in self.modalities:
            rows = self.sound(m)
            codes = self.codes(m)[rows]
            half = np.where(codes >= 0, side[codes] if things else 0, rng.integers(0, 2, len(rows)))
            for i, part in enumerate(parts):
                mine = rows[half == i]
                part[m] = mine if len(mine) <= most else np.sort(mine[_chosen(codes[half == i], turn, most, rng)])
        both = [m for m in self.modalities if len(parts[0][m]) and len(parts[1][m])]
        if not both:
            raise BadInput("there is too little to cut in two halves")
        one, two = (self.take({m: part[m] for m in both}) for part in parts)
        return one, two

    # ---------------------------------------------------------------- items

    def name_of(self, modality: str, row: int) -> str:
        """Return what to call a row."""
        return str(self.names[modality][row]) if modality in self.names else f"row {row}"

    def case(self, modality: str, row: int, note: str = "", answers: Sequence[Case] = ()) -> Case:
        """Return the item of a row to be shown; its name stands for an item that is not there."""
        item = self.items[modality][row] if modality in self.items else None
        name = self.name_of(modality, row)
        kind = self.kinds.get(modality, modality) if item is not None else "text"
        return Case(name if item is None else item, caption=name, note=note, kind=kind, answers=tuple(answers))


class _Chosen(Sequence[Any]):
    """Some places of a sequence, read when they are asked for."""

    def __init__(self, whole: Sequence[Any], places: np.ndarray) -> None:
        self._whole, self._places = whole, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, i: Any) -> Any:
        return self._whole[int(self._places[i])]


def _chosen(codes: np.ndarray, turn: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return (most,) places: rows of things in turn, of no thing more than its share, at least two.

    What a thing has beyond its share comes after all others; rows of which no thing is known stand alone.
    """
    turns = rng.integers(0, max(len(turn), 1), len(codes))
    turns[codes >= 0] = turn[codes[codes >= 0]]
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    sorted_codes = codes[order]
    nth = np.arange(len(codes)) - np.searchsorted(sorted_codes, sorted_codes)  # of its thing
    nth[sorted_codes < 0] = 0
    share = max(2, most // max(len(np.unique(codes)), 1))
    first = np.lexsort((turns[order], nth // share))
    return order[first[:most]]
