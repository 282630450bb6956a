"""One-modality bridge: learned from items of one modality, the cheap one, and used on all.

Encoding a thousand texts anew costs seconds, a thousand films hours. In a space that modalities share, what is learned
from texts says most about the others, too. What is different is that they lie elsewhere, in directions in which texts
hardly vary:

    the modality learned from    crosses by ridge regression, as with the bridge `ridge`
    all others                   cross by the rotation learned from it, y = mean_y + (x - mean_x) R [+ offset]

A regression shrinks what it has not seen vary to nothing. A rotation cannot: it keeps every distance, those between a
text and an image included, and so carries the gap between modalities over as it is. It is also where noise on the
inputs leads, which the source trains with: for a linear map noise is a ridge penalty, and the more of it, the nearer
the map comes to X'Y, of which R is the orthogonal part.

What is known of another modality m, and what it costs:

    old vectors                  free: they are stored. They tell where m lies before it crosses (items), or where it
                                 should land (queries), but not both ends, and one end alone did not help.
    `few` new vectors            so many calls of its new encoder. The mean of y - f(x) over them is an unbiased offset,
                                 and what is the same of an item in both spaces does not blur it. It is shrunk by what
                                 chance contributes to its length (James and Stein), to zero if that is all of it.
    none                         straight on; the default.

Source: "Towards Cross-modal Backward-compatible Representation Learning for Vision-Language Models" (XBT), whose first
stage learns the way new -> old from texts alone, by a perceptron, with noise against the gap between modalities. The
rotation, the offset and the way old -> new are ours. Its second stage, training the new encoder on a few pairs, is not
a bridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.random import RandomState
from commonspace.core.registry import register
from commonspace.reshape.procrustes import Procrustes
from commonspace.upgrade.bridges.affine import Affine
from commonspace.upgrade.bridges.base import ANY
from commonspace.upgrade.bridges.ridge import RidgeBridge
from commonspace.upgrade.pairs import Pairs

OTHERS = ("rotation", "same")


@register(
    "one-modality",
    protocol="Bridge",
    synonyms=("xbt", "text-only"),
    papers=[
        Paper(
            "Towards Cross-modal Backward-compatible Representation Learning for Vision-Language Models",
            2025,
            "https://arxiv.org/abs/2405.14715",
        )
    ],
    claim="upgrade/one_modality",
)
class OneModality(RidgeBridge):
    """Learn from one modality, carry all.

    Parameters
    ----------
    carries : {"items", "queries"}
        Which side crosses.
    learns_from : str, optional
        The modality; by default that with most rows.
    others : {"rotation", "same"}
        How the other modalities cross: by the rotation, or as the one that was learned from.
    few : int
        Items of each other modality that may be used for its offset; 0 uses none.
    way : {"auto", "direct", "adjoint"}
        As for `MapBridge`, for queries of the modality learned from.

    Attributes
    ----------
    learned_from_ : str
    offsets_ : dict of str to float
        Other modality -> length of its offset, after shrinking; only where `few` is above 0.
    """

    title = "learned from one modality"

    def __init__(
        self,
        *,
        carries: str = "items",
        learns_from: str | None = None,
        others: str = "rotation",
        few: int = 0,
        way: str = "auto",
    ) -> None:
        super().__init__(carries=carries, maps="one", way=way)
        self.learns_from = learns_from
        self.others = others
        self.few = few

    def fit(self, pairs: Pairs, *, random_state: RandomState = 0) -> Self:
        """Learn from items of both spaces, as every bridge does.

        Parameters
        ----------
        pairs : Pairs
            Items. Which modality has most rows is asked of all that there were before some were taken, so that the
            folds of a cross-validation learn from the same; of equals the first counts.
        random_state : int, Generator or None
            Seed of whatever is drawn in learning.
        """
        self._most = max((m for m, x in pairs.old.items() if len(x)), key=lambda m: pairs.sizes[m])
        return super().fit(pairs, random_state=random_state)

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Learn from the rows of one modality; of others from `few` at most."""
        check_choice("others", self.others, OTHERS)
        if isinstance(self.few, bool) or not isinstance(self.few, int) or self.few < 0:
            raise BadInput(f"few must be a whole number of at least 0, not {self.few!r}")
        name = self._most if self.learns_from is None else self.learns_from
        if name not in source:
            raise BadInput(f"learns_from is {name!r}, but there are items of {', '.join(source)} only")
        x, y = source[name], target[name]
        super().learn({name: x}, {name: y}, rng)
        own, chosen = self._parts[ANY], self.chosen_[ANY]
        if self.others == "rotation":
            other = Affine.of(Procrustes(center=True).fit(x, y), x.shape[1], y.shape[1])
        else:
            other = own
        parts, lengths = {ANY: other, name: own}, {}
        for m in source:
            if m != name and self.few:
                rows = rng.permutation(len(source[m]))[: self.few]
                parts[m] = _moved(other, source[m][rows], target[m][rows])
                lengths[m] = float(np.linalg.norm(parts[m].shift - other.shift))
        self._parts, self.learned_from_, self.offsets_ = parts, name, lengths
        self.chosen_ = {name: chosen, ANY: self.others}


def _moved(part: Affine, x: np.ndarray, y: np.ndarray) -> Affine:
    """Return a map with the offset that some rows show, shrunk by what chance contributes to it."""
    if len(x) < 2:
        return part
    left = y - part(x)
    offset = left.mean(axis=0)
    size, chance = float(offset @ offset), float(left.var(axis=0, ddof=1).sum()) / len(left)
    kept = max(0.0, 1.0 - chance / size) if size > 0 else 0.0
    return Affine(part.factors, (part.shift + kept * offset).astype(np.float32))
