import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.findings.gap import Gap


def world(shift: float, n: int = 200, seed: int = 0) -> Subject:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 16))
    away = np.eye(16)[0] * shift
    sides = {m: unit(z + 0.3 * rng.normal(size=z.shape) + sign * away) for m, sign in (("image", 1), ("text", -1))}
    return Subject(sides, things={m: np.arange(n) for m in sides})


def test_the_score_falls_with_the_distance_of_the_centres(look):
    scores = [look("gap", world(shift))["image->text"].score for shift in (0.0, 0.5, 1.0, 3.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.95
    assert scores[-1] < 0.3


def test_the_score_is_what_the_distance_takes_off_in_spreads_of_cosines(look):
    found = look("gap", world(1.0))["image->text"]
    d = found.evidence["distance of centres"].value
    g = d**2 / 2 / found.evidence["spread of cosines within"]
    assert found.score == pytest.approx(1 / (1 + g))
    assert found.evidence["cosine lost across, in spreads"] == pytest.approx(g)


def test_the_control_has_no_gap(look):
    found = look("gap", world(3.0))["image->text"]
    assert found.evidence["the same, control"].value < 0.3 * found.evidence["distance of centres"].value
    assert found.evidence["told apart, control"].value == pytest.approx(0.5, abs=0.15)
    assert found.evidence["told apart"].value > 0.95


def test_it_needs_pairs_of_two_modalities():
    x = np.random.default_rng(0).normal(size=(50, 4))
    assert "one modality" in Gap().lacks(Subject({"a": x}))
    assert "not known" in Gap().lacks(Subject({"a": x, "b": x}))


def test_too_few_things_are_not_judged(look):
    assert look("gap", world(1.0, n=15)) == {}
