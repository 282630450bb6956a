import json
import warnings

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import Spectrum, dimensions, spectrum


def powers(n: int, dim: int = 16, decay: float = 1.0, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    """Rows whose covariance has eigenvalues k^-decay."""
    Z = np.random.default_rng(seed).normal(size=(n, dim)) * np.arange(1, dim + 1) ** (-decay / 2)
    return Z + mean


def plainly(Z: np.ndarray) -> dict[str, float]:
    """The formulas, from a decomposition of the whole matrix."""
    s = np.linalg.svd(Z, compute_uv=False)
    p, lambdas = s / s.sum(), s**2
    covariance = np.linalg.svd(Z - Z.mean(0), compute_uv=False) ** 2
    return {
        "rankme": np.exp(-(p * np.log(p)).sum()),
        "stable_rank": lambdas.sum() / lambdas[0],
        "participation_ratio": lambdas.sum() ** 2 / (lambdas**2).sum(),
        "first_share": lambdas[0] / lambdas.sum(),
        "condition": s[0] / s[-1],
        "nesum": covariance.sum() / covariance[0],
    }


def test_the_plain_figures_equal_those_of_a_singular_value_decomposition():
    Z = powers(200, mean=0.3)
    one_part = spectrum(Z, parts=1)  # nothing to correct with
    for name, value in plainly(Z).items():
        assert getattr(one_part, name).value == pytest.approx(value, rel=1e-6), name
    centred = spectrum(Z, parts=1, centred=True)
    assert centred.rankme.value == pytest.approx(plainly(Z - Z.mean(0))["rankme"], rel=1e-6)
    np.testing.assert_allclose(one_part.values * np.sqrt(200), np.linalg.svd(Z, compute_uv=False), rtol=1e-6)


def test_every_form_of_the_same_rows_gives_the_same_figures(tmp_path):
    Z = powers(300).astype(np.float32)
    Z.tofile(tmp_path / "z")
    held = np.memmap(tmp_path / "z", dtype=np.float32, mode="r", shape=Z.shape)
    whole = spectrum(Z).to_dict()
    assert spectrum(held).to_dict() == whole
    parted = spectrum([Z[:100], Z[100:]])
    assert parted.effective_rank.value == pytest.approx(whole["effective_rank"]["value"], rel=1e-3)
    assert parted.rankme.value == pytest.approx(whole["rankme"]["value"])


def test_an_even_cloud_has_the_rank_of_its_dimension_and_rank_r_at_most_r():
    even = spectrum(np.random.default_rng(0).normal(size=(3200, 32)))
    assert even.effective_rank.value == pytest.approx(32, abs=0.05)
    assert even.rankme.value < even.effective_rank.value
    flat = np.random.default_rng(0).normal(size=(500, 5)) @ np.random.default_rng(1).normal(size=(5, 32))
    for dtype in (np.float64, np.float32):
        found = spectrum(flat.astype(dtype))
        assert found.effective_rank.high <= 5.001
        assert found.rank == 5
        assert found.condition.value < 100  # of what is not zero


def test_equal_rows_have_rank_one_and_are_all_mean():
    found = spectrum(np.ones((100, 8)))
    for name in ("effective_rank", "rankme", "stable_rank", "first_share"):
        assert getattr(found, name).value == pytest.approx(1)
    assert spectrum(np.ones((100, 8)) * 0.1, centred=True).rank <= 1


def test_a_large_mean_counts_as_one_direction_unless_it_is_taken_away():
    Z = powers(2000, mean=5.0)
    assert spectrum(Z).first_share.value > 0.9
    assert spectrum(Z, centred=True).first_share.value == pytest.approx(1 / (1 / np.arange(1, 17)).sum(), abs=0.03)
    assert spectrum(Z).nesum.value == pytest.approx(spectrum(Z, centred=True).stable_rank.value, rel=1e-6)


@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0])
def test_the_decay_of_a_power_law_is_found(decay):
    found = spectrum(powers(20_000, dim=40, decay=decay)).decay
    assert found.value == pytest.approx(decay, abs=0.05)


def test_few_rows_look_flatter_and_the_correction_brings_most_of_it_back():
    truth = spectrum(powers(100_000, dim=32), parts=1).rankme.value
    plain, corrected, inside = [], [], 0
    for seed in range(60):
        found = spectrum(powers(160, dim=32, seed=seed), random_state=seed)
        plain.append(found.rankme.value)
        corrected.append(found.effective_rank.value)
        inside += found.effective_rank.low <= truth <= found.effective_rank.high
    assert np.mean(plain) < truth - 0.6
    assert abs(np.mean(corrected) - truth) < 0.2
    assert inside >= 51  # 57 expected; below 51 of 60 has a chance of 1 %


def test_the_interval_of_the_published_figure_is_for_samples_of_the_same_size():
    other = np.mean([spectrum(powers(160, dim=32, seed=1000 + s), parts=1).rankme.value for s in range(40)])
    inside = 0
    for seed in range(60):
        found = spectrum(powers(160, dim=32, seed=seed), random_state=seed).rankme
        inside += found.low <= other <= found.high
    assert inside >= 51


def test_rows_that_hang_together_widen_the_interval():
    Z = np.repeat(powers(100), 5, axis=0)
    single, together = spectrum(Z), spectrum(Z, groups=np.repeat(np.arange(100), 5))
    assert together.stable_rank.high - together.stable_rank.low > single.stable_rank.high - single.stable_rank.low


def test_turning_scaling_and_order_change_nothing():
    Z = powers(400)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(16, 16)))[0]
    one = spectrum(Z, parts=1)
    for other in (spectrum(Z @ turn, parts=1), spectrum(1000 * Z, parts=1), spectrum(Z[::-1], parts=1)):
        assert other.effective_rank.value == pytest.approx(one.effective_rank.value)
        assert other.decay.value == pytest.approx(one.decay.value)


def test_fewer_than_two_rows_a_dimension_are_warned_of():
    with pytest.warns(RuntimeWarning, match="31 rows of dimension 16 are too few"):
        found = spectrum(powers(31))
    assert found.few_rows
    assert "not to be trusted" in str(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not spectrum(powers(32)).few_rows


def test_rows_that_are_not_finite_are_skipped_and_none_at_all_is_refused():
    Z = powers(200)
    Z[[3, 5]] = np.nan
    found = spectrum(Z)
    assert (found.effective_rank.n, found.effective_rank.skipped) == (198, 2)
    for nothing in (np.zeros((5, 3)), np.full((5, 3), np.nan), np.zeros((0, 3)), iter([])):
        with pytest.raises(BadInput, match="needs rows"):
            spectrum(nothing)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_one_row_and_half_precision_are_measured():
    assert spectrum(np.ones((1, 3), np.float16)).effective_rank.value == 1
    assert spectrum(powers(200).astype(np.float16)).effective_rank.value == pytest.approx(
        spectrum(powers(200)).effective_rank.value, rel=1e-3
    )


def test_a_seed_repeats_and_the_report_is_plain_data():
    Z = powers(100)
    one, other = spectrum(Z, random_state=4), spectrum(Z, random_state=4)
    assert isinstance(one, Spectrum)
    assert one == other
    assert json.loads(json.dumps(one.to_dict()))["effective_rank"]["seed"] == 4
    assert "of 16 dimensions" in str(one)
    assert one.share_used == one.effective_rank.value / 16


def test_groups_of_other_rows_are_refused():
    with pytest.raises(BadInput, match="groups holds 600 labels, but there are 500 rows"):
        spectrum(powers(500), groups=np.arange(600))
    with pytest.raises(BadInput, match="groups holds 600 labels, but there are 500 rows"):
        dimensions(iter([powers(250), powers(250)]), groups=np.arange(600))
