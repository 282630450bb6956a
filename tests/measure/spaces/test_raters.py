import json

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import noise_ceiling, rater_study


def matrix(v):
    u = unit(v)
    return u @ u.T


def noisy(truth, noise, count, rng):
    out = []
    for _ in range(count):
        e = noise * rng.normal(size=truth.shape)
        out.append(truth + (e + e.T) / 2)
    return np.array(out)


def world(n: int = 25, raters: int = 12, noise: float = 0.5, seed: int = 0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 4))
    return z, matrix(z), noisy(matrix(z), noise, raters, rng), rng


def upper(cube):
    return cube[..., *np.triu_indices(cube.shape[-1], 1)]


def test_the_ceiling_equals_a_naive_loop_over_raters():
    _, _, ratings, _ = world()
    rows = np.array([stats.rankdata(r) for r in upper(ratings)])
    z = stats.zscore(rows, axis=1)
    found = noise_ceiling(upper(ratings))
    high = [np.corrcoef(r, z.mean(axis=0))[0, 1] for r in z]
    low = [np.corrcoef(r, np.delete(z, i, axis=0).mean(axis=0))[0, 1] for i, r in enumerate(z)]
    np.testing.assert_allclose(found.upper.per_query, high)
    np.testing.assert_allclose(found.lower.per_query, low)
    assert found.upper.n == 12


@pytest.mark.parametrize("method", ["spearman", "pearson"])
def test_the_ceiling_brackets_what_the_truth_reaches(method):
    inside = 0
    for seed in range(40):
        _, truth, ratings, _ = world(noise=1.0, seed=seed)
        found = noise_ceiling(upper(ratings), method=method, resamples=1)
        reference = stats.spearmanr if method == "spearman" else stats.pearsonr
        reached = np.mean([reference(r, upper(truth)).statistic for r in upper(ratings)])
        inside += found.lower.value <= reached <= found.upper.value
    assert inside == 40


def test_nothing_exceeds_the_upper_end_of_the_ceiling():
    _, _, ratings, rng = world(n=8, raters=4, noise=2.0)
    high = noise_ceiling(upper(ratings), resamples=1).upper.value
    tried = upper(ratings).mean(axis=0) + rng.normal(size=(3000, 28))
    z = stats.zscore(stats.rankdata(np.vstack([upper(ratings), tried]), axis=1), axis=1)
    reached = (z[:4] @ z[4:].T / 28).mean(axis=0)
    assert high - 0.1 < reached.max() <= high + 1e-9


def test_models_are_ordered_by_their_distortion_and_told_apart():
    z, _, ratings, rng = world(raters=15)
    models = {str(d): z + d * rng.normal(size=z.shape) for d in (0.2, 0.7, 3.0)}
    found = rater_study(models, ratings, permutations=199)
    by_group = [found.group[m].rho.value for m in models]
    by_person = [found.individual[m].value for m in models]
    assert by_group == sorted(by_group, reverse=True)
    assert by_person == sorted(by_person, reverse=True)
    assert all(d.difference > 0 and d.p_value < 0.01 for d in found.differences)
    assert found.individual["0.2"].value <= found.ceiling.upper.value
    assert found.between_raters.value < found.ceiling.lower.value
    assert json.loads(json.dumps(found.to_dict()))["individual"]["0.2"]["n"] == 15
    assert "noise ceiling" in str(found)


def test_individual_figures_equal_the_correlation_with_each_rater():
    z, truth, ratings, _ = world()
    found = rater_study({"m": z}, ratings, permutations=9)
    each = [stats.spearmanr(r, np.round(upper(truth), 6)).statistic for r in upper(ratings)]
    np.testing.assert_allclose(found.individual["m"].per_query, each, atol=1e-6)
    two = [stats.spearmanr(a, b).statistic for i, a in enumerate(upper(ratings)) for b in upper(ratings)[i + 1 :]]
    assert found.between_raters.value == pytest.approx(np.mean(two))


def test_a_model_that_varies_like_people_is_told_from_one_that_does_not():
    _, truth, ratings, rng = world(raters=10)
    models = {"like people": noisy(truth, 0.5, 6, rng), "too sure": noisy(truth, 0.1, 6, rng)}
    found = rater_study(models, ratings, permutations=199)
    assert found.variability["like people"].p_value > 0.05
    sure = found.variability["too sure"]
    assert sure.p_value < 0.05
    assert sure.low > 0
    assert sure.difference == pytest.approx(found.between_repeats["too sure"].value - found.between_raters.value)


def test_raters_who_were_not_asked_everything_still_count():
    _, _, ratings, rng = world(raters=20)
    rows = upper(ratings).copy()
    whole = noise_ceiling(rows, resamples=1).lower.value
    rows[rng.random(rows.shape) < 0.3] = np.nan
    assert noise_ceiling(rows, resamples=1).lower.value == pytest.approx(whole, abs=0.04)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r[:2], "at least 3 raters"),
        (lambda r: np.where(np.arange(r.shape[1]) == 4, np.nan, r), "first at 4"),
        (lambda r: np.where(np.arange(len(r))[:, None] == 1, 5.0, r), "rater 1 gave"),
        (lambda r: np.where(np.arange(len(r))[:, None] == 1, np.inf, r), "NaN says"),
    ],
)
def test_ratings_that_say_nothing_are_refused_in_words(change, words):
    with pytest.raises(BadInput, match=words):
        noise_ceiling(change(upper(world()[2])))


def test_shapes_that_disagree_are_refused():
    z, _, ratings, _ = world()
    with pytest.raises(BadInput, match="raters, items, items"):
        rater_study({"m": z}, ratings[0])
    with pytest.raises(BadInput, match="vectors of the 25 items"):
        rater_study({"m": z[:-1]}, ratings)


def test_all_intervals_have_the_confidence_asked_for():
    z, truth, people, rng = world()
    models = {"one": z, "two": noisy(truth, 0.5, 4, rng)}
    options = {"permutations": 49, "resamples": 50}
    narrow, wide = (rater_study(models, people, confidence=c, **options) for c in (0.5, 0.99))
    for a, b in ((narrow.differences[0], wide.differences[0]), (narrow.variability["two"], wide.variability["two"])):
        assert (a.confidence, b.confidence) == (0.5, 0.99)
        assert a.high - a.low < b.high - b.low
