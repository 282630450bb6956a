"""What to do about pairs that are likely wrong: leave them out, give them another partner, or show them less often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.noisy_pairs import SURE, PairQuality, judge
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice

REMEDIES = ("drop", "repair", "reweight")


def remedied(data: PairData, sampler: Any, remedy: str, rng: np.random.Generator) -> tuple[PairData, Any, PairQuality]:
    """Return what to train on, who meets in a batch, and the verdicts."""
    check_choice("noisy_pairs", remedy, REMEDIES)
    quality = judge(data, rng=rng)
    if remedy == "reweight":
        sampler, left = Likely(sampler, quality.likely), data
    else:
        left = repaired(data, quality) if remedy == "repair" else cleaned(data, quality)
    left.check_trainable("what is left of the training part without the pairs that are likely wrong")
    return left, sampler, quality


class Likely:
    """A sampler's batches of the items whose pairs are right, drawn anew each epoch by how likely that is.

    Parameters
    ----------
    sampler : sampler
        Who meets in a batch.
    probability : (n,) float64
        Of each item; NaN counts as 1.
    """

    def __init__(self, sampler: Any, probability: np.ndarray) -> None:
        self.sampler = sampler
        self.probability = np.where(np.isnan(probability), 1.0, probability)

    def prepare(self, data: PairData, rng: np.random.Generator) -> None:
        """Let the sampler look at the data, if it wants to."""
        if hasattr(self.sampler, "prepare"):
            self.sampler.prepare(data, rng)

    def batches(self, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the index arrays of one epoch over n items."""
        drawn = rng.random(n) < self.probability
        for batch in self.sampler.batches(n, rng):
            if drawn[batch].any():
                yield batch[drawn[batch]]


def repaired(data: PairData, quality: PairQuality) -> PairData:
    """Return the items without the partners that are likely wrong, where a clear suggestion takes their place.

    With two modalities the second side of a suggested item is taken over, and its group. What gets no clear
    suggestion is dropped, as by `cleaned`.
    """
    if len(data.modalities) != 2:
        raise BadInput(f"repair needs two modalities, not {len(data.modalities)}: which side is wrong is not known")
    ((_, b), found), *_ = quality.judged.items()
    take = (found.probability <= SURE) & (found.share > SURE) & (found.partner != found.rows)
    keep = np.ones(len(data), bool)
    keep[found.rows[found.probability <= SURE]] = False
    X, groups = {m: v.copy() for m, v in data.X.items()}, data.groups.copy()
    X[b][found.rows[take]] = data.X[b][found.partner[take]]
    groups[found.rows[take]] = data.groups[found.partner[take]]
    keep[found.rows[take]] = True
    return PairData(X, data.present, groups, data.rows).take(np.flatnonzero(keep))


def cleaned(data: PairData, quality: PairQuality) -> PairData:
    """Return the items without the sides that likely belong to no other side of theirs."""
    present = {}
    for m, there in data.present.items():
        p = quality.probability(m)
        present[m] = there & ~(p <= SURE)  # NaN was not judged and stays
    left = np.flatnonzero(np.any(list(present.values()), axis=0))
    return PairData(data.X, present, data.groups, data.rows).take(left)
