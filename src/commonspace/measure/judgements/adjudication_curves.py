"""How far a budget of judgements goes: what each order of judging finds, and what it keeps of the differences.

Where a collection is judged already, judging is played through: every order of `judging_orders` asks for one document
after the other and is told what the judgements say; documents they do not name are not relevant. At each budget, a
share of the pool, the systems are scored with what is known by then and compared with their scores under all
judgements (`qrels_power`). Do so on a collection like yours before you choose an order for it.

Source: the experiment of "How Discriminative Are Your Qrels? How To Study the Statistical Significance of Document
Adjudication Methods".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.vectors import check_positive
from commonspace.measure.judgements.adjudication import Adjudicator
from commonspace.measure.judgements.judging_orders import ORDERS
from commonspace.measure.judgements.qrels_power import FIGURES, QrelsPower, qrels_power
from commonspace.measure.judgements.runs import Id, check_judgements, check_runs
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.metric import metric as named_metric
from commonspace.measure.metrics.ranks import Ranks
from commonspace.measure.statistics.estimates import Estimate, estimate

BUDGETS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class AdjudicationPoint:
    """One order of judging at one budget.

    Parameters
    ----------
    method : str
    budget : float
        Share of the pool that is judged.
    judged : int
        Documents that are judged.
    found : Estimate
        Share of a topic's relevant documents that is found, on average.
    power : QrelsPower
        What is kept of the differences between systems.
    """

    method: str
    budget: float
    judged: int
    found: Estimate
    power: QrelsPower


@dataclass(frozen=True)
class AdjudicationCurves:
    """Orders of judging against budgets.

    Parameters
    ----------
    points : tuple of AdjudicationPoint
    metric : str
        What systems are scored by.
    pool : int
        Documents in the pools of all topics.
    topics, systems : int
    """

    points: tuple[AdjudicationPoint, ...]
    metric: str
    pool: int
    topics: int
    systems: int

    @property
    def methods(self) -> tuple[str, ...]:
        """Orders in the order in which they were asked for."""
        return tuple(dict.fromkeys(p.method for p in self.points))

    @property
    def budgets(self) -> tuple[float, ...]:
        """Budgets, smallest first."""
        return tuple(dict.fromkeys(p.budget for p in self.points))

    def best(self, figure: str) -> dict[float, str]:
        """Return the order with the highest figure ("tau", "f1", "found" ...) at each budget; the first if level."""
        return {
            b: max((p for p in self.points if p.budget == b), key=lambda p: _figure(p, figure).value).method
            for b in self.budgets
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as curves over the budgets, ready for JSON and for a picture."""
        curves: dict[str, Any] = {}
        for method in self.methods:
            points = [p for p in self.points if p.method == method]
            curves[method] = {"judged": [p.judged for p in points]}
            for figure in ("found", *FIGURES):
                found = [_figure(p, figure) for p in points]
                curves[method][figure] = {end: [getattr(e, end) for e in found] for end in ("value", "low", "high")}
            for kind in ("kept", "missed", "invented", "reversed"):
                curves[method][kind] = [len(getattr(p.power, kind)) for p in points]
        sizes = {"pool": self.pool, "topics": self.topics, "systems": self.systems}
        return {"metric": self.metric, **sizes, "budgets": list(self.budgets), "curves": curves}

    def __str__(self) -> str:
        head = f"{self.systems} systems, {self.topics} topics, {self.metric}, pool of {self.pool} documents"
        lines = [head, f"{'':<22}" + "".join(f"{b:>8.0%}" for b in self.budgets)]
        for figure in ("found", "tau", "f1"):
            for method in self.methods:
                values = [_figure(p, figure).value for p in self.points if p.method == method]
                lines.append(f"{figure:<6}{method:<16}" + "".join(f"{v:8.3f}" for v in values))
        return "\n".join(lines)


def adjudication_curves(
    runs: Mapping[str, Any],
    judgements: Any,
    *,
    methods: Sequence[str] = tuple(ORDERS),
    budgets: Sequence[float] = BUDGETS,
    metric: Any = "map",
    depth: int = 100,
    relevant_from: float = 1,
    alpha: float = 0.05,
    correction: str = "holm",
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int = 0,
) -> AdjudicationCurves:
    """Return what each order of judging finds and keeps at each budget, by playing it through.

    Parameters
    ----------
    runs : mapping of str to run
        Name of each system -> query -> ids, best first (or id -> score). Queries without a relevant document are left
        out.
    judgements : mapping
        Query -> id -> grade: all that is known.
    methods : sequence of str
    budgets : sequence of float
        Shares of the pool, above 0 and at most 1.
    metric : str, mapping or metric
        What systems are scored by, more being better; without a cut-off it counts the first `depth`.
    depth : int
        The pool of a query holds the first `depth` documents of every system.
    relevant_from : float
        The lowest grade that counts; lower ones are not relevant.
    alpha, correction, resamples, confidence
        As in `qrels_power`.
    random_state : int
        Seed of the orders and of the bootstrap.

    Raises
    ------
    BadInput
        Fewer than two systems, fewer than two queries with a relevant document, a budget outside of (0, 1].
    """
    for name in methods:
        check_choice("methods", name, tuple(ORDERS))
    shares = sorted({float(b) for b in budgets})
    if not shares or not 0 < shares[0] <= shares[-1] <= 1:
        raise BadInput(f"budgets are shares of the pool, above 0 and at most 1, not {list(budgets)}")
    tables = check_runs(runs, least=2, depth=check_positive("depth", depth))
    known = check_judgements(judgements, next(iter(tables.values())))
    relevant = {q: {i: g for i, g in grades.items() if g >= relevant_from} for q, grades in known.items()}
    queries = [q for q in next(iter(tables.values())) if relevant.get(q)]
    if len(queries) < 2:
        raise BadInput(f"only {len(queries)} queries have a relevant document; at least two are needed")
    tables = {name: {q: table[q] for q in queries} for name, table in tables.items()}
    scored = _Scored(tables, {q: relevant[q] for q in queries}, metric, depth)
    full = scored.values(np.ones(len(scored.query), bool))
    power: dict[str, Any] = {"alpha": alpha, "correction": correction}
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "random_state": random_state}
    points, pool = [], 0
    for method in methods:
        order = Adjudicator(tables, method=method, depth=depth, relevant_from=relevant_from, random_state=random_state)
        pool = order.pool_size
        step = scored.steps(order, round(shares[-1] * pool))
        for budget in shares:
            judged = max(1, round(budget * pool))
            seen = step < judged
            share = estimate(scored.share(seen), "found", bounds=(0.0, 1.0), **options)
            kept = qrels_power(full, scored.values(seen), **power, **options)
            points.append(AdjudicationPoint(method, budget, judged, share, kept))
    return AdjudicationCurves(tuple(points), scored.metric.label, pool, len(queries), len(tables))


def _figure(point: AdjudicationPoint, name: str) -> Estimate:
    check_choice("figure", name, ("found", *FIGURES))
    found: Estimate = point.found if name == "found" else getattr(point.power, name)
    return found


class _Scored:
    """Where each system has the relevant documents of each query, so that scoring needs no more than a mask.

    Attributes
    ----------
    query, grade : (m,) arrays
        Of each relevant document.
    above : (n_systems, m) int64
        How many documents the system ranks above it; those it lacks stand behind everything that counts.
    """

    def __init__(
        self, tables: dict[str, dict[Id, list[Id]]], relevant: dict[Id, dict[Id, float]], metric: Any, depth: int
    ) -> None:
        self.names, self.queries = list(tables), list(relevant)
        self.metric = named_metric(metric)
        if not isinstance(self.metric, RankMetric) or not self.metric.higher_is_better:
            raise BadInput(f"{metric} cannot score systems: without an answer a topic counts 0, which must be worst")
        params = self.metric.get_params()
        if params.get("k", depth) is None:
            self.metric = type(self.metric)(**{**params, "k": depth})
        self.ids = [(q, i) for q, grades in relevant.items() for i in grades]
        self.grade = np.array([g for grades in relevant.values() for g in grades.values()])
        self.query = np.repeat(np.arange(len(self.queries)), [len(g) for g in relevant.values()])
        behind = max(depth, params.get("k") or 0)
        self.n_items = behind + len(self.ids)
        self.above = np.empty((len(tables), len(self.ids)), np.int64)
        for row, table in zip(self.above, tables.values(), strict=True):
            place = {(q, i): n for q, ids in table.items() for n, i in enumerate(ids)}
            row[:] = [place.get(pair, behind + at) for at, pair in enumerate(self.ids)]

    def values(self, seen: np.ndarray) -> dict[str, np.ndarray]:
        """Return each system's value on each query if only the relevant documents seen are known; 0 if none is."""
        out = {}
        for name, above in zip(self.names, self.above[:, seen], strict=True):
            order = np.lexsort((above, self.query[seen]))
            ranks = Ranks(
                query=self.query[seen][order],
                above=above[order],
                tied=np.ones(len(order), np.int64),
                grade=self.grade[seen][order],
                n_queries=len(self.queries),
                n_items=self.n_items,
            )
            out[name] = np.nan_to_num(self.metric.from_ranks(ranks))
        return out

    def steps(self, order: Adjudicator, most: int) -> np.ndarray:
        """Return when each relevant document is judged, counted from 0; `most` or more if it is not: (m,) int64."""
        number = {pair: at for at, pair in enumerate(self.ids)}
        out = np.full(len(self.ids), np.iinfo(np.int64).max)
        for step, pair in enumerate(islice(order, max(1, most))):
            at = number.get(pair)
            order.tell(*pair, 0.0 if at is None else float(self.grade[at]))
            if at is not None:
                out[at] = step
        return out

    def share(self, seen: np.ndarray) -> np.ndarray:
        """Return which share of each query's relevant documents is seen: (n_queries,)."""
        return np.bincount(self.query, weights=seen, minlength=len(self.queries)) / np.bincount(self.query)
