"""Do cheap judgements tell systems apart as full ones do? Significant differences kept, missed and invented.

Every pair of systems is tested twice, under full and under reduced judgements (fewer, cheaper, or made by a model):

    active agreement      significant under both, the same system better              kept
    active disagreement   significant under both, another system better               reversed
    mixed                 significant under full judgements only: missed; under reduced only: invented
    passive               significant under neither
    (mixed and passive ones are agreements where the same system is ahead under both, disagreements otherwise)

    precision = kept / significant under reduced       recall = kept / significant under full
    F1 = 2 kept / (significant under full + under reduced)
    publication bias = 1 - precision: the share of what would be reported that full judgements do not bear out
    MCC  with kept as hits, missed and reversed as misses, invented and reversed as false alarms, passive as the rest

Beside them the usual figures, which ask for the order of systems only: Kendall's tau-b between the mean scores, and
tau-AP, which weighs the top: 2 / (N - 1) sum over the places i >= 2 of the order under reduced judgements of
C(i) / (i - 1), minus 1, with C(i) the systems above place i that full judgements have above it too.

The test is the paired t-test over topics, corrected over all pairs by Holm's procedure or for the false discovery rate.
The randomisation test of `comparison` agrees with it, but its p-values are no smaller than one over the number of sign
patterns, which a correction over a thousand pairs turns into nothing. Intervals are bootstraps over topics: topics are
drawn, and both families of tests are made anew on the draw; in planted worlds they cover more often than they say.

Sources: the agreements and the figures from them as "How Discriminative Are Your Qrels? How To Study the Statistical
Significance of Document Adjudication Methods"; tau-AP: Yilmaz, Aslam and Robertson, "A New Rank Correlation Coefficient
for Information Retrieval", 2008; false discovery rate: Benjamini and Hochberg, 1995. Ours: the choice of the test, the
intervals, systems that are level counting half in tau-AP, and the values where nothing is significant (below).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.alignment import aligned
from commonspace.measure.statistics.corrections import CORRECTIONS, rejected
from commonspace.measure.statistics.estimates import Estimate, draw_counts

FIGURES = ("precision", "recall", "f1", "mcc", "publication_bias", "tau", "tau_ap")


@dataclass(frozen=True)
class QrelsPower:
    """What reduced judgements keep of the differences that full ones show.

    Parameters
    ----------
    kept, missed, invented, reversed : tuple of (str, str)
        Pairs of systems; of an invented or reversed one the first is better under reduced judgements, else under full.
    pairs : int
        Pairs of systems in all.
    counts : mapping of str to int
        Pairs by kind: "active", "mixed" and "passive", each "... agreement" or "... disagreement".
    precision, recall, f1, mcc, publication_bias, tau, tau_ap : Estimate
        As defined above; n is the number of topics. Where nothing is claimed precision is 1, where there is nothing to
        find recall is 1, where both hold F1 and MCC are 1; where only one side of its table is empty MCC is 0.
    alpha : float
        Level of the tests.
    correction : str
        How p-values are corrected over the pairs.
    """

    kept: tuple[tuple[str, str], ...]
    missed: tuple[tuple[str, str], ...]
    invented: tuple[tuple[str, str], ...]
    reversed: tuple[tuple[str, str], ...]
    pairs: int
    counts: Mapping[str, int]
    precision: Estimate
    recall: Estimate
    f1: Estimate
    mcc: Estimate
    publication_bias: Estimate
    tau: Estimate
    tau_ap: Estimate
    alpha: float
    correction: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the pairs, ready for JSON."""
        named = {k: [list(pair) for pair in getattr(self, k)] for k in ("kept", "missed", "invented", "reversed")}
        figures = {k: getattr(self, k).to_dict() for k in FIGURES}
        return {
            **named,
            "pairs": self.pairs,
            "counts": dict(self.counts),
            **figures,
            "alpha": self.alpha,
            "correction": self.correction,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, k))} {k}" for k in ("kept", "missed", "invented", "reversed"))
        lines = [f"{self.pairs} pairs of systems, p < {self.alpha:g} ({self.correction}): {counts}"]
        return "\n".join(lines + [f"{k.replace('_', ' '):<17} {getattr(self, k)}" for k in FIGURES])


def qrels_power(
    full: Mapping[str, Any],
    reduced: Mapping[str, Any],
    *,
    alpha: float = 0.05,
    correction: str = "holm",
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> QrelsPower:
    """Return which significant differences between systems reduced judgements keep, miss and invent.

    Parameters
    ----------
    full, reduced : mapping of str to (n,) array or Estimate
        Name of each system -> its value on each topic under full and under reduced judgements; the same systems, and
        the same topics. Estimates that know their topics' ids are put in one order by them, others are in the same
        order. A topic of which the reduced judgements know nothing relevant counts as 0: evaluate runs with
        ``on_empty="zero"``.
    alpha : float
        Level of the tests, after correction.
    correction : {"holm", "bh", "none"}
        "holm" bounds the chance of any false alarm, "bh" the share of false ones among those reported.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    random_state : int, Generator or None

    Raises
    ------
    BadInput
        Fewer than two systems or two topics, systems or topics that differ, NaN.
    """
    check_choice("correction", correction, CORRECTIONS)
    check_share("alpha", alpha)
    check_share("confidence", confidence)
    check_positive("resamples", resamples)
    names, tables = _tables(full, reduced)
    topics = tables[0].shape[1]
    counts = np.vstack([np.ones(topics), draw_counts(generator(random_state), resamples, topics)])
    signs = [_significant(table, counts, alpha, correction) for table in tables]
    means = [counts @ table.T / topics for table in tables]
    drawn = {**_agreements(*signs), **_correlations(*means)}
    ends = (1 - confidence) / 2, (1 + confidence) / 2
    low, high = ({k: float(np.quantile(v[1:], end)) for k, v in drawn.items()} for end in ends)
    # A draw is noisier than the sample, so that draws lean low; the interval holds the figure all the same.
    low = {k: min(v, float(drawn[k][0])) for k, v in low.items()}
    high = {k: max(v, float(drawn[k][0])) for k, v in high.items()}
    seed = int(random_state) if isinstance(random_state, int | np.integer) else None
    figures: dict[str, Any] = {
        k: Estimate(k, float(drawn[k][0]), low[k], high[k], n=topics, confidence=confidence, seed=seed) for k in FIGURES
    }
    return QrelsPower(
        **_named_pairs(names, signs[0][0], signs[1][0]),
        pairs=signs[0].shape[1],
        counts=_counts(signs[0][0], signs[1][0], *(_ahead(table.mean(axis=1)) for table in tables)),
        **figures,
        alpha=float(alpha),
        correction=correction,
    )


def _tables(full: Mapping[str, Any], reduced: Mapping[str, Any]) -> tuple[list[str], list[np.ndarray]]:
    """Return the names of the systems, and their values under full and reduced judgements: (systems, topics) each."""
    if not isinstance(full, Mapping) or not isinstance(reduced, Mapping) or len(full) < 2:
        raise BadInput("full and reduced must each map the names of at least two systems to their values on the topics")
    if set(full) != set(reduced):
        raise BadInput(f"systems of one side only: {sorted(map(str, set(full) ^ set(reduced)))}")
    names = list(full)
    sides = {f"{name} (full)": full[name] for name in names} | {f"{name} (reduced)": reduced[name] for name in names}
    values = np.array(aligned(sides)[0])
    if values.shape[1] < 2:
        raise BadInput("every system needs a value on each of the same topics, at least two, got 1")
    return names, [values[: len(names)], values[len(names) :]]


def _significant(table: np.ndarray, counts: np.ndarray, alpha: float, correction: str) -> np.ndarray:
    """Return which pairs differ significantly in each draw of topics, and which way: (draws, pairs) of -1, 0, 1."""
    from scipy.special import stdtrit

    a, b = np.triu_indices(len(table), 1)
    d = table[a] - table[b]
    n = table.shape[1]
    mean = counts @ d.T / n
    spread = np.maximum(counts @ (d**2).T / n - mean**2, 0)
    nothing = spread <= 1e-12 * np.maximum(counts @ (d**2).T / n, 1e-300)  # equal in all topics but for rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(mean) / np.sqrt(spread / (n - 1))
    t = np.where(nothing, np.where(np.abs(mean) > 1e-12, np.inf, 0.0), t)
    found = rejected(t, lambda p: -stdtrit(n - 1, p / 2), alpha, correction)
    return np.where(found, np.sign(mean), 0.0)


def _agreements(full: np.ndarray, reduced: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall, F1, MCC and publication bias of each draw."""
    kept = ((full == reduced) & (full != 0)).sum(axis=1)
    there, claimed = (full != 0).sum(axis=1), (reduced != 0).sum(axis=1)
    rest = ((full == 0) & (reduced == 0)).sum(axis=1)
    missed, invented = there - kept, claimed - kept  # a reversed pair is both

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        shares: np.ndarray = np.divide(part, whole, out=np.ones(len(part)), where=whole > 0)
        return shares

    table = np.sqrt((kept + missed) * 1.0 * (kept + invented) * (rest + missed) * (rest + invented))
    signed = kept * 1.0 * rest - missed * 1.0 * invented
    mcc = np.divide(signed, table, out=np.zeros(len(table)), where=table > 0)
    precision = share(kept, claimed)
    return {
        "precision": precision,
        "recall": share(kept, there),
        "f1": share(2 * kept, there + claimed),
        "mcc": np.where(missed + invented == 0, 1.0, mcc),
        "publication_bias": 1 - precision,
    }


def _correlations(full: np.ndarray, reduced: np.ndarray) -> dict[str, np.ndarray]:
    """Return tau-b and tau-AP between the mean scores of each draw: (draws, systems) each."""
    tau, tau_ap = np.zeros(len(full)), np.zeros(len(full))
    size = full.shape[1]
    above = np.tri(size, k=-1, dtype=bool)  # [i, j]: place j lies above place i
    for draw, (a, b) in enumerate(zip(full, reduced, strict=True)):
        order = np.argsort(-b, kind="stable")
        x = _order(a[order])
        y = _order(b[order])
        both = (x * y)[above].sum()
        scale = np.sqrt((x[above] ** 2).sum() * (y[above] ** 2).sum())
        tau[draw] = both / scale if scale else 0.0
        tau_ap[draw] = ((x * y * above).sum(axis=1)[1:] / np.arange(1, size)).mean()
    return {"tau": tau, "tau_ap": tau_ap}


def _ahead(means: np.ndarray) -> np.ndarray:
    """Return which system of every pair is ahead: (pairs,) of -1, 0, 1."""
    a, b = np.triu_indices(len(means), 1)
    ahead: np.ndarray = _order(means)[b, a]
    return ahead


def _counts(full: np.ndarray, reduced: np.ndarray, ahead: np.ndarray, then: np.ndarray) -> dict[str, int]:
    kind = (full != 0).astype(int) + (reduced != 0)
    return {
        f"{name} {way}": int(((kind == n) & ((ahead == then) == agrees)).sum())
        for n, name in ((2, "active"), (1, "mixed"), (0, "passive"))
        for way, agrees in (("agreement", True), ("disagreement", False))
    }


def _order(values: np.ndarray) -> np.ndarray:
    """Return the sign of every difference, 0 for those that are rounding: (n, n)."""
    apart = values[None, :] - values[:, None]
    return np.where(np.abs(apart) > 1e-12, np.sign(apart), 0.0)


def _named_pairs(names: list[str], full: np.ndarray, reduced: np.ndarray) -> dict[str, Any]:
    found: dict[str, list[tuple[str, str]]] = {"kept": [], "missed": [], "invented": [], "reversed": []}
    for (a, b), f, r in zip(combinations(names, 2), full, reduced, strict=True):
        if f == r == 0:
            continue
        kind = "missed" if r == 0 else "invented" if f == 0 else "kept" if f == r else "reversed"
        better = f if kind == "missed" else r
        found[kind].append((a, b) if better > 0 else (b, a))
    return {k: tuple(v) for k, v in found.items()}
