import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import Estimate, evaluate_retrieval, intramodal


def world(concepts: int = 30, each: int = 3, style: float = 0.0, seed: int = 0):
    """Items of concepts: texts tell the concept, images the concept and a style of their own that no text knows."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(concepts), each)
    concept = unit(rng.normal(size=(concepts, 8)).astype(np.float32))[labels]
    looks = unit(rng.normal(size=(5, 8)).astype(np.float32))[rng.integers(0, 5, len(labels))]
    nothing = np.zeros_like(concept)
    noise = [0.15 * rng.normal(size=(len(labels), 16)).astype(np.float32) for _ in range(2)]
    return {
        "image": unit(np.hstack([concept, style * looks]) + noise[0]),
        "text": unit(np.hstack([concept, nothing]) + noise[1]),
    }, labels


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    hits = relevant[np.argsort(-scores)]
    return float(np.mean([(hits[: i + 1]).mean() for i in np.flatnonzero(hits)]))


def naive(queries: np.ndarray, gallery: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> list[float]:
    found = []
    for i in asked:
        others = np.arange(len(gallery)) != i
        scores, relevant = (gallery @ queries[i])[others], (labels == labels[i])[others]
        if relevant.any():
            found.append(average_precision(scores, relevant))
    return found


def test_figures_equal_the_naive_loop_over_items_that_have_both():
    vectors, labels = world(each=2, style=0.5)
    labels[0] = 999  # two items without a fellow
    present = {"text": np.random.default_rng(1).random(len(labels)) < 0.7, "image": np.ones(len(labels), bool)}
    present["image"][5:9] = False
    found = intramodal(vectors, labels, present=present)
    assert [(d.searched, d.asks) for d in found.detours] == [("image", "text"), ("text", "image")]
    for d in found.detours:
        here = np.flatnonzero(present[d.searched])
        asked = np.flatnonzero(present[d.asks][here])
        gallery, partner = vectors[d.searched][here], vectors[d.asks][here]
        for name, queries in (("own", gallery), ("other", partner), ("both", unit(gallery + partner))):
            expected = naive(queries, gallery, labels[here], asked)
            np.testing.assert_allclose(getattr(d, name).per_query, expected, atol=1e-6)
        assert d.difference.difference == pytest.approx(d.own.value - d.other.value)


def test_a_modality_with_a_style_of_its_own_is_found_misaligned_and_the_other_is_not():
    found = intramodal(*world(style=1.5))
    assert [(d.searched, d.asks) for d in found.misaligned] == [("image", "text")]
    image = found.misaligned[0]
    assert image.difference.high < 0
    assert image.other.value > image.own.value + 0.2
    assert image.both.value > image.own.value
    assert "worse than the way round" in str(found)
    assert found.to_dict()[0]["misaligned"]


def test_false_alarms_are_as_rare_as_promised():
    alarms = [len(intramodal(*world(concepts=15, seed=s), resamples=1).misaligned) > 0 for s in range(60)]
    assert sum(alarms) <= 7  # 3 expected if both were level; more than 7 has a chance below 2 %


def test_p_values_are_corrected_over_all_ways_round():
    vectors, labels = world(style=0.4, seed=3)
    vectors["other"] = vectors["text"][:, ::-1]
    found = intramodal(vectors, labels)
    assert len(found.detours) == 6
    assert all(d.difference.p_value >= d.difference.p_value_raw for d in found.detours)


def test_another_metric_and_other_groups_are_used():
    vectors, labels = world()
    found = intramodal(vectors, labels, metric="hit@1", groups=np.arange(len(labels))).detours[0]
    z = vectors["image"]
    plain = evaluate_retrieval(z, z, (labels, labels), ["hit@1"], leave_one_out=True)["hit@1"]
    assert isinstance(found.own, Estimate)
    assert (found.own.metric, found.own.value) == ("hit@1", plain.value)
    assert (found.own.low, found.own.high) == (plain.low, plain.high)


def test_modalities_that_no_item_shares_are_left_out():
    vectors, labels = world()
    half = np.arange(len(labels)) < 45
    vectors["sound"] = vectors["text"]
    present = {"text": half, "sound": ~half}
    pairs = {(d.searched, d.asks) for d in intramodal(vectors, labels, present=present).detours}
    assert pairs == {("image", "text"), ("text", "image"), ("image", "sound"), ("sound", "image")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v, y: ({"image": v["image"]}, y), "at least two modalities"),
        (lambda v, y: (v, y[:-1]), "one row for each"),
        (lambda v, y: (v, np.arange(len(y))), "another item of its label"),
        (lambda v, y: (v | {"text": v["text"][:, :4]}, y), "in one space"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(change, words):
    with pytest.raises(BadInput, match=words):
        intramodal(*change(*world()))


def test_masks_and_groups_of_another_length_or_name_are_refused():
    vectors, labels = world()
    with pytest.raises(BadInput, match="groups must have shape"):
        intramodal(vectors, labels, groups=labels[:3])
    with pytest.raises(BadInput, match="present names"):
        intramodal(vectors, labels, present={"sound": np.ones(len(labels), bool)})


def test_all_intervals_have_the_confidence_asked_for():
    vectors, labels = world(style=1.0)
    for detour in intramodal(vectors, labels, confidence=0.8, resamples=50).detours:
        assert detour.difference.confidence == detour.own.confidence == 0.8


def test_a_perfect_figure_has_the_interval_of_its_bounds():
    vectors, labels = world(concepts=12)
    exact = {m: v[np.arange(len(v)) // 3 * 3] for m, v in vectors.items()}
    own = intramodal(exact, labels, resamples=50).detours[0].own
    assert (own.value, own.high) == (1, 1)
    assert own.low == pytest.approx(0.025 ** (1 / 12))


def test_metrics_of_which_less_is_better_are_refused():
    with pytest.raises(BadInput, match="median_rank"):
        intramodal(*world(), metric="median_rank")
