"""Several benchmarks under one protocol: a fixed pool of candidates each, one metric, a mean a kind of task.

As in "VLM2Vec: Training Vision-Language Models for Massive Multimodal Embedding Tasks" (2024) every task is "rank the
candidates for a query", on a pool of fixed size, by the share of queries whose first candidate is right; the mean is
taken over benchmarks of a kind, and over kinds. Added here: an interval of every mean (queries are drawn anew within
each benchmark; the benchmarks are what they are), and the digest of every pool, without which figures cannot be
compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.judge.benchmarks.benchmark import Benchmark
from commonspace.judge.benchmarks.rankers import BASELINES
from commonspace.judge.benchmarks.running import BenchmarkResult, run_benchmark
from commonspace.judge.report import Report, Section, Sheet
from commonspace.measure import Estimate
from commonspace.measure.statistics.estimates import draw_counts


@dataclass(frozen=True)
class SuiteResult:
    """What every system reached on every benchmark and on average.

    Parameters
    ----------
    metric : str
    results : mapping of str to BenchmarkResult
        Benchmark -> result.
    kinds : mapping of str to str
        Benchmark -> kind of task.
    means : mapping of str to (mapping of str to Estimate)
        System -> kind, and ``"all"`` for the mean over kinds -> figure.
    """

    metric: str
    results: Mapping[str, BenchmarkResult]
    kinds: Mapping[str, str]
    means: Mapping[str, Mapping[str, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "metric": self.metric,
            "kinds": dict(self.kinds),
            "results": {b: r.to_dict() for b, r in self.results.items()},
            "means": {s: {k: e.to_dict() for k, e in found.items()} for s, found in self.means.items()},
        }

    def __str__(self) -> str:
        wide = max(map(len, self.means))
        return "\n".join(
            f"{system:<{wide}}  " + "  ".join(f"{kind} {e}" for kind, e in found.items())
            for system, found in self.means.items()
        )

    def to_report(self) -> Report:
        """Return a page: means by kind, then every benchmark."""
        kinds = list(next(iter(self.means.values())))
        rows = [[system, *(found[k] for k in kinds)] for system, found in self.means.items()]
        overall = Section("Means", sheets=(Sheet(["system", *kinds], rows, f"Mean {self.metric}, 95 % intervals."),))
        each = [Section(r.benchmark, r.verdict, r.to_report().sections[0].sheets) for r in self.results.values()]
        best = max(self.means, key=lambda s: self.means[s]["all"].value)
        verdict = f"The highest mean has {best}: {self.means[best]['all']}."
        pools = {name: f"{r.documents:,} documents, {r.id[:12]}" for name, r in self.results.items()}
        return Report("Suite of benchmarks", verdict, [overall, *each], pools)


def run_suite(
    benchmarks: Sequence[Benchmark],
    systems: Mapping[str, Any] | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    pool: int | None = 1000,
    metric: str = "hit@1",
    baselines: Sequence[str] = BASELINES,
    split: str | None = "test",
    resamples: int = 1000,
    random_state: RandomState = 0,
    progress: bool = True,
) -> SuiteResult:
    """Run systems over several benchmarks.

    Parameters
    ----------
    benchmarks : sequence of Benchmark
        Of different names.
    systems, baselines, split, progress
        As in `run_benchmark`.
    kinds : mapping of str to str, optional
        Benchmark -> kind of task (retrieval, classification ...); each a kind of its own by default.
    pool : int, optional
        Candidates of each benchmark, fixed by the seed; all documents for None, or where there are no more.
    metric : str
        What is averaged.
    resamples : int
    random_state : int, Generator or None
        Seed of the pools and the intervals.

    Raises
    ------
    BadInput
        No benchmark, two of one name, a kind for none of them.
    """
    names = [b.name for b in benchmarks]
    if not names or len(set(names)) < len(names):
        raise BadInput(f"a suite needs benchmarks of different names, got {names}")
    of = {name: (kinds or {}).get(name, name) for name in names}
    if lost := set(kinds or {}) - set(names):
        raise BadInput(f"kinds speak of {sorted(lost)[0]!r}, which is not among the benchmarks {', '.join(names)}")
    seed = random_state
    results = {}
    for b in benchmarks:
        few = pool is None or len(b.documents) <= pool
        kept = b if few else b.with_pool(pool or 1, split=split, random_state=seed)
        results[b.name] = run_benchmark(
            kept, systems, baselines=baselines, metrics=[metric], split=split if kept.split else None,
            resamples=resamples, random_state=seed, progress=progress,
        )  # fmt: skip
    rng = generator(seed)
    draws = {b.name: _drawn(results[b.name], b, metric, split, resamples, rng) for b in benchmarks}
    means = {s: _means(s, results, draws, of, metric) for s in next(iter(results.values())).figures}
    return SuiteResult(metric, results, of, means)


def _drawn(
    result: BenchmarkResult, benchmark: Benchmark, metric: str, split: str | None, resamples: int, rng: Any
) -> dict[str, np.ndarray]:
    """Return system -> (resamples,) means over queries drawn anew by cluster, the same draw for every system."""
    member = benchmark.groups(benchmark.ids(split))
    sizes = np.bincount(member).astype(float)
    counts = draw_counts(rng, resamples, len(sizes))
    out = {}
    for system, found in result.figures.items():
        sums = np.bincount(member, weights=found[metric].per_query)
        out[system] = (counts @ sums) / (counts @ sizes)
    return out


def _means(
    system: str,
    results: Mapping[str, BenchmarkResult],
    draws: Mapping[str, Mapping[str, np.ndarray]],
    kinds: Mapping[str, str],
    metric: str,
) -> dict[str, Estimate]:
    values, found, n = {}, {}, {}
    for kind in dict.fromkeys(kinds.values()):
        of = [b for b, k in kinds.items() if k == kind]
        values[kind] = float(np.mean([results[b].figures[system][metric].value for b in of]))
        found[kind] = np.mean([draws[b][system] for b in of], axis=0)
        n[kind] = sum(results[b].queries for b in of)
    if len(values) > 1:
        values["all"], found["all"] = float(np.mean(list(values.values()))), np.mean(list(found.values()), axis=0)
        n["all"] = sum(n.values())
    else:
        (kind,) = values
        values["all"], found["all"], n["all"] = values[kind], found[kind], n[kind]
    ends = {kind: np.quantile(d, [0.025, 0.975]) for kind, d in found.items()}
    return {
        kind: Estimate(f"mean {metric}", v, float(ends[kind][0]), float(ends[kind][1]), n[kind])
        for kind, v in values.items()
    }
