import json

import numpy as np
import pytest
from scipy.special import ive
from scipy.stats import vonmises_fisher

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import Isotropy, isotropy


def cone(n: int, dim: int, kappa: float, seed: int = 0) -> np.ndarray:
    return vonmises_fisher(np.eye(dim)[0], kappa).rvs(n, random_state=np.random.default_rng(seed))


def truth(dim: int, kappa: float) -> float:
    return 1 - (ive(dim / 2, kappa) / ive(dim / 2 - 1, kappa)) ** 2


def test_the_closed_form_equals_the_loop_over_pairs():
    X = np.random.default_rng(0).normal(1, 1, size=(30, 5))
    u = unit(X)
    pairs = [u[i] @ u[j] for i in range(30) for j in range(30) if i != j]
    assert isotropy(X).isotropy.value == pytest.approx(1 - np.mean(pairs), abs=1e-6)
    assert isotropy(X).mean_cosine.value == pytest.approx(np.mean(pairs), abs=1e-6)


@pytest.mark.parametrize(("dim", "kappa"), [(3, 1.0), (16, 5.0), (64, 64.0), (128, 400.0)])
def test_the_truth_of_von_mises_fisher_clouds_is_found(dim, kappa):
    found = isotropy(cone(4000, dim, kappa)).isotropy
    assert found.value == pytest.approx(truth(dim, kappa), abs=0.01)
    assert found.low - 1e-3 <= truth(dim, kappa) <= found.high + 1e-3


def test_small_samples_are_right_on_average_and_covered():
    found = [isotropy(cone(40, 8, 4.0, seed), random_state=seed).isotropy for seed in range(100)]
    true = truth(8, 4.0)
    assert np.mean([f.value for f in found]) == pytest.approx(true, abs=0.015)  # the squared mean is off by 0.02
    assert sum(f.low <= true <= f.high for f in found) >= 88  # 95 expected


def test_centring_takes_a_common_direction_away_and_nothing_else():
    offset = np.random.default_rng(0).normal(size=(3000, 32))
    offset[:, 0] += 10
    found = isotropy(offset)
    assert found.isotropy.value < 0.3
    assert found.centred.value == pytest.approx(1, abs=0.02)
    two = np.random.default_rng(0).normal(size=(3000, 32)) * 0.05
    two[:, 0] += np.where(np.arange(3000) % 2, 1, -1)
    assert isotropy(two).centred.value == pytest.approx(1, abs=0.02)  # opposite directions cancel: see the spectrum


def test_small_even_clouds_stay_at_one_on_average_after_centring():
    found = [isotropy(np.random.default_rng(s).normal(size=(20, 6))).centred.value for s in range(100)]
    assert np.mean(np.minimum(found, 1.06)) == pytest.approx(1, abs=0.02)


def test_equal_rows_are_not_isotropic_and_opposite_ones_more_than_even():
    same = isotropy(np.tile([0.6, 0.8], (50, 1)))
    assert same.isotropy.value == pytest.approx(0, abs=1e-6)
    assert same.centred.value == 0
    assert isotropy(np.array([[1.0, 0], [-1, 0]])).isotropy.value == 2


def test_lengths_and_blocks_do_not_matter(tmp_path):
    X = np.random.default_rng(0).normal(0.3, 1, size=(500, 8)).astype(np.float32)
    scaled = X * np.random.default_rng(1).uniform(0.1, 10, size=(500, 1)).astype(np.float32)
    one = isotropy(X)
    for other in (isotropy(scaled), isotropy([X[:99], X[99:]])):
        assert other.isotropy.value == pytest.approx(one.isotropy.value, abs=1e-5)
        assert other.centred.value == pytest.approx(one.centred.value, abs=1e-4)


def test_groups_widen_the_interval():
    X = np.repeat(np.random.default_rng(0).normal(1, 1, size=(60, 4)), 10, axis=0)
    alone, grouped = isotropy(X).isotropy, isotropy(X, groups=np.repeat(np.arange(60), 10)).isotropy
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_rows_without_a_direction_are_skipped_and_one_row_is_refused():
    X = np.random.default_rng(0).normal(size=(20, 4))
    X[0], X[1] = 0, np.nan
    found = isotropy(X).isotropy
    assert (found.n, found.skipped) == (18, 2)
    with pytest.raises(BadInput, match="at least two rows"):
        isotropy(X[:3])
    with pytest.raises(BadInput, match="second pass"):
        isotropy(iter([X]))


def test_the_report_is_plain_data():
    found = isotropy(cone(50, 4, 1.0))
    assert isinstance(found, Isotropy)
    assert set(json.loads(json.dumps(found.to_dict()))) == {"isotropy", "centred", "mean_cosine"}
    assert "centred" in str(found)


def test_groups_of_other_rows_are_refused():
    with pytest.raises(BadInput, match="groups holds 60 labels, but there are 50 rows"):
        isotropy(cone(50, 3, 1.0), groups=np.arange(60))
