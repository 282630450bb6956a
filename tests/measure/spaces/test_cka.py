import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.measure import estimate_cka, linear_cka


def kernels(x, y):
    x, y = x.astype(np.float32).astype(float), y.astype(np.float32).astype(float)
    return x @ x.T, y @ y.T


def naive(x, y, hsic):
    k, m = kernels(x, y)
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def biased(k, m):
    n = len(k)
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ m @ h)


def unbiased(k, m):
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    sums = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    return (np.trace(k @ m) + sums) / (n * (n - 3))


@pytest.mark.parametrize(("n", "dx", "dy"), [(40, 3, 5), (12, 30, 20)])  # over features, over items
@pytest.mark.parametrize(("debiased", "hsic"), [(False, biased), (True, unbiased)])
def test_both_forms_equal_the_definition_written_out_with_kernels(n, dx, dy, debiased, hsic):
    rng = np.random.default_rng(0)
    x = rng.normal(2, 1, (n, dx))
    y = np.concatenate([x[:, :2] * 3, rng.normal(size=(n, dy - 2))], axis=1)
    assert linear_cka(x, y, debiased=debiased) == pytest.approx(naive(x, y, hsic), abs=1e-6)


@pytest.mark.parametrize("debiased", [False, True])
def test_rotation_shift_and_scale_change_nothing(debiased):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 6))
    q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert linear_cka(x, 3 * x @ q + 1, debiased=debiased) == pytest.approx(1, abs=1e-5)


def test_unrelated_spaces_fool_the_biased_form_and_not_the_debiased_one():
    rng = np.random.default_rng(2)
    pairs = [(rng.normal(size=(30, 200)), rng.normal(size=(30, 200))) for _ in range(20)]
    assert np.mean([linear_cka(x, y) for x, y in pairs]) > 0.7
    assert abs(np.mean([linear_cka(x, y, debiased=True) for x, y in pairs])) < 0.03


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.eye(3), np.eye(4), "3 and 4 rows"),
        (np.ones((1, 2)), np.ones((1, 2)), "at least 2"),
        (np.ones((5, 2)), np.eye(5), "all the same"),
    ],
)
def test_bad_input_is_named(x, y, says):
    with pytest.raises(BadInput, match=says):
        linear_cka(x, y)


def linked(n: int, seed: int = 0, dims: tuple[int, int] = (5, 7)):
    rng = np.random.default_rng(seed)
    x = rng.normal(2, 1, (n, dims[0])).astype(np.float32)
    y = np.hstack([3 * x[:, :2], rng.normal(size=(n, dims[1] - 2))]).astype(np.float32)
    return x, y


@pytest.mark.parametrize(
    ("n", "dims", "groups"),
    [
        (40, (5, 7), None),
        (12, (30, 4), None),
        (40, (5, 7), np.repeat(np.arange(20), 2)),
        (30, (6, 6), np.arange(30) % 9),
    ],
)
def test_the_interval_is_that_of_leaving_out_rows_one_group_at_a_time(n, dims, groups):
    x, y = linked(n, dims=dims)
    labels = np.arange(n) if groups is None else groups
    found = estimate_cka(x, y, groups=groups, batch_size=7)
    without = [linear_cka(x[labels != g], y[labels != g], debiased=True) for g in np.unique(labels)]
    units = len(without)
    error = np.sqrt((units - 1) ** 2 / units) * np.std(without, ddof=1)
    assert found.value == pytest.approx(linear_cka(x, y, debiased=True), abs=1e-6)
    reach = np.arctanh(found.high) - np.arctanh(found.value)
    assert reach == pytest.approx(stats.t.ppf(0.975, units - 1) * error / (1 - found.value**2), rel=1e-4)
    assert np.arctanh(found.value) - np.arctanh(found.low) == pytest.approx(reach)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth = linear_cka(*linked(200_000, seed=999), debiased=True)
    found = [estimate_cka(*linked(40, seed=s)) for s in range(200)]
    inside = sum(e.low <= truth <= e.high for e in found)
    assert 182 <= inside <= 199  # 190 expected


def test_rows_may_come_from_a_file(tmp_path):
    x, y = linked(50)
    np.save(tmp_path / "x.npy", x)
    rows = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert estimate_cka(rows, y, batch_size=8).value == pytest.approx(estimate_cka(x, y).value)


def test_a_far_off_mean_costs_no_digits():
    x, y = linked(60)
    assert estimate_cka(x + 300, y).low == pytest.approx(estimate_cka(x, y).low, abs=1e-3)


def test_a_space_and_its_rotation_are_alike_beyond_doubt():
    x, _ = linked(30)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    found = estimate_cka(x, x @ turn)
    assert (found.low, found.high) == (pytest.approx(1, abs=1e-5), pytest.approx(1, abs=1e-5))


@pytest.mark.parametrize(
    ("x", "y", "groups", "says"),
    [
        (np.eye(6), np.eye(7), None, "6 and 7 rows"),
        (np.eye(4), np.eye(4), None, "at least 5"),
        (np.eye(8), np.eye(8), np.arange(8) % 3, "3 things"),
        (np.ones((8, 2)), np.eye(8), None, "all the same"),
        (np.eye(8) * np.nan, np.eye(8), None, "NaN"),
    ],
)
def test_what_has_no_interval_is_named(x, y, groups, says):
    with pytest.raises(BadInput, match=says):
        estimate_cka(x, y, groups=groups)
