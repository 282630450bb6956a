"""Closed-form maps beside the trained heads, on the same validation pairs.

A head that took minutes must beat what a line of algebra gives:

    cca           both sides into their shared directions, weighted by correlation
    ridge         the gallery's vectors predicted from the query's
    procrustes    the query's space rotated onto the gallery's, both cut to their principal directions

Inputs are standardised as for the heads. The free number of each map (dimension, penalty, power) is picked by
retrieval on a part of the training pairs, never on the validation pairs. Maps in the sense of prediction are fitted
anew for each direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import permutations
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.forward import NumpyHead
from commonspace.align.standard import Standard
from commonspace.core.errors import BadInput
from commonspace.core.progress import task
from commonspace.core.registry import build
from commonspace.core.vectors import distinct_rows, unit

BASELINES = ("cca", "ridge", "procrustes")
METRICS = ("recall@1", "recall@10", "mrr")
# Pairs a closed-form map learns from, and pairs its free number is picked on: more would change the third digit.
MOST_PAIRS = 20_000
MOST_TUNING = 1000
CHOICES: dict[str, tuple[dict[str, Any], ...]] = {
    "cca": tuple({"reg": r, "power": p} for r in (0.03, 0.3) for p in (1.0, 2.0)),
    "ridge": ({},),  # picks its own penalty by generalised cross-validation
    "procrustes": tuple({"k": k} for k in (32, 128, 512)),
}


@dataclass(frozen=True)
class SystemTable:
    """Systems by direction and metric, each figure with its interval.

    Parameters
    ----------
    figures : dict of (system, "a->b", metric) to Estimate
    chosen : dict of (system, "a->b") to dict
        What was picked for each map inside the training part.
    """

    figures: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    chosen: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a system and direction: its name, the direction, and each `Estimate` under its metric."""
        keys = list(dict.fromkeys((s, d) for s, d, _ in self.figures))
        return [
            {"system": s, "direction": d, **{m: self.figures[s, d, m] for m in METRICS if (s, d, m) in self.figures}}
            for s, d in keys
        ]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the rows as plain data for JSON."""
        return [{k: v if isinstance(v, str) else v.to_dict() for k, v in row.items()} for row in self.rows()]

    def __str__(self) -> str:
        from rich.console import Console
        from rich.table import Table

        table = Table("direction", "system", *METRICS, "n")
        for row in sorted(self.rows(), key=lambda r: r["direction"]):
            cells = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in (row[m] for m in METRICS)]
            table.add_row(row["direction"], row["system"], *cells, str(row[METRICS[0]].n))
        text = StringIO()
        Console(file=text, width=110).print(table)
        return text.getvalue()


def compare_baselines(
    training: PairData,
    valid: PairData,
    heads: Mapping[str, NumpyHead],
    *,
    systems: Sequence[str] = BASELINES,
    metrics: Sequence[str] = METRICS,
    random_state: int = 0,
) -> SystemTable:
    """Measure heads and closed-form maps on the validation pairs, in every direction.

    Parameters
    ----------
    training, valid : PairData
        What the heads were trained and validated on.
    heads : mapping of str to NumpyHead
        Modality -> head; empty to measure the maps alone.
    systems : sequence of str
        Of "cca", "ridge" and "procrustes".
    metrics : sequence of str
        What to measure.
    random_state : int
        Seed of the split for tuning and of the intervals.
    """
    unknown = sorted(set(systems) - set(BASELINES))
    if unknown:
        raise BadInput(f"there is no baseline {', '.join(unknown)}; known: {', '.join(BASELINES)}")
    report = SystemTable()
    sides = {m: Standard(training.first(m)[:MOST_PAIRS]) for m in training.modalities} if systems else {}
    directions = list(permutations(training.modalities, 2))
    with task("Measuring heads and baselines", total=len(directions) * (1 + len(systems))) as t:
        for a, b in directions:
            name = f"{a}->{b}"
            if not np.isin(valid.groups[valid.present[a]], valid.groups[valid.present[b]]).any():
                continue  # nothing to find
            if heads:
                z = heads[a](valid.first(a)), heads[b](valid.first(b))
                report.figures.update(_measured("heads", z, valid, a, b, metrics, random_state))
            t.advance(note=name)
            for system in systems:
                pairs = _pairs(training, a, b, random_state)
                if len(pairs[0]) < 4:
                    continue
                choice = _choose(system, sides, training, pairs, a, b, random_state)
                learned = sides[a](training.X[a][pairs[0], 0]), sides[b](training.X[b][pairs[1], 0])
                z = _Fitted(system, choice, *learned)(sides[a](valid.first(a)), sides[b](valid.first(b)))
                report.chosen[system, name] = choice
                report.figures.update(_measured(system, z, valid, a, b, metrics, random_state))
                t.advance(note=f"{name} {system}")
    return report


class _Fitted:
    """A map with its free number: from rows of both sides to unit rows of one space."""

    def __init__(self, system: str, choice: Mapping[str, Any], X: np.ndarray, Y: np.ndarray) -> None:
        self.cut: tuple[np.ndarray, np.ndarray] | None = None
        arguments = dict(choice)
        if system == "procrustes":
            k = min(arguments.pop("k"), X.shape[1], Y.shape[1])
            self.cut = _principal(X, k), _principal(Y, k)
            X, Y = X @ self.cut[0], Y @ self.cut[1]
        self.map = build("Map", {"name": system, **arguments}).fit(X, Y)

    def __call__(self, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.cut is not None:
            X, Y = X @ self.cut[0], Y @ self.cut[1]
        return unit(self.map.transform(X)), unit(self.map.transform_target(Y))


def _principal(X: np.ndarray, k: int) -> np.ndarray:
    """Return the k strongest directions, scaled to the same spread: (d, k)."""
    values, vectors = np.linalg.eigh(X.T.astype(np.float64) @ X / len(X))
    top: np.ndarray = vectors[:, ::-1][:, :k] / np.sqrt(np.maximum(values[::-1][:k], 1e-12))
    return top.astype(np.float32)


def _pairs(data: PairData, a: str, b: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions (of a's item, of b's item): items that have both; else one item of each within a group."""
    both = data.shared(a, b)
    if len(both) >= 4:
        pairs = both, both
    else:
        ia, ib = np.flatnonzero(data.present[a]), np.flatnonzero(data.present[b])
        _, first_a, first_b = np.intersect1d(data.groups[ia], data.groups[ib], return_indices=True)
        pairs = ia[first_a], ib[first_b]
    if len(pairs[0]) > MOST_PAIRS:
        keep = np.random.default_rng(seed).permutation(len(pairs[0]))[:MOST_PAIRS]
        pairs = pairs[0][keep], pairs[1][keep]
    return pairs


def _choose(
    system: str,
    sides: Mapping[str, Standard],
    training: PairData,
    pairs: tuple[np.ndarray, np.ndarray],
    a: str,
    b: str,
    seed: int,
) -> dict[str, Any]:
    """Return the arguments that retrieve best on a tenth of the training groups, by mrr."""
    choices = CHOICES[system]
    if len(choices) == 1:
        return dict(choices[0])
    groups = training.groups[pairs[0]]
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    held = np.isin(groups, names[: min(MOST_TUNING, max(2, len(names) // 10))])
    if (~held).sum() < 2:
        return dict(choices[0])
    X, Y = sides[a](training.X[a][pairs[0], 0]), sides[b](training.X[b][pairs[1], 0])

    def mrr(choice: Mapping[str, Any]) -> float:
        z = _Fitted(system, choice, X[~held], Y[~held])(X[held], Y[held])
        scores = z[0] @ z[1].T
        same = groups[held][:, None] == groups[held][None, :]
        best = np.where(same, scores, -np.inf).max(1, keepdims=True)
        return float((1 / (1 + (np.where(same, -np.inf, scores) >= best).sum(1))).mean())

    scores = [mrr(choice) for choice in choices]
    return dict(choices[int(np.argmax(scores))])


def _measured(
    system: str,
    z: tuple[np.ndarray, np.ndarray],
    data: PairData,
    a: str,
    b: str,
    metrics: Sequence[str],
    seed: int,
) -> dict[tuple[str, str, str], Any]:
    """Return (system, direction, metric) -> Estimate over distinct items.

    The bootstrap draws queries of one group together.
    """
    from commonspace.measure import evaluate_retrieval

    keys = data.groups[data.present[a]], data.groups[data.present[b]]
    ask, find = (distinct_rows(rows, labels) for rows, labels in zip(z, keys, strict=True))
    keys = keys[0][ask], keys[1][find]
    found = evaluate_retrieval(z[0][ask], z[1][find], keys, metrics, groups=keys[0], random_state=seed)
    return {(system, f"{a}->{b}", metric): figure for metric, figure in found.items()}
