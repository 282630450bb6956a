"""Means are means over kinds of means over benchmarks, with intervals, on pools that are fixed."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge.benchmarks import Benchmark, run_suite


def task(name, n, documents=40):
    held = {f"d{i}": f"{name} {i}" for i in range(documents)}
    return Benchmark(
        name, {f"q{i}": f"{name} {i}" for i in range(n)}, held, {f"q{i}": {f"d{i}": 1.0} for i in range(n)}
    )


def knows(*names):
    """Return a system that is right on some tasks and blind on the others."""

    class Knows:
        def score(self, queries, documents):
            right = np.array([[q == d for d in documents] for q in queries], float)
            return right if queries[0].split()[0] in names else np.zeros_like(right)

    return Knows()


def test_benchmarks_are_averaged_within_their_kind_and_kinds_among_one_another():
    tasks = [task("a", 10), task("b", 20), task("c", 10)]
    found = run_suite(
        tasks, {"half": knows("a", "c")}, kinds={"a": "search", "b": "search", "c": "match"}, baselines=["random"],
        pool=None, resamples=50, progress=False,
    )  # fmt: skip
    means = found.means["half"]
    assert means["search"].value == pytest.approx((1 + 1 / 40) / 2)
    assert means["match"].value == 1
    assert means["all"].value == pytest.approx((means["search"].value + 1) / 2)
    assert means["all"].n == 40
    assert found.to_report().verdict.startswith("The highest mean has half")
    assert "half" in str(found)
    assert found.to_dict()["means"]["half"]["all"]["n"] == 40


def test_pools_have_the_size_asked_for_and_are_the_same_for_all():
    found = run_suite([task("a", 5), task("b", 5, 15)], baselines=["random"], pool=20, resamples=20, progress=False)
    assert found.results["a"].documents == 20
    assert found.results["b"].documents == 15
    assert found.means["random"]["a"].value == pytest.approx(1 / 20)


def test_an_interval_of_a_mean_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        right = {name: rng.random(60) < p for name, p in (("a", 0.3), ("b", 0.7))}

        class Coin:
            def __init__(self, right):
                self.right = right

            def score(self, queries, documents):
                rows = np.zeros((len(queries), len(documents)))
                for i, q in enumerate(queries):
                    name, number = q.split()
                    rows[i, int(number) if self.right[name][int(number)] else -1] = 1
                return rows

        tasks = [task("a", 60, 100), task("b", 60, 100)]
        coin = {"coin": Coin(right)}
        found = run_suite(tasks, coin, baselines=[], pool=None, resamples=200, random_state=seed, progress=False)
        e = found.means["coin"]["all"]
        covered += e.low <= 0.5 <= e.high
    assert 88 <= covered <= 100


def test_suites_that_make_no_sense_are_refused():
    with pytest.raises(BadInput, match="different names"):
        run_suite([task("a", 3), task("a", 3)], progress=False)
    with pytest.raises(BadInput, match="'z'"):
        run_suite([task("a", 3)], kinds={"z": "search"}, progress=False)
