"""How alike two encoders are in their relative spaces, seen from anchors that both know.

With r_A(x) the cosines of x with the anchors in space A, brought to length one, and r_B(x) alike, over items that are
no anchors:

    cosine        mean over items of  r_A(x) . r_B(x)                        1 for a space and its rotation
    of_others     mean over pairs of different items of  r_A(x) . r_B(x')    what any two items would have
    mrr           mean over items of 1 / rank of r_B(x) among all r_B by r_A(x), and the other way round
    chance        the mrr of a random order

A cosine alone says little where rows crowd around their mean: then that of others is as high. The mrr asks what matters
to retrieval, and depends on how many items there are. Both sides are centred on request only; the source does not.

Intervals are those of other items, with the same anchors. An item takes part in the mean over pairs on both sides: its
share in it is that of its row and that of its column.

Source: "Relative representations enable zero-shot latent space communication", 2023, which reports cosine and MRR
without intervals; the level of other items and the intervals are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.measure.metrics.evaluation import evaluate_retrieval
from commonspace.measure.statistics.estimates import Estimate, estimate, group_numbers

LEAST = 10  # items that are no anchors


@dataclass(frozen=True)
class RelativeSimilarity:
    """How alike two spaces are, seen from their anchors.

    Parameters
    ----------
    cosine : Estimate
        Of an item's two relative representations.
    of_others : Estimate
        Of those of two different items.
    mrr : Estimate
        Of looking for an item in the other space, both directions.
    chance : float
        The mrr of a random order of so many items.
    anchors : int
        How many there were.
    """

    cosine: Estimate
    of_others: Estimate
    mrr: Estimate
    chance: float
    anchors: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        parts = {name: getattr(self, name).to_dict() for name in ("cosine", "of_others", "mrr")}
        return parts | {"chance": self.chance, "anchors": self.anchors}

    def __str__(self) -> str:
        others = f"of other items {self.of_others.value:.3f}, {self.anchors} anchors"
        return (
            f"{'relative cosine':<25} {self.cosine} ({others})\n"
            f"{'relative mrr':<25} {self.mrr} ({self.chance:.3f} by chance)"
        )


def relative_similarity(
    A: Any,
    B: Any,
    anchors: Any = None,
    *,
    center: bool = False,
    groups: Any = None,
    most: int = 3000,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> RelativeSimilarity:
    """Return how alike two spaces of the same items are, by their similarities to anchors.

    Parameters
    ----------
    A, B : (n, d_a) and (n, d_b) arrays
        Row i of both belongs to the same item; none of length zero.
    anchors : int or (k,) integer array, optional
        Positions of the anchors, or how many to draw; by default 300, or half of the rows where there are fewer than
        600 (of `most`).
    center : bool
        Measure each space from the mean of its anchors first.
    groups : (n,) array, optional
        Rows of one label show the same thing: each is a find for the other, none is another item, and none is judged
        if one of them is an anchor.
    most : int
        Rows looked at, drawn at random besides anchors that are named. Memory grows with the square.
    resamples, confidence, random_state
        Of the bootstrap; the seed draws rows and anchors as well.

    Raises
    ------
    BadInput
        Different items, rows of length zero, anchors that do not exist, or fewer than 10 things that are no anchors.
    """
    a, b = (check_vectors(v, name=name, allow_zero=False) for v, name in ((A, "A"), (B, "B")))
    if len(a) != len(b):
        raise BadInput(f"two spaces are compared on the same items; got {len(a)} and {len(b)} rows")
    member = group_numbers(groups, len(a), "rows")
    rng = generator(random_state)
    chosen, judged = _dealt(anchors, member, check_positive("most", most), rng)
    shift_a, shift_b = (v[chosen].mean(axis=0) if center else np.float32(0) for v in (a, b))
    r_a, r_b = (
        unit(unit(v[judged] - shift) @ unit(v[chosen] - shift).T).astype(np.float64)
        for v, shift in ((a, shift_a), (b, shift_b))
    )
    labels = member[judged]
    seed: RandomState = int(random_state) if isinstance(random_state, int | np.integer) else rng
    options: dict[str, Any] = {
        "groups": labels, "resamples": resamples, "confidence": confidence, "random_state": seed,
    }  # fmt: skip
    same = np.ones((len(judged), 1))  # all are equal, so that any order is as likely as any other
    there, back, chance = (
        evaluate_retrieval(q, g, (labels, labels), ["mrr"], resamples=1)["mrr"]
        for q, g in ((r_a, r_b), (r_b, r_a), (same, same))
    )
    return RelativeSimilarity(
        cosine=estimate((r_a * r_b).sum(axis=1), "relative_cosine", bounds=(-1.0, 1.0), **options),
        of_others=estimate(_of_others(r_a @ r_b.T, labels), "relative_cosine_of_others", **options),
        mrr=estimate((there.per_query + back.per_query) / 2, "relative_mrr", bounds=(0.0, 1.0), **options),
        chance=chance.value,
        anchors=len(chosen),
    )


def _dealt(anchors: Any, member: np.ndarray, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the anchors and of the rows that are judged."""
    n = len(member)
    order = rng.permutation(n)
    if anchors is None or isinstance(anchors, int | np.integer):
        count = min(300, min(n, most) // 2) if anchors is None else check_positive("anchors", anchors)
        chosen = np.sort(order[:count])
    else:
        chosen = np.asarray(anchors)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not len(chosen):
            raise BadInput(f"anchors must be a number or (k,) positions, not {chosen.dtype} of shape {chosen.shape}")
        if chosen.min() < 0 or chosen.max() >= n:
            raise BadInput(f"anchors name row {int(chosen.max())}, but there are rows 0 to {n - 1}")
        if len(np.unique(chosen)) < len(chosen):
            raise BadInput("anchors name a row twice")
    left = order[~np.isin(member[order], member[chosen])]
    judged = np.sort(left[: max(most - len(chosen), 0)])
    if len(np.unique(member[judged])) < LEAST:
        raise BadInput(
            f"{len(chosen)} anchors leave {len(np.unique(member[judged]))} other things of {n} rows to compare, and at "
            f"least {LEAST} are needed: take fewer anchors or give more rows"
        )
    return chosen, judged


def _of_others(cosines: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (n,) values whose mean is that of all pairs of different things, and whose spread is its error."""
    others = labels[:, None] != labels
    rows, columns = ((cosines * others).sum(axis=axis) / others.sum(axis=axis) for axis in (1, 0))
    mean = float((cosines * others).sum() / others.sum())
    values = rows + columns - mean
    # Groups of different sizes move the plain mean of rows by a little; the value told is the mean over pairs.
    told: np.ndarray = values - values.mean() + mean
    return told
