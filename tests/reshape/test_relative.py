import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.reshape import Relative


def data(n=90, d=6, seed=0):
    return np.random.default_rng(seed).normal(1, 2, (n, d))


def turn(d, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


@pytest.mark.parametrize("center", [False, True])
def test_entries_are_cosines_with_the_anchors_brought_to_unit_length(center):
    x = data().astype(np.float32)
    m = Relative(count=7, center=center).fit(x)
    mean = x.mean(axis=0) if center else 0
    new = data(5, seed=2)
    want = np.array([[unit(v - mean) @ unit(x[a] - mean) for a in m.rows_] for v in new])
    np.testing.assert_allclose(m.transform(new), want / np.linalg.norm(want, axis=1, keepdims=True), atol=1e-5)
    assert m.transform(new).dtype == np.float32


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("choice", ["uniform", "farthest", "medoids"])
def test_rotation_reflection_and_scale_change_nothing(center, choice):
    x = data()
    y = 5 * x @ turn(6)
    y[:, 0] *= -1
    m = Relative(count=10, center=center, choice=choice).fit(x, y)
    new = data(20, seed=3)
    image = 5 * new @ turn(6)
    image[:, 0] *= -1
    np.testing.assert_allclose(m.transform(new), m.transform_target(image), atol=1e-6)


def test_a_shift_changes_nothing_where_sides_are_centred_and_something_where_not():
    x, shift = data(), np.full(6, 9.0)
    y = x @ turn(6) + shift
    new = data(20, seed=3)
    gaps = {}
    for center in (True, False):
        m = Relative(count=10, center=center).fit(x, y)
        gaps[center] = np.abs(m.transform(new) - m.transform_target(new @ turn(6) + shift)).max()
    assert gaps[True] < 1e-5
    assert gaps[False] > 0.1


def test_spaces_of_different_dimension_meet_in_one_of_as_many_columns_as_anchors():
    x = data()
    y = np.concatenate([x @ turn(6), np.zeros((90, 3))], axis=1) @ turn(9)
    m = Relative(count=12).fit(x, y)
    assert m.transform(x).shape == m.transform_target(y).shape == (90, 12)
    np.testing.assert_allclose(m.transform(x), m.transform_target(y), atol=1e-5)


def test_top_keeps_the_largest_entries_in_size_and_only_those():
    x = data()
    whole, cut = Relative(count=10).fit(x).transform(x), Relative(count=10, top=3).fit(x).transform(x)
    assert ((cut != 0).sum(axis=1) == 3).all()
    for full, few in zip(whole, cut, strict=True):
        kept = np.argsort(-np.abs(full))[:3]
        np.testing.assert_allclose(few[kept], full[kept] / np.linalg.norm(full[kept]), atol=1e-5)
    np.testing.assert_array_equal(Relative(count=10, top=10).fit(x).transform(x), whole)


def test_all_rows_are_anchors_by_default_but_those_without_a_direction():
    x = data(12)
    y = data(12, seed=4)
    y[5] = 0
    m = Relative(center=False).fit(x, y)
    np.testing.assert_array_equal(m.rows_, np.delete(np.arange(12), 5))
    assert Relative(count=500).fit(x, y).transform(x).shape == (12, 12)


def test_a_row_at_the_mean_has_no_similarities():
    x = data().astype(np.float32)
    m = Relative(count=5).fit(x)
    assert not m.transform(m.mean_x_[None, :]).any()


def test_half_precision_and_no_rows_are_fine():
    m = Relative(count=5).fit(data().astype(np.float16))
    assert m.transform(data(3).astype(np.float16)).shape == (3, 5)
    assert m.transform(np.zeros((0, 6))).shape == (0, 5)


def test_a_fitted_map_survives_its_plain_state():
    x = data()
    m = Relative(count=7).fit(x, x @ turn(6))
    again = Relative(count=7).load_state(*m.split_state())
    np.testing.assert_array_equal(again.transform_target(x), m.transform_target(x))
    assert again.fingerprint == m.fingerprint


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: Relative().fit(np.eye(3), np.eye(4)), BadInput, "3 rows and Y 4"),
        (lambda: Relative().fit(np.ones((4, 3))), BadInput, "anchor"),
        (lambda: Relative().fit(np.eye(3)[:1]), BadInput, "at least 2"),
        (lambda: Relative(count=0).fit(np.eye(3)), BadInput, "count"),
        (lambda: Relative(top=0).fit(np.eye(3)), BadInput, "top"),
        (lambda: Relative(choice="all").fit(np.eye(3)), BadInput, "choice"),
        (lambda: Relative().fit(np.full((3, 2), np.nan)), BadInput, "NaN"),
        (lambda: Relative().transform(np.eye(3)), NotFitted, "fit"),
        (lambda: Relative().fit(np.eye(3)).transform(np.eye(4)), SpaceMismatch, "dimension 4"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
