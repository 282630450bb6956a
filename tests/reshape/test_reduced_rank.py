import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power
from sklearn.linear_model import Ridge as SklearnRidge

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.core.registry import build
from commonspace.reshape import ReducedRank, Ridge


def data(n=120, dx=9, dy=7, rank=3, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(1, 2, (n, dx))
    shared = rng.normal(size=(dx, rank)) @ rng.normal(size=(rank, dy))
    return x, x @ shared + 3 + noise * rng.normal(size=(n, dy))


def objective(x, y, weights, alpha):
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.square(y - x @ weights).sum() + alpha * np.square(weights).sum()


def eckart_young(x, y, rank, alpha):
    """The same minimum by another way: the best approximation of the ridge solution in the metric of X'X + alpha I."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    gram = x.T @ x + alpha * np.eye(x.shape[1])
    root = fractional_matrix_power(gram, 0.5)
    U, s, Vt = np.linalg.svd(root @ np.linalg.solve(gram, x.T @ y), full_matrices=False)
    return np.linalg.solve(root, (U[:, :rank] * s[:rank]) @ Vt[:rank])


@pytest.mark.parametrize("alpha", [0.5, 20.0])
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_it_is_the_best_map_of_its_rank(rank, alpha):
    x, y = data(noise=2.0)
    m = ReducedRank(rank=rank, alpha=alpha).fit(x, y)
    weights = m.left_.astype(float) @ m.right_
    np.testing.assert_allclose(weights, eckart_young(x, y, rank, alpha), atol=1e-4)
    assert np.linalg.matrix_rank(weights, tol=1e-5) == rank
    best = objective(x, y, weights, alpha)
    rng = np.random.default_rng(1)
    for _ in range(20):  # no other map of that rank nearby is better
        near = (m.left_ + 0.01 * rng.normal(size=m.left_.shape)) @ (m.right_ + 0.01 * rng.normal(size=m.right_.shape))
        assert objective(x, y, near, alpha) > best


def test_of_full_rank_it_is_ridge_regression():
    x, y = data()
    new = data(seed=5)[0]
    want = SklearnRidge(alpha=2.0).fit(x, y).predict(new)
    np.testing.assert_allclose(ReducedRank(rank=7, alpha=2.0).fit(x, y).transform(new), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_cross_validation_finds_the_rank_that_is_there(rank):
    x, y = data(n=300, dx=20, dy=15, rank=rank, noise=1.0)
    assert ReducedRank().fit(x, y).rank_ == rank


def test_without_slack_it_is_the_rank_of_the_smallest_held_out_error():
    x, y = data(n=60, noise=4.0)
    m = ReducedRank(slack=0, alpha=1.0, folds=4, random_state=3).fit(x, y)
    parts = np.array_split(np.random.default_rng(3).permutation(60), 4)
    errors = []
    for rank in range(1, 8):
        error = 0.0
        for part in parts:
            rest = np.setdiff1d(np.arange(60), part)
            error += np.square(
                y[part] - ReducedRank(rank=rank, alpha=1.0).fit(x[rest], y[rest]).transform(x[part])
            ).sum()
        errors.append(error)
    assert m.rank_ == 1 + int(np.argmin(errors))


def test_slack_never_asks_for_more_numbers():
    for seed in range(5):
        x, y = data(n=50, noise=3.0, seed=seed)
        assert ReducedRank(slack=2).fit(x, y).rank_ <= ReducedRank(slack=0).fit(x, y).rank_


def test_with_few_shared_directions_and_few_rows_it_predicts_better_than_ridge():
    x, y = data(n=1060, dx=40, dy=40, rank=2, noise=10.0)
    error = [np.square(m.fit(x[:60], y[:60]).transform(x[60:]) - y[60:]).mean() - 100 for m in (ReducedRank(), Ridge())]
    assert error[0] < 0.85 * error[1]


def test_it_consists_of_rank_times_both_dimensions():
    m = ReducedRank(rank=2).fit(*data())
    assert m.left_.shape == (9, 2)
    assert m.right_.shape == (2, 7)
    assert m.transform(np.zeros((0, 9))).shape == (0, 7)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_handful_of_rows_is_enough(n):
    x, y = data(n=n)
    m = ReducedRank().fit(x, y)
    assert 1 <= m.rank_ <= 7
    assert np.isfinite(m.transform(x)).all()


def test_equal_rows_are_answered_with_the_mean():
    _, y = data()
    m = ReducedRank().fit(np.ones((120, 9)), y)
    np.testing.assert_allclose(m.transform(np.ones((1, 9)))[0], y.mean(axis=0), atol=1e-5)


def test_half_precision_is_read():
    x, y = data()
    got = ReducedRank(rank=3).fit(x.astype(np.float16), y.astype(np.float16)).transform(x.astype(np.float16))
    np.testing.assert_allclose(got, ReducedRank(rank=3).fit(x, y).transform(x), atol=0.1)


def test_the_target_side_stays_as_it_is_unless_both_are_centred():
    x, y = data()
    plain, centred = ReducedRank().fit(x, y), ReducedRank(center=True).fit(x, y)
    assert plain.transform_target(y) is y
    np.testing.assert_allclose(centred.transform_target(y), y - y.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(centred.transform(x), plain.transform(x) - y.mean(axis=0), atol=1e-4)


def test_the_same_seed_gives_the_same_map_and_it_survives_its_state():
    x, y = data()
    m, again = (build("Map", "reduced-rank").fit(x, y) for _ in range(2))
    assert m.fingerprint == again.fingerprint
    back = ReducedRank().load_state(*m.split_state())
    np.testing.assert_array_equal(back.transform(x), m.transform(x))
    assert m.transform(x).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: ReducedRank(rank=0).fit(*data()), BadInput, "rank"),
        (lambda: ReducedRank(folds=1).fit(*data()), BadInput, "folds"),
        (lambda: ReducedRank(slack=-1).fit(*data()), BadInput, "slack"),
        (lambda: ReducedRank(alpha=-1).fit(*data()), BadInput, "alpha"),
        (lambda: ReducedRank().fit(np.eye(3)), BadInput, "both sides"),
        (lambda: ReducedRank().fit(np.full((4, 3), np.nan), np.ones((4, 2))), BadInput, "NaN"),
        (lambda: ReducedRank().transform(np.eye(3)), NotFitted, "fit"),
        (lambda: ReducedRank().fit(*data()).transform(np.eye(4)), SpaceMismatch, "dimension 4"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
