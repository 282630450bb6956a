import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.core.errors import BadInput, NotFound
from commonspace.measure import compare_many, estimate, rank_groups
from commonspace.measure.statistics.rank_groups import _inserted, letters


def pairs_of(n, bits):
    return [p for p, told in zip(combinations(range(n), 2), bits, strict=False) if told]


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 7), bits=st.lists(st.booleans(), min_size=21, max_size=21))
def test_two_systems_share_a_letter_exactly_if_they_were_not_told_apart(n, bits):
    apart = pairs_of(n, bits)
    found = letters(range(n), apart)
    assert all(found)
    for i, j in combinations(range(n), 2):
        assert bool(set(found[i]) & set(found[j])) == ((i, j) not in apart)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 6), bits=st.lists(st.booleans(), min_size=15, max_size=15))
def test_before_sweeping_the_sets_are_all_largest_ones_without_a_difference(n, bits):
    apart = set(pairs_of(n, bits))
    free = [
        frozenset(s)
        for size in range(1, n + 1)
        for s in combinations(range(n), size)
        if not any(p in apart for p in combinations(s, 2))
    ]
    assert _inserted(n, apart) == {s for s in free if not any(s < other for other in free)}


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 6), bits=st.lists(st.booleans(), min_size=15, max_size=15))
def test_no_letter_could_be_left_out(n, bits):
    apart = pairs_of(n, bits)
    found = letters(range(n), apart)
    for letter in set("".join(found)):
        fewer = [set(s) - {letter} for s in found]
        assert not (
            all(fewer) and all(fewer[a] & fewer[b] for a, b in combinations(range(n), 2) if (a, b) not in apart)
        )


def test_neighbours_that_cannot_be_told_apart_overlap():
    assert letters("pqr", [("r", "p")]) == ("a", "ab", "b")
    assert letters("pqr", []) == ("a", "a", "a")
    assert letters("pqr", combinations("pqr", 2)) == ("a", "b", "c")


def test_a_chain_of_systems_needs_one_letter_a_link():
    # Intervals on a line: told apart if further than two places.
    apart = [(i, j) for i, j in combinations(range(8), 2) if j - i > 2]
    assert letters(range(8), apart) == ("a", "ab", "abc", "bcd", "cde", "def", "ef", "f")


def test_systems_are_ordered_best_first_and_carry_their_figures():
    rng = np.random.default_rng(0)
    base = rng.random(300)
    systems = {
        name: base + shift + rng.normal(0, 0.1, 300) for name, shift in [("low", 0), ("high", 0.5), ("top", 0.5)]
    }
    found = rank_groups(systems)
    assert set(found.names[:2]) == {"high", "top"}
    assert found.letters == ("a", "a", "b")
    assert found.figures[2].value == systems["low"].mean()
    assert str(found).splitlines()[2].startswith("low ")
    assert str(found).endswith(" b")
    assert found.comparisons == tuple(compare_many(systems))
    assert json.loads(json.dumps(found.to_dict()))["systems"][0]["letters"] == "a"
    assert rank_groups(systems, higher_is_better=False).names[0] == "low"


def test_estimates_are_shown_as_they_were_made_and_medians_are_not_taken_for_means():
    rng = np.random.default_rng(1)
    ones, skewed = estimate(np.ones(20), "hit@1", bounds=(0, 1)), estimate(rng.exponential(size=20), statistic="median")
    found = rank_groups({"ones": ones, "skewed": skewed})
    by_name = dict(zip(found.names, found.figures, strict=True))
    assert by_name["ones"] is ones
    assert by_name["skewed"].value == skewed.per_query.mean()


def test_groups_of_queries_make_it_harder_to_tell_systems_apart():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(8), 40)
    shift = np.repeat(rng.normal(0.4, 1, 8), 40)
    systems = {"a": shift, "b": shift * 0}
    assert rank_groups(systems).letters == ("a", "b")
    assert rank_groups(systems, groups=groups).letters == ("a", "a")


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: letters("ab", [("a", "c")]), NotFound, "'c'"),
        (lambda: letters("ab", [("a", "a")]), BadInput, "itself"),
        (lambda: letters(range(60), combinations(range(60), 2)), BadInput, "more letters"),
        (lambda: rank_groups({"a": [1.0], "b": [0.0]}, alpha=5), BadInput, "alpha"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
