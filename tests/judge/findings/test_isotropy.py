import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.judge import Subject


def test_the_score_is_one_less_the_mean_cosine_of_different_rows(look):
    x = unit(np.random.default_rng(0).normal(size=(80, 6)) + 1.0)
    cosines = (x @ x.T)[~np.eye(80, dtype=bool)]
    found = look("isotropy", Subject({"a": x}))["a"]
    assert found.score == pytest.approx(1 - cosines.mean(), abs=1e-5)
    assert found.evidence["mean cosine"].low < cosines.mean() < found.evidence["mean cosine"].high


def test_rows_that_point_away_from_each_other_score_no_more_than_one(look):
    assert look("isotropy", Subject({"a": np.array([[1.0, 0], [-1.0, 0]])}))["a"].score == 1


def test_the_limit_is_a_matter_of_the_user(look):
    x = np.random.default_rng(0).normal(size=(80, 6)) + 1.0
    assert look("isotropy", Subject({"a": x}), limit=0.9)["a"].flag
    assert not look("isotropy", Subject({"a": x}), limit=0.1)["a"].flag
