"""Two spaces of the same items beside each other, in one call.

    rsa          do they order all pairs of items alike?                    whatever the axes and the scale
    cka          do they share directions, weighted by variance?            whatever the rotation and the scale
    mutual_knn   do they put the same items next to each other?             whatever lies far away
    procrustes   what is left after the best rotation?                      whatever the rotation and the scale
    units        do single dimensions say the same?                         changed by a rotation

Read from the top: a space and its rotation agree in the first four and not in the last; two spaces that agree near by
and not far away show in mutual_knn alone.

Source: the parts name theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors
from commonspace.measure.spaces.cka import estimate_cka
from commonspace.measure.spaces.mutual_knn import MutualKNN, mutual_knn
from commonspace.measure.spaces.procrustes_distance import ProcrustesDistance, procrustes_distance
from commonspace.measure.spaces.rsa import RSA, rsa
from commonspace.measure.spaces.unit_matches import UnitMatches, match_units
from commonspace.measure.statistics.estimates import Estimate


@dataclass(frozen=True)
class SpaceComparison:
    """Two spaces of the same items.

    Parameters
    ----------
    rsa : RSA
    cka : Estimate
        Linear, debiased.
    mutual_knn : MutualKNN
    procrustes : ProcrustesDistance
    units : UnitMatches
        How the units of the first predict and match those of the second.
    """

    rsa: RSA
    cka: Estimate
    mutual_knn: MutualKNN
    procrustes: ProcrustesDistance
    units: UnitMatches

    def to_dict(self) -> dict[str, Any]:
        """Return the parts, ready for JSON."""
        return {f.name: getattr(self, f.name).to_dict() for f in fields(self)}

    def __str__(self) -> str:
        cka = f"{'debiased linear CKA':<25} {self.cka}"
        return "\n".join(map(str, (self.rsa, cka, self.mutual_knn, self.procrustes, self.units)))


def compare_spaces(
    A: Any,
    B: Any,
    *,
    k: int = 10,
    groups: Any = None,
    most: int = 3000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> SpaceComparison:
    """Compare two spaces of the same items, of any dimensions.

    Parameters
    ----------
    A : (n, d_a) array
    B : (n, d_b) array
        Row i of both belongs to the same item; none of length zero. At least 20 different things.
    k : int
        Neighbours that `mutual_knn` looks at; no more than there are other things.
    groups : (n,) array, optional
        Rows of one label show the same thing. Representational similarity looks at one row of each.
    most : int
        Rows used, drawn at random; of these `rsa` takes 300.
    resamples : int
        Resamples where intervals are drawn.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None
        Seed of everything drawn.

    Raises
    ------
    BadInput
        Different items, too few of them, rows of length zero, or a space whose rows are all the same.
    """
    a, b = (check_vectors(v, name=name, allow_zero=False) for v, name in ((A, "A"), (B, "B")))
    labels = np.arange(len(a)) if groups is None else np.asarray(groups)
    if len(a) != len(b) or labels.shape != (len(a),):
        raise BadInput(
            f"two spaces are compared on the same items, with one label for each; got {len(a)} and {len(b)} rows, "
            f"labels of shape {labels.shape}"
        )
    rng = generator(random_state)
    kept = np.sort(rng.permutation(len(a))[: check_positive("most", most)])
    a, b, labels = a[kept], b[kept], labels[kept]
    first = np.unique(labels, return_index=True)[1]
    seed: RandomState = random_state if isinstance(random_state, int | np.integer) else rng
    options: dict[str, Any] = {"confidence": confidence, "random_state": seed}
    return SpaceComparison(
        rsa=rsa(a[first], b[first], resamples=resamples, **options),
        cka=estimate_cka(a, b, groups=labels, confidence=confidence),
        mutual_knn=mutual_knn(a, b, k, groups=labels, most=most, **options),
        procrustes=procrustes_distance(a, b, groups=labels, **options),
        units=match_units(a, b, groups=labels, resamples=resamples, **options),
    )
