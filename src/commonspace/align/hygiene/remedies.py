"""What to do about pairs that are likely wrong: leave them out, give them another partner, or show them less often."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.forward import NumpyHead
from commonspace.align.hygiene.noisy_pairs import SURE, PairQuality, judge
from commonspace.align.hygiene.second_look import second_look
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice

REMEDIES = ("drop", "repair", "reweight")
_NAMED = ", ".join(f'"{name}"' for name in REMEDIES)


def remedied(
    data: PairData,
    sampler: Any,
    remedy: str | Mapping[str, Any],
    rng: np.random.Generator,
    train: Callable[[PairData], Mapping[str, NumpyHead]],
) -> tuple[PairData, Any, PairQuality, float]:
    """Return what to train on, who meets in a batch, the verdicts, and which share of the items an epoch still shows.

    Parameters
    ----------
    data : PairData
        The training items.
    sampler : sampler
        Who meets in a batch.
    remedy : str or mapping
        One of `REMEDIES`, or ``{"remedy": ..., "looks": 2}`` to judge a second time by heads trained on what the first
        look left.
    rng : Generator
        How folds are cut.
    train : callable
        From items to heads, for the second look.
    """
    kind, looks = _read(remedy)
    quality = judge(data, rng=rng)
    if looks == 2:
        first = cleaned(data, quality)
        first.check_trainable("what the first look at the pairs leaves of the training part")
        quality = second_look(data, quality, first, train, rng=rng)
    if kind == "reweight":
        sampler, left = Likely(sampler, quality.likely), data
        shown = float(sampler.probability.mean())
    else:
        left = repaired(data, quality) if kind == "repair" else cleaned(data, quality)
        shown = len(left) / len(data)
    left.check_trainable("what is left of the training part without the pairs that are likely wrong")
    return left, sampler, quality, shown


def _read(remedy: Any) -> tuple[str, int]:
    """Return the remedy and how often pairs are judged."""
    if not isinstance(remedy, str | Mapping):
        raise BadInput(f'noisy_pairs must be "keep", {_NAMED} or a mapping with one of these, not {remedy!r}')
    spec = {"remedy": remedy} if isinstance(remedy, str) else dict(remedy)
    kind, looks = spec.pop("remedy", None), spec.pop("looks", 1)
    check_choice("noisy_pairs", kind, REMEDIES)
    if spec or looks not in (1, 2):
        raise BadInput(f'noisy_pairs takes a remedy and looks=1 or 2, as in {{"remedy": "drop", "looks": 2}}: {remedy}')
    return kind, looks


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
    old = {m: v.copy() for m, v in data.old.items()}
    X[b][found.rows[take]] = data.X[b][found.partner[take]]
    if b in old:
        old[b][found.rows[take]] = data.old[b][found.partner[take]]
    groups[found.rows[take]] = data.groups[found.partner[take]]
    keep[found.rows[take]] = True
    return PairData(X, data.present, groups, data.rows, old).take(np.flatnonzero(keep))


def cleaned(data: PairData, quality: PairQuality) -> PairData:
    """Return the items without the sides that likely belong to no other side of theirs."""
    present = dict(data.present)
    for m in {m for names in quality.judged for m in names}:
        present[m] = data.present[m] & ~(quality.probability(m) <= SURE)  # NaN was not judged and stays
    left = np.flatnonzero(np.any(list(present.values()), axis=0))
    return PairData(data.X, present, data.groups, data.rows, data.old).take(left)
