"""Did the vectors move since an earlier version, or do newer items differ from earlier ones?

Two versions of the same items (rows of one name; or two files of one length in which rows of one place share at least
0.3 of their neighbours):

    score = mean share of an item's ten nearest neighbours that stayed        flag where surely below 0.5

Half of what users used to find is then gone. Neighbours can be compared across any two spaces, turned or of another
dimension; cosines of an item with itself stand beside them where both have one dimension.

Two samples of one space:

    score = min(1, 2 (1 - AUC)),   AUC of a regression that tells the samples apart on rows it has not seen
    flag where the score is below 0.8 and a permutation test of their distance is significant at 5 %

Of rows that show the same thing one is looked at. An AUC of 0.6 is a shift by about a third of a standard deviation,
small but visible. With many rows any trifle is significant, so that the test alone would cry wolf.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.drawing import histogram, scatter
from commonspace.judge.finding import Finding, Found
from commonspace.judge.subject import Subject
from commonspace.measure.health.drift import LEVEL, drift
from commonspace.measure.health.moved import Moved, moved

LEAST = 20
KEPT = 0.3
SHOWN = 6


@register("drift", protocol="Finding", claim="judge/findings")
class Drift(Finding):
    """Vectors that are not what they were.

    Parameters
    ----------
    limit : float
        Share of neighbours that stay, below which the flag goes up, for certain.
    alike : float
        Score of two samples below which the flag goes up, if the difference is significant.
    k : int
        Neighbours of an item.
    most : int
        Rows of each side that are looked at; time grows with the square.
    """

    title = "Drift"

    def __init__(self, *, limit: float = 0.5, alike: float = 0.8, k: int = 10, most: int = 10_000) -> None:
        self.limit = limit
        self.alike = alike
        self.k = k
        self.most = most

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing: an earlier version or sample."""
        if subject.earlier is None:
            return "no earlier version or sample is given"
        shared = set(subject.modalities) & set(subject.earlier.modalities)
        return None if shared else "the earlier version has none of these modalities"

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality that both have."""
        earlier = subject.earlier
        if earlier is None:
            return []
        check_share("limit", self.limit)
        found = []
        for m in subject.modalities:
            if m not in earlier.vectors:
                continue
            now, then = _same_rows(subject, earlier, m)
            if len(now) > check_positive("most", self.most):
                chosen = np.sort(rng.permutation(len(now))[: self.most])
                now, then = now[chosen], then[chosen]
            if len(now) >= LEAST:
                x, y = earlier.units(m, then), subject.units(m, now)
                seen = moved(x, y, k=self.k, random_state=rng)
                # Files have no names: rows of one place are one item only if it kept neighbours. More than by chance
                # is not enough, for two samples that are sorted in one way agree by more than that.
                if m in subject.names or seen.overlap.low > KEPT:
                    found.append(self._version(subject, m, now, x, y, seen, rng))
                    continue
            if earlier.dim == subject.dim:
                found += self._samples(subject, earlier, m, rng)
        return found

    def _version(
        self,
        subject: Subject,
        m: str,
        rows: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        seen: Moved,
        rng: np.random.Generator,
    ) -> Found:
        cosine = "" if seen.cosine is None else f" An item has a cosine of {seen.cosine.value:.2f} with what it was."
        cases = [
            subject.case(m, int(rows[i.row]), f"{i.overlap:.0%} of its neighbours stayed") for i in seen.items[:SHOWN]
        ]
        pictures = () if seen.cosine is None else (
            histogram(f"Cosine of {m} with what it was", "cosine", {m: (x * y).sum(axis=1)}),
        )  # fmt: skip
        evidence: dict[str, object] = {"neighbours that stayed": seen.overlap, "by chance": seen.chance}
        evidence |= {} if seen.cosine is None else {"cosine with what it was": seen.cosine}
        return Found(
            "drift",
            m,
            float(np.clip(seen.overlap.value, 0, 1)),
            seen.overlap.high < self.limit,
            f"Of the {seen.k} nearest neighbours of an item {seen.overlap.value:.0%} [{seen.overlap.low:.0%}, "
            f"{seen.overlap.high:.0%}] stayed (by chance {seen.chance:.0%}), over {len(rows):,} items.{cosine}",
            evidence=evidence,
            pictures=pictures,
            cases=tuple(cases),
            advice="Users will find other things than before: judge both versions on the same queries before the new "
            "one goes live, and never mix vectors of both in one index.",
            limit=self.limit,
        )

    def _samples(self, subject: Subject, earlier: Subject, m: str, rng: np.random.Generator) -> list[Found]:
        x, y = (_independent(s, m, min(self.most, 1000), rng) for s in (earlier, subject))
        if min(len(x), len(y)) < LEAST:
            return []
        seen = drift(x, y, most=1000, random_state=rng)
        score = float(np.clip(2 * (1 - seen.auc.value), 0, 1))
        p = "p<0.001" if seen.p_value < 0.001 else f"p={seen.p_value:.3f}"
        return [
            Found(
                "drift",
                m,
                score,
                score < self.alike and seen.p_value < LEVEL,
                f"A regression tells earlier rows from these with an AUC of {seen.auc.value:.2f} [{seen.auc.low:.2f}, "
                f"{seen.auc.high:.2f}]; their means lie {seen.shift.value:.2f} spreads apart ({p}).",
                evidence={
                    "AUC of telling them apart": seen.auc,
                    "distance of the means, in spreads": seen.shift,
                    "kernel distance, squared": seen.mmd,
                    "p-value of no difference": seen.p_value,
                },
                pictures=(scatter(f"{m}, earlier and now", {"earlier": x, "now": y}, rng=rng),),
                advice="Look at what is new: other sources, another preprocessing, another encoder version; set "
                "thresholds and indexes anew, or fit again with the new items among the old.",
                limit=self.alike,
            )
        ]


def _independent(subject: Subject, m: str, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return unit rows of different things: views of one would pass for more evidence than they are."""
    if m not in subject.things:
        return subject.sample(m, most, rng)[1]
    rows = rng.permutation(subject.sound(m))
    one = rows[np.unique(subject.codes(m)[rows], return_index=True)[1]]
    return subject.units(m, rng.permutation(one)[:most])


def _same_rows(subject: Subject, earlier: Subject, m: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the sound rows of both that may be the same item: by name; by place where neither has names."""
    sound_now, sound_then = subject.sound(m), earlier.sound(m)
    if m in subject.names and m in earlier.names:
        places = {str(earlier.names[m][int(i)]): int(i) for i in sound_then}
        pairs = [(int(i), places[n]) for i in sound_now if (n := str(subject.names[m][int(i)])) in places]
        now, then = np.array(pairs, np.int64).reshape(-1, 2).T
        return now, then
    named = m in subject.names or m in earlier.names
    if named or len(subject.vectors[m]) != len(earlier.vectors[m]) or not _same_things(subject, earlier, m):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    both = np.intersect1d(sound_now, sound_then)
    return both, both


def _same_things(subject: Subject, earlier: Subject, m: str) -> bool:
    """Return whether rows of one place show the same thing, as far as it is known."""
    now, then = subject.things.get(m), earlier.things.get(m)
    return now is None or then is None or np.array_equal(np.asarray(now).astype(str), np.asarray(then).astype(str))
