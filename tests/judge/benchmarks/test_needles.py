"""A planted sentence stands where it should, and who does not read that far does not find it."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.encode.ngrams import NGrams
from commonspace.judge.benchmarks import chunked, needle_benchmarks, run_benchmark


def test_documents_have_the_length_and_the_sentence_stands_at_its_depth():
    made = needle_benchmarks(lengths=[64, 200], depths=[0.0, 0.5, 1.0], queries=9, candidates=12)
    for length, benchmark in made.items():
        assert len(benchmark.queries) == 9
        for query, depth in benchmark.about["depths"].items():
            words = benchmark.documents[f"d{query[1:]}"].split()
            assert len(words) == length
            person = " ".join(benchmark.queries[query].rstrip("?").split()[-2:])
            at = next(i for i in range(length) if " ".join(words[i : i + 2]) == person) - 4
            assert at / (length - 9) == pytest.approx(depth, abs=0.16)


@pytest.mark.parametrize("task", ["passkey", "needle"])
def test_only_the_right_document_names_the_person(task):
    (benchmark,) = needle_benchmarks(task=task, lengths=[40], queries=20, candidates=20).values()
    found = run_benchmark(benchmark, baselines=["bm25"], metrics=["hit@1"], split=None, progress=False, resamples=20)
    assert found.figures["bm25"]["hit@1"].value == 1


def test_seeds_and_fillers():
    one, again, other = (needle_benchmarks(lengths=[50], candidates=60, random_state=s)[50].id for s in (0, 0, 1))
    assert one == again != other
    (own,) = needle_benchmarks(lengths=[30], queries=2, candidates=2, filler=["tick tock"]).values()
    assert "tick tock tick" in own.documents["d0"]


def window(encoder, words):
    return chunked(encoder.encode, words=words, overlap=8, how="first")


def test_a_window_misses_what_stands_behind_it_and_the_best_chunk_finds_it():
    (benchmark,) = needle_benchmarks(
        task="needle", lengths=[300], depths=[0.0, 1.0], queries=40, candidates=40
    ).values()
    texts = [" ".join(d.split()[i : i + 30]) for d in benchmark.documents.values() for i in range(0, 300, 30)]
    encoder = NGrams(dim=128, random_state=0).fit(texts)
    systems = {"first": window(encoder, 32), "max": chunked(encoder.encode, words=32, overlap=8)}
    found = run_benchmark(benchmark, systems, baselines=[], metrics=["hit@1"], split=None, progress=False, resamples=20)
    late = np.array([depth == 1.0 for depth in benchmark.about["depths"].values()])
    first, best = (found.figures[s]["hit@1"].per_query for s in ("first", "max"))
    assert first[late].mean() < 0.2
    assert best[late].mean() > first[late].mean() + 0.4
    assert first[~late].mean() > 0.6


def test_chunks_cover_a_text_with_the_overlap_asked_for():
    text = " ".join(map(str, range(10)))
    parts = chunked(len, words=4, overlap=1).chunks(text)
    assert parts == ["0 1 2 3", "3 4 5 6", "6 7 8 9"]
    assert chunked(len, words=4, overlap=1, how="first").chunks(text) == ["0 1 2 3"]
    assert chunked(len, words=4, overlap=1).chunks("") == [""]


def test_scores_are_the_best_chunk_or_the_mean_of_the_chunks():
    def encode(texts):
        return np.array([[t.count("a"), t.count("b")] for t in texts], float)

    documents, queries = ["a a b b", "b b b a"], ["a"]
    best = chunked(encode, words=2, overlap=0).score(queries, documents)
    np.testing.assert_allclose(best, [[1.0, np.sqrt(0.5)]])
    mean = chunked(encode, words=2, overlap=0, how="mean").score(queries, documents)
    np.testing.assert_allclose(
        mean, [[np.sqrt(0.5), (np.sqrt(0.5) / 2) / np.hypot(np.sqrt(0.5) / 2, (1 + np.sqrt(0.5)) / 2)]]
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lengths": [5]}, "no room"),
        ({"queries": 9, "candidates": 8}, "no more queries"),
        ({"candidates": 5000}, "names for"),
        ({"depths": [1.5]}, "depths"),
        ({"filler": [" "]}, "filler"),
        ({"task": "haystack"}, "task"),
    ],
)
def test_what_cannot_be_planted_is_refused(given, words):
    with pytest.raises(BadInput, match=words):
        needle_benchmarks(**{"lengths": [64], "queries": 5, "candidates": 10, **given})
    with pytest.raises(BadInput, match="cannot share"):
        chunked(len, words=4, overlap=4)
