import json

import numpy as np
import pytest
from scipy.linalg import hadamard

from commonspace.core.errors import BadInput
from commonspace.measure import match_units


def world(n: int = 600, noise: float = 0.3, seed: int = 0):
    """B = 8 units of A in another order and sign, two blocks of 4 turned, 4 fresh; A has 6 units of its own."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, 22))
    order = rng.permutation(8)
    turned = [a[:, k : k + 4] @ hadamard(4) / 2 for k in (8, 12)]
    b = np.hstack([a[:, order], *turned, rng.normal(size=(n, 4))]) + noise * rng.normal(size=(n, 20))
    return a, b * rng.choice([-1, 1], 20), order


def test_what_was_planted_is_recovered():
    a, b, order = world()
    found = match_units(a, b)
    matched = {p.b: p.a for p in found.pairs}
    assert [matched[k] for k in range(8)] == order.tolist()
    assert all(p.r > 0.9 for p in found.pairs if p.b < 8)
    blocks = [(c.a, c.b) for c in found.clusters[:2]]
    assert sorted(blocks) == [((8, 9, 10, 11), (8, 9, 10, 11)), ((12, 13, 14, 15), (12, 13, 14, 15))]
    assert {(c.a, c.b) for c in found.clusters[2:]} == {((int(order[k]),), (k,)) for k in range(8)}
    assert all(c.cka.low > 0.7 for c in found.clusters)
    assert found.alone_a == tuple(range(16, 22))
    assert found.alone_b == (16, 17, 18, 19)
    assert found.p_value == 0.01


def test_r2_of_few_units_is_what_was_planted():
    a, b, _ = world(n=3000, noise=0.5)
    found = match_units(a, b, inputs=(1, 4, 10))
    kept = 1 / (1 + 0.5**2)
    assert found.sparse[4].value == pytest.approx(kept * 16 / 20, abs=0.02)
    assert found.sparse[1].value == pytest.approx(kept * (8 + 8 / 4) / 20, abs=0.02)
    assert found.whole.value == pytest.approx(kept * 16 / 20, abs=0.02)
    assert found.close.value == pytest.approx(0.4, abs=0.1)  # of the blocks each |r| is 0.45


def test_a_rotation_hides_the_units_and_keeps_the_space():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(500, 24))
    b = a @ np.linalg.qr(rng.normal(size=(24, 24)))[0]
    found = match_units(a, b)
    assert found.whole.value > 0.99
    assert found.sparse[1].value < 0.35
    assert found.one_to_one.value < 0.6


def test_unrelated_encoders_are_at_zero_on_other_items():
    rng = np.random.default_rng(2)
    found = [match_units(rng.normal(size=(60, 15)), rng.normal(size=(60, 15)), random_state=s) for s in range(20)]
    assert np.mean([f.one_to_one.value for f in found]) == pytest.approx(0, abs=0.03)
    assert np.mean([f.chance for f in found]) > 0.2  # what matching reaches on the items it was chosen on
    assert np.mean([f.p_value <= 0.05 for f in found]) <= 0.2
    assert np.mean([f.whole.value for f in found]) < 0.05


def test_repetition_shows_where_units_were_merged():
    rng = np.random.default_rng(3)
    a = rng.normal(size=(400, 6))
    b = np.repeat(a, 2, axis=1) + 0.2 * rng.normal(size=(400, 12))  # two copies of every unit
    found = match_units(a, b)
    assert found.best.value > 0.95
    assert len(found.pairs) == 6
    flipped = match_units(b, a)
    assert flipped.best.value == pytest.approx(flipped.one_to_one.value, abs=0.02)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a = rng.normal(size=(200, 6))
        b = a + 0.75 * rng.normal(size=(200, 6))
        e = match_units(a, b, permutations=1, resamples=200, random_state=seed).one_to_one
        inside += e.low <= 0.8 <= e.high
    assert inside >= 51  # 57 expected


def test_units_that_never_vary_are_alone_and_no_trouble():
    a, b, _ = world()
    a[:, 3], b[:, 18] = 5.0, 0.0
    found = match_units(a, b)
    assert 3 in found.alone_a
    assert 18 in found.alone_b
    assert np.isfinite(found.one_to_one.value)


def test_a_unit_that_hardly_ever_speaks_does_not_outweigh_all_others():
    a, b, _ = world()
    a[:, 16:] = b[:, 16:] = 0.0
    b[::150, 17] = 100.0
    found = match_units(a, b)
    assert found.whole.value > 0.6
    assert found.whole.low > 0


def test_the_number_of_clusters_can_be_given_and_groups_stay_together():
    a, b, _ = world(n=300)
    assert len(match_units(a, b, clusters=10).clusters) == 10
    twice = np.repeat(np.arange(300), 2)
    one, grouped = match_units(a, b), match_units(a[twice], b[twice], groups=twice)
    width = one.one_to_one.high - one.one_to_one.low
    assert grouped.one_to_one.high - grouped.one_to_one.low == pytest.approx(width, rel=0.3)


def test_a_seed_repeats_and_the_report_reads_well():
    a, b, _ = world(n=200)
    one, other = (match_units(a, b, most=150, most_units=5, random_state=3) for _ in range(2))
    assert one.to_dict() == other.to_dict()
    assert json.loads(json.dumps(one.to_dict()))["sparse"]["10"]["n"] == 75
    assert "units one to one" in str(one)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: match_units(a, b[:-1]), "same items"),
        (lambda a, b: match_units(a[:19], b[:19]), "at least 20"),
        (lambda a, b: match_units(a[:0], b[:0]), "at least 20"),
        (lambda a, b: match_units(np.ones_like(a), b), "varies"),
        (lambda a, b: match_units(a * np.nan, b), "NaN"),
        (lambda a, b: match_units(a, b, clusters=100), "clusters must lie"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(*world(n=60)[:2])
