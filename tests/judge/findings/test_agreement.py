import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.findings.agreement import Agreement
from commonspace.measure.judgements.overlap import rbo

THINGS = np.arange(160)


def world(noise: float) -> Subject:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(160, 10))
    sides = {m: z + noise * rng.normal(size=z.shape) for m in ("image", "text")}
    return Subject(sides, things=dict.fromkeys(sides, THINGS))


def test_modalities_that_are_one_agree_in_everything(look):
    assert look("agreement", world(0.0))["image+text"].score == pytest.approx(1, abs=1e-3)


def test_agreement_falls_with_what_each_modality_says_alone(look):
    scores = [look("agreement", world(noise))["image+text"].score for noise in (0.0, 0.3, 1.0, 30.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.15


def test_the_ways_are_rankings_of_the_other_things_nearest_first():
    subject = world(0.5)
    rows = dict.fromkeys(subject.modalities, THINGS)
    runs = Agreement(depth=7)._runs(subject, rows, np.array([3, 50]))
    assert set(runs) == {"image->image", "image->text", "text->image", "text->text"}
    units = {m: unit(np.asarray(x, np.float32)) for m, x in subject.vectors.items()}
    scores = units["text"][50] @ units["image"].T
    known = [int(j) for j in np.argsort(-scores) if j != 50][:7]
    assert runs["text->image"][50] == known


def test_the_score_is_the_mean_overlap_of_every_way_with_the_three_others(look):
    subject = world(0.5)
    rows = dict.fromkeys(subject.modalities, THINGS)
    runs = Agreement()._runs(subject, rows, THINGS)
    ways = list(runs)
    overlaps = [rbo(runs[a][q], runs[b][q], p=0.9).value for q in THINGS.tolist() for a in ways for b in ways if a != b]
    assert look("agreement", subject)["image+text"].score == pytest.approx(np.mean(overlaps), abs=1e-6)


def test_few_things_are_not_judged(look):
    few = world(0.1).take({m: np.arange(30) for m in ("image", "text")})
    assert look("agreement", few) == {}
