import json

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import rsa, rsa_many


def spaces(n: int = 40, noise: float = 1.0, dim: int = 5, seed: int = 0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, dim))
    return z, z + noise * rng.normal(size=z.shape)


def pairs(z):
    u = unit(z)
    return (u @ u.T)[np.triu_indices(len(z), 1)]


@pytest.mark.parametrize(
    ("method", "reference"), [("spearman", stats.spearmanr), ("pearson", stats.pearsonr), ("kendall", stats.kendalltau)]
)
def test_the_value_is_the_correlation_of_all_pairs(method, reference):
    a, b = spaces()
    found = rsa(a, b, method=method, permutations=9, resamples=50)
    assert found.rho.value == pytest.approx(reference(pairs(a), pairs(b)).statistic, abs=1e-4)
    assert found.rho.low < found.rho.value < found.rho.high
    assert found.rho.n == 40


def test_rotation_scale_and_more_dimensions_change_nothing():
    a, b = spaces()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    wide = np.hstack([3 * b @ turn, np.zeros((40, 4))])
    one, other = rsa(a, b, permutations=99), rsa(a, wide, permutations=99)
    assert other.rho.value == pytest.approx(one.rho.value, abs=1e-4)
    assert other.p_value == one.p_value
    assert rsa(a, 2 * a @ turn, permutations=9).rho.value == pytest.approx(1, abs=1e-4)


def test_a_matrix_of_similarities_stands_for_vectors():
    a, b = spaces()
    matrix = np.round(unit(b) @ unit(b).T, 6)
    one, other = rsa(a, b, permutations=49), rsa(a, matrix, similarity=("cosine", "precomputed"), permutations=49)
    assert other.rho.value == pytest.approx(one.rho.value, abs=1e-5)
    assert other.p_value == one.p_value


def test_mantels_p_is_that_of_a_naive_loop_and_never_zero():
    a, b = spaces(n=8, noise=3, seed=3)
    found = rsa(a, b, permutations=499, random_state=0)
    i, j = np.triu_indices(8, 1)
    m = np.round(unit(b) @ unit(b).T, 6)
    rng = np.random.default_rng(5)
    orders = [rng.permutation(8) for _ in range(2000)]
    seen = stats.spearmanr(pairs(a), m[i, j]).statistic
    naive = np.mean([stats.spearmanr(pairs(a), m[np.ix_(o, o)][i, j]).statistic >= seen for o in orders])
    assert found.p_value == pytest.approx(naive, abs=0.05)
    assert rsa(a, a, permutations=99).p_value >= 1 / 100


@pytest.mark.parametrize("method", ["spearman", "kendall"])
def test_p_values_are_uniform_where_nothing_is_shared(method):
    rng = np.random.default_rng(4)
    p = [
        rsa(
            rng.normal(size=(8, 3)), rng.normal(size=(8, 3)), method=method, permutations=19, resamples=1,
            random_state=rng,
        ).p_value
        for _ in range(100)
    ]  # fmt: skip
    assert stats.kstest(np.array(p) - rng.random(100) / 20, "uniform").pvalue > 0.01


def test_two_sided_tests_find_opposites_too():
    a, _ = spaces(n=12)
    m = unit(a) @ unit(a).T
    options = {"similarity": "precomputed", "permutations": 199}
    assert rsa(m, -m, **options).p_value > 0.9
    assert rsa(m, -m, alternative="two-sided", **options).p_value < 0.05


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth = stats.spearmanr(*map(pairs, spaces(n=1500, seed=999))).statistic
    found = [rsa(*spaces(n=30, seed=s), permutations=1, resamples=200, random_state=s).rho for s in range(60)]
    inside = sum(e.low <= truth <= e.high for e in found)
    assert inside >= 51  # 57 expected; below 51 of 60 has a chance of 1 %


def test_duplicates_drawn_by_the_bootstrap_do_not_pass_for_agreement():
    rng = np.random.default_rng(6)
    found = [rsa(rng.normal(size=(15, 8)), rng.normal(size=(15, 8)), permutations=1, random_state=s) for s in range(20)]
    middle = np.mean([(r.rho.low + r.rho.high) / 2 - r.rho.value for r in found])
    assert abs(middle) < 0.05  # pairs of copies would move it by 0.1 or more


def test_discrepant_pairs_are_those_planted():
    a, _ = spaces(n=20)
    m = unit(a) @ unit(a).T
    changed = m.copy()
    low = np.unravel_index(np.argmin(m), m.shape)
    changed[low] = changed[low[::-1]] = 2
    first = rsa(m, changed, similarity="precomputed", permutations=9, top=3).discrepant
    assert {first[0].i, first[0].j} == set(map(int, low))
    assert (first[0].a, first[0].b) == (0, 1)
    assert len(first) == 3


def test_many_models_are_corrected_and_share_the_draws():
    a, b = spaces()
    rng = np.random.default_rng(0)
    models = {"same": b, "none": rng.normal(size=(40, 3)), "other": rng.normal(size=(40, 9))}
    plain = rsa_many(models, a, permutations=199, correction="none")
    for correction in ("bh", "holm"):
        found = rsa_many(models, a, permutations=199, correction=correction)
        assert all(found[m].p_value >= found[m].p_value_raw == plain[m].p_value for m in models)
    assert plain["same"].rho == rsa(b, a, permutations=199).rho
    assert json.loads(json.dumps(plain["same"].to_dict()))["rho"]["n"] == 40
    assert "p=0.005" in str(plain["same"])


def test_no_more_items_than_asked_are_used_and_float16_will_do():
    a, b = spaces(n=60)
    found = rsa(a.astype(np.float16), b.astype(np.float16), most=25, permutations=9)
    assert found.rho.n == 25
    assert max(d.j for d in found.discrepant) < 60


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: rsa(a, b[:-1]), "same items"),
        (lambda a, b: rsa(a[:4], b[:4]), "at least 5"),
        (lambda a, b: rsa(a * 0, b), "zero vectors"),
        (lambda a, b: rsa(a * np.nan, b), "NaN"),
        (lambda a, b: rsa(np.ones_like(a), b), "all the same"),
        (lambda a, b: rsa(a, b, similarity="precomputed"), "all items against all"),
        (lambda a, b: rsa(np.arange(1600.0).reshape(40, 40), b, similarity=("precomputed", "cosine")), "symmetric"),
        (lambda a, b: rsa(np.full((40, 40), np.nan), b, similarity=("precomputed", "cosine")), "lacks"),
        (lambda a, b: rsa(a, b, method="cosine"), "method"),
        (lambda a, b: rsa_many({}, b), "same items"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(call, words):
    with pytest.raises(BadInput, match=words):
        call(*spaces())
