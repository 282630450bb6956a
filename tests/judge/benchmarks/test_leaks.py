"""Every planted leak is found, and a clean benchmark raises no flag."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge.benchmarks import Benchmark, find_leaks

RNG = np.random.default_rng(0)
WORDS = [f"word{i}" for i in range(3000)]


def text(n=12):
    return " ".join(RNG.choice(WORDS, n))


def clean(n=60, **changes):
    queries = {f"q{i}": text() for i in range(n)}
    documents = {f"d{i}": text(20) for i in range(2 * n)}
    qrels = {f"q{i}": {f"d{i}": 1.0} for i in range(n)}
    split = {f"q{i}": "train" if i % 2 else "test" for i in range(n)}
    given = {"queries": queries, "documents": documents, "qrels": qrels, "split": split}
    return given | changes


def flags(given, **options):
    return {leak.name: leak for leak in find_leaks(Benchmark("b", **given), resamples=100, **options)}


def test_a_clean_benchmark_raises_no_flag():
    found = flags(clean())
    assert list(found) == ["copies", "twins", "repeats", "known", "length"]
    assert [name for name, leak in found.items() if leak.flag] == []
    assert found["copies"].share.value == 0


def test_a_query_that_stands_in_its_answer_is_a_copy():
    given = clean()
    for i in range(0, 20, 2):
        given["documents"][f"d{i}"] = f"{text(5)} {given['queries'][f'q{i}'].upper()}! {text(5)}"
    leak = flags(given)["copies"]
    assert leak.flag
    assert leak.share.value == pytest.approx(10 / 30)
    assert leak.examples[0] == ("q0", "d0")


def test_a_query_that_stands_in_a_document_that_is_no_answer_is_none():
    given = clean()
    given["documents"]["d100"] = given["queries"]["q0"]
    assert flags(given)["copies"].share.value == 0


def test_an_unjudged_twin_of_an_answer_is_found_but_not_a_judged_one():
    given = clean()
    for i in range(0, 20, 2):
        given["documents"][f"d{60 + i}"] = given["documents"][f"d{i}"] + " more"
    leak = flags(given)["twins"]
    assert leak.flag
    assert leak.share.value == pytest.approx(10 / 30)
    for i in range(0, 20, 2):
        given["qrels"][f"q{i}"][f"d{60 + i}"] = 1.0
    assert flags(given)["twins"].share.value == 0


def test_a_held_out_query_that_was_trained_on_and_a_known_answer_are_found():
    given = clean()
    for i in range(0, 10, 2):
        given["queries"][f"q{i}"] = given["queries"][f"q{i + 1}"]
        given["qrels"][f"q{i + 20}"] = {f"d{i + 1}": 1.0}
    found = flags(given)
    assert found["repeats"].share.value == pytest.approx(5 / 30)
    assert found["known"].share.value == pytest.approx(5 / 30)
    assert found["known"].examples[0] == ("q20", "d1")


def test_a_length_that_tells_right_from_wrong_is_flagged_in_both_directions():
    for words in (60, 3):
        given = clean()
        for i in range(60):
            given["documents"][f"d{i}"] = text(words)
        leak = flags(given)["length"]
        assert leak.flag
        assert abs(leak.share.value - 0.5) > 0.2


def test_what_cannot_be_asked_is_missing():
    given = clean()
    assert list(flags(given | {"split": {}})) == ["copies", "twins", "length"]
    items = given["documents"]
    links = {"queries": items, "documents": items, "qrels": {d: {"d1" if d != "d1" else "d2": 1.0} for d in items}}
    assert "copies" not in flags(links | {"itself": True})


def test_other_items_and_empty_texts():
    with pytest.raises(BadInput, match="none"):
        find_leaks(Benchmark("b", {"q": np.eye(2)}, {"d": "x"}, {"q": {"d": 1.0}}))
    empty = Benchmark("b", {"q": ""}, {"d": "", "e": "some text here"}, {"q": {"d": 1.0}})
    assert [leak.share.value for leak in find_leaks(empty)[:2]] == [0, 0]
    assert find_leaks(empty)[0].to_dict()["name"] == "copies"
