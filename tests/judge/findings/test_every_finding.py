"""One contract for every finding: it finds what was planted, keeps quiet otherwise, and says what it lacks."""

import json

import numpy as np
import pytest
from claims.judge._worlds import NAMES, planted, sound

from commonspace.core.registry import build, entries
from commonspace.judge import Subject

SEEDS = (500, 501, 502)  # neither those of the claim nor those that the worlds were set up with


def test_every_registered_finding_has_worlds():
    assert {e.name for e in entries("Finding") if e.cls.__module__.startswith("commonspace.")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_planted_is_flagged_and_nothing_else_is(name, look):
    for seed in SEEDS:
        assert any(f.flag for f in look(name, planted(name, seed), seed).values()), seed
        assert not any(f.flag for f in look(name, sound(name, seed), seed).values()), seed


@pytest.mark.parametrize("name", NAMES)
def test_what_is_found_is_ready_for_json_and_the_same_for_one_seed(name, look):
    one, two = ({k: f.to_dict() for k, f in look(name, planted(name, 3), 7).items()} for _ in range(2))
    assert json.dumps(one, allow_nan=False) == json.dumps(two, allow_nan=False)


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_says_what_to_do_and_shows_a_picture(name, look):
    for f in look(name, planted(name, 3)).values():
        assert f.advice.endswith(".")
        assert f.pictures
        if f.remedy is not None:
            build("Remedy", f.remedy)


@pytest.mark.parametrize("name", NAMES)
def test_two_rows_of_nothing_are_no_reason_to_fail(name):
    finding = build("Finding", name)
    small = Subject({"a": np.eye(2, 3, dtype=np.float32)})
    if finding.lacks(small) is None:
        finding.look(small, np.random.default_rng(0))
    else:
        assert finding.lacks(small)


@pytest.mark.parametrize("name", NAMES)
def test_no_finding_changes_what_it_looks_at(name, look):
    subject = planted(name, 4)
    before = {m: x.copy() for m, x in subject.vectors.items()}
    look(name, subject)
    for m, x in before.items():
        np.testing.assert_array_equal(subject.vectors[m], x)
