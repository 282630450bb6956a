from dataclasses import replace

import numpy as np
import pytest

from commonspace.judge import Subject
from commonspace.judge.findings.drift import Drift

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 10))
NAMES = {"a": [f"item {i}" for i in range(200)]}


def test_the_same_version_has_kept_every_neighbour(look):
    found = look("drift", Subject({"a": X}, names=NAMES, earlier=Subject({"a": X}, names=NAMES)))["a"]
    assert found.score == 1
    assert not found.flag


def test_items_are_matched_by_name_in_whatever_order_and_dimension(look):
    order = RNG.permutation(200)[:150]
    turned = np.linalg.qr(RNG.normal(size=(14, 14)))[0][:10]
    earlier = Subject({"a": (X @ turned)[order]}, names={"a": [NAMES["a"][i] for i in order]})
    found = look("drift", Subject({"a": X}, names=NAMES, earlier=earlier))["a"]
    assert found.score == 1
    assert "over 150 items" in found.summary


def test_another_space_of_the_same_items_is_a_drift_and_shows_who_moved(look):
    other = RNG.normal(size=(200, 10))
    found = look("drift", Subject({"a": X}, names=NAMES, earlier=Subject({"a": other}, names=NAMES)))["a"]
    assert found.flag
    assert found.score == pytest.approx(found.evidence["by chance"], abs=0.05)
    assert found.cases[0].caption.startswith("item ")


def test_rows_without_names_are_samples_unless_they_kept_their_neighbours(look):
    sample = look("drift", Subject({"a": X}, earlier=Subject({"a": RNG.normal(size=(200, 10))})))["a"]
    assert "AUC" in sample.summary
    assert not sample.flag
    version = look("drift", Subject({"a": X}, earlier=Subject({"a": X + 0.01})))["a"]
    assert "neighbours" in version.summary


def test_a_shifted_sample_is_told_from_the_earlier_one(look):
    found = look("drift", Subject({"a": X + 1}, earlier=Subject({"a": RNG.normal(size=(120, 10))})))["a"]
    assert found.flag
    assert found.score < 0.5


def test_views_of_one_thing_do_not_pass_for_evidence(look):
    # Few things in many copies: rows differ between the samples, things are drawn from one source.
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(60, 10))
        rows = np.repeat(z, 5, axis=0) + 0.05 * rng.normal(size=(300, 10))
        things = np.repeat(np.arange(60), 5)
        whole = Subject({"a": rows}, things={"a": things})
        parts = [whole.take({"a": np.flatnonzero((things < 30) == first)}) for first in (True, False)]
        alarms += look("drift", replace(parts[0], earlier=parts[1]), seed)["a"].flag
    assert alarms <= 3


def test_it_needs_an_earlier_version_of_one_of_its_modalities():
    assert "no earlier" in Drift().lacks(Subject({"a": X}))
    assert "none of these" in Drift().lacks(Subject({"a": X}, earlier=Subject({"b": X})))
