import numpy as np
import pytest

from commonspace.core import BadInput, Views
from commonspace.core.views import Mixed


def parts(n=3, dim=4, modalities=("text", "image")):
    return {
        "z": {m: np.zeros((n, dim)) for m in modalities},
        "present": {m: np.ones(n, bool) for m in modalities},
        "relevance": np.eye(n),
    }


def test_views_know_their_size_their_modalities_and_each_pair_once():
    views = Views(**parts(modalities=("text", "image", "audio")))
    assert len(views) == 3
    assert views.modalities == ["text", "image", "audio"]
    assert list(views.pairs()) == [("text", "image"), ("text", "audio"), ("image", "audio")]


def test_one_modality_has_no_pairs_and_an_empty_batch_is_a_batch():
    views = Views(**parts(n=0, modalities=("text",)))
    assert len(views) == 0
    assert list(views.pairs()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"z": {}, "present": {}}, "at least one modality"),
        ({"z": {"text": np.zeros((3, 4)), "image": np.zeros((3, 5))}}, "one shape"),
        ({"z": {"text": np.zeros(3), "image": np.zeros(3)}}, "one shape"),
        ({"present": {"text": np.ones(3, bool)}}, "present names"),
        ({"present": {"text": np.ones(3, bool), "image": np.ones(2, bool)}}, r"present\['image'\]"),
        ({"present": {"text": np.ones(3, bool), "image": np.ones(3)}}, "booleans, not float64"),
        ({"relevance": np.eye(2)}, r"relevance must have shape \(3, 3\)"),
        ({"frozen": {"text": np.zeros((2, 9))}}, r"frozen\['text'\]"),
        ({"layers": {"text": np.zeros((3, 4))}}, r"layers\['text'\] must have shape \(depth, 3, dim\)"),
        ({"layers": {"text": np.zeros((2, 3, 5))}}, r"layers\['text'\]"),
        ({"old": {"sound": np.zeros((3, 9))}}, r"old\['sound'\] must name a modality of z"),
        ({"old": {"text": np.zeros((2, 9))}}, r"old\['text'\].* shape \(3, d_old\), not \(2, 9\)"),
        ({"old": {"text": np.zeros((3, 9)), "image": np.zeros((3, 8))}}, "one earlier space"),
        ({"groups": np.zeros(2, int)}, r"groups must have shape \(3,\), not \(2,\)"),
        ({"mixed": {"text": Mixed(np.zeros((2, 4)), np.zeros(3, int), np.ones(3))}}, r"mixed\['text'\] must hold rows"),
        ({"mixed": {"sound": Mixed(np.zeros((3, 4)), np.zeros(3, int), np.ones(3))}}, r"mixed\['sound'\]"),
        ({"mixed": {"text": Mixed(np.zeros((3, 4)), np.zeros(2, int), np.ones(3))}}, r"\(3,\) partners and shares"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_in_words(change, words):
    with pytest.raises(BadInput, match=words):
        Views(**{**parts(), **change})


def test_frozen_outputs_may_have_their_own_dimension():
    assert Views(**parts(), frozen={"text": np.zeros((3, 99))}).frozen["text"].shape == (3, 99)


def test_an_earlier_space_may_have_its_own_dimension_and_lack_a_modality():
    assert Views(**parts(), old={"text": np.zeros((3, 99))}).old["text"].shape == (3, 99)


def test_torch_masks_are_masks():
    torch = pytest.importorskip("torch")
    views = Views(z={"a": torch.zeros(2, 3)}, present={"a": torch.ones(2, dtype=torch.bool)}, relevance=torch.eye(2))
    assert len(views) == 2
    with pytest.raises(BadInput, match="booleans"):
        Views(z={"a": torch.zeros(2, 3)}, present={"a": torch.ones(2)}, relevance=torch.eye(2))


def test_comparing_views_answers_instead_of_raising():
    views = Views(**parts())
    assert views == views
    assert views != Views(**parts())
