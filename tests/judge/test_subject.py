"""What a check-up looks at is checked once, at the door."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge import Subject

X = np.eye(4, 3)


def test_a_matrix_alone_is_a_subject():
    subject = Subject({"vectors": X})
    assert subject.modalities == ["vectors"]
    assert subject.name_of("vectors", 2) == "row 2"


def test_rows_are_called_by_their_names():
    assert Subject({"image": X}, names={"image": list("abcd")}).name_of("image", 2) == "c"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"vectors": {}}, "nothing to check"),
        ({"vectors": {"a": np.zeros((0, 3))}}, "with rows"),
        ({"vectors": {"a": X[0]}}, "shape"),
        ({"vectors": {"a": X, "b": X[:, :2]}}, "share a dimension"),
        ({"vectors": {"a": X}, "things": {"b": range(4)}}, "no vectors"),
        ({"vectors": {"a": X}, "things": {"a": range(3)}}, "3 rows"),
    ],
)
def test_what_does_not_fit_together_is_refused(given, words):
    with pytest.raises(BadInput, match=words):
        Subject(**given)
