"""Evaluate a retrieval system: scores or vectors in, figures with intervals out.

Both functions walk over blocks of queries: one block is scored, sorted once, and every metric reads the same ranks.
Memory is that of one block, whatever the number of queries. A gallery that does not fit is read in blocks as well, see
`streaming`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.progress import task
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_positive, check_vectors
from commonspace.measure.metrics.metric import RankMetric, metric
from commonspace.measure.metrics.ranks import Ranks, check_scores, check_shapes
from commonspace.measure.metrics.relevance import Relevance
from commonspace.measure.metrics.streaming import is_stream, stream_ranks
from commonspace.measure.statistics.estimates import Estimate, estimate

METRICS = ("recall@1", "recall@10", "mrr")


def evaluate(
    scores: Any,
    relevance: Any,
    metrics: Sequence[Any] = METRICS,
    *,
    groups: Any = None,
    random_state: RandomState = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
    on_empty: str = "skip",
    block: int = 256,
) -> dict[str, Estimate]:
    """Return each metric of a matrix of scores with its interval.

    Parameters
    ----------
    scores : (q, n) array
        Higher is better. Equal scores are ties and count as all their orders, equally likely. Minus infinity is
        fine and ranks last; NaN is not.
    relevance : (q, n) array, scipy sparse array or tuple (query_keys, gallery_keys)
        Greater than 0 = relevant, and how much; with keys, equal keys are relevant.
    metrics : sequence of str, mapping or metric
        ``"recall@10"``, ``"hit@1"``, ``"mrr"``, ``"ndcg@10"``, ``"map"``, ``"median_rank"`` or instances.
    groups : (q,) array, optional
        Queries of one label are drawn together by the bootstrap.
    random_state : int, Generator or None
        Seed of the bootstrap.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the intervals.
    on_empty : {"skip", "error"}
        Queries to which no item is relevant have no value. They are left out of n and counted in `skipped`, or
        raise.
    block : int
        Queries handled at a time.

    Returns
    -------
    dict of str to Estimate
        Under the names as they were given; instances under their label.

    Raises
    ------
    BadInput
        NaN scores, shapes that disagree, a bad cut-off, no query with a relevant item.
    NotFound
        Unknown metric.
    """
    a, judged = check_scores(scores), Relevance.of(relevance)
    check_shapes(a.shape, judged)
    values = _values(lambda start, stop: a[start:stop], judged, named(metrics), on_empty, block, None)
    return estimates(values, groups, random_state, resamples, confidence)


def evaluate_retrieval(
    queries: Any,
    gallery: Any,
    relevance: Any,
    metrics: Sequence[Any] = METRICS,
    *,
    leave_one_out: bool = False,
    groups: Any = None,
    random_state: RandomState = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
    on_empty: str = "skip",
    block: int = 256,
    title: str | None = None,
) -> dict[str, Estimate]:
    """Return each metric of ranking a gallery by dot product, with its interval.

    Gallery items with the same vector get the same score to the last bit and are ties; a plain matrix product would
    round them differently and break the tie at random.

    Parameters
    ----------
    queries : (q, dim) array
        Unit rows for cosine.
    gallery : (n, dim) array, np.memmap, callable or iterable of (m, dim) arrays
        Unit rows for cosine. A memory map, a row of blocks (that can be gone through twice), or a function that returns
        such a row, is read block by block and never held as a whole; see `streaming` for what is exact then.
    relevance : (q, n) array, scipy sparse array or tuple (query_keys, gallery_keys)
        As in `evaluate`.
    leave_one_out : bool
        The queries are the gallery, in the same order: no item is ranked for itself.
    title : str, optional
        Shows progress under this title.

    Notes
    -----
    The remaining parameters, the result and the errors are those of `evaluate`.
    """
    q = check_vectors(queries, name="queries")
    if is_stream(gallery):
        streamed = _streamed(q, gallery, relevance, leave_one_out, named(metrics), on_empty, block, title)
        return estimates(streamed, groups, random_state, resamples, confidence)
    g = check_vectors(gallery, name="gallery")
    if q.shape[1] != g.shape[1]:
        check_vectors(g, name="gallery", dim=q.shape[1])
    judged = Relevance.of(relevance)
    check_shapes((len(q), len(g)), judged)
    if leave_one_out:
        judged = judged.without_self()
    distinct, place = unique_rows(g)

    def score(start: int, stop: int) -> np.ndarray:
        s: np.ndarray = q[start:stop] @ distinct.T
        if len(distinct) < len(g):
            s = s[:, place]
        if leave_one_out:
            s[np.arange(len(s)), np.arange(start, start + len(s))] = -np.inf
        return s

    values = _values(score, judged, named(metrics), on_empty, block, title)
    return estimates(values, groups, random_state, resamples, confidence)


def named(metrics: Sequence[Any]) -> dict[str, Any]:
    """Return the metrics built, under the names as they were given; instances under their label."""
    if isinstance(metrics, str) or not len(metrics):
        raise BadInput(f'metrics must be a list such as ["recall@10", "mrr"], not {metrics!r}')
    built = [metric(spec) for spec in metrics]
    return {
        spec if isinstance(spec, str) else getattr(m, "label", repr(m)): m
        for spec, m in zip(metrics, built, strict=True)
    }


def _values(
    score: Callable[[int, int], np.ndarray],
    relevance: Relevance,
    metrics: dict[str, Any],
    on_empty: str,
    block: int,
    title: str | None,
) -> dict[str, tuple[Any, np.ndarray, np.ndarray]]:
    """Return name -> (metric, (q,) values, (q,) whether the query has a relevant item)."""
    check_choice("on_empty", on_empty, ("skip", "error"))
    check_positive("block", block)
    n = len(relevance)
    values = {name: np.empty(n) for name in metrics}
    judged = np.zeros(n, bool)
    with task(title, n) if title else nullcontext() as progress:
        for start in range(0, n, block):
            stop = min(start + block, n)
            scores = score(start, stop)
            ranks = Ranks.of_block(scores, *relevance.block(start, stop))
            judged[start:stop] = ranks.relevant > 0
            for name, m in metrics.items():
                values[name][start:stop] = (
                    m.from_ranks(ranks) if isinstance(m, RankMetric) else m(scores, relevance.dense(start, stop))
                )
            if progress is not None:
                progress.advance(stop - start)
    return answerable(values, metrics, judged, on_empty)


def _streamed(
    queries: np.ndarray,
    gallery: Any,
    relevance: Any,
    leave_one_out: bool,
    metrics: dict[str, Any],
    on_empty: str,
    block: int,
    title: str | None,
) -> dict[str, tuple[Any, np.ndarray, np.ndarray]]:
    """Return what `_values` does, from a gallery that is read in blocks."""
    check_choice("on_empty", on_empty, ("skip", "error"))
    check_positive("block", block)
    for name, m in metrics.items():
        if not isinstance(m, RankMetric):
            raise BadInput(f"{name} needs all scores at once: give the gallery as one array")
    judged = Relevance.of(relevance)
    check_shapes((len(queries), judged.n_items), judged)
    if leave_one_out:
        judged = judged.without_self()
    values = {name: np.empty(len(queries)) for name in metrics}
    relevant = np.zeros(len(queries), bool)
    with task(title, None) if title else nullcontext() as progress:
        advance = progress.advance if progress is not None else lambda rows: None
        for start, ranks in stream_ranks(queries, gallery, judged, block=block, advance=advance):
            some = slice(start, start + ranks.n_queries)
            relevant[some] = ranks.relevant > 0
            for name, m in metrics.items():
                values[name][some] = m.from_ranks(ranks)
    return answerable(values, metrics, relevant, on_empty)


def answerable(
    values: dict[str, np.ndarray], metrics: dict[str, Any], judged: np.ndarray, on_empty: str
) -> dict[str, tuple[Any, np.ndarray, np.ndarray]]:
    """Return metric, values and who counts by name, if anyone does."""
    n = len(judged)
    if not judged.any():
        raise BadInput(f"none of the {n} queries has a relevant item: check that queries and gallery share keys")
    if on_empty == "error" and not judged.all():
        raise BadInput(
            f"{int((~judged).sum())} of {n} queries have no relevant item, first query {int((~judged).argmax())}: "
            'remove them, or pass on_empty="skip" to leave them out and have them counted'
        )
    return {name: (m, values[name], judged) for name, m in metrics.items()}


def estimates(
    values: dict[str, tuple[Any, np.ndarray, np.ndarray]],
    groups: Any,
    random_state: RandomState,
    resamples: int,
    confidence: float,
    ids: tuple[Any, ...] = (),
) -> dict[str, Estimate]:
    """Return the estimates of metric and values by name; `ids` are those of all queries, judged or not."""
    out = {}
    for name, (m, v, judged) in values.items():
        labels = None if groups is None else np.asarray(groups)
        if labels is not None and labels.shape != v.shape:
            raise BadInput(f"groups must hold one label for each of the {len(v)} queries, not shape {labels.shape}")
        out[name] = estimate(
            v[judged],
            name,
            statistic=getattr(m, "statistic", "mean"),
            bounds=getattr(m, "bounds", None),
            resamples=resamples,
            groups=None if labels is None else labels[judged],
            confidence=confidence,
            skipped=int((~judged).sum()),
            random_state=random_state,
            ids=tuple(q for q, counts in zip(ids, judged, strict=True) if counts) if ids else (),
        )
    return out


def unique_rows(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows and, for each row, which of them it is."""
    if not len(X) or not X.shape[1]:
        return X, np.arange(len(X))
    rows = X + np.float32(0)  # -0.0 becomes 0.0, so that equal numbers have equal bytes
    _, first, place = np.unique(
        rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel(),
        return_index=True,
        return_inverse=True,
    )
    return (X, np.arange(len(X))) if len(first) == len(X) else (X[first], place)
