"""`find_triggers`: pairs that may have been planted, so that a mark calls up a text whatever else it shows.

A poisoned set holds a few items with one mark (a patch, a tone, a phrase) that are paired with one text. What gives
them away is not that they fit badly: a map that has seen some of them predicts the others perfectly, so that
`pair_quality` takes them for right. It is that items which share a text have nothing in common but one direction:

    separation   how far the members of a group of like texts stand out along their mean direction, in deviations of
                 the other items; the direction from one half of the members, the distance from the other
    diversity    variance of those that stand out in all other directions, as a share of that of all items

True members of a group are like each other in many ways (diversity far below 1); items that got one text by accident
share nothing (separation near 0); a trigger alone has both high. Vectors are measured in their principal directions,
each brought to variance 1. Both sides of a pair may hold the mark, so that both are looked at.

The idea of looking for what a poisoned text's items share follows the probes of "CleanCLIP: Mitigating Data Poisoning
Attacks in Multimodal Contrastive Learning"; the two measures are ours. The other half of that work, the cleaning, is
the objective `cleanclip`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.hygiene.enough import enough_pairs
from commonspace.align.standard import Standard
from commonspace.core.directions import principal
from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.vectors import check_positive, unit

BLOCK = 2048
MOST_DIRECTIONS = 64
ITEMS_A_DIRECTION = 10  # that many at least, so that a variance of 1 is known
_HALVES = 8  # ways to cut a group in two
SEPARATION = 4.0  # from which a group is suspicious ...
DIVERSITY = 0.6  # ... if it is as diverse as this


@dataclass(frozen=True)
class Suspicion:
    """One group of items with like partners.

    Parameters
    ----------
    marked, label : str
        The modality in which the mark would be, and that of the text it calls up.
    rows : (m,) int64
        The members, those that stand out most along the common direction first.
    out : (m,) float64
        How far each stands out, in standard deviations of the others.
    separation, diversity : float
        As above.
    """

    marked: str
    label: str
    rows: np.ndarray
    out: np.ndarray
    separation: float
    diversity: float

    @property
    def score(self) -> float:
        """How much the group looks like a trigger's: the product of both measures."""
        return self.separation * self.diversity

    @property
    def suspicious(self) -> bool:
        """Whether both measures are high."""
        return self.separation >= SEPARATION and self.diversity >= DIVERSITY

    @property
    def pairs(self) -> np.ndarray:
        """Positions of the members that carry the mark: those beyond the middle of the common direction."""
        kept: np.ndarray = self.rows[self.out > self.separation / 2]
        return kept


@dataclass(frozen=True)
class TriggerReport:
    """What `find_triggers` found.

    Parameters
    ----------
    n : int
        Number of items.
    groups : list of Suspicion
        Every group that is large enough, the most trigger-like first.
    """

    n: int
    groups: list[Suspicion]

    @property
    def suspicious(self) -> np.ndarray:
        """(n,) bool: items that carry what may be a mark."""
        out = np.zeros(self.n, bool)
        for group in self.groups:
            if group.suspicious:
                out[group.pairs] = True
        return out

    def __str__(self) -> str:
        found = [g for g in self.groups if g.suspicious]
        lines = [f"{len(found)} of {len(self.groups)} groups of like partners look planted"]
        for g in found:
            lines.append(
                f"{len(g.pairs)} items with one {g.label} share one direction in {g.marked} "
                f"({g.separation:.1f} standard deviations) and little else (diversity {g.diversity:.2f}): "
                f"rows {', '.join(map(str, g.pairs[:5].tolist()))} ..."
            )
        return "\n".join(lines)


def find_triggers(
    X: Mapping[str, Any],
    *,
    present: Mapping[str, np.ndarray] | None = None,
    similarity: float = 0.9,
    least: int = 8,
    random_state: RandomState = 0,
) -> TriggerReport:
    """Look for pairs that a mark in one side may have been planted with.

    A side that varies in fewer than two directions is not looked at: a mark cannot be told from the rest of it.

    Parameters
    ----------
    X : mapping of str to (n, d_in) or (n, variants, d_in) array
        Modality -> encoder outputs, as `fit_heads` takes them; of several variants the first counts.
    present : mapping of str to (n,) bool, optional
        Modality -> which items have it.
    similarity : float
        Cosine from which two partners (texts, mostly) count as alike.
    least : int
        Members below which a group is not judged.
    random_state : int, Generator or None
        Of the halves.

    Returns
    -------
    TriggerReport

    Raises
    ------
    BadInput
        As `fit_heads`; or fewer than 50 items in every pair of modalities.
    """
    data = PairData.check(X, present)
    if check_positive("least", least) < 4:
        raise BadInput("least must be at least 4: a group is cut in two halves")
    if not -1 < similarity <= 1:
        raise BadInput(f"similarity is a cosine, above -1 and at most 1, not {similarity!r}")
    rng = generator(random_state)
    found = []
    enough = enough_pairs(data, permutations(data.modalities, 2), "tell what is common from what is planted")
    for (marked, label), rows in enough.items():
        W = whitened(data.X[marked][rows, 0])
        if W.shape[1] < 2:
            continue
        for members in like(data.X[label][rows, 0], similarity, least):
            if len(rows) - len(members) >= 2:  # others to stand out from
                found.append(_judged(W, members, rows, marked, label, least, rng))
    return TriggerReport(len(data), sorted(found, key=lambda g: -g.score))


def whitened(X: np.ndarray) -> np.ndarray:
    """Return rows along their principal directions, each of variance 1: (n, k) float64, k at most 64."""
    Z = Standard(X)(X).astype(np.float64)
    Z -= Z.mean(axis=0)
    directions, energy = principal(Z)
    k = max(2, min(MOST_DIRECTIONS, len(X) // ITEMS_A_DIRECTION, len(energy)))
    out: np.ndarray = Z @ directions[:, :k] / np.sqrt(energy[:k] / len(X))
    return out


def like(X: np.ndarray, similarity: float, least: int) -> list[np.ndarray]:
    """Return groups of rows with a cosine to one of theirs of at least `similarity`; the fullest first, none twice."""
    Z = unit(Standard(X)(X))
    near = np.concatenate([(Z[s : s + BLOCK] @ Z.T >= similarity).sum(1) for s in range(0, len(Z), BLOCK)])
    free = np.ones(len(Z), bool)
    groups = []
    for leader in np.argsort(-near, kind="stable"):
        if near[leader] < least:
            break
        if free[leader]:
            members = np.flatnonzero(free & (Z @ Z[leader] >= similarity))
            free[members] = False
            if len(members) >= least:
                groups.append(members)
    return groups


def _judged(
    W: np.ndarray, members: np.ndarray, rows: np.ndarray, marked: str, label: str, least: int, rng: np.random.Generator
) -> Suspicion:
    """Return the most trigger-like of a group and of the two parts that it falls into most clearly.

    A planted text may have true items, too, and the two kinds of members have nothing to do with each other.
    """
    from sklearn.cluster import KMeans

    parts = KMeans(2, n_init=4, random_state=seed_of(rng)).fit_predict(W[members])
    found = []
    for part in (members, members[parts == 0], members[parts == 1]):
        if len(part) >= least:
            found.append(_measured(W, part, rows, marked, label, least, rng))
    return max(found, key=lambda g: g.score)


def _measured(
    W: np.ndarray, members: np.ndarray, rows: np.ndarray, marked: str, label: str, least: int, rng: np.random.Generator
) -> Suspicion:
    """Return separation and diversity of some rows of W."""
    m = len(members)
    others = np.ones(len(W), bool)
    others[members] = False
    out = np.zeros(m)
    for _ in range(_HALVES):
        order = rng.permutation(m)
        for learn, test in ((order[: m // 2], order[m // 2 :]), (order[m // 2 :], order[: m // 2])):
            v = W[members[learn]].mean(axis=0)
            along = W[others] @ v
            out[test] += (W[members[test]] @ v - along.mean()) / max(float(along.std()), 1e-12) / _HALVES
    first = np.argsort(-out, kind="stable")
    separation = float(np.median(out))
    alike = W[members[out > separation / 2]]
    alike = alike if len(alike) >= least else W[members]
    mean = alike.mean(axis=0)
    v = mean / max(float(np.linalg.norm(mean)), 1e-12)
    inside = alike - mean
    inside -= np.outer(inside @ v, v)
    diversity = float(np.square(inside).sum() / (len(alike) - 1) / (W.shape[1] - 1))
    return Suspicion(marked, label, rows[members[first]], out[first], separation, diversity)
