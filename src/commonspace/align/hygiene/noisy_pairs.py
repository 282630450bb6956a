"""`pair_quality`: how likely each training pair is right, before anything is trained.

Pairs found in the wild are partly wrong. A map that has never seen a pair tells whether its two sides fit each other:

    l_i = 1/2 [ -log softmax_i(s z_i . w_j over j)  -  log softmax_i(s z_j . w_i over j) ]

with z, w the two sides after canonical correlation analysis learned from the other folds. (Wrong pairs shrink the
covariance between the sides but do not turn it, so the map survives many of them.) What l looks like for a wrong pair
need not be guessed: deal the partners out anew, and every pair is wrong. With F0 that distribution, F the one observed,
and w the share of wrong pairs:

    w           = share of pairs above the 75 % point of F0, over 25 %      (right pairs hardly ever lie there)
    P(right|l)  = 1 - w f0(l) / f(l)                                        the two-group model

The ratio f0 / f is estimated under the one assumption that it rises with l. Probabilities are means over several ways
to cut the folds, so that none hangs on one draw. A pair that is likely wrong gets a suggestion: the partner that
fits best by a map learned from the pairs that are likely right.

Sources: pairs divided by their losses, agreement of several views and substitutes for wrong partners follow
"Noisy-Correspondence Learning for Text-to-Image Person Re-identification" and "PC^2: Pseudo-Classification Based
Pseudo-Captioning for Noisy Correspondence Learning in Cross-Modal Retrieval"; the two-group model with a known null is
Efron, "Large-Scale Simultaneous Hypothesis Testing", 2004.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.hygiene.audit import Audit, Columns, shown
from commonspace.align.hygiene.enough import LEAST, enough_pairs, enough_rows
from commonspace.align.hygiene.pair_judges import BLOCK, TAIL, TEMPERATURES, Judge, by_map, judged_once, learned_map
from commonspace.core.errors import BadInput
from commonspace.core.progress import task
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, unit
from commonspace.measure.statistics.estimates import Estimate, bootstrap

SURE = 0.5  # a pair is kept above it; a suggestion is taken above it
RIGHT, WRONG = 0.8, 0.2  # a person reads "right" above the first, "wrong" below the second, "doubtful" between


@dataclass(frozen=True)
class JudgedPairs:
    """The pairs of two modalities.

    Parameters
    ----------
    modalities : (str, str)
        The two sides.
    rows : (m,) int64
        Positions of the items that have both.
    probability : (m,) float64
        How likely each pair is right.
    better : (m, 2) float64
        Share of the other pairs' partners that fit the first side better than its own, and the same for the second.
    partner : (m,) int64
        Position of the item whose second side fits the first best.
    share : (m,) float64
        Its share of the softmax over all of them, 0 to 1: how clearly it is the best.
    wrong : Estimate
        The share of wrong pairs.
    """

    modalities: tuple[str, str]
    rows: np.ndarray
    probability: np.ndarray
    better: np.ndarray
    partner: np.ndarray
    share: np.ndarray
    wrong: Estimate


@dataclass(frozen=True)
class PairQuality(Audit):
    """What `pair_quality` found.

    Parameters
    ----------
    n : int
        Number of items.
    judged : dict of (str, str) to JudgedPairs
        Every pair of modalities that enough items share.
    """

    n: int
    judged: dict[tuple[str, str], JudgedPairs]

    @property
    def wrong(self) -> dict[tuple[str, str], Estimate]:
        """Share of wrong pairs with its interval, by pair of modalities."""
        return {names: found.wrong for names, found in self.judged.items()}

    def probability(self, modality: str) -> np.ndarray:
        """Return (n,) how likely each item's side in a modality belongs to the item.

        The highest over its pairs: one partner that fits is enough, a partner that does not may itself be wrong. NaN
        for items without a judged pair.

        Raises `BadInput` for a modality of which no pair was judged.
        """
        known = list(dict.fromkeys(m for names in self.judged for m in names))
        if modality not in known:
            raise BadInput(f"no pair with {modality!r} was judged; there are pairs of {', '.join(known)}")
        out = np.full(self.n, np.nan)
        for names, found in self.judged.items():
            if modality in names:
                out[found.rows] = np.fmax(out[found.rows], found.probability)
        return out

    def placed(self, rows: np.ndarray, n: int) -> PairQuality:
        """Return the same for n items of which those that were judged stand at `rows`."""
        judged = {
            names: replace(found, rows=rows[found.rows], partner=rows[found.partner])
            for names, found in self.judged.items()
        }
        return PairQuality(n, judged)

    def table(self, items: Columns | None = None, *, ids: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Return the audit: one row a pair, the least likely first, with reasons that a person can check.

        Parameters
        ----------
        items : mapping of str to sequence of n, optional
            Modality -> the items themselves, to be shown.
        ids : sequence of n, optional
            Names of the items; positions by default.
        """
        ids, columns = shown(self.n, items, ids)
        rows = []
        for (a, b), found in self.judged.items():
            for i in np.argsort(found.probability, kind="stable").tolist():
                row, other, p = int(found.rows[i]), int(found.partner[i]), float(found.probability[i])
                first, second = (f"{100 * v:.3g} %" for v in found.better[i])
                entry: dict[str, Any] = {"pair": f"{a}-{b}", "id": ids[row]}
                entry |= {m: columns[m][row] for m in (a, b) if m in columns}
                entry |= {
                    "probability": round(p, 4),
                    "verdict": "right" if p > RIGHT else "wrong" if p < WRONG else "doubtful",
                    "reason": f"{first} of the others' {b} fit its {a} better, {second} of their {a} its {b}",
                    "suggestion": ids[other],
                    "suggestion_share": round(float(found.share[i]), 4),
                }
                if b in columns:
                    entry[f"suggested {b}"] = columns[b][other]
                rows.append(entry)
        return sorted(rows, key=lambda r: r["probability"])

    @property
    def likely(self) -> np.ndarray:
        """(n,) how likely each item is whole: the lowest probability of its sides; NaN where nothing was judged."""
        sides = [self.probability(m) for m in {m for names in self.judged for m in names}]
        out: np.ndarray = np.fmin.reduce(sides)
        return out

    def __str__(self) -> str:
        lines = []
        for (a, b), found in self.judged.items():
            p = found.probability
            lines.append(
                f"{a}-{b}: of {len(p):,} pairs {100 * found.wrong.value:.1f} % "
                f"[{100 * found.wrong.low:.1f}, {100 * found.wrong.high:.1f}] are wrong; "
                f"{np.count_nonzero(p > RIGHT):,} are likely right, {np.count_nonzero(p < WRONG):,} likely wrong, "
                f"{np.count_nonzero((p >= WRONG) & (p <= RIGHT)):,} in doubt"
            )
        return "\n".join(lines)


def pair_quality(
    X: Mapping[str, Any],
    *,
    present: Mapping[str, np.ndarray] | None = None,
    groups: np.ndarray | None = None,
    folds: int = 5,
    repeats: int = 3,
    random_state: RandomState = 0,
) -> PairQuality:
    """Judge every pair by maps that have not seen it.

    Parameters
    ----------
    X : mapping of str to (n, d_in) or (n, variants, d_in) array
        Modality -> encoder outputs, as `fit_heads` takes them; of several variants the first counts.
    present : mapping of str to (n,) bool, optional
        Modality -> which items have it.
    groups : (n,) int, optional
        Equal number = the same thing, so that partners within a group are no alternatives.
    folds : int
        Parts that pairs are cut into; a map learns from all but one and judges that one.
    repeats : int
        Ways to cut, over which probabilities are averaged.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    PairQuality

    Raises
    ------
    BadInput
        As `fit_heads`; or fewer than 50 items, or items of one group only, in every pair of modalities.
    """
    data = PairData.check(X, present, groups)
    return judge(data, folds=folds, repeats=repeats, rng=generator(random_state))


def judge(data: PairData, *, folds: int = 5, repeats: int = 3, rng: np.random.Generator) -> PairQuality:
    """Judge the pairs of checked data; see `pair_quality`."""
    if check_positive("folds", folds) < 2:
        raise BadInput("folds must be at least 2: a pair is judged by a map that has not seen it")
    check_positive("repeats", repeats)
    enough = enough_pairs(data, combinations(data.modalities, 2), "tell right from wrong ones")
    if 2 * folds > (fewest := min(map(len, enough.values()))):
        raise BadInput(
            f"{fewest} pairs cannot be cut into {folds} folds of at least 2: pass folds={fewest // 2} or fewer"
        )
    judged = {}
    with task("Judging pairs", total=len(enough) * (repeats + 1)) as bar:
        for (a, b), rows in enough.items():
            A, B, keys = data.X[a][rows, 0], data.X[b][rows, 0], data.groups[rows]
            found = []
            for _ in range(repeats):
                parts = np.array_split(rng.permutation(len(rows)), folds)
                found.append(judged_once(keys, parts, partial(_a_map, A, B)))
                bar.advance(note=f"{a}-{b}")
            judged[a, b] = verdicts((a, b), rows, A, B, found, rng)
            bar.advance(note=f"{a}-{b}")
    return PairQuality(len(data), judged)


def wrong_share(data: PairData, *, most: int = BLOCK, rng: np.random.Generator) -> Estimate | None:
    """Estimate the share of wrong pairs alone, in about a second: one way to cut the folds, no verdicts.

    Parameters
    ----------
    data : PairData
        Checked data.
    most : int
        Pairs looked at, drawn at random; of more than three modalities, the pairs with the first.
    rng : numpy Generator
        For the draw, the folds and the bootstrap.

    Returns
    -------
    Estimate or None
        Mean over the pairs of modalities that share at least 50 items of two groups or more; None if there is none.
    """
    first = data.modalities[0]
    asked = [names for names in combinations(data.modalities, 2) if len(data.modalities) <= 3 or first in names]
    tails = []
    for a, b in asked:
        rows = rng.permutation(data.shared(a, b))[:most]
        if enough_rows(data, rows):
            learned = partial(_a_map, data.X[a][rows, 0], data.X[b][rows, 0])
            parts = np.array_split(rng.permutation(len(rows)), 5)
            _, _, tail = judged_once(data.groups[rows], parts, learned)
            tails.append(tail / (1 - TAIL))
    if not tails:
        return None
    ends = np.array([(t.mean(), *bootstrap(t, random_state=rng)) for t in tails]).mean(axis=0)
    value, low, high = (min(1.0, float(v)) for v in ends)
    return Estimate("wrong pairs", value, low, high, n=min(map(len, tails)))


def _a_map(A: np.ndarray, B: np.ndarray, learn: np.ndarray) -> list[Judge]:
    return [by_map(A, B, learn)]


def verdicts(
    names: tuple[str, str],
    rows: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    rng: np.random.Generator,
) -> JudgedPairs:
    """Return what several judgements of the pairs (A, B) at `rows` amount to."""
    probability, better, tail = (np.mean(part, axis=0) for part in zip(*found, strict=True))
    above = tail / (1 - TAIL)  # above the tail of F0 lie 1 - TAIL of the wrong pairs
    value, low, high = (min(1.0, float(v)) for v in (above.mean(), *bootstrap(above, random_state=rng)))
    partner, share = _suggested(A, B, probability)
    wrong = Estimate("wrong pairs", value, low, high, n=len(rows))
    return JudgedPairs(names, rows, probability, better, rows[partner], share, wrong)


def _suggested(A: np.ndarray, B: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each item the position of the second side that fits its first side best, and its softmax share."""
    learn = np.flatnonzero(probability > SURE)
    if len(learn) < LEAST:
        learn = np.argsort(-probability, kind="stable")[:LEAST]
    side_a, side_b, fitted = learned_map(A[learn], B[learn])
    z, w = unit(fitted.transform(side_a(A))), unit(fitted.transform_target(side_b(B)))
    partner, share = np.empty(len(A), np.int64), np.empty(len(A))
    for start in range(0, len(A), BLOCK // 8):
        logits = z[start : start + BLOCK // 8] @ w.T / TEMPERATURES[0]
        best = logits.argmax(axis=1)
        partner[start : start + len(best)] = best
        top = logits[np.arange(len(best)), best]
        share[start : start + len(best)] = 1 / np.exp(logits - top[:, None]).sum(axis=1)
    return partner, share
