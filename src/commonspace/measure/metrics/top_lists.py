"""Evaluate the top-k lists of any search engine: what its index finds, not what an exact ranking would.

A list of k items tells the value of metrics that look no further than k places, and of no others. So recall@10 of lists
of 100 is defined, and map is not, because the relevant item at rank 101 would have added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_positive
from commonspace.measure.metrics.evaluation import answerable, estimates, named
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.ranks import Ranks, check_scores
from commonspace.measure.metrics.relevance import Relevance
from commonspace.measure.statistics.estimates import Estimate

METRICS = ("recall@1", "recall@10", "mrr@10")


def evaluate_hits(
    ids: Any,
    scores: Any,
    relevance: Any,
    metrics: Sequence[Any] = METRICS,
    *,
    groups: Any = None,
    random_state: RandomState = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
    on_empty: str = "skip",
    block: int = 4096,
) -> dict[str, Estimate]:
    """Return each metric of the lists that a search engine returned, with its interval.

    Parameters
    ----------
    ids : (q, k) array of int
        Positions in the gallery of what was found; -1 where a list is shorter.
    scores : (q, k) array or None
        Higher is better; equal scores are ties and count as all their orders. None: the items of each row are in order,
        best first.
    relevance : (q, n) array, scipy sparse array or tuple (query_keys, gallery_keys)
        As in `evaluate`; items that were not found count as well, so that recall is that of the whole gallery.
    metrics : sequence of str, mapping or metric
        With a cut-off of at most k.
    block : int
        Queries handled at a time.

    Raises
    ------
    BadInput
        A metric without a cut-off or with one beyond k; positions outside the gallery; an item twice in one list; NaN.

    Notes
    -----
    The remaining parameters and the result are those of `evaluate`. Where items tie across the end of a list, the
    engine has chosen among them, and the figure is that of its choice. Hits with ids of their own go into
    `evaluate_run`.
    """
    check_choice("on_empty", on_empty, ("skip", "error"))
    check_positive("block", block)
    built, judged = named(metrics), Relevance.of(relevance)
    found = _check_ids(ids, judged)
    order = _check_order(scores, found.shape)
    for name, m in built.items():
        _check_metric(name, m, found.shape[1])
    values = {name: np.empty(len(found)) for name in built}
    relevant = np.zeros(len(found), bool)
    for start in range(0, len(found), block):
        some = slice(start, start + block)
        ranks = _ranks(found[some], order[some], judged, start)
        relevant[some] = ranks.relevant > 0
        for name, m in built.items():
            values[name][some] = m.from_ranks(ranks)
    return estimates(answerable(values, built, relevant, on_empty), groups, random_state, resamples, confidence)


def _ranks(found: np.ndarray, order: np.ndarray, relevance: Relevance, start: int) -> Ranks:
    """Return where the relevant items of a block of queries stand in their lists; those not found stand below."""
    n, k = found.shape
    query, item, grade = relevance.block(start, start + n)
    ranked = (found >= 0).sum(axis=1)
    # One number for each pair of query and item, so that a search finds all of them at once.
    listed = (np.arange(n)[:, None] * (relevance.n_items + 1) + found + 1).ravel()
    by_key = np.argsort(listed, kind="stable")
    wanted = query * (relevance.n_items + 1) + item + 1
    at = listed[by_key].searchsorted(wanted).clip(0, max(len(listed) - 1, 0))
    place = by_key[at] if len(by_key) else at
    there = listed[place] == wanted if len(listed) else np.zeros(len(wanted), bool)

    scores = np.where(found >= 0, order, -np.inf)
    own = Ranks.of_block(scores, query[there], place[there] % k, grade[there]) if k else None
    lost = query[~there]
    missing = np.bincount(lost, minlength=n)
    parts = [(lost, ranked[lost], missing[lost], grade[~there])]
    if own is not None:
        parts.insert(0, (own.query, own.above, own.tied, own.grade))
    asked, above, tied, grades = (np.concatenate(c) for c in zip(*parts, strict=True))
    best_first = np.lexsort((above, asked))
    deepest = int((ranked + np.bincount(query, minlength=n)).max(initial=0))
    return Ranks(
        asked[best_first], above[best_first], tied[best_first], grades[best_first], n, max(deepest, k), ranked
    )  # fmt: skip


def _check_ids(ids: Any, relevance: Relevance) -> np.ndarray:
    found = np.asarray(ids)
    if found.ndim != 2 or found.dtype.kind not in "iu":
        raise BadInput(
            f"ids must be positions in the gallery, integers of shape (queries, k), not {found.dtype} {found.shape}"
        )
    if len(found) != len(relevance):
        raise BadInput(f"ids are of {len(found)} queries but the relevance of {len(relevance)}")
    found = found.astype(np.int64)
    outside = (found < -1) | (found >= relevance.n_items)
    if outside.any():
        query, place = np.argwhere(outside)[0]
        raise BadInput(
            f"query {query} found item {found[query, place]}, but the relevance speaks of {relevance.n_items} items; "
            "-1 stands for none"
        )
    ordered = np.sort(found, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        query, place = np.argwhere(twice)[0]
        raise BadInput(f"query {query} found item {ordered[query, place]} twice: keep its best score only")
    return found


def _check_order(scores: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers that fall along each list, equal where items tie."""
    if scores is None:
        return np.broadcast_to(-np.arange(shape[1], dtype=np.float64), shape)
    a = check_scores(scores)
    if a.shape != shape:
        raise BadInput(f"scores have shape {a.shape} but ids {shape}")
    return a


def _check_metric(name: str, m: Any, k: int) -> None:
    cut = getattr(m, "k", None)
    if not isinstance(m, RankMetric):
        raise BadInput(f"{name} needs all scores, and lists have only the best: use evaluate")
    if cut is None or cut > k:
        raise BadInput(
            f"{name} looks further than lists of {k} items reach: give it a cut-off of at most {k}, such as "
            f"recall@{k}, or ask the engine for more"
        )
