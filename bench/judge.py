"""Evaluation and statistics beside other packages, on the same work with the same results.

    runs          figures of a run of dicts against judgements of dicts: ir-measures (which calls trec_eval), ranx
    matrix        nDCG and average precision of a matrix of scores: scikit-learn
    bootstrap     the interval of a mean of 10,000 values from 1,000 resamples: SciPy, by percentiles and BCa
    comparison    five runs evaluated and compared in all pairs by random signs: ranx ("fisher")
    signs         the tests alone: SciPy

Each way is called once before it is timed, so that what ranx compiles is not counted. Packages that are not installed
are left out: ``pip install ranx ir-measures``. Results are checked for equality before the clock starts.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from bench._results import goal, in_turn, write

from commonspace.measure import bootstrap, compare_many, evaluate, evaluate_run

Found = dict[str, dict[str, float]]
METRICS = {"ndcg@10": "nDCG@10", "map": "AP", "mrr": "RR", "recall@100": "R@100"}
PACKAGES = ("numpy", "scipy", "scikit-learn", "ranx", "ir-measures", "pytrec-eval-terrier", "numba")


def main(queries: int = 1000, depth: int = 200) -> None:
    """Time all parts and write what was found."""
    rng = np.random.default_rng(0)
    work = {
        "runs": runs(rng, queries, depth),
        "matrix, ndcg": matrix(rng, queries, "ndcg"),
        "matrix, map": matrix(rng, queries, "map"),
        "bootstrap, percentile": intervals(rng, "percentile"),
        "bootstrap, BCa": intervals(rng, "bca"),
        "comparison": comparison(rng, queries // 4, depth),
        "signs": signs(rng, queries // 4),
    }
    times = {part: in_turn(ways, rounds=3) for part, ways in work.items()}
    goals = []
    for part, found in times.items():
        ours = next(t["cpu_seconds"] for name, t in found.items() if name.startswith("commonspace"))
        for name, t in found.items():
            if not name.startswith("commonspace"):
                goals.append(goal(f"times faster than {name}, {part}", t["cpu_seconds"] / ours, 1.0))
    slowest = max(t["commonspace"]["seconds"] for part, t in times.items() if part.startswith("bootstrap"))
    goals.append(goal("times under 2 seconds, bootstrap of 10,000 queries x 1,000 resamples", 2 / slowest, 1.0))
    rows = [{"part": part, "way": name, **t} for part, found in times.items() for name, t in found.items()]
    write("judge", goals=goals, rows=rows, packages=PACKAGES)


def runs(rng: np.random.Generator, queries: int, depth: int) -> dict[str, Callable[[], Any]]:
    """Return ways to compute four metrics of a run; the first is without intervals, as the others are."""
    run, qrels = found_and_judged(rng, queries, depth)
    want = {name: e.value for name, e in evaluate_run(run, qrels, list(METRICS)).items()}
    ways: dict[str, Callable[[], Any]] = {
        "commonspace": lambda: evaluate_run(run, qrels, list(METRICS), resamples=1),
        "commonspace with intervals": lambda: evaluate_run(run, qrels, list(METRICS)),
    }
    if installed("ir_measures"):
        import ir_measures

        asked = {name: ir_measures.parse_measure(theirs) for name, theirs in METRICS.items()}
        ways["ir-measures"] = lambda: ir_measures.calc_aggregate(list(asked.values()), qrels, run)
        same(want, {name: ways["ir-measures"]()[m] for name, m in asked.items()})
    if installed("ranx"):
        import ranx

        ways["ranx from dicts"] = lambda: ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), list(METRICS))
        kept = ranx.Qrels(qrels), ranx.Run(run)
        ways["ranx, its objects made before"] = lambda: ranx.evaluate(*kept, list(METRICS))
        same(want, ways["ranx from dicts"]())
    return ways


def matrix(rng: np.random.Generator, queries: int, name: str, items: int = 2000) -> dict[str, Callable[[], Any]]:
    """Return ways to compute one metric of a matrix of scores without cut-off."""
    from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

    scores = rng.permuted(np.tile(np.arange(float(items)), (queries, 1)), axis=1)
    relevant = (rng.random(scores.shape) < 0.005).astype(int)
    relevant[:, 0] = 1
    theirs = {"ndcg": ndcg_score, "map": label_ranking_average_precision_score}[name]
    ways = {
        "commonspace": lambda: evaluate(scores, relevant, [name], resamples=1)[name].value,
        "commonspace with intervals": lambda: evaluate(scores, relevant, [name])[name].value,
        "scikit-learn": lambda: theirs(relevant, scores),
    }
    same({name: ways["commonspace"]()}, {name: ways["scikit-learn"]()})
    return ways


def intervals(rng: np.random.Generator, kind: str, n: int = 10_000, resamples: int = 1000) -> dict[str, Any]:
    """Return ways to the bootstrap interval of a mean; random as they are, they agree within a tenth of its width."""
    from scipy import stats

    v = rng.exponential(size=n)
    method = {"bca": "BCa", "percentile": "percentile"}[kind]
    ways = {
        "commonspace": lambda: bootstrap(v, resamples=resamples, interval=kind),
        "SciPy": lambda: (
            stats.bootstrap((v,), np.mean, n_resamples=resamples, batch=100, method=method, rng=0).confidence_interval
        ),
    }
    ours, theirs = np.array(ways["commonspace"]()), np.array(ways["SciPy"]())
    assert np.abs(ours - theirs).max() < 0.1 * (ours[1] - ours[0]), (ours, theirs)
    return ways


def comparison(rng: np.random.Generator, queries: int, depth: int, patterns: int = 1000) -> dict[str, Any]:
    """Return ways to evaluate five runs and compare all pairs of them."""
    if not installed("ranx"):
        return {"commonspace": lambda: None}
    import ranx

    found, qrels = [], {}
    for i in range(5):
        run, qrels = found_and_judged(np.random.default_rng(1), queries, depth, noise=0.5 + 0.1 * i, rng=rng)
        found.append(run)

    def ours() -> dict[tuple[str, str], float]:
        each = (evaluate_run(r, qrels, ["ndcg@10"], resamples=1)["ndcg@10"] for r in found)
        figures = {f"run_{i}": e for i, e in enumerate(each, 1)}
        return {(c.a, c.b): c.p_value for c in compare_many(figures, correction="none", resamples=patterns)}

    def theirs() -> dict[tuple[str, str], float]:
        named = [ranx.Run(r, name=f"run_{i + 1}") for i, r in enumerate(found)]
        report = ranx.compare(ranx.Qrels(qrels), named, ["ndcg@10"], stat_test="fisher", n_permutations=patterns)
        pairs = combinations((run.name for run in named), 2)
        return {pair: report.comparisons[pair]["ndcg@10"]["p_value"] for pair in pairs}

    mine, its = ours(), theirs()
    np.testing.assert_allclose([mine[pair] for pair in its], list(its.values()), atol=0.06)
    return {"commonspace": ours, "ranx": theirs}


def signs(rng: np.random.Generator, queries: int, patterns: int = 10_000) -> dict[str, Any]:
    """Return ways to the p-values of all pairs of five systems by random signs."""
    from scipy import stats

    hard = rng.random(queries)
    systems = {str(i): hard + 0.2 * rng.normal(0.1 * i, 1, queries) for i in range(5)}

    def theirs() -> list[float]:
        return [
            stats.permutation_test(
                (a - b,), np.mean, permutation_type="samples", n_resamples=patterns, vectorized=True, batch=1000, rng=0
            ).pvalue
            for a, b in combinations(systems.values(), 2)
        ]  # fmt: skip

    def ours() -> list[float]:
        return [c.p_value for c in compare_many(systems, correction="none", resamples=patterns)]

    np.testing.assert_allclose(ours(), theirs(), atol=0.03)
    return {"commonspace": ours, "SciPy": theirs}


def found_and_judged(
    world: np.random.Generator, queries: int, depth: int, noise: float = 0.5, rng: np.random.Generator | None = None
) -> tuple[Found, dict[str, dict[str, int]]]:
    """Return a run without ties and judgements with grades, some of items that the run does not have."""
    run, qrels = {}, {}
    for q in range(queries):
        grades = world.integers(0, 4, 2 * depth) * (world.random(2 * depth) < 0.05)
        grades[0] = 1
        scores = grades * 0.3 + noise * (rng or world).normal(size=2 * depth)
        best = np.argsort(-scores)[:depth]
        run[f"q{q}"] = {f"d{i}": float(scores[i]) for i in best}
        judged = np.flatnonzero((grades > 0) | (np.arange(2 * depth) < 20))
        qrels[f"q{q}"] = {f"d{i}": int(grades[i]) for i in judged}
    return run, qrels


def same(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Stop if figures differ by more than single precision does."""
    np.testing.assert_allclose([theirs[name] for name in ours], list(ours.values()), atol=1e-6)


def installed(module: str) -> bool:
    """Return whether a package is there, and say so if it is not."""
    there = importlib.util.find_spec(module) is not None
    if not there:
        print(f"{module} is left out: pip install {module.replace('_', '-')}")
    return there


if __name__ == "__main__":
    main()
