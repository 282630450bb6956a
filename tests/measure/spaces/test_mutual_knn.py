import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import mutual_knn


def spaces(n: int = 60, noise: float = 0.7, seed: int = 0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 4))
    return z, np.hstack([z + noise * rng.normal(size=z.shape), 0.3 * rng.normal(size=(n, 3))])


def naive(x, y, k, groups):
    found = []
    for i in range(len(x)):
        others = np.flatnonzero(groups != groups[i])
        near = [set(others[np.argsort(-(unit(v)[others] @ unit(v)[i]))[:k]]) for v in (x, y)]
        found.append(len(near[0] & near[1]) / k)
    return np.array(found)


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(20), 3)])
def test_overlap_equals_the_naive_loop(groups):
    x, y = spaces()
    found = mutual_knn(x, y, 5, groups=groups)
    labels = np.arange(60) if groups is None else groups
    np.testing.assert_allclose(found.overlap.per_query, naive(x, y, 5, labels))
    assert found.chance == pytest.approx(5 / (59 if groups is None else 57))
    expected = (found.overlap.value - found.chance) / (1 - found.chance)
    assert found.above_chance.value == pytest.approx(expected)


def test_a_rotation_keeps_all_neighbours_and_that_is_no_proof_of_perfection():
    x, _ = spaces()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    found = mutual_knn(x, 5 * x @ turn).overlap
    assert (found.value, found.high) == (1, 1)
    assert found.low < 1


def test_unrelated_spaces_are_at_chance():
    rng = np.random.default_rng(2)
    found = [mutual_knn(rng.normal(size=(40, 3)), rng.normal(size=(40, 3)), 8, random_state=rng) for _ in range(60)]
    assert np.mean([f.overlap.value for f in found]) == pytest.approx(8 / 39, abs=0.01)
    assert np.mean([f.above_chance.value for f in found]) == pytest.approx(0, abs=0.015)


def test_ties_do_not_pass_for_agreement():
    same = np.ones((50, 3))
    assert mutual_knn(same, same, 5).overlap.value == pytest.approx(5 / 49, abs=0.08)
    coarse = np.repeat(np.eye(4), 15, axis=0)
    assert mutual_knn(coarse, coarse, 5).overlap.value == pytest.approx(5 / 14, abs=0.1)


def test_the_interval_covers_the_mean_over_samples_about_as_often_as_it_says():
    found = [mutual_knn(*spaces(n=80, seed=s), 5, random_state=s).overlap for s in range(80)]
    truth = np.mean([e.value for e in found])
    inside = sum(e.low <= truth <= e.high for e in found)
    assert inside >= 70  # 76 expected; a bootstrap of the overlaps gives about 65


def test_a_seed_repeats_and_items_are_limited():
    x, y = spaces()
    one, other = (mutual_knn(x, y, most=40, random_state=3) for _ in range(2))
    assert one == other
    assert one.overlap.n == 40
    assert json.loads(json.dumps(one.to_dict()))["k"] == 10
    assert "same 10 nearest" in str(one)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: mutual_knn(x, y[:-1]), "same items"),
        (lambda x, y: mutual_knn(x[:10], y[:10]), "more than 10 items"),
        (lambda x, y: mutual_knn(x * 0, y), "zero vectors"),
        (lambda x, y: mutual_knn(x, y, groups=np.zeros(60)), "one has 0"),
        (lambda x, y: mutual_knn(x[:0], y[:0]), "more than 10 items"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(*spaces())
