import numpy as np
import pytest

from commonspace.judge import Subject
from commonspace.judge.findings.leaks import Leaks

RNG = np.random.default_rng(0)
X, TRAINED = RNG.normal(size=(100, 12)), RNG.normal(size=(300, 12))


def test_rows_with_a_near_duplicate_in_training_are_counted_and_shown_with_it(look):
    trained = TRAINED.copy()
    trained[[4, 200]] = X[[7, 9]] + 1e-5
    found = look("leaks", Subject({"a": X}, training=Subject({"a": trained})))["a"]
    assert found.score == pytest.approx(0.98)
    assert {(c.caption, c.answers[0].caption) for c in found.cases} == {("row 7", "row 4"), ("row 9", "row 200")}


def test_a_thing_on_both_sides_is_a_leak_whatever_the_vectors_say(look):
    subject = Subject(
        {"a": X},
        things={"a": [f"thing {i}" for i in range(100)]},
        training=Subject({"a": TRAINED}, things={"a": [f"thing {i + 95}" for i in range(300)]}),
    )
    found = look("leaks", subject)["a"]
    assert found.score == pytest.approx(0.95)
    assert found.evidence["things of the training set"].value == pytest.approx(0.05)


def test_it_needs_the_training_set_and_a_modality_that_both_have():
    assert "not given" in Leaks().lacks(Subject({"a": X}))
    assert "none of these" in Leaks().lacks(Subject({"a": X}, training=Subject({"b": TRAINED})))
