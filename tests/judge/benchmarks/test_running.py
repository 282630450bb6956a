"""Every system is asked the same, the cheapest stand beside it, and a difference is tested."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge.benchmarks import Benchmark, run_benchmark
from commonspace.judge.benchmarks.rankers import ranker
from commonspace.measure import evaluate

WORDS = [f"w{i}" for i in range(60)]


def pairs(n=30, extra=10, split=None):
    """Queries of two words, each of which one document holds, beside documents that answer nothing."""
    documents = {f"d{i}": f"{WORDS[2 * i]} {WORDS[2 * i + 1]} common" for i in range(n)}
    documents |= {f"x{i}": "common rest" for i in range(extra)}
    queries = {f"q{i}": f"{WORDS[2 * i]} {WORDS[2 * i + 1]}" for i in range(n)}
    return Benchmark("pairs", queries, documents, {f"q{i}": {f"d{i}": 1.0} for i in range(n)}, split or {})


def run(benchmark, systems=None, **options):
    return run_benchmark(benchmark, systems, progress=False, resamples=50, **options)


def test_the_random_baseline_is_the_expectation_over_all_orders():
    found = run(pairs(), baselines=["random"], metrics=["hit@1", "recall@10", "mrr"]).figures["random"]
    assert found["hit@1"].value == pytest.approx(1 / 40)
    assert found["recall@10"].value == pytest.approx(10 / 40)
    assert found["mrr"].value == pytest.approx((1 / np.arange(1, 41)).mean())


def test_bm25_and_ngrams_solve_what_words_solve():
    found = run(pairs(), baselines=["bm25", "ngrams"], metrics=["hit@1"])
    assert found.figures["bm25"]["hit@1"].value == 1
    assert found.figures["ngrams"]["hit@1"].value > 0.9
    assert found.pair_auc["bm25"].value == 1


def test_bm25_agrees_with_its_formula():
    benchmark = pairs(4, 2)
    documents = [text.split() for text in benchmark.documents.values()]
    mean = np.mean([len(d) for d in documents])

    def weight(word, d):
        df = sum(word in other for other in documents)
        idf = np.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
        tf = d.count(word)
        return idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(d) / mean))

    expected = [[sum(weight(w, d) for w in q.split()) for d in documents] for q in benchmark.queries.values()]
    scores = ranker("bm25", benchmark)(list(benchmark.queries.values()))
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_a_query_without_a_known_word_gets_equal_scores():
    assert np.ptp(ranker("bm25", pairs())(["nothing known", ""])) == 0


def test_popularity_is_counted_on_the_training_split_only():
    split = {f"q{i}": "train" if i < 10 else "test" for i in range(30)}
    benchmark = pairs(split=split)
    qrels = {q: ({"x0": 1.0} if split[q] == "train" or q == "q10" else r) for q, r in benchmark.qrels.items()}
    learned = Benchmark("learned", benchmark.queries, benchmark.documents, qrels, split)
    scores = ranker("popularity", learned)(["anything"])[0]
    assert dict(zip(learned.documents, scores, strict=True))["x0"] == 10
    assert scores.sum() == 10


def test_figures_are_those_of_evaluate_with_the_query_itself_left_out():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, 5))
    items = {str(i): Z[i] for i in range(20)}
    qrels = {str(i): {str(j): 1.0 for j in rng.permutation(20)[:4] if j != i} for i in range(20)}
    benchmark = Benchmark("vectors", items, items, qrels, itself=True)
    found = run(benchmark, {"own": np.stack}, baselines=[], metrics=["ndcg@10", "mrr"], block=7).figures["own"]
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    naive = evaluate(scores, benchmark.relevance(list(items)).toarray(), ["ndcg@10", "mrr"])
    for name, e in naive.items():
        np.testing.assert_allclose(found[name].per_query, e.per_query, atol=1e-6)


def test_fusion_sums_reciprocal_ranks():
    class Fixed:
        def __init__(self, row):
            self.row = row

        def score(self, queries, documents):
            return np.repeat([self.row], len(queries), axis=0)

    benchmark = pairs(2, 1)
    scores = ranker([Fixed([3.0, 2.0, 1.0]), Fixed([0.0, 0.0, 1.0])], benchmark)(["q"])[0]
    np.testing.assert_allclose(scores, [1 / 61 + 1 / 62.5, 1 / 62 + 1 / 62.5, 1 / 63 + 1 / 61])


def test_pairs_told_apart_is_the_share_of_wrong_documents_scored_lower():
    class Half:
        def score(self, queries, documents):
            return np.repeat([[1.0, 0.0, 2.0, 1.0, 0.0]], len(queries), axis=0)

    documents = {f"d{i}": str(i) for i in range(5)}
    one = Benchmark("one", {"q": "x"}, documents, {"q": {"d0": 1.0}})
    auc = run(one, {"half": Half()}, baselines=[], metrics=["mrr"], negatives=4000).pair_auc["half"].value
    assert auc == pytest.approx((0.0 + 0.5 + 1.0 + 1.0) / 4, abs=0.02)


def test_every_system_is_compared_with_every_baseline_and_the_verdict_says_so():
    good = run(pairs(), {"twin": ["bm25", "ngrams"]}, baselines=["random", "bm25"], metrics=["hit@1"])
    assert [(c.a, c.b) for c in good.comparisons] == [("twin", "random"), ("twin", "bm25")]
    assert good.comparisons[0].p_value < 0.01
    assert good.verdict == "twin is not shown to be better than bm25."
    blind = run(pairs(), {"blind": lambda items: np.ones((len(items), 2))}, baselines=["bm25"], metrics=["hit@1"])
    assert blind.verdict == "blind is worse than bm25."
    assert run(pairs(), baselines=["random"]).verdict == "Only baselines were run."
    page = good.to_report().to_dict()
    assert page["verdict"] == good.verdict
    assert good.to_dict()["id"] == pairs().id
    assert "twin" in str(good)


@pytest.mark.parametrize(
    ("systems", "options", "words"),
    [
        ({"bm25": np.stack}, {}, "the name of a baseline"),
        ({"odd": 3}, {"baselines": []}, "something with encode"),
        ({"odd": ["bm25"]}, {"baselines": []}, "at least two systems"),
        ({"short": lambda items: np.ones((1, 2))}, {"baselines": []}, "gave 1 vectors for 40 documents"),
        ({}, {"baselines": []}, "no system to run"),
        ({}, {"baselines": ["bm52"]}, "no baseline 'bm52'"),
    ],
)
def test_systems_that_cannot_be_asked_are_refused(systems, options, words):
    with pytest.raises(BadInput, match=words):
        run(pairs(), systems, **options)


def test_baselines_of_words_refuse_other_items():
    images = Benchmark("images", {"q": np.eye(2)}, {"d": np.eye(2)}, {"q": {"d": 1.0}})
    with pytest.raises(BadInput, match="reads texts"):
        run(images, baselines=["bm25"])


def test_an_empty_split_is_refused():
    with pytest.raises(BadInput, match="no query in the split 'test'"):
        run(pairs(split={f"q{i}": "train" for i in range(30)}), baselines=["random"])
