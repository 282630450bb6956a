import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import (
    compare_spaces,
    estimate_cka,
    match_units,
    mutual_knn,
    procrustes_distance,
    rsa,
)


def spaces(n: int = 120, seed: int = 0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, 10)).astype(np.float32)
    return a, np.hstack([a[:, :6], rng.normal(size=(n, 2))]).astype(np.float32)


def test_every_part_is_what_its_own_function_returns():
    a, b = spaces()
    found = compare_spaces(a, b, k=5, resamples=100, random_state=3)
    assert found.rsa == rsa(a, b, resamples=100, random_state=3)
    assert found.cka == estimate_cka(a, b)
    assert found.mutual_knn == mutual_knn(a, b, 5, random_state=3)
    assert found.procrustes == procrustes_distance(a, b, random_state=3)
    assert found.units.to_dict() == match_units(a, b, resamples=100, random_state=3).to_dict()
    assert set(json.loads(json.dumps(found.to_dict()))) == {"rsa", "cka", "mutual_knn", "procrustes", "units"}
    assert "linear CKA" in str(found)


def test_a_rotation_is_seen_by_units_alone():
    a, _ = spaces()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(10, 10)))[0]
    found = compare_spaces(a, 2 * a @ turn, resamples=50)
    assert found.rsa.rho.value > 0.999
    assert found.cka.value > 0.999
    assert found.mutual_knn.overlap.value > 0.99
    assert found.procrustes.distance.value < 0.01
    assert found.units.whole.value > 0.99
    assert found.units.sparse[1].value < 0.6


def test_copies_of_things_do_not_count_twice():
    a, b = spaces(n=80)
    twice = np.repeat(np.arange(80), 2)
    one, other = compare_spaces(a, b, resamples=50), compare_spaces(a[twice], b[twice], groups=twice, resamples=50)
    assert other.rsa.rho.value == pytest.approx(one.rsa.rho.value)
    assert other.cka.high - other.cka.low == pytest.approx(one.cka.high - one.cka.low, rel=0.1)


def test_no_more_rows_than_asked_are_used():
    assert compare_spaces(*spaces(), most=60, resamples=20).mutual_knn.overlap.n == 60


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: compare_spaces(a, b[:-1]), "same items"),
        (lambda a, b: compare_spaces(a[:12], b[:12]), "at least 20"),
        (lambda a, b: compare_spaces(0 * a, b), "zero vectors"),
        (lambda a, b: compare_spaces(a, b, groups=[1, 2]), "one label for each"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(*spaces())
