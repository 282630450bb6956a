"""`second_look`: pairs judged once more, by heads and by neighbours, after the first look has said whom to learn from.

A closed-form map is straight. Once the pairs that are likely wrong are known, two more can judge: heads that are
trained without them, and the second sides of the pairs whose first sides are nearest, which say what to expect (a
caption made up from neighbours). The items are cut into folds, and those of each are judged by what learned from the
others:

    l_i = sum over map, neighbours and heads of (loss_i - mean of wrong pairs) / spread of wrong pairs

with losses, wrong pairs that are dealt out, and probabilities as in `noisy_pairs`, but that a dealt partner does not
compete with the pair's own one.

Source: "PC^2: Pseudo-Classification Based Pseudo-Captioning for Noisy Correspondence Learning in Cross-Modal
Retrieval",
in which two networks judge for each other and captions of near clean items stand in for wrong ones. There networks have
seen the pairs that they judge, items are near by classes that are learned beside, and captions are put in place of
wrong ones; here they only judge, for put in place they cost more than they brought (see the claim `second_look`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.forward import NumpyHead
from commonspace.align.hygiene.enough import LEAST
from commonspace.align.hygiene.noisy_pairs import SURE, PairQuality, verdicts
from commonspace.align.hygiene.pair_judges import TEMPERATURES_WIDE, Judge, by_map, by_neighbours, judged_once
from commonspace.core.progress import task

Train = Callable[[PairData], Mapping[str, NumpyHead]]


def second_look(
    data: PairData, quality: PairQuality, cleaned: PairData, train: Train, *, folds: int = 3, rng: np.random.Generator
) -> PairQuality:
    """Judge again.

    Parameters
    ----------
    data : PairData
        The items.
    quality : PairQuality
        What the first look found.
    cleaned : PairData
        The items without what the first look holds for wrong.
    train : callable
        From items to one head a modality.
    folds : int
        Parts that items are cut into; heads are trained that many times.
    rng : Generator
        How they are cut.

    Returns
    -------
    PairQuality
    """
    parts = np.array_split(rng.permutation(len(data)), folds)
    heads: list[Mapping[str, NumpyHead]] = []
    judged = {}
    with task("Looking again at pairs", total=folds + len(quality.judged)) as bar:
        for part in parts:
            others = np.flatnonzero(~np.isin(cleaned.rows, data.rows[part]))
            heads.append(train(cleaned.take(others)))
            bar.advance()
        for (a, b), first in quality.judged.items():
            A, B = data.X[a][first.rows, 0], data.X[b][first.rows, 0]
            cut = [np.flatnonzero(np.isin(first.rows, part)) for part in parts]
            judges = _Judges(a, b, A, B, first.probability, heads)
            found = judged_once(data.groups[first.rows], cut, judges, apart=True)
            judged[a, b] = verdicts((a, b), first.rows, A, B, [found], rng)
            bar.advance(note=f"{a}-{b}")
    return PairQuality(len(data), judged)


class _Judges:
    """The judges of one fold after the other, for one pair of modalities."""

    def __init__(
        self,
        a: str,
        b: str,
        A: np.ndarray,
        B: np.ndarray,
        probability: np.ndarray,
        heads: list[Mapping[str, NumpyHead]],
    ) -> None:
        self.a, self.b, self.A, self.B = a, b, A, B
        self.probability = probability
        self.heads = iter(heads)

    def __call__(self, learn: np.ndarray) -> list[Judge]:
        head = next(self.heads)
        likely = learn[self.probability[learn] > SURE]

        def scores(rows: np.ndarray) -> np.ndarray:
            out: np.ndarray = head[self.a](self.A[rows]) @ head[self.b](self.B[rows]).T
            return out

        teachers = likely if len(likely) >= LEAST else learn
        judges = [by_map(self.A, self.B, teachers), by_neighbours(self.A, self.B, teachers)]
        return [*judges, Judge(scores, TEMPERATURES_WIDE)]
