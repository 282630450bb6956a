"""`Turns`: the turn that rows made together from one version to the next, found on halves of the things.

R = argmax tr R' X'X'  (Procrustes) errs, and what is measured against it errs with it. Turns R_1 and R_2 of two halves
err independently of each other, so that the products of one with the other have no bias by it; see
`commonspace.measure.spaces.rotation`, which says which cosines come of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from commonspace.core.rotation import rotation_between

PARTS = 20  # of the jackknife: ten in each half
PER_DIMENSION = 2.5  # things needed for each dimension, so that a half leaves no direction without an image
AGREE = 0.2  # below this the halves do not agree on a turn, and there is none to speak of


class Turns:
    """Best turns of both halves of the things, of all of them and without each part.

    A part belongs to the half of its parity, so that leaving it out changes one turn.

    Parameters
    ----------
    old, new : (n, d_old) and (n, d_new) float64
        Unit rows of the same items.
    part : (n,) int64
        The part of each item, 0 to 19; items of one thing are in one part.
    """

    def __init__(self, old: np.ndarray, new: np.ndarray, part: np.ndarray) -> None:
        self.old, self.new, self.part = old, new, part
        self.whole = [self._turn(part % 2 == half) for half in (0, 1)]
        self.without = [self._turn((part % 2 == p % 2) & (part != p)) for p in range(PARTS)]

    @classmethod
    def of(cls, old: np.ndarray, new: np.ndarray, part: np.ndarray, member: np.ndarray) -> Turns | None:
        """Return them, or None where things are too few or halves do not agree."""
        if len(np.unique(member)) < PER_DIMENSION * min(old.shape[1], new.shape[1]):
            return None
        found = cls(old, new, part)
        agree = [inner(g, r, s) / inner(g, r, r) for (r, s), _, g in found]
        return found if min(agree) >= AGREE else None

    def __iter__(self) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]]:
        """Yield the turns of both halves, which items they are of, and x'x of these; first of all items."""
        yield (self.whole[0], self.whole[1]), np.ones(len(self.part), bool), self.old.T @ self.old
        for p in range(PARTS):
            kept, (r, s) = self.part != p, self.whole
            pair = (self.without[p], s) if p % 2 == 0 else (r, self.without[p])
            yield pair, kept, self.old[kept].T @ self.old[kept]

    def common(self) -> np.ndarray:
        """Return the cosine of the items and their turn: (1 + parts,)."""
        one = np.eye(self.old.shape[1])
        return np.array([cosine(g, (one, one), turns) for turns, _, g in self])

    def own(self) -> np.ndarray:
        """Return the cosine of the turn of the other half and what became: (1 + parts,)."""
        found = []
        for (r, s), kept, g in self:
            first, second = kept & (self.part % 2 == 0), kept & (self.part % 2 == 1)
            met = ((self.old[first] @ s) * self.new[first]).sum() + ((self.old[second] @ r) * self.new[second]).sum()
            found.append(met / np.sqrt(kept.sum() * inner(g, r, s)))
        return np.array(found)

    def apart(self, other: Turns) -> np.ndarray:
        """Return the cosine of the turns of two modalities, over the items of both: (1 + parts,)."""
        both = zip(self, other, strict=True)
        return np.array([cosine(g + h, turns, others) for (turns, _, g), (others, _, h) in both])

    def _turn(self, rows: np.ndarray) -> np.ndarray:
        return rotation_between(self.old[rows].T @ self.new[rows])


def inner(gram: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """Return the sum over items of xP . xQ, where gram is the sum of x'x."""
    return float(((gram @ p) * q).sum())


def cosine(gram: np.ndarray, turns: tuple[np.ndarray, np.ndarray], others: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the cosine of two turns, each known from two halves; NaN where halves do not agree."""
    (r1, r2), (s1, s2) = turns, others
    across = (inner(gram, r1, s2) + inner(gram, r2, s1)) / 2
    return across / float(np.sqrt(max(inner(gram, r1, r2), 0.0) * max(inner(gram, s1, s2), 0.0) or np.nan))
