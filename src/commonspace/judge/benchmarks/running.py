"""Run systems over a benchmark, with the cheapest baselines beside them and a test of every difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.progress import silent, task
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.judge.benchmarks.benchmark import Benchmark
from commonspace.judge.benchmarks.rankers import BASELINES, Score, ranker
from commonspace.judge.report import Report, Section, Sheet
from commonspace.measure import Comparison, Estimate, Ranks, compare, estimate, holm, metric

METRICS = ("ndcg@10", "hit@1", "recall@10", "mrr")


@dataclass(frozen=True)
class BenchmarkResult:
    """What every system reached, and who is better than whom.

    Parameters
    ----------
    benchmark : str
        Its name.
    id : str
        Its digest: figures of other digests are not comparable.
    split : str or None
    documents, queries : int
        Numbers of candidates and of queries.
    figures : mapping of str to (mapping of str to Estimate)
        System -> metric -> figure; baselines first.
    comparisons : tuple of Comparison
        Each of the user's systems against each baseline, by the first metric; p-values corrected by Holm over all.
    pair_auc : mapping of str to Estimate
        System -> how often it prefers a right document to a random wrong one, 0.5 for chance.
    """

    benchmark: str
    id: str
    split: str | None
    documents: int
    queries: int
    figures: Mapping[str, Mapping[str, Estimate]]
    comparisons: tuple[Comparison, ...]
    pair_auc: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            **{name: getattr(self, name) for name in ("benchmark", "id", "split", "documents", "queries")},
            "figures": {s: {m: e.to_dict() for m, e in f.items()} for s, f in self.figures.items()},
            "comparisons": [c.to_dict() for c in self.comparisons],
            "pair_auc": {s: e.to_dict() for s, e in self.pair_auc.items()},
        }

    def __str__(self) -> str:
        wide = max(map(len, self.figures))
        lines = [f"{self.benchmark}: {self.queries:,} queries, {self.documents:,} documents ({self.id[:12]})"]
        for system, found in self.figures.items():
            cells = [f"{name} {e}" for name, e in found.items()] + [f"pairs {self.pair_auc[system]}"]
            lines.append(f"{system:<{wide}}  " + "  ".join(cells))
        return "\n".join([*lines, *map(str, self.comparisons)])

    @property
    def verdict(self) -> str:
        """In words, whether the user's systems are worth more than the cheapest ones."""
        ours = list(dict.fromkeys(c.a for c in self.comparisons))
        said = []
        for system in ours:
            beside = [c for c in self.comparisons if c.a == system]
            lost = [c.b for c in beside if c.p_value < 0.05 and c.difference < 0]
            even = [c.b for c in beside if c.p_value >= 0.05]
            if lost:
                said.append(f"{system} is worse than {_and(lost)}.")
            elif even:
                said.append(f"{system} is not shown to be better than {_and(even)}.")
            else:
                said.append(f"{system} is better than every cheap baseline.")
        return " ".join(said) or "Only baselines were run."

    def to_report(self) -> Report:
        """Return a page: the verdict, the figures, the comparisons."""
        first = next(iter(self.figures.values()))
        rows = [[s, *found.values(), self.pair_auc[s]] for s, found in self.figures.items()]
        sheets = [Sheet(["system", *first, "pairs told apart"], rows, "Values with 95 % intervals over queries.")]
        if self.comparisons:
            compared = [[c.a, c.b, c, c.p_value] for c in self.comparisons]
            note = f"Paired randomisation tests of {next(iter(first))}, corrected by Holm."
            sheets.append(Sheet(["system", "against", "difference", "p"], compared, note))
        about = {name: getattr(self, name) for name in ("benchmark", "id", "split", "documents", "queries")}
        return Report(f"Benchmark: {self.benchmark}", self.verdict, [Section("Systems", sheets=tuple(sheets))], about)


def run_benchmark(
    benchmark: Benchmark,
    systems: Mapping[str, Any] | None = None,
    *,
    baselines: Sequence[str] = BASELINES,
    metrics: Sequence[Any] = METRICS,
    split: str | None = "test",
    negatives: int = 100,
    resamples: int = 1000,
    random_state: RandomState = 0,
    block: int = 64,
    progress: bool = True,
) -> BenchmarkResult:
    """Rank all documents for every query by every system.

    Parameters
    ----------
    benchmark : Benchmark
    systems : mapping of str to system, optional
        Name -> encoder, function, pair of functions or list of systems to fuse; see `rankers.ranker`.
    baselines : sequence of str
        Which of random, popularity, bm25 and ngrams to run beside them.
    metrics : sequence
        As `measure.evaluate` takes them; systems are compared by the first.
    split : str or None
        Which queries; all for None.
    negatives : int
        Wrong documents drawn a query for the pair task.
    resamples : int
        Resamples of the bootstrap.
    random_state : int, Generator or None
        Seed of the negatives and the intervals.
    block : int
        Queries scored at a time; memory is block times documents.
    progress : bool
        Show a bar on terminals.

    Raises
    ------
    BadInput
        No query in the split, a system under a baseline's name, scores of a wrong shape or with NaN.
    """
    asked = benchmark.ids(split)
    if not asked:
        raise BadInput(f"the benchmark {benchmark.name!r} has no query in the split {split!r}")
    if twice := set(systems or {}) & set(baselines):
        raise BadInput(f"{', '.join(sorted(twice))} is the name of a baseline: give the system another")
    check_positive("block", block)
    chosen = {**{b: b for b in baselines}, **(systems or {})}
    if not chosen:
        raise BadInput("there is no system to run: give systems or baselines")
    judged = [(m if isinstance(m, str) else m.label, metric(m)) for m in metrics]
    rng = generator(random_state)
    pairs = _Pairs.draw(benchmark, asked, check_positive("negatives", negatives), rng)
    groups = benchmark.groups(asked)
    figures: dict[str, dict[str, Estimate]] = {}
    auc: dict[str, Estimate] = {}
    for name, system in chosen.items():
        values, told = _values(ranker(system, benchmark), benchmark, asked, judged, pairs, block, name, progress)
        options: dict[str, Any] = {"groups": groups, "resamples": resamples, "random_state": 0}
        figures[name] = {
            label: estimate(v, label, statistic=m.statistic, bounds=m.bounds, **options)
            for (label, m), v in zip(judged, values, strict=True)
        }
        auc[name] = estimate(told, "pair_auc", bounds=(0.0, 1.0), **options)
    first = judged[0][0]
    tested = [
        replace(compare(figures[a][first], figures[b][first], groups=groups, random_state=rng), a=a, b=b)
        for a in (systems or {})
        for b in baselines
    ]
    corrected = holm([c.p_value_raw for c in tested])
    comparisons = tuple(replace(c, p_value=float(p)) for c, p in zip(tested, corrected, strict=True))
    return BenchmarkResult(
        benchmark.name, benchmark.id, split, len(benchmark.documents), len(asked), figures, comparisons, auc
    )


@dataclass(frozen=True)
class _Pairs:
    """For each query of a run, wrong documents to tell the right ones from."""

    wrong: list[np.ndarray]

    @classmethod
    def draw(cls, benchmark: Benchmark, asked: Sequence[str], n: int, rng: np.random.Generator) -> _Pairs:
        right, own = benchmark.relevance(asked), benchmark.own_places(asked)
        wrong = []
        for i in range(len(asked)):
            drawn = rng.integers(0, len(benchmark.documents), 2 * n)
            wrong.append(drawn[~np.isin(drawn, right[[i]].indices) & (drawn != own[i])][:n])
        return cls(wrong)


def _values(
    score: Score,
    benchmark: Benchmark,
    asked: Sequence[str],
    metrics: Sequence[tuple[str, Any]],
    pairs: _Pairs,
    block: int,
    name: str,
    progress: bool,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the (q,) values of each metric, and of the pair task."""
    items = [benchmark.queries[q] for q in asked]
    own = benchmark.own_places(asked)
    values, told = [np.empty(len(asked)) for _ in metrics], np.full(len(asked), 0.5)
    with task(f"Asking {name}", len(asked)) if progress else silent() as bar:
        for start in range(0, len(asked), block):
            stop = min(start + block, len(asked))
            scores = np.array(score(items[start:stop]), np.float64)
            if scores.shape != (stop - start, len(benchmark.documents)):
                raise BadInput(
                    f"{name} gave scores of shape {scores.shape} for {stop - start} queries and "
                    f"{len(benchmark.documents)} documents"
                )
            known = own[start:stop] >= 0
            scores[np.flatnonzero(known), own[start:stop][known]] = -np.inf
            relevance = benchmark.relevance(asked[start:stop])
            ranks = Ranks.of(scores, relevance)
            for v, (_, m) in zip(values, metrics, strict=True):
                v[start:stop] = m.from_ranks(ranks)
            for i in range(stop - start):
                right, wrong = scores[i, relevance[[i]].indices], scores[i, pairs.wrong[start + i]]
                if len(wrong):
                    gaps = right[:, None] - wrong[None, :]
                    told[start + i] = ((gaps > 0) + 0.5 * (gaps == 0)).mean()
            bar.advance(stop - start)
    return values, told


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
