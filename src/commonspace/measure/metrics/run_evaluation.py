"""Evaluate runs: what systems found for each query, against judgements, by query id.

A run is the top of a ranking. What the judgements call relevant and the run lacks counts as never found, however long
the run is; what the run has and nobody judged counts as not relevant. Both are the convention of trec_eval, and so is
that a query without results has the worst value there is (``trec_eval -c``): leaving it out would reward giving up.

Ties: items with equal scores count as all their orders, as everywhere here. trec_eval puts them in the order of their
ids, which is arbitrary, and may be lucky; ``ties="trec"`` does the same, with scores in single precision as there, to
reproduce figures to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_positive
from commonspace.measure.metrics.evaluation import METRICS, estimates, named
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.ranks import Ranks
from commonspace.measure.metrics.trec import as_qrels, as_run
from commonspace.measure.statistics.alignment import labels_of
from commonspace.measure.statistics.estimates import Estimate, estimate

TIES = ("mean", "trec")


def evaluate_run(
    run: Any,
    qrels: Any,
    metrics: Sequence[Any] = METRICS,
    *,
    ties: str = "mean",
    missing: str = "zero",
    on_empty: str = "skip",
    groups: Any = None,
    random_state: RandomState = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Return each metric of a run with its interval.

    Parameters
    ----------
    run : mapping, table or path
        Query id -> item id -> score, or what a search returned (anything with `ids` and `scores`) by query id; see
        `trec.as_run`. Queries without judgements are passed over.
    qrels : mapping, table or path
        Query id -> item id -> grade, greater than 0 = relevant; see `trec.as_qrels`.
    metrics : sequence of str, mapping or metric
        As in `evaluate`. Metrics without a cut-off look at the whole run: where it has only the best 1,000, so do they.
    ties : {"mean", "trec"}
        Equal scores count as all their orders, or stand in falling order of their ids.
    missing : {"zero", "skip", "error"}
        Queries with judgements that the run does not have: nothing was found for them; they are left out and counted in
        `skipped`; or raise.
    on_empty : {"skip", "zero", "error"}
        Queries to which no item is relevant: they have no value and are counted in `skipped`; they have 0, as in
        trec_eval; or raise.
    groups : (q,) array in the order of the qrels, or mapping of query id to label, optional
        Queries of one label are drawn together by the bootstrap.

    Returns
    -------
    dict of str to Estimate
        Under the names as they were given. Their `ids` are the queries that count, in the order of the qrels, so that
        `compare` sets two runs side by side query by query.

    Raises
    ------
    BadInput
        No query with both a run and a relevant item; a metric that needs more than the places of relevant items, or
        the rank of one that the run does not have.

    Notes
    -----
    The remaining parameters are those of `evaluate`.
    """
    check_choice("ties", ties, TIES)
    check_choice("missing", missing, ("zero", "skip", "error"))
    check_choice("on_empty", on_empty, ("skip", "zero", "error"))
    built = named(metrics)
    for name, m in built.items():
        if not isinstance(m, RankMetric):
            raise BadInput(f"{name} needs all scores, and a run has only the best: use evaluate")
    found, judged = as_run(run), as_qrels(qrels)
    queries = list(judged)
    answered = np.array([q in found for q in queries], bool)
    if not answered.any():
        raise BadInput(_strangers(found, judged))
    if missing == "error" and not answered.all():
        lacking = queries[int((~answered).argmax())]
        raise BadInput(f"the run lacks {int((~answered).sum())} of {len(queries)} judged queries, first {lacking!r}")
    ranks = _ranks([found.get(q, {}) for q in queries], [judged[q] for q in queries], ties)
    relevant = ranks.relevant > 0
    if on_empty == "error" and not relevant.all():
        raise BadInput(f"query {queries[int((~relevant).argmax())]!r} has no relevant item in the qrels")
    counts = (answered if missing == "skip" else np.ones(len(queries), bool)) & (relevant | (on_empty == "zero"))
    if not counts.any():
        raise BadInput("none of the queries has a relevant item: check the grades")
    values = {}
    for name, m in built.items():
        v = m.from_ranks(ranks)
        v[~relevant] = 0.0  # counts only with on_empty="zero"
        if not np.isfinite(v[counts]).all():
            lacking = queries[int((~np.isfinite(v) & counts).argmax())]
            raise BadInput(f"{name} needs the rank of a relevant item, and the run has none for query {lacking!r}")
        values[name] = (m, v, counts)
    ids = tuple(queries)
    return estimates(values, labels_of(groups, ids), random_state, resamples, confidence, ids)


def judged_share(
    run: Any,
    qrels: Any,
    k: int = 10,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Estimate:
    """Return how much of the first k of a run was judged at all, relevant or not.

    What was not judged counts as not relevant. A run that took no part when the items to judge were picked is therefore
    read as worse than it is; by how much can be seen from this share beside that of other runs.

    Parameters
    ----------
    run, qrels : mapping, table or path
        As in `evaluate_run`.
    k : int
        Cut-off. Divided by what the run has, where that is less.

    Returns
    -------
    Estimate
        Over the queries that the run answers.
    """
    check_positive("k", k)
    found, judged = as_run(run), as_qrels(qrels)
    ids = tuple(q for q in judged if found.get(q))
    if not ids:
        raise BadInput(_strangers(found, judged))
    everything = [dict.fromkeys(judged[q], 1.0) for q in ids]
    ranks = _ranks([found[q] for q in ids], everything, "mean")
    t = ranks.ties
    seen = np.bincount(t.query, weights=t.relevant * t.inside(k) / t.size, minlength=len(ids))
    shares = seen / np.minimum(k, [len(found[q]) for q in ids])
    return estimate(
        shares, f"judged@{k}", bounds=(0.0, 1.0), resamples=resamples, confidence=confidence, random_state=random_state,
        skipped=len(judged) - len(ids), ids=ids,
    )  # fmt: skip


def _ranks(found: Sequence[Mapping[Any, float]], judged: Sequence[Mapping[Any, float]], ties: str) -> Ranks:
    """Return where the relevant items of each query stand in what was found."""
    parts = [_places(f, j, ties) for f, j in zip(found, judged, strict=True)]
    ranked = np.array([len(f) for f in found], np.int64)
    relevant = np.array([len(p[0]) for p in parts], np.int64)
    above, tied, grade = (np.concatenate([p[i] for p in parts]) for i in range(3))
    return Ranks(
        query=np.repeat(np.arange(len(found)), relevant),
        above=above,
        tied=tied,
        grade=grade,
        n_queries=len(found),
        n_items=int((ranked + relevant).max(initial=0)),
        ranked=ranked,
    )


def _places(found: Mapping[Any, float], judged: Mapping[Any, float], ties: str) -> tuple[np.ndarray, ...]:
    """Return above, tied and grade of the relevant items of one query, best first; those not found stand below."""
    grades = {item: g for item, g in judged.items() if g > 0}
    scores = np.fromiter(found.values(), np.float64, len(found))
    if ties == "trec":
        scores = _unequal(scores.astype(np.float32), list(found))
        found = dict(zip(found, scores, strict=True))
    own = [found[item] for item in grades if item in found]
    ordered = np.sort(scores)
    above = len(scores) - ordered.searchsorted(own, "right")
    tied = len(scores) - ordered.searchsorted(own, "left") - above
    best_first = np.argsort(above, kind="stable")
    grade = np.array([g for item, g in grades.items() if item in found], np.float64)[best_first]
    lost = [g for item, g in grades.items() if item not in found]
    return (
        np.concatenate([above[best_first], np.full(len(lost), len(scores))]),
        np.concatenate([tied[best_first], np.full(len(lost), len(lost))]),
        np.concatenate([grade, lost]),
    )


def _unequal(scores: np.ndarray, items: list[Any]) -> np.ndarray:
    """Return scores in the same order, but with ties broken as trec_eval does: falling scores, then falling ids."""
    if len(np.unique(scores)) == len(scores):
        return scores
    worst_first = sorted(range(len(items)), key=lambda i: (scores[i], str(items[i])))
    out = np.empty(len(scores))
    out[worst_first] = np.arange(len(scores))
    return out


def _strangers(found: Mapping[Any, Any], judged: Mapping[Any, Any]) -> str:
    if not found or not judged:
        return f"there is no query in {'the qrels' if found else 'the run'}"
    return (
        f"run and qrels share no query: those of the run are like {next(iter(found))!r}, those of the qrels like "
        f"{next(iter(judged))!r}; ids must be equal, and of one type"
    )
