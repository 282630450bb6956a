import numpy as np
import pytest

from commonspace.judge import Subject
from commonspace.judge.findings.pair_outliers import PairOutliers


def world(wrong: int, n: int = 300, dim: int = 12) -> tuple[Subject, set[int]]:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, dim))
    texts = z + 0.3 * rng.normal(size=z.shape)
    swapped = rng.permutation(n)[:wrong]
    texts[swapped] = texts[np.roll(swapped, 1)]
    return Subject({"a": z, "b": texts}, things={m: np.arange(n) for m in "ab"}), set(swapped.tolist())


def test_the_share_of_wrong_pairs_is_found_and_they_are_shown(look):
    subject, swapped = world(60)
    found = look("pair-outliers", subject)["a->b"]
    assert found.evidence["share of wrong pairs"].value == pytest.approx(0.2, abs=0.06)
    assert found.flag
    assert {int(c.caption[4:]) for c in found.cases} <= swapped
    assert all(c.caption == c.answers[0].caption for c in found.cases)


def test_right_pairs_are_left_in_peace(look):
    found = look("pair-outliers", world(0)[0])["a->b"]
    assert not found.flag
    assert found.cases == ()


def test_it_needs_enough_pairs():
    assert PairOutliers().look(world(0, n=40)[0], np.random.default_rng(0)) == []


def test_one_thing_seen_often_has_no_other_partner_to_be_mixed_up_with():
    z = np.random.default_rng(0).normal(size=(300, 12))
    subject = Subject({"a": z, "b": z}, things={m: np.zeros(300, int) for m in "ab"})
    assert PairOutliers().look(subject, np.random.default_rng(0)) == []
