from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.align.hygiene.text_filters import filter_texts
from commonspace.core.errors import BadInput

WORDS = st.lists(st.sampled_from(["a", "red", "bird", "on", "tree", "Tree"]), max_size=5).map(" ".join)


def test_each_text_is_dropped_for_its_own_reason() -> None:
    texts = ["click to enlarge"] * 4 + ["a red bird", "a red bird sings on the old tree today", "bird", " -- ", None]
    texts += ["a red bird zwrlx"]
    found = filter_texts(texts, most_items=3, most_words=8, least_seen=2)
    assert found.verdict.tolist() == ["shared"] * 4 + ["kept", "long", "short", "empty", "empty", "rare"]
    assert found.kept.tolist() == [4]
    assert "4 items have this text" in found.reason[0]
    assert "'zwrlx' is in 1 texts" in found.reason[-1]


def test_a_text_is_shared_by_items_and_not_by_repeats_of_a_pair() -> None:
    assert filter_texts(["a red bird"] * 5, items=["one"] * 5, most_items=1).kept.tolist() == list(range(5))
    assert len(filter_texts(["a red bird", "A  red bird "], items=[1, 2], most_items=1).kept) == 0


def test_an_item_with_very_many_texts_is_dropped_with_all_of_them() -> None:
    texts = [f"a red bird {i}" for i in range(4)] + ["a red bird 9"]
    found = filter_texts(texts, items=["logo"] * 4 + ["bird"], most_texts=3)
    assert found.verdict.tolist() == ["crowded"] * 4 + ["kept"]


@given(st.lists(WORDS, max_size=10), st.integers(1, 3), st.integers(1, 3))
def test_the_counts_are_those_of_a_naive_loop(texts: list[str], most_items: int, least_seen: int) -> None:
    found = filter_texts(texts, most_items=most_items, fewest_words=2, most_words=4, least_seen=least_seen)
    plain = [" ".join(t.lower().split()) for t in texts]
    for i, text in enumerate(plain):
        own = text.split()
        enough = all(sum(w in other.split() for other in set(plain)) >= least_seen for w in own)
        stays = plain.count(text) <= most_items and 2 <= len(own) <= 4 and enough
        assert (found.verdict[i] == "kept") == stays


@given(st.lists(WORDS, max_size=8), st.permutations(range(8)))
def test_the_order_of_the_pairs_does_not_matter(texts: list[str], order: list[int]) -> None:
    order = [i for i in order if i < len(texts)]
    one = filter_texts(texts, most_items=2).verdict
    other = filter_texts([texts[i] for i in order], most_items=2).verdict
    assert other.tolist() == one[order].tolist()


def test_the_audit_can_be_read(tmp_path: Path) -> None:
    texts = ["one word", "click to enlarge", "click to enlarge", "a red bird"]
    found = filter_texts(texts, most_items=1)
    rows = found.table({"url": ["u0", "u1", "u2", "u3"]}, ids="abcd")
    assert [(r["id"], r["verdict"], r["url"]) for r in rows] == [
        ("b", "shared", "u1"),
        ("c", "shared", "u2"),
        ("a", "short", "u0"),
    ]
    assert str(found) == "of 4 pairs 1 are kept; dropped: shared 2, short 1"
    found.to_csv(tmp_path / "audit.csv")
    with (tmp_path / "audit.csv").open(encoding="utf-8") as file:
        assert Counter(row["verdict"] for row in csv.DictReader(file)) == {"shared": 2, "short": 1}


def test_no_texts_are_no_trouble(tmp_path: Path) -> None:
    found = filter_texts([])
    assert len(found.kept) == 0
    assert found.kept.dtype == np.int64
    assert found.table() == []
    found.to_csv(tmp_path / "empty.csv")
    assert str(found) == "of 0 pairs 0 are kept; dropped: none"


@pytest.mark.parametrize(
    "arguments",
    [{"most_items": 0}, {"fewest_words": 5, "most_words": 4}, {"items": [1]}, {"least_seen": -1}],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        filter_texts(["a red bird", "a blue bird"], **arguments)


def test_one_text_in_place_of_several_is_refused() -> None:
    with pytest.raises(BadInput, match="sequence of texts"):
        filter_texts("a red bird")


def test_a_missing_cell_of_a_table_is_no_text_and_anything_else_is_refused() -> None:
    found = filter_texts(["a red bird", float("nan"), None])  # type: ignore[list-item]
    assert found.verdict.tolist() == ["kept", "empty", "empty"]
    with pytest.raises(BadInput, match="text 1 is a int, 3"):
        filter_texts(["a red bird", 3])  # type: ignore[list-item]


def test_words_with_vowel_signs_count_once() -> None:
    assert filter_texts(["हिन्दी भाषा का शब्द"], most_words=4).verdict.tolist() == ["kept"]


def test_items_that_cannot_be_counted_are_refused() -> None:
    with pytest.raises(BadInput, match="item 1 is a list"):
        filter_texts(["a red bird", "a blue bird"], items=["x", ["y"]])  # type: ignore[list-item]
