import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.reshape import CCA, Procrustes, Ridge, SharedSubspace


def planted(n=300, shared=6, private=14, d=30, seed=0, noise=0.1):
    """Two spaces that share some factors and have others of their own, louder ones; 100 test pairs at the end."""
    rng = np.random.default_rng(seed)
    s = rng.normal(size=(n + 100, shared))

    def side(dim):
        hidden = np.concatenate([s, 2 * rng.normal(size=(len(s), private))], axis=1)
        return hidden @ rng.normal(size=(shared + private, dim)) + noise * rng.normal(size=(len(s), dim)) + 3

    return side(d), side(d - 5)


def found(m, x, y):
    a, b = unit(m.transform(x)), unit(m.transform_target(y))
    return float(((a @ b.T).argmax(axis=1) == np.arange(len(x))).mean())


def test_the_number_of_shared_directions_is_found_and_retrieves_where_maps_of_everything_do_not():
    x, y = planted()
    m = SharedSubspace(dims=(2, 4, 6, 10, 20)).fit(x[:300], y[:300])
    assert m.dim_ == 6
    ours = found(m, x[300:], y[300:])
    assert ours > 0.9
    for other in (Procrustes(center=True), Ridge(center=True)):
        assert found(other.fit(x[:300], y[:300]), x[300:], y[300:]) < ours - 0.2


def test_what_was_chosen_is_the_best_of_what_was_tried_and_equals_a_naive_loop():
    x, y = planted(60)
    m = SharedSubspace(dims=(2, 6), reg=0.1, inside="weights", folds=3).fit(x[:60], y[:60])
    parts = np.array_split(np.random.default_rng(0).permutation(60), 3)
    for reg, inside, dim, mrr in m.tried_:
        ranks = []
        for part in parts:
            kept = np.setdiff1d(np.arange(60), part)
            scale = [v[kept].std(axis=0) for v in (x, y)]
            scale = [np.sqrt(np.mean(s**2)) for s in scale]
            c = CCA(dim=dim, reg=reg).fit(x[kept] / scale[0], y[kept] / scale[1])
            scores = unit(c.transform(x[:60] / scale[0])) @ unit(c.transform_target(y[:60] / scale[1])).T
            for i in part:
                ranks += [1 / (scores[i] >= scores[i, i]).sum(), 1 / (scores[:, i] >= scores[i, i]).sum()]
        assert (reg, inside) == (0.1, "weights")
        assert mrr == pytest.approx(np.mean(ranks), abs=1e-3)
    assert m.dim_ == max(m.tried_, key=lambda t: t[3])[2]


def test_with_weights_it_is_cca_of_the_chosen_size():
    x, y = planted()
    m = SharedSubspace(dims=(6,), reg=0.1, inside="weights").fit(x, y)
    scale = [np.sqrt(v.var(axis=0).mean()) for v in (x, y)]
    c = CCA(dim=6, reg=0.1).fit(x / scale[0], y / scale[1])
    np.testing.assert_allclose(m.correlations_, c.correlations_, atol=1e-4)
    np.testing.assert_allclose(m.transform(x), c.transform(x / scale[0]), atol=1e-3)


def test_the_best_rotation_in_canonical_coordinates_is_the_identity_and_in_orthonormal_bases_it_is_not():
    x, y = planted()
    c = CCA(dim=6, power=0).fit(x, y)
    np.testing.assert_allclose(Procrustes().fit(c.transform(x), c.transform_target(y)).rotation_, np.eye(6), atol=1e-3)
    m = SharedSubspace(dims=(6,), inside="procrustes").fit(x, y)
    a, b = m.transform(x), m.transform_target(y)
    np.testing.assert_allclose(Procrustes().fit(a, b).rotation_, np.eye(6), atol=1e-3)  # it is turned already
    spread = np.linalg.svd(a - a.mean(axis=0), compute_uv=False)
    assert spread[0] > 1.2 * spread[-1]  # the space's own variances survive


@pytest.mark.parametrize("inside", ["weights", "procrustes", "ridge"])
@pytest.mark.parametrize("scaling", ["block", "column"])
def test_every_kind_of_map_retrieves_what_is_shared(inside, scaling):
    x, y = planted()
    m = SharedSubspace(inside=inside, scaling=scaling).fit(x[:300], y[:300])
    assert found(m, x[300:], y[300:]) > 0.8


def test_turning_and_scaling_a_side_does_not_change_what_is_similar():
    x, y = planted()
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(30, 30)))[0]
    one, other = SharedSubspace().fit(x, y), SharedSubspace().fit(4 * x @ turn - 2, y)
    assert (one.dim_, one.inside_, one.reg_) == (other.dim_, other.inside_, other.reg_)
    scores = [unit(m.transform(z)) @ unit(m.transform_target(y)).T for m, z in ((one, x), (other, 4 * x @ turn - 2))]
    np.testing.assert_allclose(*scores, atol=2e-3)


def test_of_many_pairs_a_part_chooses_and_all_of_them_fit(monkeypatch):
    x, y = planted()
    monkeypatch.setattr("commonspace.reshape.shared_subspace.MOST", 100)
    m = SharedSubspace(dims=(2, 4, 6, 10)).fit(x[:300], y[:300])
    fixed = SharedSubspace(dims=(m.dim_,), reg=m.reg_, inside=m.inside_).fit(x[:300], y[:300])
    np.testing.assert_array_equal(m.transform(x), fixed.transform(x))
    assert m.dim_ == 6


def test_dims_beyond_the_rank_count_as_the_rank_and_constant_columns_say_nothing():
    x, y = planted(40)
    x[:, 3] = 7
    m = SharedSubspace(dims=(500,)).fit(x[:40], y[:40])
    assert m.dim_ == 25
    np.testing.assert_allclose(m.weights_x_[3], 0, atol=1e-6)


def test_a_fitted_map_survives_its_plain_state_and_takes_half_precision():
    x, y = planted(40)
    m = SharedSubspace(dims=(2, 5)).fit(x.astype(np.float16), y.astype(np.float16))
    again = SharedSubspace(dims=(2, 5)).load_state(*m.split_state())
    np.testing.assert_array_equal(again.transform_target(y), m.transform_target(y))
    assert again.fingerprint == m.fingerprint
    assert m.transform(x[:0]).shape == (0, m.dim_)
    assert m.transform(x).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x, y: SharedSubspace().fit(x), BadInput, "both sides"),
        (lambda x, y: SharedSubspace().fit(x[:9], y[:9]), BadInput, "at least 10"),
        (lambda x, y: SharedSubspace().fit(x, y[:50]), BadInput, "140 rows and Y 50"),
        (lambda x, y: SharedSubspace(dims=()).fit(x, y), BadInput, "at least one choice"),
        (lambda x, y: SharedSubspace(dims=(0,)).fit(x, y), BadInput, "dims"),
        (lambda x, y: SharedSubspace(inside="svd").fit(x, y), BadInput, "inside"),
        (lambda x, y: SharedSubspace(scaling="row").fit(x, y), BadInput, "scaling"),
        (lambda x, y: SharedSubspace(reg=-1).fit(x, y), BadInput, "reg"),
        (lambda x, y: SharedSubspace(folds=1).fit(x, y), BadInput, "folds"),
        (lambda x, y: SharedSubspace().fit(x, 0 * y), BadInput, "variance"),
        (lambda x, y: SharedSubspace().fit(x * np.nan, y), BadInput, "NaN"),
        (lambda x, y: SharedSubspace().transform(x), NotFitted, "fit"),
        (lambda x, y: SharedSubspace(dims=(2,)).fit(x, y).transform(y), SpaceMismatch, "dimension 25"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call(*planted(40))
