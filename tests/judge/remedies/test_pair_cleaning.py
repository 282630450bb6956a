import numpy as np

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.remedies.pair_cleaning import PairCleaning
from commonspace.judge.treatment import treat


def noisy(wrong: int, n: int = 400) -> Subject:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 10))
    a, b = (z + 0.4 * rng.normal(size=z.shape) for _ in range(2))
    swapped = rng.permutation(n)[:wrong]
    b[swapped] = b[np.roll(swapped, 1)]
    vectors = {"a": a, "b": b, "c": z}
    return Subject(vectors, things={"a": np.arange(n), "b": np.arange(n)})


def test_wrong_pairs_are_left_out_of_what_is_learned():
    remedy = PairCleaning().fit(noisy(120), np.random.default_rng(0))
    assert 0.15 < remedy.dropped_["a-b"] < 0.45
    assert PairCleaning().fit(noisy(0), np.random.default_rng(0)).dropped_["a-b"] < 0.05


def test_both_sides_go_through_maps_that_differ_in_their_pairs_only():
    subject = noisy(0)
    remedy = PairCleaning().fit(subject, np.random.default_rng(0))
    q, g = (subject.vectors[m][:20].astype(np.float32) for m in "ab")
    for treated, plain in zip(remedy.meet("a", "b", q, g), remedy.without("a", "b", q, g), strict=True):
        assert treated.shape == plain.shape
        np.testing.assert_allclose(np.linalg.norm(treated, axis=1), 1, atol=1e-5)
    back = remedy.meet("b", "a", g, q)
    np.testing.assert_array_equal(back[0], remedy.meet("a", "b", q, g)[1])


def test_search_within_a_modality_and_unlabelled_ones_stay_as_they_are():
    subject = noisy(40)
    remedy = PairCleaning().fit(subject, np.random.default_rng(0))
    x = subject.vectors["a"].astype(np.float32)
    for sides in (remedy.meet("a", "a", x, x), remedy.meet("c", "a", x, x)):
        np.testing.assert_allclose(sides[0], unit(x))


def test_one_modality_has_no_pairs_to_clean():
    done = treat(Subject({"a": np.eye(30)}), "pair-cleaning", [], np.random.default_rng(0))
    assert done.verdict == "not measured"
    assert "no two modalities" in done.why_not
