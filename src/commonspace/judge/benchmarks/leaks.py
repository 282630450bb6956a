"""What makes a benchmark easier, or falser, than the use it stands for.

    copies       the query stands in its answer word for word (or nearly: 80 % of its runs of three words)
    twins        an answer has a twin among the documents, equal or nearly so, that is not judged: to find it counts
                 as wrong
    repeats      a held-out query, or nearly the same, was in the training split
    known        an answer of a held-out query already answered a query of the training split, so that a model can
                 learn answers by heart (popularity lives on this)
    length       right documents are longer (or shorter) than wrong ones: the share of wrong documents that are
                 shorter; 0.5 says nothing

Runs of three words are compared as sets; texts of fewer words count as one run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.judge.benchmarks.benchmark import Benchmark
from commonspace.measure import Estimate, estimate

NEAR = 0.8
RUN = 3
#: Share of queries above which a leak is worth a flag; what a length may say before it does.
LIMITS = {"copies": 0.05, "twins": 0.01, "repeats": 0.01, "known": 0.05}
LENGTH = 0.1


@dataclass(frozen=True)
class Leak:
    """One way in which a benchmark leaks.

    Parameters
    ----------
    name : str
    share : Estimate
        Of the queries (for ``length``: how often the right document is longer than a wrong one).
    flag : bool
        Whether it is more than can be ignored: the lower end of the interval is beyond the limit.
    examples : tuple of (str, str)
        Query id and the id of what gives it away, at most five.
    advice : str
        What to do.
    """

    name: str
    share: Estimate
    flag: bool
    examples: tuple[tuple[str, str], ...]
    advice: str

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {**vars(self), "share": self.share.to_dict(), "examples": [list(e) for e in self.examples]}

    def __str__(self) -> str:
        return f"{'!' if self.flag else ' '} {self.name:<8} {self.share}  {self.advice if self.flag else ''}".rstrip()


ADVICE = {
    "copies": "Take the query's text out of the documents, or report BM25 beside every model.",
    "twins": "Drop the twins, or judge them like the answer they repeat.",
    "repeats": "Split by cluster of texts, not by query.",
    "known": "Split so that documents of the test are not those of training, or report popularity beside every model.",
    "length": "Cut documents to one length, or report the length as a baseline.",
}


def find_leaks(
    benchmark: Benchmark, *, split: str | None = "test", resamples: int = 1000, random_state: RandomState = 0
) -> list[Leak]:
    """Look for the ways in which a benchmark of texts gives its answers away.

    Parameters
    ----------
    benchmark : Benchmark
        Of texts.
    split : str or None
        The queries to look at; ``repeats`` and ``known`` compare them with the training split, where there is one.
    resamples : int
        Resamples of the bootstrap.
    random_state : int, Generator or None
        Seed of the wrong documents whose length is compared, and of the intervals.

    Returns
    -------
    list of Leak
        In the order above; what cannot be asked is missing: copies where the queries are documents, repeats and known
        without a training split.

    Raises
    ------
    BadInput
        Items that are no texts, no query in the split.
    """
    for what, items in (("query", benchmark.queries), ("document", benchmark.documents)):
        if odd := next((k for k, v in items.items() if not isinstance(v, str)), None):
            raise BadInput(f"leaks are looked for in texts, but the {what} {odd!r} is none")
    asked = benchmark.ids(split)
    if not asked:
        raise BadInput(f"the benchmark {benchmark.name!r} has no query in the split {split!r}")
    learned = [q for q in benchmark.ids("train") if q not in set(asked)] if benchmark.split else []
    given = {"twins": _twins(benchmark, asked)}
    if not benchmark.itself:
        given = {"copies": _copies(benchmark, asked), **given}
    if learned:
        given |= {"repeats": _repeats(benchmark, asked, learned), "known": _known(benchmark, asked, learned)}
    groups = benchmark.groups(asked)
    options: dict[str, Any] = {"groups": groups, "resamples": resamples, "random_state": 0}
    found = []
    for name, hits in given.items():
        share = estimate(np.array([q in hits for q in asked], float), name, bounds=(0.0, 1.0), **options)
        flag = share.low > LIMITS[name]
        found.append(Leak(name, share, flag, tuple(list(hits.items())[:5]), ADVICE[name]))
    longer = estimate(_longer(benchmark, asked, generator(random_state)), "length", bounds=(0.0, 1.0), **options)
    flag = longer.low > 0.5 + LENGTH or longer.high < 0.5 - LENGTH
    return [*found, Leak("length", longer, flag, (), ADVICE["length"])]


def runs_of(texts: Sequence[str]) -> sparse.csr_array:
    """Return which runs of words each text holds: (texts, 2^20) of ones, runs by their hash."""
    from sklearn.feature_extraction.text import HashingVectorizer

    def runs(text: str) -> list[str]:
        words = re.findall(r"\w+", text.lower())
        return [" ".join(words[i : i + RUN]) for i in range(max(1, len(words) - RUN + 1))] if words else []

    hashed = HashingVectorizer(analyzer=runs, norm=None, alternate_sign=False, binary=True)
    return sparse.csr_array(hashed.transform(texts))


def _copies(benchmark: Benchmark, asked: Sequence[str]) -> dict[str, str]:
    right = {d for q in asked for d in benchmark.qrels[q] if d in benchmark.documents}
    names = list(right)
    place = {d: i for i, d in enumerate(names)}
    held = runs_of([benchmark.documents[d] for d in names])
    said = runs_of([benchmark.queries[q] for q in asked])
    found = {}
    for i, q in enumerate(asked):
        own = [place[d] for d in benchmark.qrels[q] if d in place]
        size = said[[i]].nnz
        if not size:
            continue
        shared = (held[own] @ said[[i]].T).toarray()[:, 0]
        if shared.max() >= NEAR * size:
            found[q] = names[own[int(shared.argmax())]]
    return found


def _twins(benchmark: Benchmark, asked: Sequence[str]) -> dict[str, str]:
    names = list(benchmark.documents)
    held = runs_of(list(benchmark.documents.values()))
    place = {d: i for i, d in enumerate(names)}
    right = sorted({place[d] for q in asked for d in benchmark.qrels[q] if d in place})
    near: dict[str, list[str]] = {}
    for start in range(0, len(right), 256):
        rows = right[start : start + 256]
        pairs = _alike(held[rows], held)
        for i, j in zip(*pairs, strict=True):
            if rows[i] != j:
                near.setdefault(names[rows[i]], []).append(names[j])
    found = {}
    for q in asked:
        for d in benchmark.qrels[q]:
            unjudged = [t for t in near.get(d, ()) if t not in benchmark.qrels[q] and not (benchmark.itself and t == q)]
            if unjudged:
                found[q] = unjudged[0]
                break
    return found


def _repeats(benchmark: Benchmark, asked: Sequence[str], learned: Sequence[str]) -> dict[str, str]:
    said, before = (runs_of([benchmark.queries[q] for q in ids]) for ids in (asked, learned))
    found: dict[str, str] = {}
    for start in range(0, len(asked), 256):
        for i, j in zip(*_alike(said[start : start + 256], before), strict=True):
            found.setdefault(asked[start + i], learned[j])
    return found


def _alike(a: sparse.csr_array, b: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of texts that share most of their runs (Jaccard)."""
    shared = sparse.coo_array(a @ b.T)
    i, j = shared.coords
    sizes_a, sizes_b = np.diff(a.indptr), np.diff(b.indptr)
    near = shared.data >= NEAR * (sizes_a[i] + sizes_b[j] - shared.data)
    return i[near], j[near]


def _known(benchmark: Benchmark, asked: Sequence[str], learned: Sequence[str]) -> dict[str, str]:
    before: Mapping[str, str] = {d: q for q in learned for d in benchmark.qrels[q]}
    return {q: d for q in asked for d in benchmark.qrels[q] if d in before}


def _longer(benchmark: Benchmark, asked: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    length = np.array([len(text) for text in benchmark.documents.values()])
    right = benchmark.relevance(asked)
    out = np.full(len(asked), 0.5)
    for i in range(len(asked)):
        own = right[[i]].indices
        drawn = rng.integers(0, len(length), 100)
        wrong = drawn[~np.isin(drawn, own)]
        if len(wrong):
            gaps = length[own][:, None] - length[wrong][None, :]
            out[i] = ((gaps > 0) + 0.5 * (gaps == 0)).mean()
    return out
