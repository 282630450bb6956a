import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import StandardScaler

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.reshape import Sitta


def data(n=80, dx=6, dy=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(2, [1, 2, 3, 4, 5, 6][:dx], (n, dx))
    return x, x @ rng.normal(size=(dx, dy)) + rng.normal(size=(n, dy)) - 3


def test_procrustes_equals_scipy_on_standardised_columns():
    x, y = data()
    a, b = StandardScaler().fit(x), StandardScaler().fit(y)
    R, _ = orthogonal_procrustes(a.transform(x), b.transform(y))
    m = Sitta().fit(x, y)
    new = data(7, seed=1)[0]
    np.testing.assert_allclose(m.transform(new), a.transform(new) @ R, atol=1e-4)
    np.testing.assert_allclose(m.transform_target(y), b.transform(y), atol=1e-4)


def test_ridge_equals_scikit_learn_on_standardised_columns():
    x, y = data(dy=4)
    a, b = StandardScaler().fit(x), StandardScaler().fit(y)
    want = SklearnRidge(alpha=3.0, fit_intercept=False).fit(a.transform(x), b.transform(y))
    m = Sitta(solver="ridge", alpha=3.0).fit(x, y)
    np.testing.assert_allclose(m.weights_, want.coef_.T, atol=1e-4)


@pytest.mark.parametrize("dims", [(4, 6), (6, 4)])
def test_a_rotation_may_be_rectangular(dims):
    x, y = data(dx=dims[0], dy=dims[1])
    W = Sitta().fit(x, y).weights_
    assert W.shape == dims
    inner = W @ W.T if dims[0] < dims[1] else W.T @ W
    np.testing.assert_allclose(inner, np.eye(4), atol=1e-5)


def test_block_scaling_keeps_the_ratio_of_columns_and_undoes_a_rotation_exactly():
    x, _ = data()
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    y = 7 * x @ turn + 5
    m = Sitta(scaling="block").fit(x, y)
    np.testing.assert_allclose(m.transform(x), m.transform_target(y), atol=1e-4)
    ratio = m.transform_target(y).std(axis=0) / y.std(axis=0)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_items_of_another_kind_are_measured_from_their_own_mean():
    x, y = data()
    images = x[:40] + 100  # the same things, far off: a gap between kinds
    turned = Sitta().fit(x, y, items=images)
    plain = Sitta().fit(x, y)
    np.testing.assert_array_equal(turned.weights_, plain.weights_)
    own = x[:40] - x[:40].mean(axis=0) + x.mean(axis=0)
    np.testing.assert_allclose(turned.transform(images), plain.transform(own), atol=1e-3)
    gap = np.linalg.norm(plain.transform(images).mean(axis=0))
    assert gap > 100 * np.linalg.norm(turned.transform(images).mean(axis=0))


def test_a_column_that_does_not_vary_says_nothing():
    x, y = data()
    x[:, 2] = 9
    m = Sitta().fit(x, y)
    np.testing.assert_allclose(
        m.transform(x), Sitta().fit(np.delete(x, 2, 1), y).transform(np.delete(x, 2, 1)), atol=1e-4
    )


def test_scale_and_shift_of_a_side_do_not_matter():
    x, y = data()
    m, other = Sitta().fit(x, y), Sitta().fit(10 * x - 4, y)
    np.testing.assert_allclose(unit(m.transform(x)), unit(other.transform(10 * x - 4)), atol=1e-4)


def test_a_fitted_map_survives_its_plain_state_and_takes_half_precision():
    x, y = data()
    m = Sitta().fit(x.astype(np.float16), y.astype(np.float16))
    again = Sitta().load_state(*m.split_state())
    np.testing.assert_array_equal(again.transform(x), m.transform(x))
    assert m.transform(x[:0]).shape == (0, 6)
    assert m.transform(x).dtype == m.transform_target(y).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x, y: Sitta(solver="lasso").fit(x, y), BadInput, "solver"),
        (lambda x, y: Sitta(scaling="none").fit(x, y), BadInput, "scaling"),
        (lambda x, y: Sitta().fit(x), BadInput, "both sides"),
        (lambda x, y: Sitta().fit(x, y[:3]), BadInput, "80 rows and Y 3"),
        (lambda x, y: Sitta().fit(x * 0, y), BadInput, "rows of X are the same"),
        (lambda x, y: Sitta().fit(x, y * 0 + 1), BadInput, "rows of Y are the same"),
        (lambda x, y: Sitta().fit(x[:1], y[:1]), BadInput, "at least 2"),
        (lambda x, y: Sitta().fit(x, y, items=x[:0]), BadInput, "items"),
        (lambda x, y: Sitta().fit(x, y, items=x[:, :2]), SpaceMismatch, "items"),
        (lambda x, y: Sitta().fit(x * np.nan, y), BadInput, "NaN"),
        (lambda x, y: Sitta().transform(x), NotFitted, "fit"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call(*data())
