import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge import Subject
from commonspace.judge.remedies.drop_dimensions import DropDimensions
from commonspace.judge.treatment import treat


def test_dead_and_repeated_dimensions_go_if_they_are_so_in_every_modality():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 8)), rng.normal(size=(200, 8))
    a[:, [2, 5]] = 0
    b[:, 2] = 0
    remedy = DropDimensions().fit(Subject({"a": a, "b": b}), rng)
    assert remedy.kept_.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert remedy.transform(a, "a").shape == (200, 7)


def test_a_dimension_that_drowns_the_others_goes_and_retrieval_is_better_for_it():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 30))
    vectors = {m: z + 0.6 * rng.normal(size=z.shape) for m in "ab"}
    for x in vectors.values():
        x[:, 4] = 30 * rng.normal(size=300)
    subject = Subject(vectors, things={m: np.arange(300) for m in "ab"})
    assert 4 not in DropDimensions().fit(subject, rng).kept_
    assert treat(subject, "drop-dimensions", [], rng).verdict == "helps"


def test_it_never_leaves_nothing():
    with pytest.raises(BadInput, match="no dimension"):
        DropDimensions().fit(Subject({"a": np.ones((50, 3))}), np.random.default_rng(0))
