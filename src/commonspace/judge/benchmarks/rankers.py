"""Who can be asked to rank: the cheapest baselines, any encoder, any function, and fusions of them.

    random       every document alike: by the exact ties of the metrics this is the expectation over all orders
    popularity   how often a document answered a query of the training split, whatever is asked
    bm25         Okapi's weighting with b = 0.75 and k1 = 1.5 (`bm25s`), words lower-cased, English stop words left in
    ngrams       latent semantic analysis of word and character n-grams, fitted on the documents
    fusion       sum over systems of 1 / (60 + rank), reciprocal rank fusion

A figure without these beside it says little: whether a task is hard shows only in what the cheapest solve of it.

Sources: Robertson and Walker, "Some simple effective approximations to the 2-Poisson model for probabilistic weighted
retrieval", 1994; Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", 2009.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors, unit
from commonspace.encode.ngrams import NGrams
from commonspace.judge.benchmarks.benchmark import Benchmark
from commonspace.judge.lexical import bm25

#: Items of some queries -> (q, documents) scores, higher is better.
Score = Callable[[Sequence[Any]], npt.NDArray[Any]]
BASELINES = ("random", "popularity", "bm25", "ngrams")
RRF = 60.0


def ranker(system: Any, benchmark: Benchmark) -> Score:
    """Return what scores all documents of a benchmark for some queries.

    Parameters
    ----------
    system : str, encoder, callable, pair of callables, or list of these
        A name of `BASELINES`; anything with ``encode(items) -> (n, dim)``, or such a function, compared by cosine; a
        pair of functions that encode queries and documents; an object with ``score(queries, documents) -> (q, n)``;
        or a list of systems, whose ranks are fused.
    benchmark : Benchmark

    Raises
    ------
    BadInput
        An unknown name, or something that cannot be asked.
    """
    documents = list(benchmark.documents.values())
    if isinstance(system, str):
        if system not in BASELINES:
            raise BadInput(f"there is no baseline {system!r}; there are {', '.join(BASELINES)}")
        return {"random": _random, "popularity": _popularity, "bm25": _bm25, "ngrams": _ngrams}[system](benchmark)
    if isinstance(system, list):
        return _fusion([ranker(s, benchmark) for s in system])
    if isinstance(system, tuple) and len(system) == 2:
        return _cosine(*system, documents)
    if callable(getattr(system, "score", None)):
        return lambda queries: np.asarray(system.score(list(queries), documents))
    encode = getattr(system, "encode", system)
    if not callable(encode):
        raise BadInput(
            f"a system is a name of {', '.join(BASELINES)}, something with encode(items), a function, a pair of "
            f"functions or a list of systems, not {type(system).__name__}"
        )
    return _cosine(encode, encode, documents)


def _cosine(of_query: Callable[[list[Any]], Any], of_document: Callable[[list[Any]], Any], documents: Any) -> Score:
    gallery = unit(check_vectors(of_document(documents), name="vectors of documents"))
    if len(gallery) != len(documents):
        raise BadInput(f"the system gave {len(gallery)} vectors for {len(documents)} documents")

    def score(queries: Sequence[Any]) -> npt.NDArray[Any]:
        asked = check_vectors(of_query(list(queries)), name="vectors of queries", dim=gallery.shape[1])
        scores: npt.NDArray[Any] = unit(asked) @ gallery.T
        return scores

    return score


def _random(benchmark: Benchmark) -> Score:
    return lambda queries: np.zeros((len(queries), len(benchmark.documents)), np.float32)


def _popularity(benchmark: Benchmark) -> Score:
    learned = benchmark.ids("train") if benchmark.split else []
    counts = np.asarray(benchmark.relevance(learned).sum(axis=0) if learned else np.zeros(len(benchmark.documents)))
    return lambda queries: np.repeat(counts[None, :].astype(np.float32), len(queries), axis=0)


def _bm25(benchmark: Benchmark) -> Score:
    score = bm25([_text(d, "documents") for d in benchmark.documents.values()])
    return lambda queries: score([_text(q, "queries") for q in queries])


def _ngrams(benchmark: Benchmark) -> Score:
    documents = [_text(d, "documents") for d in benchmark.documents.values()]
    encoder = NGrams(random_state=0).fit(documents)
    return _cosine(encoder.encode, encoder.encode, documents)


def _fusion(parts: Sequence[Score]) -> Score:
    if len(parts) < 2:
        raise BadInput("a fusion needs at least two systems")

    def score(queries: Sequence[Any]) -> npt.NDArray[Any]:
        ranks = (rankdata(-part(queries), axis=1) for part in parts)  # ties share the mean of their ranks
        fused: npt.NDArray[Any] = np.sum([1 / (RRF + r) for r in ranks], axis=0)
        return fused

    return score


def _text(item: Any, what: str) -> str:
    if not isinstance(item, str):
        raise BadInput(f"this baseline reads texts, but the {what} hold a {type(item).__name__}: leave it out")
    return item
