"""`rank_encoders`: which pair of frozen encoders will align best, before anything is trained.

Encoders that see the same structure in the same items can be joined by small heads. How much structure two share is
their linear CKA on items that have both, and it costs one matrix product a pair where training costs minutes. The
debiased form is used: the plain one favours encoders with many dimensions on a small probe set. Rows are brought to
unit length first, because retrieval is by cosine: otherwise the few items with long vectors (much ink, long texts)
decide, and say little about the rest.

Source: "From Unimodal to Multimodal: Scaling up Projectors to Align Modalities".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.progress import track
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit


@dataclass(frozen=True)
class Ranked:
    """One pair of encoders.

    Parameters
    ----------
    modalities : (str, str)
        The two modalities.
    encoders : (str, str)
        An encoder of each.
    cka : float
        Debiased linear CKA; about 0 for unrelated, 1 for the same up to rotation and scale.
    low, high : float
        95 % jackknife interval over probe items.
    n : int
        Probe items.
    """

    modalities: tuple[str, str]
    encoders: tuple[str, str]
    cka: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        joined = " + ".join(f"{m}:{e}" for m, e in zip(self.modalities, self.encoders, strict=True))
        return f"{joined}  {self.cka:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


def rank_encoders(
    features: Mapping[str, Mapping[str, np.ndarray]],
    *,
    probe: int = 2000,
    folds: int = 10,
    random_state: RandomState = 0,
) -> list[Ranked]:
    """Rank every pair of encoders of different modalities, the most promising first.

    Parameters
    ----------
    features : mapping of str to mapping of str to (n, d) array
        Modality -> encoder -> vectors of the same n items, all present.
    probe : int
        The most items used.
    folds : int
        Groups left out in turn for the interval.
    random_state : int, Generator or None
        Which items are used.

    Raises
    ------
    BadInput
        Fewer than two modalities, one without an encoder, different numbers of items, fewer than ``4 + folds`` of them.
    """
    if len(features) < 2:
        raise BadInput(f"features must hold at least two modalities, got {list(features)}")
    for m, encoders in features.items():
        if not encoders:
            raise BadInput(f"features[{m!r}] holds no encoder: leave {m!r} out, or give its vectors by encoder")
    check_positive("probe", probe)
    if check_positive("folds", folds) < 2:
        raise BadInput("folds must be at least 2: the interval comes from leaving one out")
    checked = {
        m: {e: unit(check_vectors(X, name=f"features[{m!r}][{e!r}]")) for e, X in encoders.items()}
        for m, encoders in features.items()
    }
    sizes = {len(X) for encoders in checked.values() for X in encoders.values()}
    if len(sizes) != 1:
        raise BadInput(f"all encoders must have seen the same items, got {sorted(sizes)} rows")
    n = min(sizes.pop(), probe)
    if n < 4 + folds:
        raise BadInput(f"{n} probe items are too few, at least {4 + folds} are needed")
    rng = generator(random_state)
    rows = rng.permutation(len(next(iter(next(iter(checked.values())).values()))))[:n]
    pairs = [((a, b), (x, y)) for a, b in combinations(checked, 2) for x, y in product(checked[a], checked[b])]
    ranked = [
        _ranked((a, b), (x, y), checked[a][x][rows], checked[b][y][rows], folds)
        for (a, b), (x, y) in track(pairs, "Comparing encoders")
    ]
    return sorted(ranked, key=lambda r: -r.cka)


def _ranked(modalities: tuple[str, str], names: tuple[str, str], X: np.ndarray, Y: np.ndarray, folds: int) -> Ranked:
    """Return CKA with the delete-a-group jackknife: variance (g - 1) / g * sum (value without fold - mean)^2."""
    from scipy.stats import t

    from commonspace.measure import linear_cka

    n = len(X)
    value = linear_cka(X, Y, debiased=True)
    fold = np.arange(n) % folds
    left = np.array([linear_cka(X[fold != f], Y[fold != f], debiased=True) for f in range(folds)])
    spread = float(np.sqrt((folds - 1) / folds * np.square(left - left.mean()).sum()))
    half = float(t.ppf(0.975, folds - 1)) * spread
    return Ranked(modalities, names, value, value - half, value + half, n)
