"""Rotation: how the modalities of a space turned from one version to the next, and whether they turned together.

For unit rows x_i, x'_i of item i in one modality, before and after, and y_i, y'_i in another; angles in degrees:

    angle         mean over i of angle(x_i, x'_i)
    topology      mean over i != j of |angle(x'_i, x'_j) - angle(x_i, x_j)|
    partners      mean over i of angle(x'_i, y'_i) - angle(x_i, y_i)                       above 0: they moved apart
    off-diagonal  mean over i != j of |angle(x'_i, y'_j) - angle(x_i, y_j)|

The angle has two parts. R, the orthogonal map that brings the x nearest to the x' (Procrustes), is the turn that all
items made together, and each item moved by itself beside it. Turns found on two halves of the things, R_1 and R_2, err
independently of each other, so that with <P, Q> = mean over i of x_iP . x_iQ

    common        cos = <I, (R_1 + R_2) / 2>  / sqrt(<I, I> <R_1, R_2>)                    of a version and its turn
    own           cos = mean over i of x_i R_(other half) . x'_i  / sqrt(<R_1, R_2>)       of the turn and what became
    apart         cos = (<R_1, S_2> + <S_1, R_2>) / 2  / sqrt(<R_1, R_2> <S_1, S_2>)       S the turns of the y

have no bias by the errors of R (the correction for attenuation), and no turn is shown where there is none. A modality
may turn as far as it likes: vectors within it stay comparable. What costs retrieval between modalities is `apart`.

Between versions of different dimension `angle` and `common` are not defined; the others are.

Sources: "Continual Vision-Language Representation Learning with Off-Diagonal Information", whose rotation angles and
self-angle relations are `angle` and `topology`; it tells the deviation of modalities from how unlike their rotation
angles are (`difference`), which misses turns of equal size about different axes: `apart`, `partners` and
`off_diagonal`, the intervals and the split of the angle are ours. Spearman, "The Proof and Measurement of Association
between Two Things", 1904, for the correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share, check_vectors, unit
from commonspace.measure.spaces.turns import PARTS, Turns
from commonspace.measure.statistics.comparison import Comparison, compare
from commonspace.measure.statistics.estimates import Estimate, draw_counts, estimate, group_numbers
from commonspace.measure.statistics.jackknife import jackknifed
from commonspace.measure.statistics.pair_means import pair_means, summed_pairs

EDGES = (5.0, 15.0, 30.0, 60.0)
LEAST = 10


@dataclass(frozen=True)
class ModalityRotation:
    """How one modality turned; angles in degrees.

    Parameters
    ----------
    angle : Estimate or None
        Mean angle between the two vectors of an item, which are its ``per_query``. None between different dimensions.
    beyond : dict of float to Estimate
        Angle -> share of the items that turned by more; empty between different dimensions.
    common : Estimate or None
        What all items turned together. None between different dimensions, and where things are fewer than 2.5 a
        dimension or halves of them do not agree on a turn.
    own : Estimate or None
        What is left of the angle once the common turn is undone.
    topology : Estimate
        Change of the angle between two items.
    """

    angle: Estimate | None
    beyond: dict[float, Estimate]
    common: Estimate | None
    own: Estimate | None
    topology: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        figures = {n: _plain(getattr(self, n)) for n in ("angle", "common", "own", "topology")}
        return {**figures, "beyond": {str(edge): e.to_dict() for edge, e in self.beyond.items()}}

    def __str__(self) -> str:
        return _lines({n: getattr(self, n) for n in ("angle", "common", "own", "topology")})


@dataclass(frozen=True)
class Deviation:
    """How differently two modalities turned; angles in degrees.

    Parameters
    ----------
    difference : Comparison or None
        Mean angle of one less that of the other, over the items that have both. None between different dimensions.
    apart : Estimate or None
        Angle between the common turns of the two. None where one of them has none.
    partners : Estimate
        Change of the angle between the two vectors of an item.
    off_diagonal : Estimate
        Change of the angle between one item's vector and another item's of the other modality, either way.
    """

    difference: Comparison | None
    apart: Estimate | None
    partners: Estimate
    off_diagonal: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {n: _plain(getattr(self, n)) for n in ("difference", "apart", "partners", "off_diagonal")}

    def __str__(self) -> str:
        return _lines({n: getattr(self, n) for n in ("difference", "apart", "partners", "off_diagonal")})


@dataclass(frozen=True)
class Rotation:
    """How the modalities of a space turned between two versions.

    Parameters
    ----------
    modalities : dict of str to ModalityRotation
    deviations : dict of str to Deviation
        ``"image and text"`` -> how differently these two turned.
    """

    modalities: dict[str, ModalityRotation]
    deviations: dict[str, Deviation]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "modalities": {m: r.to_dict() for m, r in self.modalities.items()},
            "deviations": {pair: d.to_dict() for pair, d in self.deviations.items()},
        }

    def __str__(self) -> str:
        return "\n".join(f"{name}\n{part}" for name, part in [*self.modalities.items(), *self.deviations.items()])


def rotation(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    groups: Any = None,
    most: int = 2000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Rotation:
    """Return how the modalities of a space turned between two versions of the same items.

    Parameters
    ----------
    before, after : mapping of str to (n, dim_before) and (n, dim_after) arrays
        Modality -> vectors, brought to unit length. Row i is the same item in all of them; an item without the
        modality has a row of zeros, before and after.
    groups : (n,) array, optional
        Rows of one label show the same thing: they never count as two, and are drawn together.
    most : int
        Items whose pairs are looked at, drawn at random; time and memory grow with the square. Turns see all items.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of the halves, the items looked at and the bootstrap.

    Raises
    ------
    BadInput
        Different modalities, rows or dimensions, items with a direction in one version only, or a modality, or two of
        them together, with fewer than 10 things.
    """
    check_share("confidence", confidence)
    if check_positive("most", most) < LEAST:
        raise BadInput(f"most must be at least {LEAST} items, not {most}")
    versions = _versions(before, after)
    n = len(next(iter(versions.values())).old)
    member = group_numbers(groups, n, "rows")
    rng = generator(random_state)
    part = rng.permutation(int(member.max()) + 1 if n else 0) % PARTS
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    with_seed = _Options(most, resamples, confidence, rng if seed is None else seed, seed)
    modalities, turns = {}, {}
    for m, v in versions.items():
        _check_enough(m, member[v.there])
        turns[m] = Turns.of(v.old[v.there], v.new[v.there], part[member[v.there]], member[v.there])
        modalities[m] = _modality(v, turns[m], member, with_seed)
    deviations = {}
    for a, b in combinations(versions, 2):
        _check_enough(f"{a} and {b}", member[versions[a].there & versions[b].there])
        found = _deviation(versions[a], versions[b], turns[a], turns[b], member, with_seed)
        named = found.difference and replace(found.difference, a=a, b=b)
        deviations[f"{a} and {b}"] = replace(found, difference=named)
    return Rotation(modalities, deviations)


@dataclass(frozen=True)
class _Options:
    most: int
    resamples: int
    confidence: float
    random_state: Any
    seed: int | None

    def estimate(self, values: np.ndarray, name: str, member: np.ndarray, **bounds: Any) -> Estimate:
        """Return the mean of one value an item."""
        return estimate(
            values, name, groups=member, resamples=self.resamples, confidence=self.confidence,
            random_state=self.random_state, **bounds,
        )  # fmt: skip

    def over_pairs(self, name: str, change: Any, member: np.ndarray) -> Estimate:
        """Return the mean over pairs of different things; `change` gives it for some items: (m,) -> (m, m)."""
        rng = generator(self.random_state)
        every = np.arange(len(member))
        kept = every if len(every) <= self.most else np.sort(rng.permutation(every)[: self.most])
        things = np.unique(member[kept], return_inverse=True)[1]
        table, sizes = summed_pairs(change(kept), things), np.bincount(things).astype(np.float64)
        counts = draw_counts(rng, check_positive("resamples", self.resamples), len(sizes))
        value, *found = pair_means(table, sizes, np.vstack([np.ones(len(sizes)), counts]))
        low, high = np.quantile(found, [(1 - self.confidence) / 2, (1 + self.confidence) / 2])
        return Estimate(name, float(value), float(low), float(high), len(kept), self.confidence, seed=self.seed)

    def of_cosines(self, name: str, cosines: np.ndarray, n: int) -> Estimate | None:
        """Return the angle of a cosine of all things (the first) and of those without each part; None for NaN."""
        if np.isnan(cosines).any():
            return None
        short = 1 - cosines  # differences of cosines are near to normal where angles near 0 are not
        e = jackknifed(
            name, float(short[0]), short[1:], n, confidence=self.confidence, corrected=False, bounds=(0.0, 2.0),
            seed=self.seed,
        )  # fmt: skip
        value, low, high = (float(np.rad2deg(np.arccos(1 - v))) for v in (e.value, e.low, e.high))
        return replace(e, value=value, low=low, high=high)


@dataclass(frozen=True)
class _Version:
    """Unit rows (n, d_old) and (n, d_new) of one modality, and which items have it."""

    old: np.ndarray
    new: np.ndarray
    there: np.ndarray

    @property
    def same_dim(self) -> bool:
        return bool(self.old.shape[1] == self.new.shape[1])

    def angles(self) -> np.ndarray:
        return _angle_of_chord(np.linalg.norm(self.old - self.new, axis=1))


def _modality(v: _Version, turns: Turns | None, member: np.ndarray, options: _Options) -> ModalityRotation:
    here = np.flatnonzero(v.there)
    member, n = member[here], len(here)
    angle, beyond = None, {}
    if v.same_dim:
        angles = v.angles()[here]
        angle = options.estimate(angles, "angle", member, bounds=(0.0, 180.0))
        for edge in EDGES:
            further = (angles > edge).astype(np.float64)
            beyond[edge] = options.estimate(further, f"beyond {edge:g}", member, bounds=(0.0, 1.0))

    def change(kept: np.ndarray) -> np.ndarray:
        old, new = v.old[here[kept]], v.new[here[kept]]
        moved: np.ndarray = np.abs(_angles(new, new) - _angles(old, old))
        return moved

    return ModalityRotation(
        angle=angle,
        beyond=beyond,
        common=options.of_cosines("common", turns.common(), n) if turns and v.same_dim else None,
        own=options.of_cosines("own", turns.own(), n) if turns else None,
        topology=options.over_pairs("topology", change, member),
    )


def _deviation(
    x: _Version, y: _Version, turns: Turns | None, others: Turns | None, member: np.ndarray, options: _Options
) -> Deviation:
    both = np.flatnonzero(x.there & y.there)
    member = member[both]

    def moved_apart(kept: np.ndarray) -> np.ndarray:
        rows = both[kept]
        change: np.ndarray = _angles(x.new[rows], y.new[rows]) - _angles(x.old[rows], y.old[rows])
        return change

    partners = [_angle_of_chord(np.linalg.norm((a - b)[both], axis=1)) for a, b in ((x.new, y.new), (x.old, y.old))]
    difference = None
    if x.same_dim:
        difference = compare(
            x.angles()[both], y.angles()[both], groups=member, confidence=options.confidence,
            random_state=options.random_state,
        )  # fmt: skip
    return Deviation(
        difference=difference,
        apart=options.of_cosines("apart", turns.apart(others), len(both)) if turns and others else None,
        partners=options.estimate(partners[0] - partners[1], "partners", member),
        off_diagonal=options.over_pairs("off_diagonal", lambda kept: np.abs(moved_apart(kept)), member),
    )


def _angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles between all unit rows of a and b, in degrees."""
    found: np.ndarray = np.rad2deg(np.arccos(np.clip(a @ b.T, -1, 1)))
    return found


def _angle_of_chord(chord: np.ndarray) -> np.ndarray:
    """Return angles in degrees from distances of unit rows, exact for small ones where an arc cosine is not."""
    found: np.ndarray = np.rad2deg(2 * np.arcsin(np.minimum(chord / 2, 1)))
    return found


def _versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, _Version]:
    """Return the versions of each modality, checked."""
    for name, given in (("before", before), ("after", after)):
        if not isinstance(given, Mapping) or not given:
            raise BadInput(f'{name} must map modalities to vectors, as in {{"text": Z}}, not {type(given).__name__}')
    if set(before) != set(after):
        raise BadInput(f"before has the modalities {sorted(before)}, after {sorted(after)}: give the same ones")
    found = {}
    for m in before:
        old, new = (check_vectors(v[m], name=f"{n}[{m!r}]") for n, v in (("before", before), ("after", after)))
        there = np.any(old != 0, axis=1)
        if len(old) == len(new) and (odd := there != np.any(new != 0, axis=1)).any():
            raise BadInput(
                f"{int(odd.sum())} items have a direction in one version of {m!r} only, first row {int(odd.argmax())}: "
                "an item without the modality is a row of zeros in both"
            )
        found[m] = _Version(unit(old.astype(np.float64)), unit(new.astype(np.float64)), there)
    for what, shapes in (
        ("rows", {len(z) for v in found.values() for z in (v.old, v.new)}),
        ("dimensions before", {v.old.shape[1] for v in found.values()}),
        ("dimensions after", {v.new.shape[1] for v in found.values()}),
    ):
        if len(shapes) > 1:
            raise BadInput(f"the modalities must hold the same items in one space a version; {what}: {sorted(shapes)}")
    return found


def _check_enough(name: str, member: np.ndarray) -> None:
    if (things := len(np.unique(member))) < LEAST:
        raise BadInput(f"{name}: rotation needs at least {LEAST} different things, got {things}")


def _plain(figure: Estimate | Comparison | None) -> dict[str, Any] | None:
    return None if figure is None else figure.to_dict()


def _lines(figures: Mapping[str, Any]) -> str:
    shown = {n: "not defined" if f is None else str(f) for n, f in figures.items()}
    return "\n".join(f"  {n.replace('_', ' '):<12} {words}" for n, words in shown.items())
