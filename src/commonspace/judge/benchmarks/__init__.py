"""Benchmarks made from users' own corpora: building, leak checks, cheap baselines beside every model."""

from commonspace.judge.benchmarks.benchmark import Benchmark
from commonspace.judge.benchmarks.building import from_fields, from_links
from commonspace.judge.benchmarks.leaks import Leak, find_leaks
from commonspace.judge.benchmarks.needles import chunked, needle_benchmarks
from commonspace.judge.benchmarks.running import BenchmarkResult, run_benchmark
from commonspace.judge.benchmarks.suite import SuiteResult, run_suite

__all__ = [
    "Benchmark",
    "BenchmarkResult",
    "Leak",
    "SuiteResult",
    "chunked",
    "find_leaks",
    "from_fields",
    "from_links",
    "needle_benchmarks",
    "run_benchmark",
    "run_suite",
]
