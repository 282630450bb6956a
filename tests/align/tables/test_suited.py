from __future__ import annotations

import json

import pytest

from commonspace.align.tables.roles import Roles
from commonspace.align.tables.suited import suited
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.registry import entries

N = 60
PAIRS = {"q": [f"question {i} of many here" for i in range(N)], "a": [f"the answer {i} to it all" for i in range(N)]}


def by_name(found):
    return {m.name: m for m in found.methods}


def test_a_table_of_pairs_suits_what_needs_pairs_and_not_what_needs_more():
    found = suited(PAIRS)
    methods = by_name(found)
    assert methods["infonce"].suits
    assert "60 pairs" in methods["infonce"].why
    assert not methods["equiangular"].suits
    assert "label" in methods["equiangular"].why
    assert not methods["locality"].suits
    assert not methods["hog"].suits
    assert methods["ngrams"].why == "reads texts: q, a"
    assert methods["pair_quality"].suits
    assert not methods["relevance.by_sets"].suits
    assert "no more than a pair" in methods["one-to-k"].why


def test_every_objective_sampler_and_encoder_is_answered_for():
    names = {(m.protocol, m.name) for m in suited(PAIRS).methods}
    assert {(e.protocol, e.name) for p in ("Encoder", "Objective", "Sampler") for e in entries(p)} <= names


def test_every_reason_is_in_words():
    reasons = [m.why for m in suited(PAIRS).methods]
    assert all(why == why.strip() and "<" not in why and not why.endswith(("uses", ":", ",")) for why in reasons)
    assert by_name(suited(PAIRS))["open-clip"].why == "reads texts or images: q, a"


def test_labels_grades_and_wrong_items_open_what_reads_them():
    found = suited(
        {**PAIRS, "kind": ["x", "y"] * 30, "score": [1, 2, 3] * 20, "wrong": [f"no {i} no" for i in range(N)]}
    )
    methods = by_name(found)
    assert methods["equiangular"].suits
    assert methods["locality"].suits
    assert "grades" in methods["infonce"].why
    assert "not the grades" in methods["siamlip"].why
    assert methods["curate"].suits
    assert found.choice.facts.graded


def test_what_needs_an_earlier_space_says_so():
    assert by_name(suited(PAIRS))["bct"].why == "if you give it vectors in an earlier space (compatible_with)"


def test_too_few_pairs_to_judge_are_not_judged():
    methods = by_name(suited({k: v[:20] for k, v in PAIRS.items()}))
    assert not methods["pair_quality"].suits
    assert "at least 50" in methods["pair_quality"].why


def test_three_sides_have_no_use_for_what_takes_two():
    methods = by_name(suited({**PAIRS, "c": [f"some third text {i} too" for i in range(N)]}))
    assert not methods['fit(noisy_pairs="repair")'].suits
    assert "no more than a pair" not in methods["one-to-k"].why


def test_sides_that_never_meet_suit_no_objective_that_needs_pairs():
    half = [None] * (N // 2)
    apart = {"q": PAIRS["q"][: N // 2] + half, "a": half + PAIRS["a"][N // 2 :]}
    methods = by_name(suited(apart))
    assert not methods["siamlip"].suits
    assert "there are none" in methods["siamlip"].why


def test_pairs_are_rows_with_two_sides_however_few_groups_they_form():
    assert "60 pairs, 2 groups" in by_name(suited({**PAIRS, "kind": ["x", "y"] * 30}))["infonce"].why


def test_given_roles_take_the_place_of_the_guess():
    found = suited(PAIRS, Roles(sides={"text": "a", "reply": {"column": "q", "transform": "lower"}}))
    assert found.to_dict()["roles"]["sides"]["text"] == "a"
    with pytest.raises(NotFound, match="'nothing'"):
        suited(PAIRS, {"anchor": "q", "positive": "nothing"})


def test_the_answer_is_json():
    found = suited(PAIRS)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["rows"] == N
    assert data["auto"]["objective"] in {e.name for e in entries("Objective")}
    assert data["auto"]["reason"] in found.advice


def test_a_table_without_two_sides_is_refused():
    with pytest.raises(BadInput, match="two are needed"):
        suited({"a": PAIRS["a"]})


def test_what_refuses_few_pairs_or_no_labels_is_not_said_to_suit():
    few = by_name(suited({side: cells[:40] for side, cells in PAIRS.items()}))
    assert not few["find_triggers"].suits
    assert by_name(suited(PAIRS))["find_triggers"].suits
    assert not by_name(suited(PAIRS))["choose_bridge"].suits
