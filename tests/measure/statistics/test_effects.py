import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure import compare, compare_many, detectable, effect_size, estimate
from commonspace.measure.statistics.effects import smallest


def test_the_effect_is_the_mean_difference_in_standard_deviations_corrected_for_small_samples():
    d = np.random.default_rng(0).normal(0.5, 1, 20)
    e = effect_size(d, d * 0)
    assert e.value == pytest.approx(d.mean() / d.std(ddof=1) * (1 - 3 / (4 * 19 - 1)))
    assert e.low < e.value < e.high
    assert compare(d, d * 0).effect == e.value


def test_the_effect_does_not_grow_with_queries_nor_with_the_scale():
    rng = np.random.default_rng(1)
    few, many = rng.normal(0.4, 1, 500), rng.normal(0.4, 1, 50_000)
    assert effect_size(few, few * 0).value == pytest.approx(effect_size(many, many * 0).value, abs=0.12)
    assert effect_size(3 * few, few * 0).value == pytest.approx(effect_size(few, few * 0).value)
    assert effect_size(few * 0, few).value == -effect_size(few, few * 0).value


@pytest.mark.parametrize("law", ["normal", "exponential"])
def test_the_interval_of_the_effect_covers_it_about_as_often_as_it_says(law):
    rng = np.random.default_rng(2)
    truth = 0.5 if law == "normal" else 1.0
    inside = 0
    for _ in range(400):
        d = rng.normal(0.5, 1, 100) if law == "normal" else rng.exponential(size=100)
        e = effect_size(d, d * 0)
        inside += e.low <= truth <= e.high
    assert 0.91 <= inside / 400 <= 0.98


def test_groups_widen_the_interval_of_the_effect_and_raise_what_is_detectable():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(30), 10)
    d = rng.normal(0.2, 1, 30)[groups] + rng.normal(0, 0.1, 300)
    alone, together = effect_size(d, d * 0), effect_size(d, d * 0, groups=groups)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)
    assert detectable(d, d * 0, groups=groups).value > 2.5 * detectable(d, d * 0).value


def test_the_detectable_difference_has_the_power_it_says():
    error, freedom = 0.01, 19
    found = smallest(error, freedom, power=0.7, alpha=0.01)
    critical = stats.t.ppf(0.995, freedom)
    assert stats.nct.sf(critical, freedom, found / error) == pytest.approx(0.7, abs=1e-6)


def test_the_detectable_difference_is_found_as_often_as_it_says():
    rng = np.random.default_rng(4)
    shift = smallest(1 / np.sqrt(25), 24)
    found = [stats.ttest_1samp(rng.normal(shift, 1, 25), 0).pvalue < 0.05 for _ in range(2000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_four_times_the_queries_halve_the_detectable_difference():
    d = np.random.default_rng(5).normal(size=200)
    now, planned = detectable(d, d * 0), detectable(d, d * 0, n=800)
    assert planned.value == pytest.approx(now.value / 2, rel=0.01)
    assert now.low < now.value < now.high
    assert detectable(d, d * 0, power=0.95).value > now.value
    assert detectable(d, d * 0, alpha=0.001).value > now.value
    assert compare(d, d * 0).detectable == pytest.approx(now.value)


def test_many_comparisons_corrected_by_holm_detect_less():
    rng = np.random.default_rng(6)
    systems = {str(i): rng.random(80) for i in range(5)}
    (first, *_), (raw, *_) = compare_many(systems), compare_many(systems, correction="bh")
    assert first.detectable == pytest.approx(detectable(systems["0"], systems["1"], alpha=0.005).value)
    assert raw.detectable == pytest.approx(detectable(systems["0"], systems["1"]).value)


def test_the_interval_of_the_detectable_difference_covers_it():
    rng = np.random.default_rng(7)
    truth = smallest(1 / np.sqrt(60), 59)
    inside = 0
    for _ in range(400):
        d = rng.normal(size=60)
        e = detectable(d, d * 0)
        inside += e.low <= truth <= e.high
    assert 0.90 <= inside / 400 <= 0.98


def test_equal_systems_have_no_effect_and_a_constant_one_has_no_size():
    same = estimate(np.array([0.1, 0.5, 0.9]))
    assert effect_size(same, same).value == detectable(same, same).value == 0
    assert np.isnan(effect_size([1.0, 1, 1], [0.0, 0, 0]).value)
    assert np.isnan(effect_size([1.0], [0.0]).value)
    assert np.isnan(detectable([1.0], [0.0]).value)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"power": 1.0}, "power"), ({"alpha": 0}, "alpha"), ({"n": 0}, "n must"), ({"power": 0.05}, "larger than alpha")],
)
def test_bad_input_is_named(options, says):
    with pytest.raises(BadInput, match=says):
        detectable([1.0, 2.0], [0.0, 0.5], **options)


def test_two_queries_have_no_effect_size():
    # Hedges' correction is 1 - 3 / (4 - 1) = 0 for them: any difference would come out as none.
    for e in (effect_size([1.0, 2.0], [0.0, 0.0]), effect_size([1.0, 2, 3, 4], [0.0] * 4, groups=[0, 0, 1, 1])):
        assert np.isnan([e.value, e.low, e.high]).all()
    assert effect_size([1.0, 2, 4], [0.0] * 3).value > 0
