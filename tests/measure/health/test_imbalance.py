import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.vectors import unit
from commonspace.measure import imbalance


def space(gap: float, sizes: tuple[int, int] = (300, 100), seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for name, n, side in zip(("image", "text"), sizes, (1, -1), strict=True):
        Z = rng.normal(size=(n, 8))
        Z[:, 0] += side * gap
        found[name] = unit(Z.astype(np.float32))
    return found


def test_shares_equal_the_naive_loop():
    Z = space(0.5, (40, 25))
    every = np.concatenate(list(Z.values()))
    found = imbalance(Z, k=6)
    for first, name in ((0, "image"), (40, "text")):
        shares = []
        for i in range(first, first + len(Z[name])):
            scores = every @ every[i]
            scores[i] = -np.inf
            shares.append(np.mean(np.argsort(-scores)[:6] < 40))
        np.testing.assert_allclose(found[name, "image"].share.per_query, shares)
        assert found[name, "image"].share.value + found[name, "text"].share.value == pytest.approx(1)
    assert found["image", "text"].expected == 25 / 64
    assert found["text", "text"].expected == 24 / 64


def test_one_cloud_is_in_balance_whatever_the_sizes():
    found = imbalance(space(0.0))
    for d in found.directions:
        assert d.lift.value == pytest.approx(1, abs=0.2)
        assert d.share.low - 0.03 <= d.expected <= d.share.high + 0.03


def test_a_gap_lets_each_modality_find_itself():
    found = imbalance(space(4.0))
    assert found["image", "text"].lift.high < 0.05
    assert found["text", "text"].lift.value > 3.5
    assert found.worst.asks != found.worst.answers
    assert "expected" in str(found)


def test_a_sample_of_queries_and_blocks_will_do():
    Z = space(0.7, (600, 400))
    whole = imbalance(Z)
    some = imbalance({"image": [Z["image"][:100], Z["image"][100:]], "text": Z["text"]}, most=150)
    for d in some.directions:
        assert d.share.n == 150
        assert d.share.low - 0.02 <= whole[d.asks, d.answers].share.value <= d.share.high + 0.02


def test_three_modalities_and_sick_rows():
    Z = space(0.3) | {"audio": space(0.3, seed=1)["text"]}
    Z["audio"][4], Z["audio"][5] = 0, np.nan
    found = imbalance(Z)
    assert len(found.directions) == 9
    assert found["image", "audio"].expected == 98 / 497
    assert sum(found["audio", m].share.value for m in Z) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda Z: {"image": Z["image"]}, "at least two modalities"),
        (lambda Z: Z | {"text": np.zeros((3, 8))}, "no row with a direction|at least two rows"),
        (lambda Z: Z | {"text": Z["text"][:1]}, "at least two rows"),
        (lambda Z: Z | {"text": Z["text"][:, :3]}, "different spaces"),
        (lambda Z: Z | {"text": iter([Z["text"]])}, "every modality searches it"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(change, words):
    with pytest.raises(BadInput, match=words):
        imbalance(change(space(0.0)))


def test_the_report_is_plain_data_and_a_seed_repeats():
    found = imbalance(space(1.0), most=50, random_state=1)
    json.dumps(found.to_dict())
    assert found == imbalance(space(1.0), most=50, random_state=1)


def test_a_pair_that_was_not_asked_for_is_named():
    with pytest.raises(NotFound, match="'audio'"):
        imbalance(space(0.5, (20, 20)), k=3)["image", "audio"]


def test_ties_across_modalities_favour_none():
    point = np.ones((30, 4), np.float32)
    for names in (("image", "text"), ("text", "image")):
        found = imbalance(dict.fromkeys(names, point), k=5)
        assert [d.share.value for d in found.directions] == pytest.approx([0.5] * 4)
